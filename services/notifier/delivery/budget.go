package delivery

import "time"

// DingTalk throttles a robot for ten minutes when it is called more than 20 times in a minute (document
// custom-robots-send-group-messages). Whether its minute is fixed or sliding is not documented, so the
// stricter reading is kept: no more than 20 calls in any window. The window has a second to spare for
// clocks that run apart. Every call counts, also one that was refused.
const (
	callLimit  = 20
	callWindow = 61 * time.Second
	// Half of the budget may be spent at once; the rest is spread over the window, so that a burst's tail
	// gathers in digests a few seconds apart instead of standing still until the window has passed.
	callReserve = 10
)

// A budget is the ends of the latest calls, oldest first, at most callLimit. The end of a call and not its
// beginning is what counts: DingTalk counted it some time in between, so the gaps that it sees between
// calls are never shorter than those here.
type budget []time.Time

// spend returns the budget after a call that ended at now.
func (b budget) spend(now time.Time) budget {
	b = append(b[:len(b):len(b)], now)
	if len(b) > callLimit {
		b = b[len(b)-callLimit:]
	}
	return b
}

// at returns the budget as it stands at now: calls that have left the window are gone, and calls that a
// clock which was set back places in the future happened now.
func (b budget) at(now time.Time) budget {
	in := make(budget, 0, callLimit+1)
	for _, t := range b {
		switch {
		case t.After(now):
			in = append(in, now)
		case now.Sub(t) < callWindow:
			in = append(in, t)
		}
	}
	return in
}

// left returns how many calls may be made at once at now without overrunning.
func (b budget) left(now time.Time) int { return callLimit - len(b.at(now)) }

// next returns when the next call may be made, now or later.
func (b budget) next(now time.Time) time.Time {
	in := b.at(now)
	left := callLimit - len(in)
	if left > callReserve {
		return now
	}
	free := in[0].Add(callWindow)
	if left <= 0 {
		return free
	}
	last := in[len(in)-1]
	next := last.Add(free.Sub(last) / time.Duration(left))
	if next.Before(now) {
		return now
	}
	return next
}
