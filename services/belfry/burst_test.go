package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// TestABurstArrivesWholeWithinAboutAMinute sends 1,000 events for one robot through the door, as fast as it
// takes them, and lets DingTalk hold the robot to its real pace. The group sees them in the order in which
// the door took them.
func TestABurstArrivesWholeWithinAboutAMinute(t *testing.T) {
	t.Parallel()
	const size, senders = 1000, 32
	s := newStage(t, 1)
	g := s.groups[0]
	door := free(t)
	p := s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", s.front("run"), s.embedded()))
	p.start()

	type taken struct{ mark, seq int }
	order := make([]taken, size)
	errs := make(chan error, senders)
	var sending sync.WaitGroup
	began := time.Now()
	for first := range senders {
		sending.Go(func() {
			for n := first; n < size; n += senders {
				d := giteetest.Push(began, "belltower/payments", "main", 1, fmt.Sprintf("mark%04dend", n))
				// Each signed at a moment of its own: a signature admits one body.
				k, err := knockAt(t.Context(), "http://"+door+"/hooks/"+g.name, gitee.Signature(g.hookSecret), d, began.Add(time.Duration(n)*time.Millisecond))
				if err != nil || k.status != http.StatusOK || len(k.Deliveries) != 1 {
					errs <- fmt.Errorf("webhook %d: %d %+v, %w", n, k.status, k.door, err)
					return
				}
				seq, err := strconv.Atoi(k.Deliveries[0][strings.LastIndexByte(k.Deliveries[0], '/')+1:])
				if err != nil {
					errs <- err
					return
				}
				order[n] = taken{n, seq}
			}
		})
	}
	sending.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	sent := time.Since(began)
	g.taken = size
	s.drain(3 * time.Minute)

	seen, messages, _ := s.seen(g)
	slices.SortFunc(order, func(a, b taken) int { return cmp.Compare(a.seq, b.seq) })
	want := make([]int, size)
	for i, o := range order {
		want[i] = o.mark
	}
	if !slices.Equal(seen, want) {
		t.Errorf("the group saw %d of %d, not in the order of acceptance, or not each once", len(seen), size)
	}
	calls := s.callsOf(g)
	t.Logf("taken within %v, the first one at DingTalk after %v, the last one after %v, in %d messages",
		sent.Round(time.Millisecond), calls[0].time.Sub(began).Round(time.Millisecond), calls[len(calls)-1].time.Sub(began).Round(time.Second), messages)
	if messages > 20 {
		t.Errorf("they came in %d messages, want 20 at most", messages)
	}
	if n := s.sim.Throttled(); n > 0 {
		t.Errorf("DingTalk said %d times that it was too fast", n)
	}
	if delivered, dead, open := s.endings(p.ready.GRPC); delivered != size || dead+open > 0 {
		t.Errorf("the notifier says that %d were delivered, %d are dead and %d neither", delivered, dead, open)
	}
}
