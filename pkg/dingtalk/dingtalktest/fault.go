package dingtalktest

import (
	"fmt"
	"net/http"
	"time"
)

// Fault is something that goes wrong with a call. Make one with Errcode, Busy, DelayBefore and so on; as
// made it befalls the next call, whoever's. Its methods return a changed copy:
//
//	sim.Inject(dingtalktest.Busy().For(token).Times(3))
//	sim.Inject(dingtalktest.ResetAfter().When(func(n int) bool { return n%10 == 0 }))
type Fault struct {
	name   string
	effect effect
	late   bool
	delay  time.Duration
	answer *answer
	token  string
	times  int
	when   func(n int) bool
}

type effect int

const (
	effectRefuse effect = iota // answers in DingTalk's name, from within the checks
	effectAnswer               // answers in place of DingTalk
	effectGarble               // spoils the answer that DingTalk gives
	effectDelay
	effectReset
)

// Errcode is a refusal with that code and text. It counts for the pace. A call that is refused as too fast
// or for its token does not come to it and leaves it for the next, and so does one that meets another fault.
func Errcode(code int, msg string) Fault {
	return Fault{name: fmt.Sprintf("errcode %d", code), effect: effectRefuse, answer: refusal(code, msg)}
}

// Busy is DingTalk's "system busy", errcode -1.
func Busy() Fault { return Errcode(-1, "系统繁忙") }

// DelayBefore has the call wait for d of real time before it is looked at. It is looked at then also when
// the caller has gone.
func DelayBefore(d time.Duration) Fault {
	return Fault{name: "delay before", effect: effectDelay, delay: d}
}

// DelayAfterAccept handles the call and holds the answer back for d of real time.
func DelayAfterAccept(d time.Duration) Fault {
	return Fault{name: "delay after", effect: effectDelay, delay: d, late: true}
}

// ResetBefore cuts the connection before the call is looked at.
func ResetBefore() Fault { return Fault{name: "reset before", effect: effectReset} }

// ResetAfter handles the call, and cuts the connection in place of an answer.
func ResetAfter() Fault { return Fault{name: "reset after", effect: effectReset, late: true} }

// HTML5xx is a page of HTML with that status, as gateways give it, before the call is looked at.
func HTML5xx(status int) Fault {
	page := fmt.Sprintf("<html><head><title>%d %s</title></head><body><h1>%[1]d %[2]s</h1></body></html>\n", status, http.StatusText(status))
	return Fault{name: fmt.Sprintf("HTTP %d", status), effect: effectAnswer,
		answer: &answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(page)}}
}

// Redirect302 is HTTP 302 to another address, before the call is looked at.
func Redirect302() Fault {
	return Fault{name: "HTTP 302", effect: effectAnswer, answer: redirectAnswer()}
}

// Punish is the body without errcode that DingTalk's gate gives to an address that it has blocked, before
// the call is looked at; wait is what it holds under that name.
func Punish(wait int) Fault {
	return Fault{name: "punish", effect: effectAnswer, answer: punishAnswer(wait)}
}

// TruncatedJSON handles the call, and cuts its answer off in the middle of the JSON.
func TruncatedJSON() Fault {
	return Fault{name: "truncated JSON", effect: effectGarble, late: true,
		answer: &answer{status: http.StatusOK, contentType: jsonType, body: []byte(`{"errcode":`)}}
}

// NoErrcode handles the call, and answers with a JSON object that has no errcode.
func NoErrcode() Fault {
	return Fault{name: "no errcode", effect: effectGarble, late: true,
		answer: &answer{status: http.StatusOK, contentType: jsonType, body: []byte(`{"errmsg":"ok"}`)}}
}

// StringErrcode handles the call, and writes the errcode of its answer as a string, as one place of
// DingTalk's document shows it.
func StringErrcode() Fault {
	return Fault{name: "string errcode", effect: effectGarble, late: true}
}

// For restricts the fault to calls with token; other calls leave it as it is.
func (f Fault) For(token string) Fault { f.token = token; return f }

// Times has the fault befall n calls; below 0 all, until Reset.
func (f Fault) Times(n int) Fault { f.times = n; return f }

// When has the fault befall those calls for which hit returns true. n counts the calls that the fault could
// befall, from 1. It goes on until Reset, or for as many calls as Times says. hit is called with the
// simulator locked: it must not call the Server.
func (f Fault) When(hit func(n int) bool) Fault { f.when = hit; return f }

// Late has the fault come after the call was handled, in place of the answer: Busy().Late() accepts the
// message and says "system busy".
func (f Fault) Late() Fault { f.late = true; return f }

// Inject arms f. A call meets at most one fault: the first that was armed and fits.
func (s *Server) Inject(f Fault) {
	a := &armed{Fault: f, left: f.times}
	switch {
	case f.times == 0 && f.when == nil:
		a.left = 1
	case f.times == 0:
		a.left = -1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, a)
}

// armed is a fault that waits for its calls.
type armed struct {
	Fault
	left int // calls; below 0: all
	n    int // calls that it could have befallen
}

// nextFault returns the fault of a call with token, or nil: one that refuses from within the checks, or one
// of the others. The caller holds mu.
func (s *Server) nextFault(token string, refuses bool) *armed {
	for i, f := range s.faults {
		if f.refuses() != refuses || f.token != "" && f.token != token {
			continue
		}
		f.n++
		if f.when != nil && !f.when(f.n) {
			continue
		}
		if f.left > 0 {
			if f.left--; f.left == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return f
	}
	return nil
}

// refuses says whether the fault answers from within the checks.
func (f *armed) refuses() bool { return f.effect == effectRefuse && !f.late }

func (f *armed) reason() string { return "fault: " + f.name }
