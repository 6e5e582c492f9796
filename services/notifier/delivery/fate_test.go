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
	// resting is until when a member that throttled may not be called, paused whether none may, since the robot
	// is paused or removed.
	resting map[string]time.Time
	paused  bool
	wrong   []string
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
		f.rest(c, 5*time.Minute)
		return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, RetryAfter: 5 * time.Minute}
	}
	return true, nil
}

// check notes a call that may not be. One that comes late was decided on earlier.
func (f *fate) check(c call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.n < 0 {
		return
	}
	if f.paused {
		f.wrong = append(f.wrong, "a call was made although the robot is paused or removed")
	}
	if time.Now().Before(f.resting[c.member]) {
		f.wrong = append(f.wrong, "a call was made through "+c.member+", which is muted")
	}
}

// rest notes that the member of a call is muted. That a late call was told so can't be known by others: the
// process that made it has lost the robot.
func (f *fate) rest(c call, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.n >= 0 {
		f.resting[c.member] = time.Now().Add(d)
	}
}

func (f *fate) pause(paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = paused
}
