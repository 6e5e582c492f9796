package delivery

import (
	"slices"
	"time"
)

// DingTalk throttles a robot for ten minutes when it is called more than 20 times in a minute (document
// custom-robots-send-group-messages). Whether its minute is fixed or sliding is not documented, so the
// stricter reading is kept: no more than 20 calls in any window. The window has a second to spare for
// clocks that run apart. Every call counts, also one that was refused.
const (
	callLimit  = 20
	callWindow = 61 * time.Second
	// callsAtOnce is how many calls a group may have at once, however many members it has. The rest is spread
	// over the window, so that a burst's tail gathers in digests some seconds apart instead of flooding the
	// group, or standing still until the window has passed.
	callsAtOnce = 10
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
	in := make(budget, 0, len(b)+1)
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

// next returns when the next call may be made without overrunning, now or later.
func (b budget) next(now time.Time) time.Time {
	in := b.at(now)
	if len(in) < callLimit {
		return now
	}
	return in[0].Add(callWindow)
}

// pace returns when a group's next call is due, now or later, where calls are the latest of all those
// members, in any order, through which it can be told, of which there are members.
func pace(calls []time.Time, members int, now time.Time) time.Time {
	in := budget(calls).at(now)
	slices.SortFunc(in, time.Time.Compare)
	left := members*callLimit - len(in)
	if len(in) < callsAtOnce || left <= 0 { // with nothing left, the members say when
		return now
	}
	// By the time at which each of the calls leaves the window, no more may have been made than were left and
	// then are there again. To look at the oldest alone would not do: it may have been one by itself, and about
	// to leave.
	last := in[len(in)-1]
	var gap time.Duration
	for k, call := range in {
		gap = max(gap, call.Add(callWindow).Sub(last)/time.Duration(left+k))
	}
	if next := last.Add(gap); next.After(now) {
		return next
	}
	return now
}
