package journal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// rosterBeat is how often a member shows that it lives.
	rosterBeat = time.Second
	// rosterTerm is how long one must be silent to count as gone, and rosterMargin how much sooner it stops
	// by itself.
	rosterTerm   = 6 * time.Second
	rosterMargin = 500 * time.Millisecond
	// rosterCall bounds one call to the registry, rosterRetry is the pause after one that failed.
	rosterCall  = 2 * time.Second
	rosterRetry = 200 * time.Millisecond
)

// registry is where members show themselves: the newest entry of each. What list returns is as it was at one
// moment, though perhaps a past one.
type registry interface {
	put(ctx context.Context, member string, value []byte) (revision uint64, err error)
	list(ctx context.Context) ([]registryEntry, error)
}

type registryEntry struct {
	member   string
	revision uint64
	value    []byte
}

// RosterOptions say who joins a roster.
type RosterOptions struct {
	// ID is what logs and others call this process, such as its host's name: lower-case letters, digits and
	// "-", at most 64. The roster makes it unique by itself.
	ID string
	// Log receives who comes and goes; nil discards it.
	Log *zap.Logger
}

// Roster spreads robots over the processes that share a journal; it implements delivery.Owner. Every robot
// is one member's at most at any time: a member acts on what it last knew for some seconds only, and no
// other takes over before these are over. That needs no clocks that agree, only ones that run equally fast.
//
// How it is done. A member writes its entry every second, and in it whom it counts in; then it reads the
// entries of all, as of after its own. Whoever's entry hasn't changed for 6 s is counted out, and has then
// stopped by itself for lack of an answer. A newcomer waits until all whom it found count it in, and they do
// so when what they have promised to those who asked Mine is over. Who has stopped comes back as a newcomer,
// under another name.
type Roster struct {
	registry registry
	id       string
	log      *zap.Logger
	cancel   context.CancelFunc
	done     chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	// member is our present name in the registry, and former the one before, while the registry holds it.
	member, former string
	// joined says that our present name is in the registry.
	joined bool
	// seen is what we know of the others, and until is until when that holds.
	seen  map[string]*sighting
	until time.Time
	// members are those that we count in, ourselves included. awaited are those that must count us in before
	// anything is ours; nil until they are known.
	members []string
	awaited map[string]bool
	// next are the members from handover on, when those who join are counted in; nil if nobody does.
	next     []string
	handover time.Time
	// promised is the latest time that Mine gave out.
	promised time.Time
	left     bool
}

// sighting is what a member knows of another.
type sighting struct {
	revision uint64
	// at is when the entry was first seen at this revision.
	at      time.Time
	counted []string
	left    bool
}

// gone reports whether the member has left, or was silent up to the moment for so long that it has stopped.
func (s *sighting) gone(moment time.Time) bool {
	return s.left || moment.Sub(s.at) >= rosterTerm
}

var _ delivery.Owner = (*Roster)(nil)

// newRoster makes a roster that is not running.
func newRoster(reg registry, opts RosterOptions) *Roster {
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	r := &Roster{
		registry: reg, id: opts.ID, log: opts.Log,
		changed: make(chan struct{}), done: make(chan struct{}), seen: make(map[string]*sighting),
	}
	r.rename()
	return r
}

// rename makes us a newcomer.
func (r *Roster) rename() {
	if r.joined {
		r.former = r.member
	}
	r.member, r.joined = r.id+"-"+strings.ToLower(rand.Text()[:10]), false
	r.members, r.next, r.awaited, r.until = []string{r.member}, nil, nil, time.Time{}
	r.signal()
}

// signal tells those who wait for a change. The caller holds r.mu, or r is not in use yet.
func (r *Roster) signal() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Mine implements delivery.Owner.
func (r *Roster) Mine(robot string) (until time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left || r.awaited == nil || len(r.awaited) > 0 || owner(robot, r.members) != r.member {
		return time.Time{}, false
	}
	until = r.until
	if r.next != nil && r.handover.Before(until) && owner(robot, r.next) != r.member {
		until = r.handover
	}
	if !time.Now().Before(until) {
		return time.Time{}, false
	}
	if r.promised.Before(until) {
		r.promised = until
	}
	return until, true
}

// Changed implements delivery.Owner.
func (r *Roster) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Close gives up all robots and tells the others, so that they take over at once; it takes 2 s at most. What
// acts on Mine must have ended before. A second Close does nothing.
func (r *Roster) Close() {
	r.mu.Lock()
	if r.left {
		r.mu.Unlock()
		<-r.done
		return
	}
	r.left = true
	r.signal()
	r.mu.Unlock()
	r.cancel()
	<-r.done
	ctx, cancel := context.WithTimeout(context.Background(), rosterCall)
	defer cancel()
	if _, err := r.registry.put(ctx, r.member, nil); err != nil {
		// The others find out by themselves.
		r.log.Warn("roster.leave", zap.Error(err))
	}
}

// run keeps r in the roster until ctx ends.
func (r *Roster) run(ctx context.Context) {
	defer close(r.done)
	var failing error
	for {
		sent := time.Now()
		err := r.beat(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := rosterBeat - time.Since(sent)
		if err != nil {
			wait = rosterRetry
			if failing == nil {
				r.log.Warn("roster.beat", zap.Error(err))
			}
		}
		if failing != nil && err == nil {
			r.log.Info("roster.recovered", zap.String("member", r.member))
		}
		failing = err
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// beat shows that we live, and takes in what the others show. What we know holds from the moment at which we
// began.
func (r *Roster) beat(ctx context.Context) error {
	r.lapse()
	ctx, cancel := context.WithTimeout(ctx, rosterCall)
	defer cancel()
	if r.former != "" {
		if _, err := r.registry.put(ctx, r.former, nil); err != nil {
			return fmt.Errorf("leave under the former name: %w", err)
		}
		r.former = ""
	}
	r.handOver()
	value, err := json.Marshal(r.members)
	if err != nil {
		return err
	}
	sent := time.Now()
	// It may be there also if this fails.
	r.joined = true
	revision, err := r.registry.put(ctx, r.member, value)
	if err != nil {
		return fmt.Errorf("show that this process lives: %w", err)
	}
	entries, err := r.listSince(ctx, revision)
	if err != nil {
		return fmt.Errorf("see who else lives: %w", err)
	}
	// Too late: the others may have taken over meanwhile.
	if r.lapse() {
		return nil
	}
	return r.take(sent, entries)
}

// lapse makes us a newcomer if what we knew no longer holds.
func (r *Roster) lapse() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until.IsZero() || time.Now().Before(r.until) {
		return false
	}
	r.log.Warn("roster.lapsed", zap.String("member", r.member))
	r.rename()
	return true
}

// handOver counts in those who join, once what was promised without them is over.
func (r *Roster) handOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil || time.Now().Before(r.handover) {
		return
	}
	r.members, r.next = r.next, nil
	r.log.Info("roster.members", zap.String("member", r.member), zap.Strings("members", r.members))
	r.signal()
}

// listSince returns the entries as they were when ours had the revision, or later.
func (r *Roster) listSince(ctx context.Context, revision uint64) ([]registryEntry, error) {
	for {
		entries, err := r.registry.list(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.member == r.member && e.revision >= revision {
				return entries, nil
			}
		}
		// The server that answered lags behind.
		select {
		case <-time.After(rosterRetry / 4):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take takes in the entries of all, as they were after sent.
func (r *Roster) take(sent time.Time, entries []registryEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left {
		return nil
	}
	if err := r.look(time.Now(), entries); err != nil {
		return err
	}
	all := []string{r.member}
	for m, s := range r.seen {
		if !s.gone(sent) {
			all = append(all, m)
		}
	}
	slices.Sort(all)
	changed := r.await(all)
	r.until = sent.Add(rosterTerm - rosterMargin)
	// Who is gone is counted out at once. Who is new must wait; who comes while others wait, waits longer.
	isGone := func(m string) bool { return !slices.Contains(all, m) }
	if slices.ContainsFunc(r.members, isGone) {
		r.members = slices.DeleteFunc(slices.Clone(r.members), isGone)
		r.log.Info("roster.members", zap.String("member", r.member), zap.Strings("members", r.members))
		changed = true
	}
	switch {
	case r.next != nil:
		r.next = slices.DeleteFunc(slices.Clone(r.next), isGone)
	case len(all) > len(r.members):
		r.next, r.handover, changed = all, r.promised, true
	}
	if changed {
		r.signal()
	}
	return nil
}

// look takes in what is new about the others.
func (r *Roster) look(now time.Time, entries []registryEntry) error {
	listed := make(map[string]bool)
	for _, e := range entries {
		if e.member == r.member {
			continue
		}
		listed[e.member] = true
		if s := r.seen[e.member]; s != nil && s.revision == e.revision {
			continue
		}
		s := &sighting{revision: e.revision, at: now, left: len(e.value) == 0}
		if !s.left {
			if err := json.Unmarshal(e.value, &s.counted); err != nil {
				return fmt.Errorf("the entry of %s can't be read: %w", e.member, err)
			}
		}
		r.seen[e.member] = s
	}
	// One that isn't listed isn't gone for that: the registry forgets by its own clock, which may jump.
	maps.DeleteFunc(r.seen, func(m string, s *sighting) bool { return !listed[m] && s.gone(now) })
	return nil
}

// await finds out who of all must still count us in, and reports whether robots become ours by that. It is
// only about those that were there before us: who comes later finds us, and waits for us.
func (r *Roster) await(all []string) (admitted bool) {
	if r.awaited == nil {
		r.awaited = make(map[string]bool)
		for _, m := range all {
			r.awaited[m] = m != r.member
		}
		admitted = true
	}
	before := len(r.awaited)
	maps.DeleteFunc(r.awaited, func(m string, other bool) bool {
		return !other || !slices.Contains(all, m) || slices.Contains(r.seen[m].counted, r.member)
	})
	return len(r.awaited) == 0 && (admitted || before > 0)
}
