package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// fate decides, from a history that rapid drew, what becomes of the calls to the journal and to DingTalk.
// Once the history is used up everything succeeds.
type fate struct {
	mu      sync.Mutex
	journal []int
	answers []int
	dead    bool
}

var errFate = errors.New("as fate would have it")

func (f *fate) fault(string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return false, errFate
	}
	if len(f.journal) == 0 {
		return false, nil
	}
	next := f.journal[0]
	f.journal = f.journal[1:]
	switch next {
	case 1:
		return false, errFate // failed
	case 2:
		return true, errFate // failed after it happened
	}
	return false, nil
}

func (f *fate) answer(ctx context.Context, _ int, items []string) (bool, error) {
	f.mu.Lock()
	next := 0
	if len(f.answers) > 0 {
		next = f.answers[0]
		f.answers = f.answers[1:]
	}
	f.mu.Unlock()
	if slices.ContainsFunc(items, func(id string) bool { return strings.HasPrefix(id, "refused") }) {
		return false, refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused)
	}
	switch next {
	case 1:
		return false, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	case 2:
		return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	case 3:
		return false, refusal(dingtalk.Transient, dingtalk.ReasonUnavailable)
	case 4:
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
	}
	return true, nil
}

// TestAnyHistoryDeliversEachOnceInOrderWithinTheBudget draws histories of arrivals, faults of the journal
// and of DingTalk, crashes and orderly restarts. The model is the list of what was accepted: when all is
// well again the group has seen just that, in order, without what can't be told.
func TestAnyHistoryDeliversEachOnceInOrderWithinTheBudget(t *testing.T) {
	steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 30)
	rapid.Check(t, func(rt *rapid.T) {
		script := steps.Draw(rt, "steps")
		f := &fate{
			journal: rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}), 0, 200).Draw(rt, "journal"),
			answers: rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 4, 5, 6}), 0, 40).Draw(rt, "answers"),
		}
		fold := rapid.IntRange(1, 40).Draw(rt, "fold")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.opts.Renderer = lines{max: fold}
			b.opts.MaxAge = 1000 * time.Hour
			b.journal.Fault = f.fault
			b.group.answer = f.answer
			problem = play(b, f, script)
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// play runs the steps and returns what was wrong in the end, or nothing.
func play(b *bench, f *fate, script []int) string {
	var want []string
	dead := map[string]bool{}
	next := 0
	b.start()
	for _, step := range script {
		switch {
		case step <= 4: // arrivals, one of them now and then one that can't be told
			n := []int{1, 1, 3, 20, 60}[step]
			for range n {
				next++
				id := ids(next, next)[0]
				switch {
				case next%17 == 0:
					id = "refused-" + id
				case next%23 == 0:
					id = "unwordable-" + id
				}
				// The caller repeats until it is accepted: the id makes that harmless.
				for i := 0; !b.tryNotify(id); i++ {
					if i > 1000 {
						return "nothing was accepted any more"
					}
				}
				if dead[id] = strings.Contains(id, "-"); !dead[id] {
					want = append(want, id)
				}
			}
			b.d.Wake("team")
		case step <= 6:
			time.Sleep(time.Duration(step) * 7 * time.Second)
		case step == 7:
			time.Sleep(11 * time.Minute)
		case step == 8: // an orderly restart
			b.stop()
			b.start()
		default: // the process is killed: nothing it does after this moment is written down
			synctest.Wait()
			f.set(true)
			b.stop()
			f.set(false)
			b.start()
		}
	}
	time.Sleep(20 * time.Hour)
	b.stop()
	b.group.mu.Lock()
	defer b.group.mu.Unlock()
	if v := b.journal.Violations(); len(v) > 0 {
		return "the journal was misused: " + errors.Join(v...).Error()
	}
	if b.group.tooFast > 0 {
		return "DingTalk was called too fast"
	}
	if !slices.Equal(b.group.shown, want) {
		return "the group saw " + strings.Join(b.group.shown, " ") + "\nwant " + strings.Join(want, " ")
	}
	outcomes := b.journal.Outcomes("team")
	for _, n := range b.journal.Log("team") {
		out, ok := outcomes[n.Seq]
		if !ok {
			return n.RequestID + " has no outcome"
		}
		if out.Delivered == dead[n.RequestID] {
			return n.RequestID + " ended the wrong way"
		}
	}
	return ""
}

func (f *fate) set(dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = dead
}
