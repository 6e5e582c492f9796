package delivery

import (
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// probePauses are the pauses before a suspended member is tried again.
var probePauses = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute}

// longestProbePause is the longest of them with its jitter.
const longestProbePause = 40 * time.Minute

// throttlePauses: a member that DingTalk throttles is left alone for a minute, and when that was not enough
// for the ten minutes of the penalty.
var throttlePauses = []time.Duration{time.Minute, blockedMute}

const (
	blockedMute = 10 * time.Minute
	// longestMute is the longest rest that package dingtalk asks for.
	longestMute = time.Hour
	// momentary is the rest below which it is not the robot that is too fast, but the organisation or all of
	// DingTalk, for a moment.
	momentary = time.Minute
	// patience is how long the others wait for a member that alone can repeat an attempt of unknown outcome.
	patience = 10 * time.Minute
)

// member returns the member of that ID; false where the configuration has none.
func (r Robot) member(id string) (Member, bool) {
	for _, m := range r.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// ready returns when the member may be called, now or later.
func (m MemberState) ready(now time.Time) time.Time {
	at := budget(m.Calls).next(now)
	if m.MutedUntil.After(at) {
		at = m.MutedUntil
	}
	if s := m.Suspension; s != nil && s.NextProbe.After(at) {
		at = s.NextProbe
	}
	return at
}

// well says whether messages are to be sent through the member, and not only to see whether it is mended.
func (m MemberState) well(now time.Time) bool {
	return m.Suspension == nil && !m.MutedUntil.After(now)
}

// next says through which member of the configuration the next call goes, and when. A suspended one whose
// probe is due comes first, since a refusal costs the message nothing: it goes on through another at once.
// Then comes the first that may be called, so that a second one is called only when there is more to say
// than the first may.
func (l *lane) next(rec LaneRecord, now time.Time) (Member, time.Time) {
	var best Member
	var at time.Time
	for _, m := range l.robot.Members {
		state := rec.Members[m.ID]
		ready := state.ready(now)
		switch {
		case state.Suspension != nil && !ready.After(now):
			return m, now
		case best.ID == "", ready.Before(at):
			best, at = m, ready
		}
	}
	calls, members := l.calls(rec, now)
	if due := pace(calls, members, now); due.After(at) {
		at = due
	}
	return best, at
}

// calls returns the latest calls of all members that are well, and how many these are.
func (l *lane) calls(rec LaneRecord, now time.Time) (calls []time.Time, members int) {
	for _, m := range l.robot.Members {
		if state := rec.Members[m.ID]; state.well(now) {
			calls = append(calls, budget(state.Calls).at(now)...)
			members++
		}
	}
	return calls, members
}

// othersWell says whether another member than id can be counted on.
func (l *lane) othersWell(rec LaneRecord, id string) bool {
	for _, m := range l.robot.Members {
		s := rec.Members[m.ID].Suspension
		if m.ID != id && (s == nil || s.Vouched) {
			return true
		}
	}
	return false
}

// spare is how many notifications may go out alone now.
func (l *lane) spare(now time.Time) int {
	calls, members := l.calls(l.rec, now)
	if members == 0 {
		return 0
	}
	return max(callsAtOnce-len(calls), 0)
}

// suspended returns m after DingTalk refused it at now.
func (m MemberState) suspended(f Failure, now time.Time) MemberState {
	s := Suspension{Failure: f, Since: now}
	if old := m.Suspension; old != nil {
		s.Since, s.Probes = old.Since, old.Probes+1
	}
	s.NextProbe = now.Add(jitter(probePauses[min(s.Probes, len(probePauses)-1)]))
	m.Suspension = &s
	return m
}

// muted returns rec after DingTalk throttled a call through the member at now.
func (l *lane) muted(rec LaneRecord, id string, r *dingtalk.Refusal, now time.Time) LaneRecord {
	m := rec.Members[id]
	m.Throttles++
	until := now.Add(max(r.RetryAfter, throttlePauses[min(m.Throttles, len(throttlePauses))-1]))
	m.MutedUntil = until
	rec = rec.with(id, m)
	if r.Errcode != 0 {
		return rec
	}
	// Not DingTalk's robot service but the gate before it turned the call away, and it looks at this
	// machine's address: calling through another member would be turned away as well, and prolong it.
	for _, other := range l.robot.Members {
		if m := rec.Members[other.ID]; until.After(m.MutedUntil) {
			m.MutedUntil = until
			rec = rec.with(other.ID, m)
		}
	}
	return rec
}
