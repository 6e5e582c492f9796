package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// maxCommit and maxCommitBytes bound what is committed at once; the server's limit is 1,000 messages.
	maxCommit      = 256
	maxCommitBytes = 4 << 20
	// maxQueued and maxQueuedBytes bound what waits for its commit, in notifications and in bytes; one call
	// alone may have more bytes.
	maxQueued      = 16 << 10
	maxQueuedBytes = 64 << 20
)

var (
	errBusy   = errors.New("too many notifications wait for the disk")
	errClosed = errors.New("the journal is closed")
)

// group is what one Append wants stored: all of it or nothing.
type group struct {
	entries []*entry
	bytes   int
	err     error
	done    chan struct{}
}

// entry is one notification on its way into the log.
type entry struct {
	robot   string
	msg     *nats.Msg
	receipt delivery.Receipt
	settled bool
	// err is why it alone wasn't stored, if that is known.
	err error
}

func (e *entry) id() string { return e.msg.Header.Get(nats.MsgIdHdr) }

func (e *entry) settle(seq uint64, duplicate bool) {
	e.receipt = delivery.Receipt{Seq: seq, Duplicate: duplicate}
	e.settled = true
}

// Append makes all of ns durable, or none of them; see delivery.Journal. Calls that come together share one
// commit and its fsync. An error that errors.Is ErrFull or ErrTooLarge says that nothing was stored; so does
// one about ns itself: a bad robot name, no content or both. Up to 256 notifications are taken.
func (j *Journal) Append(ctx context.Context, ns []delivery.Notification) ([]delivery.Receipt, error) {
	if len(ns) == 0 {
		return nil, nil
	}
	if len(ns) > maxCommit {
		return nil, fmt.Errorf("journal: append of %d notifications: at most %d at once", len(ns), maxCommit)
	}
	g := &group{done: make(chan struct{})}
	for _, n := range ns {
		m, err := encode(n, j.store.MaxPayload())
		if err != nil {
			return nil, fmt.Errorf("journal: append: %w", err)
		}
		g.entries = append(g.entries, &entry{robot: n.Robot, msg: m})
		g.bytes += m.Size()
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if err := j.enqueue(ctx, g); err != nil {
		return nil, fmt.Errorf("journal: append: %w", err)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		j.dequeue(g)
		return nil, fmt.Errorf("journal: append: %w", ctx.Err())
	}
	if g.err != nil {
		return nil, fault("append", g.err)
	}
	receipts := make([]delivery.Receipt, len(g.entries))
	for i, e := range g.entries {
		receipts[i] = e.receipt
	}
	return receipts, nil
}

// enqueue puts g in the queue and sees to it that somebody works it off.
func (j *Journal) enqueue(ctx context.Context, g *group) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case j.closed:
		return errClosed
	case j.queued+len(g.entries) > maxQueued, j.queued > 0 && j.queuedBytes+g.bytes > maxQueuedBytes:
		return errBusy
	}
	j.queue = append(j.queue, g)
	j.queued, j.queuedBytes = j.queued+len(g.entries), j.queuedBytes+g.bytes
	if !j.committing {
		j.committing = true
		j.commits.Go(j.commitAll)
	}
	return nil
}

// dequeue takes g out of the queue if its commit hasn't begun.
func (j *Journal) dequeue(g *group) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i := slices.Index(j.queue, g); i >= 0 {
		j.queue = slices.Delete(j.queue, i, i+1)
		j.queued, j.queuedBytes = j.queued-len(g.entries), j.queuedBytes-g.bytes
	}
}

// commitAll commits what waits until nothing does.
func (j *Journal) commitAll() {
	for {
		groups := j.take()
		if len(groups) == 0 {
			return
		}
		j.commit(groups)
		for _, g := range groups {
			close(g.done)
		}
	}
}

// take takes the groups of the next commit out of the queue. None means that the caller is to stop. Once the
// journal is closed, what still waits is refused.
func (j *Journal) take() []*group {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		for _, g := range j.queue {
			g.err = errClosed
			close(g.done)
		}
		j.queue, j.queued, j.queuedBytes = nil, 0, 0
	}
	n, entries, bytes := 0, 0, 0
	for _, g := range j.queue {
		if n > 0 && (entries+len(g.entries) > maxCommit || bytes+g.bytes > maxCommitBytes) {
			break
		}
		n, entries, bytes = n+1, entries+len(g.entries), bytes+g.bytes
	}
	groups := slices.Clone(j.queue[:n])
	j.queue = slices.Delete(j.queue, 0, n)
	j.queued, j.queuedBytes = j.queued-entries, j.queuedBytes-bytes
	j.committing = n > 0
	return groups
}

// commit stores groups with one fsync where it can, and sets their receipts or errors.
func (j *Journal) commit(groups []*group) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	// The same id twice in one commit: the later one takes the receipt of the first.
	first := make(map[string]*entry)
	same := make(map[*entry]*entry)
	var open []*entry
	separate := true
	for _, g := range groups {
		separate = separate && len(g.entries) == 1
		for _, e := range g.entries {
			id := e.id()
			if f := first[id]; id != "" && f != nil {
				same[e] = f
				continue
			}
			first[id] = e
			open = append(open, e)
		}
	}
	err := j.write(ctx, open, separate)
	j.mu.Lock()
	j.failure, j.failed = err, time.Now()
	j.mu.Unlock()
	var doubt error
	for _, e := range open {
		switch why := cmp.Or(e.err, err); {
		case e.settled && !e.receipt.Duplicate:
			j.feeds.appended(e.robot, e.receipt.Seq)
		case !e.settled && !natsstore.IsFull(why):
			doubt = why
		}
	}
	if doubt != nil {
		j.doubt(doubt)
	}
	for e, f := range same {
		if e.err = f.err; f.settled {
			e.settle(f.receipt.Seq, true)
		}
	}
	for _, g := range groups {
		for _, e := range g.entries {
			if !e.settled {
				g.err = cmp.Or(e.err, err)
			}
		}
	}
}
