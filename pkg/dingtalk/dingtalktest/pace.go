package dingtalktest

import "time"

// maxPaces is how many tokens are followed; beyond it those without a call in the window are forgotten,
// and then a quarter of them, whichever.
const maxPaces = 10_000

// Rate is the pace that a robot is held to, by its token, whether or not there is a robot with that token.
// The zero Rate is DingTalk's documented one: 20 calls a minute, else ten minutes of penalty. What the
// document leaves open is chosen by the other fields.
type Rate struct {
	// Calls is how many calls a window may have; 0 means 20, below 0 none.
	Calls int
	// Window is how long a window is; 0 means a minute.
	Window time.Duration
	// Fixed windows begin at whole multiples of Window; else the window slides.
	Fixed bool
	// Penalty is for how long everything is refused after a call too many; 0 means 10 minutes, below 0
	// none.
	Penalty time.Duration
	// CountRefused makes calls that were refused as too fast count, too.
	CountRefused bool
	// ExtendPenalty makes calls during the penalty begin it anew.
	ExtendPenalty bool
	// DeliveredOnly makes only accepted messages count. Else each call does that was not itself refused as
	// too fast, whatever became of it.
	DeliveredOnly bool
	// Errcode is the refusal: 130101, also when 0, 660026, or 410100.
	Errcode int
	// EscalateAfter is after how many refusals in a row Escalation takes their place; 0 means never.
	EscalateAfter int
	// Escalation is RedirectAnswer or PunishAnswer.
	Escalation Escalation
}

// Escalation is what DingTalk's front gate was seen to do with those who went on calling too fast.
type Escalation int

const (
	// RedirectAnswer is HTTP 302 without a body.
	RedirectAnswer Escalation = iota
	// PunishAnswer is a JSON body without errcode: {"status":1111,"wait":5,…,"punish":"deny",…}.
	PunishAnswer
)

func (r Rate) complete() Rate {
	if r.Calls == 0 {
		r.Calls = 20
	}
	if r.Window == 0 {
		r.Window = time.Minute
	}
	if r.Penalty == 0 {
		r.Penalty = 10 * time.Minute
	}
	if r.Errcode == 0 {
		r.Errcode = 130101
	}
	return r
}

// paces follows the tokens.
type paces struct {
	rate Rate
	of   map[string]*pace
}

type pace struct {
	calls   []time.Time // those that count, oldest first, at most rate.Calls
	muted   time.Time   // until when everything is refused
	refused int         // in a row
}

// take says whether a call with token at now is slow enough, and counts it.
func (p *paces) take(token string, now time.Time) bool {
	c := p.at(token, now)
	muted := now.Before(c.muted)
	if !muted && len(c.calls) < p.rate.Calls {
		c.refused = 0
		if !p.rate.DeliveredOnly {
			c.calls = append(c.calls, now)
		}
		return true
	}
	c.refused++
	if p.rate.CountRefused {
		c.calls = append(c.calls, now)
		c.calls = c.calls[max(0, len(c.calls)-max(0, p.rate.Calls)):]
	}
	if (!muted || p.rate.ExtendPenalty) && p.rate.Penalty > 0 {
		c.muted = now.Add(p.rate.Penalty)
	}
	return false
}

// delivered counts an accepted message where only those count.
func (p *paces) delivered(token string, now time.Time) {
	if p.rate.DeliveredOnly {
		c := p.at(token, now)
		c.calls = append(c.calls, now)
	}
}

// left is how many calls may still be made at now.
func (p *paces) left(token string, now time.Time) int {
	c := p.of[token]
	if c == nil {
		return p.rate.Calls
	}
	p.forget(c, now)
	if now.Before(c.muted) {
		return 0
	}
	return max(0, p.rate.Calls-len(c.calls))
}

// escalated says whether the last refusal of token's is one too many.
func (p *paces) escalated(token string) bool {
	c := p.of[token]
	return c != nil && p.rate.EscalateAfter > 0 && c.refused > p.rate.EscalateAfter
}

// at returns the pace of token, with what is over at now forgotten.
func (p *paces) at(token string, now time.Time) *pace {
	if p.of == nil {
		p.of = make(map[string]*pace)
	}
	c := p.of[token]
	if c == nil {
		p.makeRoom(now)
		c = new(pace)
		p.of[token] = c
	}
	p.forget(c, now)
	return c
}

func (p *paces) forget(c *pace, now time.Time) {
	over := 0
	for over < len(c.calls) && p.over(c.calls[over], now) {
		over++
	}
	c.calls = c.calls[over:]
}

// over says whether a call at t no longer counts at now.
func (p *paces) over(t, now time.Time) bool {
	if p.rate.Fixed {
		return t.Before(now.Truncate(p.rate.Window))
	}
	return now.Sub(t) >= p.rate.Window
}

func (p *paces) makeRoom(now time.Time) {
	if len(p.of) < maxPaces {
		return
	}
	for token, c := range p.of {
		if p.forget(c, now); len(c.calls) == 0 && !now.Before(c.muted) {
			delete(p.of, token)
		}
	}
	// A quarter at once, so that this is not done again for each new token.
	for token := range p.of {
		if len(p.of) <= maxPaces*3/4 {
			return
		}
		delete(p.of, token)
	}
}
