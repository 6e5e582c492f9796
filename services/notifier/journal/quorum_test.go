package journal

import (
	"context"
	"sync"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// The store's acknowledgement is what Append waits for: with the servers held back, so is the answer.
func TestAcceptanceWaitsForTheStore(t *testing.T) {
	t.Parallel()
	c := natstest.NewCluster(t, 3)
	j, _ := openOn(t, c)
	ns := []delivery.Notification{journaltest.Message("a", "r0", "x"), journaltest.Message("b", "r0", "x")}
	if _, err := j.Append(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	leader := c.StreamLeader(logStream)
	others := []int{(leader + 1) % 3, (leader + 2) % 3}
	stop := func(nodes ...int) func() {
		for _, n := range nodes {
			c.Stop(n)
		}
		return func() {
			for _, n := range nodes {
				c.Cont(n)
			}
		}
	}
	kill := func() func() {
		c.Kill(others[0])
		c.Kill(others[1])
		return func() {
			c.Start(others[0])
			c.Start(others[1])
		}
	}
	for _, held := range []struct {
		name string
		hold func() (release func())
	}{
		{name: "all servers frozen", hold: func() func() { return stop(0, 1, 2) }},
		{name: "only the leader runs, the others frozen", hold: func() func() { return stop(others...) }},
		{name: "only the leader runs, the others dead", hold: kill},
	} {
		ns := []delivery.Notification{journaltest.Message("a", held.name, "x"), journaltest.Message("b", held.name, "x")}
		release := held.hold()
		done := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		go func() {
			_, err := j.Append(ctx, ns)
			done <- err
		}()
		short, end := context.WithTimeout(t.Context(), 2*time.Second)
		var others sync.WaitGroup
		for name, call := range map[string]func() error{
			"Settle": func() error {
				return j.Settle(short, []delivery.Outcome{{Robot: "a", Seq: 1, Delivered: true}})
			},
			"SaveLane": func() error {
				_, err := j.SaveLane(short, delivery.LaneRecord{Robot: "lane"})
				return err
			},
			"Healthy": func() error { return j.Healthy(short) },
		} {
			others.Go(func() {
				if err := call(); err == nil {
					t.Errorf("%s: %s = nil", held.name, name)
				}
			})
		}
		var err error
		select {
		case err = <-done:
			if err == nil {
				t.Errorf("%s: Append = nil", held.name)
			}
		case <-short.Done():
		}
		others.Wait()
		end()
		release()
		c.WaitReady()
		if err == nil {
			// Whether it came to an end in time or was given up is open; that it ends isn't.
			<-done
		}
		cancel()
		// Where it was given up meanwhile, its caller repeats.
		var receipts []delivery.Receipt
		for deadline := time.Now().Add(time.Minute); ; {
			if receipts, err = j.Append(t.Context(), ns); err == nil || time.Now().After(deadline) {
				break
			}
		}
		if err != nil {
			t.Fatalf("%s: Append after the release = %v", held.name, err)
		}
		for i, r := range receipts {
			again, err := j.Append(t.Context(), ns[i:i+1])
			if err != nil || again[0].Seq != r.Seq || !again[0].Duplicate {
				t.Errorf("%s: repeat = %v, %v, want it at %d", held.name, again, err, r.Seq)
			}
		}
	}
	for _, robot := range []string{"a", "b"} {
		ids := make(map[string]bool)
		all, err := j.Read(t.Context(), robot, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			if ids[n.RequestID] {
				t.Errorf("%s stands twice in %s's log", n.RequestID, robot)
			}
			ids[n.RequestID] = true
		}
		if len(ids) != 4 {
			t.Errorf("%s's log has %d requests, want 4", robot, len(ids))
		}
	}
}
