package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/natsstore"
)

func TestRobotsAreSpreadEvenlyAndFewMove(t *testing.T) {
	t.Parallel()
	const robots = 10_000
	for n := 2; n <= 7; n++ {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf("notifier-%d-x4k2", i))
		}
		count, moved := make(map[string]int), 0
		for i := range robots {
			robot := fmt.Sprintf("team-%d", i)
			before, now := owner(robot, members[:n-1]), owner(robot, members)
			count[now]++
			if before != now {
				if moved++; now != members[n-1] {
					t.Fatalf("%s moved from %s to %s, which isn't new", robot, before, now)
				}
			}
		}
		for m, c := range count {
			if share := robots / n; c < share*9/10 || c > share*11/10 {
				t.Errorf("%s of %d has %d robots, its share is %d", m, n, c, share)
			}
		}
		if share := robots / n; moved > share*11/10 {
			t.Errorf("%d robots moved to number %d, its share is %d", moved, n, share)
		}
	}
	if got := owner("team", nil); got != "" {
		t.Errorf("owner among nobody = %q", got)
	}
}

// fakeRegistry is a registry in memory with faults.
type fakeRegistry struct {
	mu       sync.Mutex
	revision uint64
	history  []map[string]registryEntry
	// chance is of how many calls in 100 each fault befalls one.
	chance int
	rand   *rand.Rand
}

func (f *fakeRegistry) newest() map[string]registryEntry {
	if len(f.history) == 0 {
		return nil
	}
	return f.history[len(f.history)-1]
}

var errFake = errors.New("lost on the way")

// travel takes its time, sometimes more than a call may have, and sometimes ends in a failure.
func (f *fakeRegistry) travel(ctx context.Context) error {
	f.mu.Lock()
	d := time.Duration(f.rand.IntN(5)) * time.Millisecond
	if f.rand.IntN(100) < f.chance {
		d = time.Duration(f.rand.IntN(4000)) * time.Millisecond
	}
	fails := f.rand.IntN(100) < f.chance
	f.mu.Unlock()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	if fails {
		return errFake
	}
	return nil
}

func (f *fakeRegistry) put(ctx context.Context, member string, value []byte) (uint64, error) {
	if err := f.travel(ctx); err != nil {
		return 0, err
	}
	f.mu.Lock()
	f.revision++
	next := make(map[string]registryEntry)
	for m, e := range f.newest() {
		next[m] = e
	}
	next[member] = registryEntry{member, f.revision, slices.Clone(value)}
	f.history = append(f.history, next)
	revision := f.revision
	f.mu.Unlock()
	// Stored; the answer may still be lost.
	return revision, f.travel(ctx)
}

// list may answer from the past.
func (f *fakeRegistry) list(ctx context.Context) ([]registryEntry, error) {
	if err := f.travel(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	lag := 0
	if f.rand.IntN(100) < 2*f.chance {
		lag = f.rand.IntN(5)
	}
	var entries []registryEntry
	if n := len(f.history); n > lag {
		for _, e := range f.history[n-1-lag] {
			entries = append(entries, e)
		}
	}
	f.mu.Unlock()
	return entries, f.travel(ctx)
}

// member runs a roster on the fake until stop, which tells the others only if graceful.
func runMember(reg registry, i int) (r *Roster, stop func(graceful bool)) {
	r = newRoster(reg, RosterOptions{ID: fmt.Sprintf("m%d", i)})
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	go r.run(ctx)
	return r, func(graceful bool) {
		if graceful {
			r.Close()
			return
		}
		r.mu.Lock()
		r.left = true
		r.mu.Unlock()
		r.cancel()
		<-r.done
	}
}

func TestARobotIsNeverTwoMembersAtOnce(t *testing.T) {
	t.Parallel()
	const robots, steps = 12, 300
	owned := 0
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			reg := &fakeRegistry{rand: rand.New(rand.NewPCG(seed, 2)), chance: 10}
			type running struct {
				*Roster
				stop func(bool)
			}
			// leases is until when each robot may be acted on, and by whom.
			type lease struct {
				by    *Roster
				until time.Time
			}
			leases := make(map[string][]lease)
			look := func(alive []running) {
				now := time.Now()
				for i := range robots {
					robot := fmt.Sprintf("r%d", i)
					for _, m := range alive {
						if until, ok := m.Mine(robot); ok {
							owned++
							leases[robot] = append(leases[robot], lease{m.Roster, until})
						}
					}
					leases[robot] = slices.DeleteFunc(leases[robot], func(l lease) bool { return !now.Before(l.until) })
					for _, l := range leases[robot] {
						if l.by != leases[robot][0].by {
							t.Fatalf("seed %d: %s is both %s's and %s's", seed, robot, leases[robot][0].by.member, l.by.member)
						}
					}
				}
			}
			var alive []running
			started := 0
			for range steps {
				switch k := rng.IntN(40); {
				case k == 0 && len(alive) < 5 || len(alive) == 0:
					r, stop := runMember(reg, started)
					alive, started = append(alive, running{r, stop}), started+1
				case k == 1 && len(alive) > 1:
					i := rng.IntN(len(alive))
					m := alive[i]
					alive = slices.Delete(alive, i, i+1)
					graceful := rng.IntN(2) == 0
					if graceful {
						// What it may still act on ends with it: that is Close's condition.
						for robot := range leases {
							leases[robot] = slices.DeleteFunc(leases[robot], func(l lease) bool { return l.by == m.Roster })
						}
					}
					m.stop(graceful)
				case k == 2:
					reg.mu.Lock()
					reg.chance = rng.IntN(60)
					reg.mu.Unlock()
				}
				time.Sleep(time.Duration(rng.IntN(900)) * time.Millisecond) // the bubble's time
				look(alive)
			}
			// In peace every robot is somebody's soon.
			reg.mu.Lock()
			reg.chance = 0
			reg.mu.Unlock()
			time.Sleep(3 * rosterTerm)
			for i := range robots {
				robot, n := fmt.Sprintf("r%d", i), 0
				for _, m := range alive {
					if _, ok := m.Mine(robot); ok {
						n++
					}
				}
				if n != 1 {
					t.Errorf("seed %d: in peace %s is %d members'", seed, robot, n)
				}
			}
			for _, m := range alive {
				m.stop(true)
			}
		})
	}
	if owned == 0 {
		t.Error("nothing was ever anybody's")
	}
}

// settled waits until all robots are somebody's, and returns after how long.
func settled(rosters ...*Roster) time.Duration {
	start := time.Now()
	for {
		missing := false
		for i := range 50 {
			missing = missing || !slices.ContainsFunc(rosters, func(r *Roster) bool {
				_, ok := r.Mine(fmt.Sprint("r", i))
				return ok
			})
		}
		if !missing {
			return time.Since(start)
		}
		time.Sleep(10 * time.Millisecond) // the bubble's time
	}
}

// shared waits until each of rosters has robots, and returns after how long.
func shared(rosters ...*Roster) time.Duration {
	start := time.Now()
	for slices.ContainsFunc(rosters, func(r *Roster) bool {
		for i := range 50 {
			if _, ok := r.Mine(fmt.Sprint("r", i)); ok {
				return false
			}
		}
		return true
	}) {
		time.Sleep(10 * time.Millisecond) // the bubble's time
	}
	return time.Since(start)
}

func TestLanesMoveWithinSecondsWhenMembersComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := &fakeRegistry{rand: rand.New(rand.NewPCG(1, 1))}
		limit := func(what string, got, want time.Duration) {
			t.Helper()
			if got > want {
				t.Errorf("%s took %v, want %v at most", what, got, want)
			}
		}
		a, stopA := runMember(reg, 0)
		limit("a first member's start", settled(a), time.Second)
		changed := a.Changed()
		b, stopB := runMember(reg, 1)
		<-changed
		limit("a second member's joining", shared(a, b), rosterTerm+2*rosterBeat)
		stopB(true)
		limit("taking over from one that left", settled(a), 2*rosterBeat)
		stopA(true)
		a, stopA = runMember(reg, 0)
		limit("a restart after the last has left", settled(a), time.Second)
		c, stopC := runMember(reg, 2)
		shared(a, c)
		stopA(false)
		if _, ok := a.Mine("r1"); ok {
			t.Error("a stopped member has a robot")
		}
		limit("taking over from one that died", settled(c), rosterTerm+2*rosterBeat)
		stopC(false)
		d, stopD := runMember(reg, 3)
		limit("a restart after the last has died", settled(d), rosterTerm+2*rosterBeat)
		stopD(true)
	})
}

// gate is a registry that can be shut: calls then wait until it is opened, or until they are given up.
type gate struct {
	registry
	mu   sync.Mutex
	shut chan struct{}
}

func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return nil
	}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) put(ctx context.Context, member string, value []byte) (uint64, error) {
	if err := g.wait(ctx); err != nil {
		return 0, err
	}
	return g.registry.put(ctx, member, value)
}

// membersOf returns the names of the processes that share the robots as r sees it, itself included.
func membersOf(r *Roster) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.members)
}

func TestAMemberCutOffStopsBeforeOthersTakeOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := &fakeRegistry{rand: rand.New(rand.NewPCG(1, 1))}
		door := &gate{registry: reg}
		a, stopA := runMember(door, 0)
		b, stopB := runMember(reg, 1)
		shared(a, b)
		name := membersOf(a)
		door.mu.Lock()
		door.shut = make(chan struct{})
		door.mu.Unlock()
		var mine string
		for i := range 50 {
			if _, ok := a.Mine(fmt.Sprint("r", i)); ok {
				mine = fmt.Sprint("r", i)
			}
		}
		for {
			_, byA := a.Mine(mine)
			_, byB := b.Mine(mine)
			if byA && byB {
				t.Fatal("both have it")
			}
			if byB {
				break
			}
			time.Sleep(10 * time.Millisecond) // the bubble's time
		}
		close(door.shut)
		shared(a, b)
		if now := membersOf(a); len(now) != 2 || slices.Equal(now, name) {
			t.Errorf("members after the return = %v, before %v: want a new name", now, name)
		}
		stopA(true)
		stopB(true)
	})
}

func TestRosterOnAStore(t *testing.T) {
	t.Parallel()
	s, err := natsstore.Open(t.Context(), natsstore.Options{Dir: t.TempDir(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := Join(t.Context(), s, RosterOptions{ID: "a.b"}); err == nil {
		t.Error("Join as a.b = nil")
	}
	if living, err := Living(t.Context(), s); err != nil || len(living) != 0 {
		t.Errorf("Living before anybody joined = %v, %v", living, err)
	}
	r, err := Join(t.Context(), s, RosterOptions{ID: "host"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, ok := r.Mine("team"); !ok {
		t.Error("the only member doesn't have the robot")
	}
	if living, err := Living(t.Context(), s); err != nil || len(living) != 1 {
		t.Errorf("Living = %v, %v, want one", living, err)
	}
	r.Close()
	if _, ok := r.Mine("team"); ok {
		t.Error("a member that left has the robot")
	}
	if living, err := Living(t.Context(), s); err != nil || len(living) != 0 {
		t.Errorf("Living after it left = %v, %v", living, err)
	}
}
