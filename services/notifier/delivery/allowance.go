package delivery

import (
	"context"
	"slices"
	"sync"
	"time"
)

// beijing is where DingTalk's months begin and end. China has had one time and no summer time since 1992.
var beijing = time.FixedZone("UTC+8", 8*60*60)

func monthOf(t time.Time) string { return t.In(beijing).Format("2006-01") }

// monthAround returns when the month of t began and when the next one begins.
func monthAround(t time.Time) (begin, end time.Time) {
	y, m, _ := t.In(beijing).Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, beijing), time.Date(y, m+1, 1, 0, 0, 0, 0, beijing)
}

// gather returns how long what is not urgent gathers at now, when used calls of the month were made. The
// plan gives each moment of the month its share, and one day's more at once, so that a busy day is no reason
// to wait. While more than the share is used, the calls are to come no faster than the share grows: what
// waits does so until the share has caught up. Nothing ever waits longer than MaxWait, also when nothing is
// left: DingTalk may count otherwise, and it is for DingTalk to refuse.
func (a Allowance) gather(used int, now time.Time) time.Duration {
	begin, end := monthAround(now)
	length := end.Sub(begin)
	wait := end.Sub(now)
	if used < a.PerMonth {
		share := float64(a.PerMonth) * min(1, float64(now.Sub(begin)+24*time.Hour)/float64(length))
		ahead := float64(used) - share
		if ahead <= 0 {
			return 0
		}
		wait = min(wait, time.Duration(ahead/float64(a.PerMonth)*float64(length)))
	}
	return min(wait, a.MaxWait)
}

// ledger adds up what the records of all robots say they called, by allowance and month.
type ledger struct {
	mu      sync.Mutex
	entries map[string]entry
	sums    map[account]int
}

type account struct{ allowance, month string }

type entry struct {
	account
	calls int
}

func newLedger() *ledger {
	return &ledger{entries: make(map[string]entry), sums: make(map[account]int)}
}

// enter replaces what is known of one robot.
func (b *ledger) enter(robot string, e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.entries[robot]
	if old == e {
		return
	}
	if b.sums[old.account] -= old.calls; b.sums[old.account] == 0 {
		delete(b.sums, old.account)
	}
	b.entries[robot] = e
	b.sums[e.account] += e.calls
}

// used returns how many calls were made against an allowance in the month of now.
func (b *ledger) used(allowance string, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sums[account{allowance, monthOf(now)}]
}

// A gathering is what a lane knows of the items that it lets gather beyond a cursor.
type gathering struct {
	cursor uint64
	// since is when the first of them was seen here or, if that was earlier, accepted.
	since time.Time
	// seen is the place up to which they were looked at, items how many there are up to there.
	seen  uint64
	items int
	// urgent is the place of the last one among them that can't wait; 0 for none.
	urgent uint64
}

// look takes note of what was read beyond g.seen: it was marked so, or it calls somebody, where it can't wait.
func (g *gathering) look(ns []Notification, calls func(Notification) bool) {
	for _, n := range ns {
		g.seen = n.Seq
		g.items++
		if n.Urgent || calls(n) {
			g.urgent = n.Seq
		}
	}
}

// gather returns how long the robot's items gather at now.
func (l *lane) gather(now time.Time) time.Duration {
	a := l.allowance
	if a == nil {
		return 0
	}
	return a.gather(l.d.ledger.used(a.Name, now), now)
}

// gathered returns when what gathers is to be sent, and up to which place; 0 stands for all there is. head
// is the first of it. Only what was not looked at before is read.
func (l *lane) gathered(ctx context.Context, head Notification, gather time.Duration, now time.Time) (upTo uint64, at time.Time, err error) {
	g := &l.waits
	if g.since.IsZero() || g.cursor != l.rec.Cursor {
		since := head.CreateTime
		if since.After(now) {
			since = now
		}
		*g = gathering{cursor: l.rec.Cursor, since: since, seen: l.rec.Cursor}
	}
	if due := g.since.Add(gather); !due.After(now) {
		return 0, now, nil
	}
	if g.items < batchMax {
		ns, err := l.d.opts.Journal.Read(ctx, l.name, g.seen, batchMax-g.items)
		if err != nil {
			return 0, now, err
		}
		last := g.seen
		if len(ns) > 0 {
			last = ns[len(ns)-1].Seq
		}
		g.look(slices.DeleteFunc(ns, func(n Notification) bool { return l.rec.done(n.Seq) }), l.calling)
		g.seen = last
	}
	switch {
	case g.urgent > 0:
		return g.urgent, now, nil
	case g.items >= batchMax: // no message holds more
		return 0, now, nil
	}
	_, reset := monthAround(now)
	at = g.since.Add(gather)
	if reset.Before(at) {
		at = reset
	}
	return 0, at, nil
}
