package natsstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openQueue(t *testing.T, s *Store, name string, maxBytes int64) *Queue {
	t.Helper()
	q, err := s.Queue(t.Context(), QueueOptions{Name: name, MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// next returns what lane holds, as text, with the sequences.
func next(t *testing.T, q *Queue, lane string, limit int) (texts []string, seqs []uint64) {
	t.Helper()
	items, err := q.Next(t.Context(), lane, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if item.Lane != lane || item.Time.IsZero() {
			t.Errorf("item %+v of lane %s", item, lane)
		}
		texts, seqs = append(texts, string(item.Data)), append(seqs, item.Seq)
	}
	return texts, seqs
}

// want waits until lane holds n items, which it does at once but on a cluster, and returns them as next does.
func want(t *testing.T, q *Queue, lane string, n int) (texts []string, seqs []uint64) {
	t.Helper()
	await(t, func() error {
		texts, seqs = next(t, q, lane, n+1)
		if len(texts) == n || !q.store.Shared() {
			return nil
		}
		return fmt.Errorf("%s holds %q, want %d items", lane, texts, n)
	})
	return texts, seqs
}

func TestQueueKeepsEachLanesOrderAcrossReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keepsOrder(t, func() *Store { return open(t, dir) })
}

func keepsOrder(t *testing.T, open func() *Store) {
	s := open()
	q := openQueue(t, s, "spool", 1<<20)
	for i := range 6 {
		if err := q.Append(t.Context(), fmt.Sprintf("lane-%d", i%2), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	got, seqs := next(t, q, "lane-0", 1)
	if diff := cmp.Diff([]string{"0"}, got); diff != "" {
		t.Error(diff)
	}
	first, ok, err := q.Oldest(t.Context(), "lane-0")
	if err != nil || !ok || time.Since(first) < 0 || time.Since(first) > time.Hour {
		t.Errorf("Oldest = %v, %t, %v", first, ok, err)
	}
	if _, ok, err := q.Oldest(t.Context(), "none"); err != nil || ok {
		t.Errorf("Oldest of an empty lane = %t, %v", ok, err)
	}
	if err := q.Remove(t.Context(), seqs[0]); err != nil {
		t.Fatal(err)
	}
	if err := q.Remove(t.Context(), seqs[0], 999); err != nil {
		t.Errorf("Remove of what is not there = %v", err)
	}
	if got, _ := next(t, q, "lane-0", 1); !cmp.Equal(got, []string{"2"}) {
		t.Errorf("what was removed is still there, or more: %q", got)
	}
	if second, _, err := q.Oldest(t.Context(), "lane-0"); err != nil || !second.After(first) {
		t.Errorf("Oldest = %v after %v was removed, %v", second, first, err)
	}
	s.Close()

	q = openQueue(t, open(), "spool", 1<<20)
	lanes, err := q.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]uint64{"lane-0": 2, "lane-1": 3}, lanes); diff != "" {
		t.Error(diff)
	}
	for lane, items := range map[string][]string{"lane-0": {"2", "4"}, "lane-1": {"1", "3", "5"}, "none": nil} {
		got, _ := want(t, q, lane, len(items))
		if diff := cmp.Diff(items, got); diff != "" {
			t.Errorf("%s: %s", lane, diff)
		}
	}
	if msgs, bytes, err := q.Depth(t.Context()); err != nil || msgs != 5 || bytes == 0 {
		t.Errorf("Depth = %d, %d, %v", msgs, bytes, err)
	}
}

func TestQueueRefusesWhenFullAndDiscardsNothing(t *testing.T) {
	t.Parallel()
	refusesWhenFull(t, open(t, t.TempDir()))
}

func refusesWhenFull(t *testing.T, s *Store) {
	q := openQueue(t, s, "full", 10<<10)
	var stored int
	var err error
	for err == nil && stored < 100 {
		if err = q.Append(t.Context(), "lane", make([]byte, 1000)); err == nil {
			stored++
		}
	}
	if !errors.Is(err, ErrQueueFull) {
		t.Fatalf("Append to a full queue = %v, want ErrQueueFull", err)
	}
	got, seqs := want(t, q, "lane", stored)
	if len(got) != stored || stored == 0 {
		t.Fatalf("%d items are there, %d were stored", len(got), stored)
	}
	if err := q.Remove(t.Context(), seqs[:2]...); err != nil {
		t.Fatal(err)
	}
	if err := q.Append(t.Context(), "lane", make([]byte, 1000)); err != nil {
		t.Errorf("Append after room was made = %v", err)
	}
}

func TestQueueRefusesBadArguments(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	q := openQueue(t, s, "spool", 1<<20)
	for _, lane := range []string{"", "a.b", "*", ">", "Ä", "a b", "UP"} {
		if err := q.Append(t.Context(), lane, nil); err == nil {
			t.Errorf("Append to lane %q = nil", lane)
		}
		if _, err := q.Next(t.Context(), lane, 1); err == nil {
			t.Errorf("Next of lane %q = nil", lane)
		}
	}
	if err := q.Append(t.Context(), "lane", make([]byte, s.MaxPayload())); err == nil {
		t.Error("Append of too large an item = nil")
	}
	if err := q.Append(t.Context(), "lane", []byte("x")); err != nil {
		t.Errorf("Append after refusals = %v", err)
	}
	for _, opts := range []QueueOptions{{Name: "a.b", MaxBytes: 1}, {Name: "a"}, {Name: "a", MaxBytes: 1, MaxAge: -1}} {
		if _, err := s.Queue(t.Context(), opts); err == nil {
			t.Errorf("Queue(%+v) = nil", opts)
		}
	}
}

func TestQueueTakesOverNewBounds(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	q := openQueue(t, s, "spool", 1<<20)
	if err := q.Append(t.Context(), "lane", make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, s, "spool", 4000)
	if err := q.Append(t.Context(), "lane", make([]byte, 10)); !errors.Is(err, ErrQueueFull) {
		t.Errorf("Append beyond the lowered bound = %v", err)
	}
	if got, _ := next(t, q, "lane", 9); len(got) != 1 {
		t.Errorf("%d items after the bound was lowered, want the 1 that was there", len(got))
	}
}
