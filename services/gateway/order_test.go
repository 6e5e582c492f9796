package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// history is what senders know: when each event was sent, when its answer came, and whether it was a yes.
type history struct {
	mu   sync.Mutex
	sent map[string]sentEvent
}

type sentEvent struct {
	hook       string
	start, end time.Time
	status     int
}

// check compares what a robot was told with what the senders were promised: every event with a 2xx is there,
// each once, and none before another whose answer came before it was sent. Events that the door refused with
// 503 may be there.
func (h *history) check(t *testing.T, robot string, hooks []string, told []string) {
	t.Helper()
	seen := make(map[string]int)
	for _, id := range told {
		seen[id]++
		if seen[id] > 1 {
			t.Errorf("%s was told %s twice", robot, id)
		}
	}
	for id, e := range h.sent {
		if slices.Contains(hooks, e.hook) && e.status < 300 && seen[id] == 0 {
			t.Errorf("%s was never told %s, which was answered %d", robot, id, e.status)
		}
	}
	var latest sentEvent // of those told so far, the one that was sent last
	for _, id := range told {
		e, ok := h.sent[id]
		if !ok {
			t.Errorf("%s was told %s, which nobody sent", robot, id)
		}
		if e.status >= 300 {
			continue
		}
		if e.end.Before(latest.start) {
			t.Errorf("%s was told an event sent at %v after one sent at %v, when the former's answer was already there at %v",
				robot, e.start, latest.start, e.end)
		}
		if e.start.After(latest.start) {
			latest = e
		}
	}
}

// TestNothingOvertakesAndNothingIsLostInATroubledHour sends events through all hooks at once while the
// notifier and the spool come and go, fail before and after the fact, and are slow; and while the gateway is
// restarted on what the spool then has. The seeds make each round another one.
func TestNothingOvertakesAndNothingIsLostInATroubledHour(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { troubledHour(t, seed) })
		})
	}
}

func troubledHour(t *testing.T, seed uint64) {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 1))
	chance := func(p float64) bool { mu.Lock(); defer mu.Unlock(); return rnd.Float64() < p }
	upTo := func(d time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(rnd.Int64N(int64(d)))
	}
	var calm, down bool // guarded by mu
	is := func(b *bool) bool { mu.Lock(); defer mu.Unlock(); return *b }
	set := func(b *bool, to bool) { mu.Lock(); defer mu.Unlock(); *b = to }

	notifier := &fakeNotifier{}
	notifier.fault = func(ctx context.Context, _ *notifierv1.NotifyRequest) (bool, error) {
		if is(&calm) {
			return true, nil
		}
		if is(&down) {
			return false, errAway
		}
		slow := time.NewTimer(upTo(map[bool]time.Duration{true: 5 * time.Second, false: 20 * time.Millisecond}[chance(0.05)]))
		defer slow.Stop()
		select {
		case <-slow.C:
		case <-ctx.Done():
			return chance(0.5), status.FromContextError(ctx.Err()).Err()
		}
		if chance(0.02) {
			return chance(0.5), status.Error(codes.Unavailable, "cut off")
		}
		return true, nil
	}
	store := &fakeSpool{}
	spool := laggingSpool{store, func(n int) int {
		if n > 0 && !is(&calm) && chance(0.1) {
			return 1 + int(upTo(time.Duration(n)))
		}
		return n
	}}
	store.setFault(func(op string) (bool, error) {
		time.Sleep(upTo(5 * time.Millisecond))
		if !is(&calm) && chance(0.01) {
			return chance(0.5), errors.New("input/output error")
		}
		return true, nil
	})

	var g *Gateway
	start := func() (stop func()) {
		for {
			var err error
			if g, err = New(t.Context(), Options{Config: testConfig(), Notifier: notifier, Spool: spool, Log: nopLog}); err == nil {
				return run(t, g)
			}
		}
	}
	h := &history{sent: make(map[string]sentEvent)}
	number := 0
	for range 6 { // lives of the gateway
		stop := start()
		var senders sync.WaitGroup
		for sender := range 6 {
			hookName := []string{"signed", "plain", "solo"}[sender%3]
			first := number
			number += 40
			senders.Go(func() {
				for n := first; n < first+40; n++ {
					time.Sleep(upTo(20 * time.Second))
					e := sentEvent{hook: hookName, start: time.Now()}
					body := push(n)
					r := webhook(t, "http://gateway", hookName, body)
					got := send(t, g, r)
					e.end, e.status = time.Now(), got.Status
					if took := e.end.Sub(e.start); took >= 3*time.Second {
						t.Errorf("an answer took %v", took)
					}
					if got.Status != http.StatusOK && got.Status != http.StatusAccepted && got.Status != http.StatusServiceUnavailable {
						t.Errorf("an answer was %+v", got)
					}
					h.mu.Lock()
					h.sent[idOf(t, r, body)] = e
					h.mu.Unlock()
				}
			})
		}
		weather := make(chan struct{})
		go func() {
			defer close(weather)
			for range 10 {
				time.Sleep(upTo(30 * time.Second))
				set(&down, true)
				time.Sleep(upTo(60 * time.Second))
				set(&down, false)
			}
		}()
		senders.Wait()
		<-weather
		stop()
	}
	set(&calm, true)
	stop := start()
	time.Sleep(5 * time.Minute)
	stop()

	h.check(t, "team", []string{"signed", "plain"}, notifier.toldTo("team"))
	h.check(t, "ops", []string{"signed", "solo"}, notifier.toldTo("ops"))
	if left, _ := spool.Lanes(t.Context()); len(left) != 0 {
		t.Errorf("the spool still has %v", left)
	}
	count := make(map[int]int)
	for e := range maps.Values(h.sent) {
		count[e.status]++
	}
	if count[200] == 0 || count[202] == 0 {
		t.Errorf("answers by status: %v; the hour was not troubled enough to test anything", count)
	}
	t.Logf("answers by status: %v", count)
}
