package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

const benchText = 1000

// BenchmarkDisk is the floor: what the disk takes for a write and its fsync, without any of ours.
func BenchmarkDisk(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data := make([]byte, benchText)
	for b.Loop() {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendSingle(b *testing.B) {
	j, _ := openIn(b, b.TempDir(), Options{})
	text := strings.Repeat("x", benchText)
	i := 0
	for b.Loop() {
		i++
		if _, err := j.Append(b.Context(), []delivery.Notification{journaltest.Message("a", fmt.Sprint(i), text)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendToTwo(b *testing.B) {
	j, _ := openIn(b, b.TempDir(), Options{})
	text := strings.Repeat("x", benchText)
	i := 0
	for b.Loop() {
		i++
		id := fmt.Sprint(i)
		if _, err := j.Append(b.Context(), []delivery.Notification{journaltest.Message("a", id, text), journaltest.Message("b", id, text)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	for _, callers := range []int{2, 4, 8, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j, _ := openIn(b, b.TempDir(), Options{})
			text := strings.Repeat("x", benchText)
			ids := make(chan int, callers)
			go func() {
				defer close(ids)
				for i := range b.N {
					ids <- i
				}
			}()
			errs := make(chan error, callers)
			b.ResetTimer()
			for range callers {
				go func() {
					var err error
					for i := range ids {
						if _, aerr := j.Append(b.Context(), []delivery.Notification{journaltest.Message("a", fmt.Sprint(i), text)}); aerr != nil {
							err = aerr
						}
					}
					errs <- err
				}()
			}
			for range callers {
				if err := <-errs; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSaveLane(b *testing.B) {
	j, _ := openIn(b, b.TempDir(), Options{})
	rec := delivery.LaneRecord{Robot: "a"}
	for b.Loop() {
		var err error
		if rec, err = j.SaveLane(b.Context(), rec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReading(b *testing.B) {
	for _, robots := range []int{1, 100} {
		j, shut := openIn(b, b.TempDir(), Options{})
		const n = 100_000
		places := fill(b, j, n, func(i int) string { return fmt.Sprintf("r%d", i%robots) })["r0"]
		for _, cursor := range []struct {
			name  string
			after uint64
		}{{"start", 0}, {"quarter", places[len(places)/4]}, {"middle", places[len(places)/2]}, {"end", places[len(places)-2]}} {
			name := fmt.Sprintf("robots=%d/cursor=%s", robots, cursor.name)
			b.Run("Backlog/"+name, func(b *testing.B) {
				for b.Loop() {
					if n, _, err := j.Backlog(b.Context(), "r0", cursor.after); err != nil || n == 0 {
						b.Fatal(n, err)
					}
				}
			})
			b.Run("Read200/"+name, func(b *testing.B) {
				for b.Loop() {
					if ns, err := j.Read(b.Context(), "r0", cursor.after, 200); err != nil || len(ns) == 0 {
						b.Fatal(len(ns), err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("List50/robots=%d", robots), func(b *testing.B) {
			for b.Loop() {
				if ns, _, err := j.List(b.Context(), "r0", 0, 50); err != nil || len(ns) != 50 {
					b.Fatal(len(ns), err)
				}
			}
		})
		shut()
	}
}

// BenchmarkReopen shows what a backlog costs: the time until the store and the journal are open again and a
// follower is current, and the memory that is held from then on, both while the request ids of the whole
// backlog are known and when all are forgotten. Run it with -benchtime=1x; to make the largest backlog takes
// minutes.
func BenchmarkReopen(b *testing.B) {
	const robots = 10_000
	for _, backlog := range []int{10_000, 1_000_000} {
		dir := b.TempDir()
		j, shut := openIn(b, dir, Options{})
		for i := 0; i < backlog; i += maxCommit {
			var ns []delivery.Notification
			for k := i; k < min(i+maxCommit, backlog); k++ {
				ns = append(ns, journaltest.Message(fmt.Sprintf("robot-%d", k%robots), fmt.Sprint(k), strings.Repeat("text ", 100)))
			}
			if _, err := j.Append(b.Context(), ns); err != nil {
				b.Fatal(err)
			}
		}
		shut()
		for _, window := range []time.Duration{defaultDedupWindow, time.Second} {
			// The server takes over a new window when it is told of it, and acts on it from the next start.
			_, shut := openIn(b, dir, Options{DedupWindow: window})
			shut()
			b.Run(fmt.Sprintf("backlog=%d/window=%v", backlog, window), func(b *testing.B) {
				before := heap()
				for b.Loop() {
					start := time.Now()
					j, shut := openIn(b, dir, Options{DedupWindow: window})
					opened := time.Now()
					w := journaltest.NewWatcher()
					stop := w.Follow(b, j)
					b.ReportMetric(opened.Sub(start).Seconds()*1000, "open-ms")
					b.ReportMetric(time.Since(opened).Seconds()*1000, "follow-ms")
					held := heap() - before
					b.ReportMetric(float64(held)/(1<<20), "held-MiB")
					b.ReportMetric(float64(held)/float64(backlog), "held-B/notification")
					stop()
					shut()
				}
			})
		}
	}
}

// heap returns what is in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkSettle(b *testing.B) {
	for _, n := range []int{1, 16, 17, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			j, _ := openIn(b, b.TempDir(), Options{})
			outcomes := make([]delivery.Outcome, n)
			seq := uint64(0)
			for b.Loop() {
				for i := range outcomes {
					seq++
					outcomes[i] = delivery.Outcome{Robot: "a", Seq: seq, Delivered: true, UUID: "0e6b6f0a-0000-4000-8000-000000000000", Items: n}
				}
				if err := j.Settle(b.Context(), outcomes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
