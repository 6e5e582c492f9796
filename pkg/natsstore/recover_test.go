package natsstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestStoreRecoversFromWritesThatFail(t *testing.T) {
	t.Parallel()
	var ran atomic.Int32
	t.Run("when", func(t *testing.T) {
		for name := range faults {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if c := startChild(t, name); c != nil {
					ran.Add(1)
					recovers(t, c)
				}
			})
		}
	})
	if ran.Load() == 0 {
		t.Error("no fault was possible")
	}
}

func recovers(t *testing.T, c *child) {
	for round := range 2 {
		for want := len(c.acked) + 20; len(c.acked) < want; {
			c.next()
		}
		c.tell("begin")
		reason := c.until("unhealthy")
		if !strings.Contains(reason, "can't write") {
			t.Errorf("Healthy = %s", reason)
		}
		// At first a write may wait for an answer; then all are refused at once, in clear words.
		for !strings.Contains(reason, "started again once its folder can be written") {
			reason = c.until("failed")
		}
		t.Logf("round %d: %s", round, reason)
		c.tell("end")
		c.until("did")
		c.until("healthy")
		c.until("acked")
	}
	c.tell("stop")
	c.ending = true
	for kind := "stop"; kind != ""; {
		kind, _ = c.next()
	}
	checkStored(t, c)
}

// checkStored fails the test unless the child stored, in order and once, all that was acknowledged, and each
// batch whole or not at all.
func checkStored(t *testing.T, c *child) {
	t.Helper()
	var batches []string
	for whole := range slices.Chunk(c.batched, batchSize) {
		if len(whole) != batchSize || whole[0] != whole[batchSize-1] {
			t.Fatalf("a batch is stored in part: %q", whole)
		}
		batches = append(batches, whole[0])
	}
	there := map[string]bool{}
	for _, texts := range [][]string{c.stored, batches} {
		before := -1
		for _, text := range texts {
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil || n <= before {
				t.Fatalf("%q is stored behind %d: %v", text, before, err)
			}
			before = n
			there[text] = true
		}
	}
	for _, text := range c.acked {
		if !there[text] {
			t.Errorf("%s was acknowledged, and is gone", text)
		}
	}
	t.Logf("%d acknowledged, %d stored", len(c.acked), len(there))
}

func TestStoppedServerIsStartedAgainUnderItsUsers(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ctx := t.Context()
	kv, err := s.EnsureBucket(ctx, jetstream.KeyValueConfig{Bucket: "B", Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	q := openQueue(t, s, "spool", 1<<20)
	if err := q.Append(ctx, "lane", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(ctx, "k", []byte("before")); err != nil {
		t.Fatal(err)
	}
	tail, _ := follow(t, s, TailOptions{Stream: "BELFRY_QUEUE_spool"})
	tail.next(t, 1)

	first := s.embedded.server()
	// What the server does to itself when it may not write.
	if err := first.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := s.Healthy(ctx); err == nil || !strings.Contains(err.Error(), s.place) {
		t.Errorf("Healthy with JetStream off = %v, want an error that names the folder", err)
	}
	await(t, func() error { return s.Healthy(ctx) })
	if s.embedded.server() == first {
		t.Error("the old server still runs")
	}
	if entry, err := kv.Get(ctx, "k"); err != nil || string(entry.Value()) != "before" {
		t.Errorf("Get = %v, %v", entry, err)
	}
	if err := q.Append(ctx, "lane", []byte("after")); err != nil {
		t.Error(err)
	}
	if got, _ := next(t, q, "lane", 9); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the queue holds %q", got)
	}
	if got := tail.next(t, 1); string(got[0].Data) != "after" || got[0].Seq != 2 {
		t.Errorf("the tail went on with %+v", got)
	}
}

func TestCloseEndsAnOutage(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if err := s.embedded.server().ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		if s.embedded.outage() == nil {
			return errors.New("nobody noticed")
		}
		return nil
	})
	dir := s.embedded.opts.Dir
	s.Close()
	open(t, dir)
}

// await calls try until it returns nil.
func await(t *testing.T, try func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
