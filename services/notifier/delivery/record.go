package delivery

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// LaneRecord is all that a lane remembers.
type LaneRecord struct {
	Robot string `json:"robot"`
	// Revision is the store's, for compare-and-set; 0 for a record that was never saved. It ascends.
	Revision uint64 `json:"-"`
	// Cursor: everything of the robot's at or below it is settled.
	Cursor uint64 `json:"cursor"`
	// Ahead are the places beyond the cursor that are settled as well, ascending, at most 256: what quiet
	// hours let through before what they hold.
	Ahead []uint64 `json:"ahead,omitempty"`
	// Intent is the message that is being sent; nil between messages.
	Intent *Intent `json:"intent,omitempty"`
	// Members are the states of the robot's members by their IDs; one that was never called has none.
	Members map[string]MemberState `json:"members,omitempty"`
	// Told is what the group was told lately, oldest first: of the last ten minutes, at most 64.
	Told []Told `json:"told,omitempty"`
	// Suspect is set after DingTalk refused a digest for what some item in it holds, until the item is found.
	Suspect *Suspect `json:"suspect,omitempty"`
	// Resumed is the Control.Resumed that the lane acted on last.
	Resumed time.Time `json:"resumed,omitzero"`
	// MonthCalls is how many calls of Month ("2006-01", in Beijing) count against Allowance, which is that of
	// the robot's configuration then.
	Month      string `json:"month,omitempty"`
	MonthCalls int    `json:"month_calls,omitempty"`
	Allowance  string `json:"allowance,omitempty"`
}

// MemberState is what a lane remembers of one member.
type MemberState struct {
	// Calls are the times at which the latest calls through it ended, oldest first.
	Calls []time.Time `json:"calls,omitempty"`
	// MutedUntil is when it may be called again after DingTalk throttled it; Throttles counts the refusals
	// for its speed since its last success.
	MutedUntil time.Time `json:"muted_until,omitzero"`
	Throttles  int       `json:"throttles,omitempty"`
	// Suspension is set while DingTalk refuses the member itself.
	Suspension *Suspension `json:"suspension,omitempty"`
}

// Suspension is a member's rest after DingTalk refused the member itself.
type Suspension struct {
	Failure   Failure   `json:"failure"`
	Since     time.Time `json:"since"`
	NextProbe time.Time `json:"next_probe"`
	Probes    int       `json:"probes"`
	// Vouched says that somebody resumed the robot since the last refusal, so that it may be mended.
	Vouched bool `json:"vouched,omitempty"`
}

// Suspect is a stretch of the backlog that holds an item which DingTalk refuses. Folds within it stay
// small, and grow smaller with each refusal, until the item stands alone.
type Suspect struct {
	// Until is the last place of the stretch, Max the most items that a fold in it may have.
	Until uint64 `json:"until"`
	Max   int    `json:"max"`
}

// Intent is a message that is on its way: written down before its first attempt, so that every later
// attempt, also after a crash, is of the same message under the same UUID.
type Intent struct {
	// First and Last are the places of the first and last notification in it, Items their number; they
	// are the Items notifications of the robot's that follow the cursor and aren't settled, or those at Ahead.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Items int    `json:"items"`
	// Ahead are the places of its notifications, ascending, where it overtakes others that quiet hours hold.
	Ahead []uint64 `json:"ahead,omitempty"`
	// Through says that quiet hours don't hold it.
	Through bool `json:"through,omitempty"`
	// Newest is when the last of them was accepted.
	Newest time.Time `json:"newest,omitzero"`
	// UUID is the msgUuid.
	UUID string `json:"uuid"`
	// Body is the message as package dingtalk encodes it; empty where all items were folded away, so that
	// there is nothing to send.
	Body json.RawMessage `json:"body,omitempty"`
	// Folded, Marks and Note are the Rendering's.
	Folded []Fold `json:"folded,omitempty"`
	Marks  []Mark `json:"marks,omitempty"`
	Note   string `json:"note,omitempty"`
	// Member is the ID of the member that makes the attempt under way, or made the last one.
	Member string `json:"member"`
	// Attempts counts the calls that were begun and ended.
	Attempts int `json:"attempts"`
	// Uncertain says that some attempt may have reached the group although nobody said so. Every attempt
	// from then on is Member's: whether DingTalk knows a msgUuid again that came through another robot is
	// not documented.
	Uncertain bool `json:"uncertain,omitempty"`
	// Stuck is since when Member, whose attempt is uncertain, is refused or gone; zero while it is well.
	Stuck time.Time `json:"stuck,omitzero"`
	// NextAttempt is when to try again, and Failure what the attempt before came to.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Failure     *Failure  `json:"failure,omitempty"`
}

// with returns rec with the state of one member replaced. Records share what they hold, so nothing in them
// is ever changed in place.
func (rec LaneRecord) with(id string, m MemberState) LaneRecord {
	members := make(map[string]MemberState, len(rec.Members)+1)
	maps.Copy(members, rec.Members)
	members[id] = m
	rec.Members = members
	return rec
}

// spent returns rec after a call through a member that ended at now.
func (rec LaneRecord) spent(id string, now time.Time) LaneRecord {
	m := rec.Members[id]
	m.Calls = budget(m.Calls).spend(now)
	return rec.with(id, m)
}

// counted returns rec after a call that counts against an allowance.
func (rec LaneRecord) counted(allowance string, now time.Time) LaneRecord {
	if month := monthOf(now); rec.Month != month {
		rec.Month, rec.MonthCalls = month, 0
	}
	rec.MonthCalls++
	rec.Allowance = allowance
	return rec
}

// sane returns rec without times that lie further off than any lane sets them: where the clock was set
// back, they count from now.
func (rec LaneRecord) sane(now time.Time) LaneRecord {
	for id, m := range rec.Members {
		changed := false
		if m.MutedUntil.Sub(now) > longestMute {
			m.MutedUntil, changed = now.Add(blockedMute), true
		}
		if s := m.Suspension; s != nil && s.NextProbe.Sub(now) > longestProbePause {
			m.Suspension, changed = s.probedAt(now.Add(longestProbePause)), true
		}
		if changed {
			rec = rec.with(id, m)
		}
	}
	if slices.ContainsFunc(rec.Told, func(t Told) bool { return t.Time.After(now) }) {
		told := slices.Clone(rec.Told)
		for i := range told {
			if told[i].Time.After(now) {
				told[i].Time = now
			}
		}
		rec.Told = told
	}
	if in := rec.Intent; in != nil {
		fixed := *in
		if in.NextAttempt.Sub(now) > 2*longestBackoff {
			fixed.NextAttempt = now
		}
		if in.Stuck.After(now) {
			fixed.Stuck = now
		}
		if fixed.NextAttempt != in.NextAttempt || fixed.Stuck != in.Stuck {
			rec.Intent = &fixed
		}
	}
	return rec
}

// mutedAs returns rec with every member that is muted in known at now muted for as long at least. known may be
// older, but holds what one process was told and perhaps couldn't write down.
func (rec LaneRecord) mutedAs(known LaneRecord, now time.Time) LaneRecord {
	for id, k := range known.Members {
		if m := rec.Members[id]; k.MutedUntil.After(now) && k.MutedUntil.After(m.MutedUntil) {
			m.MutedUntil, m.Throttles = k.MutedUntil, max(m.Throttles, k.Throttles)
			rec = rec.with(id, m)
		}
	}
	return rec
}

// probing returns rec with every suspended member to be tried at now.
func (rec LaneRecord) probing(now time.Time, vouched bool) LaneRecord {
	for id, m := range rec.Members {
		if m.Suspension == nil {
			continue
		}
		m.Suspension = m.Suspension.probedAt(now)
		m.Suspension.Vouched = m.Suspension.Vouched || vouched
		rec = rec.with(id, m)
	}
	return rec
}

func (s Suspension) probedAt(t time.Time) *Suspension {
	s.NextProbe = t
	return &s
}
