package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"time"
)

// nap is a while through which a process was frozen: from when it was told to stop until just before it was
// told to go on.
type nap struct {
	caller   string
	child    *child
	from, to time.Time
}

// freeze stops the notifier, and returns what wakes it.
func (p *pair) freeze(caller string) (wake func()) {
	p.t.Helper()
	c := p.notifiers[caller].child
	c.signal(syscall.SIGSTOP)
	p.faults++
	from := time.Now()
	return func() {
		p.t.Helper()
		p.naps = append(p.naps, nap{caller, c, from, time.Now()})
		c.signal(syscall.SIGCONT)
	}
}

// late says whether c, the nth call that its caller made for the message, was under way before the caller
// was frozen, and came out when it woke. Nothing can hold that back: between the last look at the lease and
// the write to the socket a process can be stopped like anywhere else. Its msgUuid is one that DingTalk has
// seen, so that nobody sees it. What is begun after the wake-up is no such call, and is never excused.
func (s *stage) late(c knockOnDingTalk, n int) bool {
	s.t.Helper()
	var last *nap
	for i := range s.naps {
		if s.naps[i].caller == c.caller && !c.time.Before(s.naps[i].to) {
			last = &s.naps[i]
		}
	}
	if last == nil {
		return false
	}
	// A call is logged when it has ended, which may be after it arrived.
	for deadline := time.Now().Add(patience); !last.covers(last.child.output(), c.uuid, n); s.wait(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	s.t.Logf("a call that %s had begun before it was frozen for %v came late", c.caller, last.to.Sub(last.from).Round(100*time.Millisecond))
	return true
}

// covers says whether the log tells of n calls for the message that were begun before the process woke.
func (n nap) covers(log, uuid string, calls int) bool {
	// Nothing begins while it is frozen, so that any moment of the nap divides what began before from what
	// began after; the middle is far from both.
	middle := n.from.Add(n.to.Sub(n.from) / 2)
	for line := range strings.Lines(log) {
		var a struct {
			Time      time.Time
			Msg, UUID string
			Elapsed   int64 `json:"elapsed_ms"`
		}
		if !strings.Contains(line, uuid) || json.Unmarshal([]byte(line), &a) != nil || a.Msg != "delivery.attempted" || a.UUID != uuid {
			continue
		}
		if a.Time.Add(-time.Duration(a.Elapsed) * time.Millisecond).Before(middle) {
			calls--
		}
	}
	return calls <= 0
}
