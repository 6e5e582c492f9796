package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestFullJournalRefusesAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{MaxBytes: 200 << 10})
	testFull(t, j)
}

func testFull(t *testing.T, j *Journal) {
	text := strings.Repeat("x", 4000)
	var stored []uint64
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		var receipts []delivery.Receipt
		if receipts, err = j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", fmt.Sprint(i), text)}); err == nil {
			stored = append(stored, receipts[0].Seq)
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("Append to a full journal = %v, want ErrFull", err)
	}
	if err := j.Healthy(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("Healthy of a full journal = %v, want ErrFull", err)
	}
	// Several at once: none of them, although the small one would fit.
	_, err = j.Append(t.Context(), []delivery.Notification{journaltest.Message("b", "r", "x"), journaltest.Message("c", "r", text)})
	if !errors.Is(err, ErrFull) {
		t.Fatalf("Append of several to a full journal = %v, want ErrFull", err)
	}
	for robot, want := range map[string]int{"a": len(stored), "b": 0, "c": 0} {
		if ns, err := j.Read(t.Context(), robot, 0, 1000); err != nil || len(ns) != want {
			t.Errorf("%s has %d notifications, %v; want %d", robot, len(ns), err, want)
		}
	}
	// What is known is known, also then.
	got, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "0", text)})
	if err != nil || !got[0].Duplicate || got[0].Seq != stored[0] {
		t.Errorf("repeat to a full journal = %v, %v", got, err)
	}
	// Lanes go on.
	if _, err := j.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a", Cursor: stored[0]}); err != nil {
		t.Errorf("SaveLane in a full journal = %v", err)
	}
	if err := j.Settle(t.Context(), []delivery.Outcome{{Robot: "a", Seq: stored[0], Delivered: true}}); err != nil {
		t.Errorf("Settle in a full journal = %v", err)
	}
}

func TestReopenTakesOverNewBounds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, shut := openIn(t, dir, Options{MaxBytes: 1 << 20, DedupWindow: time.Hour, Retention: 2 * time.Hour})
	if _, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")}); err != nil {
		t.Fatal(err)
	}
	shut()
	j, _ = openIn(t, dir, Options{MaxBytes: 2 << 20, DedupWindow: 3 * time.Hour, Retention: 4 * time.Hour})
	info, err := j.log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := info.Config; c.MaxBytes != 2<<20 || c.Duplicates != 3*time.Hour || c.MaxAge != 4*time.Hour {
		t.Errorf("settings after reopen: %d bytes, window %v, age %v", c.MaxBytes, c.Duplicates, c.MaxAge)
	}
	got, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")})
	if err != nil || !got[0].Duplicate {
		t.Errorf("repeat after the window grew = %v, %v", got, err)
	}
}

func TestRequestIDIsForgottenAfterTheWindow(t *testing.T) {
	t.Parallel()
	// The server's clock is the machine's, so the window is as short as the server allows.
	dir := t.TempDir()
	j, shut := openIn(t, dir, Options{DedupWindow: 100 * time.Millisecond})
	first, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")})
	if err != nil {
		t.Fatal(err)
	}
	shut()
	j, _ = openIn(t, dir, Options{DedupWindow: 100 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		got, err := j.Append(ctx, []delivery.Notification{journaltest.Message("a", "r", "x")})
		if err != nil {
			t.Fatalf("the id was not forgotten: %v", err)
		}
		if !got[0].Duplicate {
			if got[0].Seq <= first[0].Seq {
				t.Errorf("stored anew at %d, after %d", got[0].Seq, first[0].Seq)
			}
			return
		}
	}
}

func TestOpenRefusesSenselessOptions(t *testing.T) {
	t.Parallel()
	s, err := natsstore.Open(t.Context(), natsstore.Options{Dir: t.TempDir(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, opts := range []Options{
		{},
		{Store: s, MaxBytes: -1},
		{Store: s, DedupWindow: 2 * time.Hour, Retention: time.Hour},
	} {
		if _, err := Open(t.Context(), opts); err == nil {
			t.Errorf("Open(%+v) = nil", opts)
		}
	}
}

func TestAppendRefusesWhatItCanNotStore(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	tests := map[string][]delivery.Notification{
		"bad robot":  {journaltest.Message("a.b", "", "x")},
		"wildcard":   {journaltest.Message("*", "", "x")},
		"no robot":   {journaltest.Message("", "", "x")},
		"too large":  {journaltest.Message("a", "", strings.Repeat("x", 9<<20))},
		"no content": {{Robot: "a"}},
		"too many":   make([]delivery.Notification, maxCommit+1),
	}
	for name, ns := range tests {
		if _, err := j.Append(t.Context(), ns); err == nil {
			t.Errorf("%s: Append = nil", name)
		}
	}
	if _, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "", strings.Repeat("x", 7<<20))}); err != nil {
		t.Errorf("Append of 7 MiB = %v", err)
	}
}

func TestCloseEndsAppending(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	if err := j.Healthy(t.Context()); err != nil {
		t.Errorf("Healthy = %v", err)
	}
	j.Close()
	j.Close()
	if _, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "", "x")}); err == nil {
		t.Error("Append to a closed journal = nil")
	}
}

func TestReadWaitsForItsTurnWithinItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &Journal{bulk: make(chan struct{}, 1)}
		j.bulk <- struct{}{}
		begun := time.Now()
		if _, err := j.Read(context.Background(), "a", 0, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read = %v", err)
		}
		if waited := time.Since(begun); waited != callTimeout {
			t.Errorf("Read waited for %v, want %v", waited, callTimeout)
		}
	})
}

func TestWhatWaitsForItsCommitIsBounded(t *testing.T) {
	t.Parallel()
	// As if a commit were under way and would not end.
	j := &Journal{committing: true}
	of := func(entries, bytes int) *group {
		return &group{entries: make([]*entry, entries), bytes: bytes, done: make(chan struct{})}
	}
	large := of(1, maxQueuedBytes/4)
	for _, tt := range []struct {
		name string
		g    *group
		want error
	}{
		{"a large one", large, nil},
		{"three times as much", of(3, maxQueuedBytes*3/4), nil},
		{"one byte more", of(1, 1), errBusy},
	} {
		if err := j.enqueue(t.Context(), tt.g); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	j.dequeue(large)
	if err := j.enqueue(t.Context(), of(maxQueued-3, maxQueuedBytes/4)); err != nil {
		t.Errorf("after one was given up: %v", err)
	}
	if err := j.enqueue(t.Context(), of(1, 0)); !errors.Is(err, errBusy) {
		t.Errorf("one more than may wait: %v", err)
	}
	for j.queued > 0 {
		j.take()
	}
	if err := j.enqueue(t.Context(), of(200, 3*maxQueuedBytes)); err != nil {
		t.Errorf("a very large one with nothing before it: %v", err)
	}
	if err := j.enqueue(t.Context(), of(1, 1)); !errors.Is(err, errBusy) {
		t.Errorf("one byte behind a very large one: %v", err)
	}
	j.take()
	if j.queued != 0 || j.queuedBytes != 0 {
		t.Errorf("%d notifications, %d bytes are left after all were taken", j.queued, j.queuedBytes)
	}
}
