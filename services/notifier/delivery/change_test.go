package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// changing is what may change about the robot of a story, and what must be remembered of its changes.
type changing struct {
	members, fold int
	folds         bool
	quiet         bool
	removed       bool
	allowance     string

	// everQuiet says that there were quiet hours at some time, frozen that a process stopped in the middle of
	// what it did.
	everQuiet, frozen bool
	since             []setting

	mu    sync.Mutex
	begun map[string]beginning // the messages by their UUIDs
}

// A setting is whether there were quiet hours, from a time on.
type setting struct {
	at    time.Time
	quiet bool
}

// A beginning is when a message was first written down, and whether quiet hours were to let it through.
type beginning struct {
	at      time.Time
	through bool
}

// modelQuiet are the middle 20 minutes of each hour.
func modelQuiet() *delivery.Quiet {
	q := &delivery.Quiet{Zone: time.UTC, Urgent: true}
	for hour := range 24 {
		q.Hours = append(q.Hours, delivery.QuietHours{From: hour*60 + 20, To: hour*60 + 40, Days: everyDay})
	}
	return q
}

// robots are those of the configuration.
func (c *changing) robots() []delivery.Robot {
	if c.removed {
		return nil
	}
	r := robot("team", c.members)
	r.Allowance, r.Renderer = c.allowance, lines{max: c.fold}
	if c.folds {
		r.Renderer = parts{lines{max: c.fold}, 3 * time.Second}
	}
	if c.quiet {
		r.Quiet = modelQuiet()
	}
	return []delivery.Robot{r}
}

// name returns the request id of the n-th; where the wording folds, some belong together.
func (c *changing) name(n int) string {
	id := ids(n, n)[0]
	if kinds := []string{"pre:", "main:", "post:"}; c.folds && n%11 < len(kinds) {
		return fmt.Sprintf("%s%04d/%s", kinds[n%11], n/11, id)
	}
	return id
}

// mark remembers whether there are quiet hours from now on.
func (c *changing) mark() {
	c.everQuiet = c.everQuiet || c.quiet
	c.since = append(c.since, setting{time.Now(), c.quiet})
}

// quietAt says whether t was quiet. A change takes effect by and by, so that the very moment is not.
func (c *changing) quietAt(t time.Time) bool {
	on := false
	for _, s := range c.since {
		switch {
		case s.at.Equal(t):
			return false
		case s.at.Before(t):
			on = s.quiet
		}
	}
	return on && t.Minute() >= 20 && t.Minute() < 40
}

// saving remembers when messages are written down first.
func (c *changing) saving(rec delivery.LaneRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if in := rec.Intent; in != nil {
		if _, ok := c.begun[in.UUID]; !ok {
			c.begun[in.UUID] = beginning{time.Now(), in.Through}
		}
	}
}

// reconfigure changes something about the robot in all processes; a removed one is put back.
func (s *story) reconfigure(of int) {
	switch {
	case s.removed:
		s.removed = false
	case of == 0:
		s.members = s.members%3 + 1
	case of == 1:
		s.fold = s.fold%40 + 1
	case of == 2:
		s.removed = true
	default:
		s.quiet = !s.quiet
	}
	s.opts.Robots = s.robots()
	s.mark()
	s.fate.pause(false)
	for _, d := range s.ds {
		if err := d.Update(s.opts.Robots, s.opts.Allowances); err != nil {
			s.t.Error(err)
		}
	}
	synctest.Wait()
	s.fate.pause(s.paused || s.removed)
}

// folded returns what is wrong with the end of n, which was folded away into what ended as into.
func (s *story) folded(n delivery.Notification, out, into delivery.Outcome) string {
	kind, x, _ := strings.Cut(n.RequestID, ":")
	x, _, _ = strings.Cut(x, "/")
	log := s.journal.Log("team")
	i := slices.IndexFunc(log, func(n delivery.Notification) bool { return n.Seq == out.Into })
	switch {
	case kind != "pre" && kind != "post", i < 0, !strings.HasPrefix(log[i].RequestID, "main:"+x+"/"):
		return n.RequestID + " was folded away into the wrong one"
	case out.Delivered != into.Delivered, !out.Delivered && out.Failure.Reason != into.Failure.Reason:
		return n.RequestID + " did not end as what tells it"
	}
	return ""
}

// urgent says whether quiet hours let id through.
func (s *story) urgent(id string) bool {
	return s.number(id)%7 == 0
}

// number returns the place of id in the order of acceptance.
func (s *story) number(id string) (n int) {
	if _, err := fmt.Sscanf(id[strings.LastIndex(id, "n"):], "n%d", &n); err != nil {
		s.t.Error(err)
	}
	return n
}

// overtaken returns what is wrong with the order in which the group saw things. What is urgent may stand
// before what is not and was accepted earlier, when its message was begun in quiet hours. There is no other
// exception.
func (s *story) overtaken(want []string) string {
	g := s.group
	last := map[bool]int{}
	least := 1 << 30 // of those not urgent, from here on
	later := make([]int, len(g.shown))
	for i, id := range slices.Backward(g.shown) {
		later[i] = least
		if !s.urgent(id) {
			least = min(least, s.number(id))
		}
	}
	for i, id := range g.shown {
		n, urgent := s.number(id), s.urgent(id)
		if n < last[urgent] || urgent && n < last[false] {
			return id + " was overtaken: " + strings.Join(g.shown, " ") + "\nwant " + strings.Join(want, " ")
		}
		last[urgent] = n
		if b := s.begun[g.uuids[i]]; later[i] < n && urgent && (!b.through || !s.frozen && !s.calm(b.at)) {
			return id + " overtook others outside of quiet hours: " + strings.Join(g.shown, " ")
		}
	}
	return ""
}

// calm says whether t was quiet, or the settings changed then.
func (s *story) calm(t time.Time) bool {
	return s.quietAt(t) || slices.ContainsFunc(s.since, func(c setting) bool { return c.at.Equal(t) })
}

// disturbed returns which call was made in quiet hours for what they hold: one for something that isn't
// urgent, of a message that was begun in them.
func (s *story) disturbed() string {
	if !s.everQuiet || s.frozen {
		return ""
	}
	for _, c := range s.group.calls {
		b := s.begun[c.uuid]
		held := slices.ContainsFunc(c.items, func(id string) bool { return !s.urgent(id) })
		if s.quietAt(c.at) && held && s.quietAt(b.at) {
			return fmt.Sprintf("at %v a call was made for %v", c.at, c.items)
		}
		if b.through && held {
			return fmt.Sprintf("what was let through at %v was %v", b.at, c.items)
		}
	}
	return ""
}
