package delivery

import (
	"slices"
	"time"

	"go.uber.org/zap"
)

// What a lane remembers of what the group was told.
const (
	toldFor = 10 * time.Minute
	toldMax = 64
	// markMax is how long a mark may be, in bytes.
	markMax = 80
)

// aheadMax is how many places beyond its cursor a record can say to be settled.
const aheadMax = 256

// recent returns what of told is to be remembered at now.
func recent(told []Told, now time.Time) []Told {
	first := max(len(told)-toldMax, 0)
	for first < len(told) && now.Sub(told[first].Time) >= toldFor {
		first++
	}
	return told[first:len(told):len(told)]
}

// told returns rec after the group was told at now of what marks stand for.
func (rec LaneRecord) told(marks []Mark, now time.Time) LaneRecord {
	if len(marks) == 0 {
		return rec
	}
	all := slices.Clone(rec.Told)
	for _, m := range marks {
		all = append(all, Told{m, now})
	}
	rec.Told = recent(all, now)
	return rec
}

// done says whether what stands at seq is settled.
func (rec LaneRecord) done(seq uint64) bool {
	if seq <= rec.Cursor {
		return true
	}
	_, ok := slices.BinarySearch(rec.Ahead, seq)
	return ok
}

// settled returns rec after all up to last were settled or, where ahead has places, after those were.
func (rec LaneRecord) settled(last uint64, ahead []uint64) LaneRecord {
	rec.Intent = nil
	if len(ahead) > 0 {
		all := slices.Concat(rec.Ahead, ahead)
		slices.Sort(all)
		rec.Ahead = slices.Compact(all)
	} else {
		rec = rec.upTo(last)
	}
	if rec.Suspect != nil && last >= rec.Suspect.Until {
		rec.Suspect = nil
	}
	return rec
}

// upTo returns rec with the cursor at place.
func (rec LaneRecord) upTo(place uint64) LaneRecord {
	rec.Cursor = place
	n, _ := slices.BinarySearch(rec.Ahead, place+1)
	rec.Ahead = slices.Clone(rec.Ahead[n:]) // nil when empty, as it is read again
	if len(rec.Ahead) == 0 {
		rec.Ahead = nil
	}
	return rec
}

// silent says that the message has nothing to show: all that it stands for was folded away.
func (in Intent) silent() bool { return len(in.Body) == 0 }

// Holds says whether the notification at seq is in the message. The places of two robots' notifications are
// never the same.
func (in Intent) Holds(seq uint64) bool {
	if len(in.Ahead) > 0 {
		return slices.Contains(in.Ahead, seq)
	}
	return in.First <= seq && seq <= in.Last
}

// into returns by place which of the notifications in the message are told by which others.
func (in Intent) into() map[uint64]uint64 {
	into := make(map[uint64]uint64, len(in.Folded))
	for _, f := range in.Folded {
		into[f.Seq] = f.Into
	}
	return into
}

// outcomes returns how batch ended, which went in in, if that isn't nil, and failed for f, if that isn't nil.
// What was folded into something that the message tells ends as that does; what was told before was delivered
// whatever becomes of the message.
func outcomes(batch []Notification, in *Intent, f *Failure, now time.Time) []Outcome {
	if in == nil {
		in = &Intent{}
	}
	into := in.into()
	here := make(map[uint64]bool, len(batch))
	for _, n := range batch {
		here[n.Seq] = true
	}
	outs := make([]Outcome, len(batch))
	for i, n := range batch {
		o := Outcome{Robot: n.Robot, Seq: n.Seq, Time: now, Into: into[n.Seq], Delivered: true}
		if o.Into == 0 || here[o.Into] {
			o.Delivered, o.Failure, o.Note = f == nil, f, in.Note
			if !in.silent() {
				o.UUID, o.Items, o.Attempts = in.UUID, in.Items, in.Attempts
			}
		}
		outs[i] = o
	}
	return outs
}

// lost logs the dead letters among outs, which are batch's.
func (l *lane) lost(batch []Notification, outs []Outcome) {
	for i, o := range outs {
		if f := o.Failure; f != nil {
			l.log.Warn("delivery.dead", zap.Uint64("delivery", o.Seq), zap.String("request_id", batch[i].RequestID),
				zap.Stringer("reason", f.Reason), zap.String("verdict", string(f.Verdict)), zap.String("why", f.Message))
		}
	}
}
