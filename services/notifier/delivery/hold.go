package delivery

import (
	"context"
	"time"
)

// A holding is what a lane knows of a head that waits for what it may be told together with.
type holding struct {
	// head is its place.
	head uint64
	// since is when it was accepted, but not later than when it was first seen here. It has a monotonic
	// reading, so that no clock that is set prolongs the wait.
	since time.Time
}

// hold returns when the head of batch, which f is to fold, is to be sent, now or later, and how: where there
// is something to wait for, with what came meanwhile. What was marked urgent doesn't wait for what is before
// it, nor does what can't go with it.
func (l *lane) hold(ctx context.Context, batch []Notification, f folding, now time.Time) (folding, time.Time, error) {
	head, told := batch[0], recent(l.rec.Told, now)
	if s := l.rec.Suspect; s != nil && head.Seq <= s.Until || l.worth(batch[:1], told) <= 0 {
		return f, now, nil
	}
	if l.holds.head != head.Seq {
		l.holds = holding{head.Seq, now.Add(-max(now.Sub(head.CreateTime), 0))}
	}
	defer l.d.enter()()
	ahead, err := l.ahead(ctx, batch)
	if err != nil {
		return f, now, err
	}
	may := l.together(ahead, folding{}, now)
	upTo, due := l.joined(may, len(may) < len(ahead) || len(may) >= batchMax, told)
	if due.After(now) {
		return f, due, nil
	}
	switch {
	case !f.all:
		f = folding{all: upTo > head.Seq, upTo: upTo}
	case f.upTo > 0:
		f.upTo = max(f.upTo, upTo)
	}
	return f, now, nil
}

// joined returns up to which place batch is to be told together, and when. Full says that no more can come to
// it.
func (l *lane) joined(batch []Notification, full bool, told []Told) (upTo uint64, due time.Time) {
	urgent, wait := 0, time.Duration(0)
	for n := 1; n <= len(batch); n++ {
		if wait = l.worth(batch[:n], told); wait <= 0 {
			return batch[n-1].Seq, time.Time{}
		}
		if urgent == 0 && n > 1 && batch[n-1].Urgent {
			urgent = n - 1
		}
	}
	switch {
	case urgent > 0:
		return batch[urgent-1].Seq, time.Time{}
	case full:
		return batch[len(batch)-1].Seq, time.Time{}
	}
	n, end := 1, batch[0].CreateTime.Add(wait)
	for n < len(batch) && !batch[n].CreateTime.After(end) {
		n++
	}
	return batch[n-1].Seq, l.holds.since.Add(wait)
}
