package journaltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// followWait is the longest that the suite waits for a follower to be told.
const followWait = 30 * time.Second

// Watcher is a delivery.Follower that remembers what it was told. Its methods may be called from any
// goroutine.
type Watcher struct {
	mu       sync.Mutex
	changed  chan struct{}
	newest   map[string]uint64
	lanes    map[string]delivery.LaneRecord
	controls map[string]delivery.Control
	current  bool
	faults   []error
}

// NewWatcher returns one that was told nothing yet.
func NewWatcher() *Watcher {
	return &Watcher{
		changed: make(chan struct{}), newest: make(map[string]uint64),
		lanes: make(map[string]delivery.LaneRecord), controls: make(map[string]delivery.Control),
	}
}

func (w *Watcher) note(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
	close(w.changed)
	w.changed = make(chan struct{})
}

// Appended implements delivery.Follower.
func (w *Watcher) Appended(robot string, seq uint64) {
	w.note(func() {
		if seq < w.newest[robot] {
			w.faults = append(w.faults, fmt.Errorf("%s: place %d was told after %d", robot, seq, w.newest[robot]))
		}
		w.newest[robot] = seq
	})
}

// Saved implements delivery.Follower.
func (w *Watcher) Saved(rec delivery.LaneRecord) {
	w.note(func() {
		if rec.Revision >= w.lanes[rec.Robot].Revision {
			w.lanes[rec.Robot] = rec
		}
	})
}

// Controlled implements delivery.Follower.
func (w *Watcher) Controlled(c delivery.Control) {
	w.note(func() {
		if c.Revision >= w.controls[c.Robot].Revision {
			w.controls[c.Robot] = c
		}
	})
}

// Current implements delivery.Follower.
func (w *Watcher) Current() { w.note(func() { w.current = true }) }

// Await waits until holds is true, which is asked anew whenever w is told something; it fails the test after
// half a minute.
func (w *Watcher) Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), followWait)
	defer cancel()
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the follower waited in vain for %s", what)
		}
	}
}

// Newest returns the newest place of robot that was told.
func (w *Watcher) Newest(robot string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest[robot]
}

// Revision returns the newest revision of robot's record that was told.
func (w *Watcher) Revision(robot string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lanes[robot].Revision
}

// Follow follows j with w until stop is called or the test ends, and waits until w is current. It follows
// anew when Follow fails, as users must. stop waits for the end.
func (w *Watcher) Follow(t testing.TB, j delivery.Journal) (stop func()) {
	t.Helper()
	w.note(func() { w.current = false })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if err := j.Follow(ctx, w); err == nil && ctx.Err() == nil {
				t.Error("Follow = nil before its context ended")
				return
			}
		}
	})
	stop = func() {
		cancel()
		done.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := errors.Join(w.faults...); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	w.Await(t, "Current", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.current
	})
	return stop
}

func (w *Watcher) control(robot string) delivery.Control {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.controls[robot]
}

func testControl(t *testing.T, open Open) {
	j, reopen := open(t)
	ctx := t.Context()
	got, err := j.Control(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "control that was never saved", delivery.Control{Robot: "a"}, got)
	at := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	want := delivery.Control{Robot: "a", PausedSince: at, Note: "<maintenance> 维护", Resumed: at.Add(-time.Hour)}
	saved, err := j.SaveControl(ctx, want)
	if err != nil || saved.Revision == 0 {
		t.Fatalf("SaveControl = %+v, %v", saved, err)
	}
	if _, err := j.SaveControl(ctx, want); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveControl as if there was none = %v, want ErrFenced", err)
	}
	next := saved
	next.PausedSince = time.Time{}
	if next, err = j.SaveControl(ctx, next); err != nil || next.Revision <= saved.Revision {
		t.Fatalf("second SaveControl = %+v, %v", next, err)
	}
	if _, err := j.SaveControl(ctx, saved); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveControl at an old revision = %v, want ErrFenced", err)
	}
	for range 2 {
		if got, err = j.Control(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		equal(t, "control", next, got)
		if got, err = j.Control(ctx, "b"); err != nil || got.Revision != 0 {
			t.Errorf("control of another robot = %+v, %v", got, err)
		}
		j = reopen()
	}
}

func testFollowState(t *testing.T, open Open) {
	j, reopen := open(t)
	ctx := t.Context()
	NewWatcher().Follow(t, j)() // an empty journal has a current follower, too
	want := make(map[string]uint64)
	for i := range 20 {
		robot := fmt.Sprintf("r%d", i%7)
		want[robot] = appendAll(t, j, Message(robot, "", "x"))[0].Seq
	}
	rec, err := j.SaveLane(ctx, delivery.LaneRecord{Robot: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	rec.Cursor = want["r1"]
	if rec, err = j.SaveLane(ctx, rec); err != nil {
		t.Fatal(err)
	}
	control, err := j.SaveControl(ctx, delivery.Control{Robot: "idle", Note: "no notification"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w := NewWatcher()
		w.Follow(t, j)()
		equal(t, "newest places", want, w.newest)
		equal(t, "records", map[string]delivery.LaneRecord{"r1": rec}, w.lanes)
		equal(t, "controls", map[string]delivery.Control{"idle": control}, w.controls)
		j = reopen()
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := j.Follow(ended, NewWatcher()); err != nil {
		t.Errorf("Follow under an ended context = %v", err)
	}
}

func testFollowChanges(t *testing.T, open Open) {
	j, _ := open(t)
	ctx := t.Context()
	w := NewWatcher()
	w.Follow(t, j)
	receipts := appendAll(t, j, append(messages("a", "one", "two"), messages("b", "one")...)...)
	w.Await(t, "a batch", func() bool { return w.Newest("a") == receipts[1].Seq && w.Newest("b") == receipts[2].Seq })
	if got := read(t, j, "b", 0, 10); len(got) != 1 {
		t.Errorf("Read of what was told = %v", got)
	}
	rec := delivery.LaneRecord{Robot: "a", Intent: &delivery.Intent{
		First: receipts[0].Seq, Last: receipts[0].Seq, Items: 1, UUID: "u", Body: []byte(`{"text":"<b>"}`),
	}}
	rec, err := j.SaveLane(ctx, rec)
	if err != nil {
		t.Fatal(err)
	}
	w.Await(t, "a record", func() bool { return w.Revision("a") == rec.Revision })
	equal(t, "record that was told", rec, w.lanes["a"])
	// What was told is the follower's own.
	w.lanes["a"].Intent.UUID = "another"
	if rec.Intent.UUID != "u" {
		t.Error("the follower shares memory with who saved the record")
	}
	if got, err := j.Lane(ctx, "a"); err != nil || got.Revision < rec.Revision || got.Intent.UUID != "u" {
		t.Errorf("Lane after it was told = %+v, %v", got, err)
	}
	control, err := j.SaveControl(ctx, delivery.Control{Robot: "a", Note: "n"})
	if err != nil {
		t.Fatal(err)
	}
	w.Await(t, "a control", func() bool { return w.control("a") == control })
}

func testFollowWhileAppending(t *testing.T, open Open) {
	j, _ := open(t)
	const callers, calls = 4, 30
	var mu sync.Mutex
	newest := make(map[string]uint64)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for k := range calls {
				robot := fmt.Sprintf("r%d", (c+k)%3)
				receipts, err := j.Append(t.Context(), messages(robot, "x", "y"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				newest[robot] = max(newest[robot], receipts[1].Seq)
				mu.Unlock()
			}
		})
	}
	watchers := make([]*Watcher, 3)
	for i := range watchers {
		watchers[i] = NewWatcher()
		watchers[i].Follow(t, j)
	}
	wg.Wait()
	for _, w := range watchers {
		w.Await(t, "the last of all", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return maps.Equal(newest, w.newest)
		})
	}
}
