package natsstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

func TestMain(m *testing.M) {
	natstest.MaybeServe()
	if dir := os.Getenv(syncVariable); dir != "" {
		writeWhenTold(dir)
	}
	if fault := os.Getenv(faultVariable); fault != "" {
		appendThroughFaults(fault)
	}
	if dir := os.Getenv("NATSSTORE_TEST_HOLD"); dir != "" {
		appendUntilKilled(dir)
	}
	natstest.VerifyTestMain(m)
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Name: "test store"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestOpenRefusesFolderThatIsInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir, Name: "second"})
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), dir) {
		t.Fatalf("Open of a folder in use = %v, want an error that says so and names %s", err, dir)
	}
	s.Close()
	open(t, dir)
}

func TestOpenRefusesFileInPlaceOfFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := Open(t.Context(), Options{Dir: dir, Name: "test store"})
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("Open(%s) = %v, want an error that names the file", dir, err)
		}
	}
}

func TestOpenRefusesFolderThatCanNotBeMade(t *testing.T) {
	t.Parallel()
	// Not even root makes folders here.
	_, err := Open(t.Context(), Options{Dir: "/proc/belfry", Name: "test store"})
	if err == nil || !strings.Contains(err.Error(), "/proc/belfry") || !strings.Contains(err.Error(), "test store") {
		t.Errorf("Open = %v, want an error that names store and folder", err)
	}
}

func TestOpenRefusesNegativeBounds(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{Dir: t.TempDir(), MaxBytes: -1}, {Dir: t.TempDir(), MaxPayload: -1}, {}} {
		if _, err := Open(t.Context(), opts); err == nil {
			t.Errorf("Open(%+v) = nil", opts)
		}
	}
}

func TestOpenMakesFolderForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	open(t, dir)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode of the folder = %o, want 700", got)
	}
}

// The fsync itself can't be seen from here, but what decides about it can: the server's own account of how
// it runs, beside its documented meaning.
func TestServerSyncsBeforeItAcknowledges(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if cfg := s.embedded.server().JetStreamConfig(); !cfg.SyncAlways {
		t.Fatalf("JetStream runs with SyncAlways off: %+v", cfg)
	}
}

func TestServerListensNowhere(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if addr := s.embedded.server().Addr(); addr != nil {
		t.Errorf("server listens at %v", addr)
	}
}

func TestEnsureStreamSaysThatTheStoreIsTooSmall(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Name: "small", MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	_, err = s.Queue(t.Context(), QueueOptions{Name: "q", MaxBytes: 2 << 20})
	if err == nil || !strings.Contains(err.Error(), "raise the bound") {
		t.Errorf("Queue beyond the store's bound = %v", err)
	}
}

func TestForwardReadsInOrderWithinItsLimits(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ctx := t.Context()
	_, err := s.EnsureStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, AllowDirect: true, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := s.js.Publish(ctx, fmt.Sprintf("s.%c", 'a'+i%2), make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		subject  string
		from     uint64
		limit    int
		maxBytes int
		want     []uint64
		more     uint64
	}{
		{"s.a", 0, 3, 1 << 20, []uint64{1, 3, 5}, 7},
		{"s.a", 4, 3, 1 << 20, []uint64{5, 7, 9}, 5},
		{"s.b", 17, 9, 1 << 20, []uint64{18, 20}, 0},
		{"s.b", 20, 9, 1 << 20, []uint64{20}, 0},
		{"s.b", 20, 1, 1 << 20, []uint64{20}, 0},
		{"s.b", 21, 9, 1 << 20, nil, 0},
		{"s.b", 21, 1, 1 << 20, nil, 0},
		{"s.c", 1, 9, 1 << 20, nil, 0},
		{"s.*", 1, 9, 150, []uint64{1, 2}, 18},
		{"s.*", 1, 9, 1, []uint64{1}, 19},
		{"s.*", 1, 0, 1, nil, 0},
	}
	for _, tt := range tests {
		msgs, more, err := s.Forward(ctx, "S", tt.subject, tt.from, tt.limit, tt.maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, m := range msgs {
			got = append(got, m.Seq)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || more != tt.more {
			t.Errorf("Forward(%s, %d, %d, %d): more = %d, want %d; sequences (-want +got):\n%s",
				tt.subject, tt.from, tt.limit, tt.maxBytes, more, tt.more, diff)
		}
	}
}

func TestMoreBatchesAtOnceThanTheServerTakesAllGoThrough(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	_, err := s.EnsureStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, AllowAtomicPublish: true, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	// The server takes 50 of a stream.
	const batches, size = 100, 100
	errs := make(chan error, batches)
	for range batches {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err := s.PublishBatch(ctx, slices.Repeat([]*nats.Msg{{Subject: "s", Data: make([]byte, 1000)}}, size))
			errs <- err
		}()
	}
	for range batches {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if last, ok, err := s.Last(t.Context(), "S", "s"); err != nil || !ok || last.Seq != batches*size {
		t.Errorf("the last message = %d, %t, %v", last.Seq, ok, err)
	}
}

// appendUntilKilled is the child of TestAcknowledgedItemsSurviveKill.
func appendUntilKilled(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir, Name: "child"})
	if err == nil {
		var q *Queue
		q, err = s.Queue(context.Background(), QueueOptions{Name: "q", MaxBytes: 1 << 30})
		for i := 0; err == nil; i++ {
			if err = q.Append(context.Background(), "lane", fmt.Appendf(nil, "%d", i)); err == nil {
				_, err = fmt.Printf("%d\n", i)
			}
		}
	}
	panic(err)
}

func TestAcknowledgedItemsSurviveKill(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "NATSSTORE_TEST_HOLD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := -1
	for acked < 200 {
		if _, err := fmt.Fscanln(out, &acked); err != nil {
			t.Fatalf("child after %d: %v", acked, err)
		}
	}
	// The lock shows across processes, too.
	if _, err := Open(t.Context(), Options{Dir: dir, Name: "second"}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Open beside the child = %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// What the child still had printed was acknowledged as well.
	for {
		var n int
		if _, err := fmt.Fscanln(out, &n); err != nil {
			break
		}
		acked = n
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	q, err := open(t, dir).Queue(t.Context(), QueueOptions{Name: "q", MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	items, err := q.Next(t.Context(), "lane", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(items) <= acked {
		t.Fatalf("%d items after the kill, %d were acknowledged", len(items), acked+1)
	}
	for i, item := range items {
		if string(item.Data) != fmt.Sprint(i) {
			t.Fatalf("item %d = %q", i, item.Data)
		}
	}
	t.Logf("%d acknowledged, %d found", acked+1, len(items))
}

func TestIsFullKnowsRefusalsForWantOfRoom(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		nil:              false,
		errors.New("no"): false,
		&jetstream.APIError{ErrorCode: 10077, Description: "maximum bytes exceeded"}: true,
		&jetstream.APIError{ErrorCode: 10077, Description: "read only"}:              false,
		&jetstream.APIError{ErrorCode: 10023}:                                        true,
		&jetstream.APIError{ErrorCode: 10071}:                                        false,
	} {
		if got := IsFull(err); got != want {
			t.Errorf("IsFull(%v) = %t", err, got)
		}
	}
}
