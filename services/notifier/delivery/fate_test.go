package delivery_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// fate decides, from a history that rapid drew, what becomes of the calls to the journal and to DingTalk.
// Once the history is used up everything succeeds.
type fate struct {
	mu      sync.Mutex
	journal []int
	answers []int
	// muted is until when a member that throttled may not be called by anybody, told the same of a process
	// that was told so and hasn't written it down yet; paused is whether no member may be called, since the
	// robot is paused or removed.
	muted  map[string]time.Time
	told   map[told]time.Time
	paused bool
	wrong  []string
	trace  *trace
}

// told is who was told that a member throttles. Until that stands in the record nobody else can know, and if
// the process dies or loses the robot before, nobody ever will.
type told struct {
	member  string
	process any
}

var errFate = errors.New("as fate would have it")

// drawFate draws a fate.
func drawFate(rt *rapid.T) *fate {
	return &fate{
		journal: rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}), 0, 200).Draw(rt, "journal"),
		answers: rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}), 0, 40).Draw(rt, "answers"),
		muted:   make(map[string]time.Time),
		told:    make(map[told]time.Time),
	}
}

// draw takes the next of what was drawn; 0 when it is used up.
func (f *fate) draw(from *[]int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(*from) == 0 {
		return 0
	}
	next := (*from)[0]
	*from = (*from)[1:]
	return next
}

// fault is journaltest.Memory's.
func (f *fate) fault(string) (bool, error) {
	switch f.draw(&f.journal) {
	case 1:
		return false, errFate // failed
	case 2:
		return true, errFate // failed after it happened
	}
	return false, nil
}

// answer is group's.
func (f *fate) answer(ctx context.Context, c call) (bool, error) {
	f.check(ctx, c)
	if slices.ContainsFunc(c.items, func(id string) bool { return strings.HasPrefix(id, "refused") }) {
		return false, refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused)
	}
	switch f.draw(&f.answers) {
	case 1:
		return false, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	case 2:
		return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	case 3:
		return false, refusal(dingtalk.Transient, dingtalk.ReasonUnavailable)
	case 4:
		f.rest(ctx, c, time.Minute)
		return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
	case 5:
		return false, refusal(dingtalk.RobotFault, dingtalk.ReasonSignatureMismatch)
	case 6: // no answer until somebody hangs up
		t := time.NewTimer(10 * time.Second)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	case 7:
		return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, Errcode: 90018, RetryAfter: time.Second}
	case 8:
		f.rest(ctx, c, 5*time.Minute)
		return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, RetryAfter: 5 * time.Minute}
	}
	return true, nil
}

// check notes a call that may not be. One that comes late was decided on earlier.
func (f *fate) check(ctx context.Context, c call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.n < 0 {
		return
	}
	now := time.Now()
	if f.paused {
		f.mistake("a call was made although the robot is paused or removed")
	}
	if now.Before(f.muted[c.member]) || now.Before(f.told[told{c.member, ctx.Value(seatKey{})}]) {
		f.mistake("a call was made through " + c.member + ", which is muted")
	}
}

// mistake notes what was wrong. The caller holds f.mu.
func (f *fate) mistake(what string) {
	f.wrong = append(f.wrong, what)
	f.trace.end(what)
}

// rest notes that the process which made a call was told that the member is muted.
func (f *fate) rest(ctx context.Context, c call, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !c.unheard {
		f.told[told{c.member, ctx.Value(seatKey{})}] = time.Now().Add(d)
	}
}

// saved is journaltest.Memory's: what a process was told must stand in the first record that it saves after,
// and from then on holds for all. So no look at the record is needed, and one that lacks it is found out.
func (f *fate) saved(ctx context.Context, _ delivery.LaneRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for by, until := range f.told {
		if by.process == ctx.Value(seatKey{}) {
			if until.After(f.muted[by.member]) {
				f.muted[by.member] = until
			}
			delete(f.told, by)
		}
	}
}

// forget has a process that ended not know any more what it was told.
func (f *fate) forget(process int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.told, func(by told, _ time.Time) bool { return by.process == process })
}

func (f *fate) pause(paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = paused
}
