package delivery

import (
	"errors"
	"fmt"
	"time"
)

// Quiet is when a group is not to be disturbed: whenever the clocks of Zone show a time that lies in one of
// Hours. So an hour that a change of the clocks leaves out is not quiet, and one that comes twice is quiet
// twice.
//
// What waits then is held, and told together when it ends, in order; the time doesn't age it. What is let
// through is sent at once, as the budget allows, and overtakes what is held: the one exception from the order
// in which a robot's notifications are told. Neither among what is let through nor among what is held does
// anything overtake another. A record can say of 256 that they overtook others; when it does, what is held
// before the next one goes along with it.
//
// A message that was begun before and may have reached the group is brought to an end, quiet or not. One that
// can't have is made anew.
type Quiet struct {
	// Zone is where Hours are.
	Zone *time.Location
	// Hours are the stretches, at least one; they may overlap.
	Hours []QuietHours
	// Mentions and Urgent say that what calls somebody, and what was marked urgent, is sent all the same.
	Mentions, Urgent bool
}

// QuietHours is a stretch of time that comes again.
type QuietHours struct {
	// From and To are times of the day, in minutes from its beginning: 0 to 1439, and 0 to 1440. Where To is
	// not after From it is of the next day.
	From, To int
	// Days are the days on which it begins, by time.Weekday.
	Days [7]bool
}

// minutesOfDay is how many minutes a day's clock shows.
const minutesOfDay = 24 * 60

// check returns what is wrong with q, which may be nil. Quiet hours that never end are wrong, since what they
// hold would never be told.
func (q *Quiet) check() error {
	if q == nil {
		return nil
	}
	if q.Zone == nil || len(q.Hours) == 0 {
		return errors.New("its quiet hours have no time zone, or there are none")
	}
	for _, h := range q.Hours {
		if h.From < 0 || h.From >= minutesOfDay || h.To < 0 || h.To > minutesOfDay || h.Days == [7]bool{} {
			return fmt.Errorf("its quiet hours from minute %d to minute %d: give minutes of a day, and the days on which they begin", h.From, h.To)
		}
	}
	for day := range 7 {
		for minute := range minutesOfDay {
			if !q.at(day, minute) {
				return nil
			}
		}
	}
	return errors.New("its quiet hours never end: leave a part of the week without them")
}

// at says whether it is quiet when the clocks show that minute of that day of the week.
func (q *Quiet) at(day, minute int) bool {
	for _, h := range q.Hours {
		overnight := h.To <= h.From
		switch {
		case h.Days[day] && minute >= h.From && (overnight || minute < h.To):
			return true
		case overnight && h.Days[(day+6)%7] && minute < h.To:
			return true
		}
	}
	return false
}

// on says whether t, which is in q's zone, is quiet.
func (q *Quiet) on(t time.Time) bool {
	return q.at(int(t.Weekday()), t.Hour()*60+t.Minute())
}

// next returns the first moment after t, which is in q's zone, at which it may become quiet or cease to be.
func (q *Quiet) next(t time.Time) time.Time {
	minute, edge := t.Hour()*60+t.Minute(), minutesOfDay
	for _, h := range q.Hours {
		for _, m := range [...]int{h.From, h.To} {
			if m > minute {
				edge = min(edge, m)
			}
		}
	}
	next := t.Add(time.Duration(edge-minute)*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	if _, change := t.ZoneBounds(); !change.IsZero() && change.Before(next) {
		return change.In(q.Zone)
	}
	return next
}

// here returns t as q's clocks show it, without a monotonic reading: quiet hours are the calendar's.
func (q *Quiet) here(t time.Time) time.Time { return t.Round(0).In(q.Zone) }

// Until returns when the quiet around t ends, over stretches that touch or overlap; the zero time when t is
// not quiet. It is never quiet where q is nil.
func (q *Quiet) Until(t time.Time) time.Time {
	if q == nil {
		return time.Time{}
	}
	end := q.here(t)
	if !q.on(end) {
		return time.Time{}
	}
	for q.on(end) { // some minute of each week is not quiet
		end = q.next(end)
	}
	return end
}

// between says whether it was quiet at some moment from one time to another.
func (q *Quiet) between(from, to time.Time) bool {
	if q == nil {
		return false
	}
	for t := q.here(from); t.Before(to); t = q.next(t) { // some minute of each week is quiet
		if q.on(t) {
			return true
		}
	}
	return false
}

// awake returns how much of the time from one moment to another was not quiet. Where that is more than
// enough, it is not looked at further.
func (q *Quiet) awake(from, to time.Time, enough time.Duration) time.Duration {
	if q == nil {
		return to.Sub(from)
	}
	var sum time.Duration
	for t := q.here(from); t.Before(to) && sum <= enough; {
		next := q.next(t)
		if !q.on(t) {
			if next.After(to) {
				next = to
			}
			sum += next.Sub(t)
		}
		t = next
	}
	return sum
}
