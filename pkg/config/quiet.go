package config

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a bare container has no time zones of its own

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

const (
	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay
)

var weekdays = []string{"MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"}

// checkZone finds a name that is none of the IANA database's. "Local" is refused too: what it means would
// change with the machine.
func (vs *violations) checkZone(at path, zone string) {
	if zone == "" {
		return
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		vs.add(at, "there is no such time zone: give a name of the IANA database, such as Asia/Shanghai, Europe/Moscow or UTC")
	}
}

// checkQuiet finds quiet hours that never end, or that last until what they hold back is forgotten.
func (vs *violations) checkQuiet(at path, q *configv1.Quiet, nt *configv1.Notifier) {
	longest, ok := longestQuiet(q)
	if !ok {
		return
	}
	at = at.field("hours")
	if longest == minutesOfWeek {
		vs.add(at, "are the whole week: nothing would ever be sent; leave some time")
		return
	}
	// An hour more, for the night in which clocks are set back.
	quiet, retention := time.Duration(longest)*time.Minute+time.Hour, nt.GetRetention().AsDuration()
	if retention < 24*time.Hour {
		return // told of as such
	}
	if quiet+nt.GetMaxAge().AsDuration() >= retention {
		vs.add(at, "the longest quiet, %s, and max_age together are not below notifier.retention: what is held back would be forgotten; make retention longer",
			inHours((time.Duration(longest) * time.Minute).String()))
	}
}

// longestQuiet returns how many minutes the longest stretch of q lasts, those that touch or overlap counted
// as one; false where a time or a day is none, or there are none.
func longestQuiet(q *configv1.Quiet) (minutes int, ok bool) {
	var week [minutesOfWeek]bool
	for _, h := range q.GetHours() {
		from, ok1 := minuteOf(h.GetFrom())
		to, ok2 := minuteOf(h.GetTo())
		if !ok1 || !ok2 {
			return 0, false
		}
		if to <= from {
			to += minutesOfDay
		}
		days := h.GetDays()
		if len(days) == 0 {
			days = weekdays
		}
		for _, day := range days {
			begin := slices.Index(weekdays, day) * minutesOfDay
			if begin < 0 {
				return 0, false
			}
			for m := from; m < to; m++ {
				week[(begin+m)%minutesOfWeek] = true
			}
		}
	}
	// Twice around, since a stretch may go on from Sunday into Monday.
	run := 0
	for m := range 2 * minutesOfWeek {
		if !week[m%minutesOfWeek] {
			run = 0
			continue
		}
		run++
		minutes = max(minutes, run)
	}
	return min(minutes, minutesOfWeek), len(q.GetHours()) > 0
}

// minuteOf returns the minute of the day that "22:00" is, 1440 for "24:00".
func minuteOf(s string) (int, bool) {
	if s == "24:00" {
		return minutesOfDay, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && strings.IndexByte(s, ':') == 2
}
