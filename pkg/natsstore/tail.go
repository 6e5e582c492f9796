package natsstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// tailHeartbeat is how often the server shows that a tail with nothing to tell still stands;
	// tailSilence is after how long without a word it is made anew.
	tailHeartbeat = time.Second
	tailSilence   = 4 * time.Second
	// tailIdle is for how long the server keeps a tail to which nobody listens.
	tailIdle = 10 * time.Second
	// tailPending bounds what waits in the client, in messages and bytes; beyond, messages are lost there,
	// noticed as a gap and read again. The server's flow control stays below.
	tailPending      = 64 << 10
	tailPendingBytes = 128 << 20
	tailPauseMin     = 100 * time.Millisecond
	tailPauseMax     = 2 * time.Second
)

// TailOptions say what to tail.
type TailOptions struct {
	Stream string
	// Subject is the filter; it may have wildcards. Empty means all.
	Subject string
	// From is the first sequence of interest.
	From uint64
	// HeadersOnly leaves out what the messages hold.
	HeadersOnly bool
}

// Tail calls each for the messages of a stream from opts.From on, in order and each once, and goes on with
// what is stored later. It calls current, once, when it has told all that stood there at the beginning. Both
// are called on the caller's goroutine; while each works, what follows waits, within bounds.
//
// Tail outlives lost connections, dead servers and new leaders: it goes on behind what it told last. A message
// that was removed, or replaced by a newer one of its subject, before its turn is passed over. Tail returns
// nil when ctx ends, and an error when the stream is gone or the Store is closed.
func (s *Store) Tail(ctx context.Context, opts TailOptions, each func(Message), current func()) error {
	t := &tail{store: s, opts: opts, next: max(opts.From, 1), each: each, current: current}
	pause := tailPauseMin
	for warned := false; ; {
		begun := t.next
		err := t.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) || s.nc.IsClosed() {
			return fmt.Errorf("follow stream %s: %w", opts.Stream, err)
		}
		if t.next > begun || !warned {
			pause = tailPauseMin
			s.log.Warn("store.tail", zap.String("stream", opts.Stream), zap.Uint64("next", t.next), zap.Error(err))
			warned = true
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		pause = min(2*pause, tailPauseMax)
	}
}

// tail is one call of Tail.
type tail struct {
	store   *Store
	opts    TailOptions
	next    uint64
	each    func(Message)
	current func() // nil once called
	// end is the last message of interest that stood there at the beginning; 0 where there was none. It is
	// the leader's, since the replica that answers a consumer may lag.
	end      uint64
	endKnown bool
}

// follow tells what there is from t.next on, by a consumer of its own, until something goes wrong.
func (t *tail) follow(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if !t.endKnown {
		last, _, err := t.store.Last(asking, t.opts.Stream, cmp.Or(t.opts.Subject, ">"))
		if err != nil {
			return err
		}
		t.end, t.endKnown = last.Seq, true
		t.reached(t.next - 1)
	}
	nc := t.store.nc
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(tailPending, tailPendingBytes); err != nil {
		return err
	}
	_, err = t.store.js.CreatePushConsumer(asking, t.opts.Stream, jetstream.ConsumerConfig{
		Name: "belfry-tail-" + rand.Text(), DeliverSubject: inbox, FilterSubject: t.opts.Subject,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: t.next,
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, HeadersOnly: t.opts.HeadersOnly,
		FlowControl: true, IdleHeartbeat: tailHeartbeat, InactiveThreshold: tailIdle,
		MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return fmt.Errorf("make a consumer: %w", err)
	}
	var told uint64 // by the consumer's own count
	for {
		waiting, cancel := context.WithTimeout(ctx, tailSilence)
		m, err := sub.NextMsgWithContext(waiting)
		cancel()
		if err != nil {
			return fmt.Errorf("no word from the server: %w", err)
		}
		if m.Header.Get("Status") == "100" {
			if err := t.keepUp(m, told); err != nil {
				return err
			}
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("place of a message: %w", err)
		}
		if meta.Sequence.Consumer != told+1 {
			return fmt.Errorf("messages between %d and %d were lost on the way", t.next, meta.Sequence.Stream)
		}
		told++
		// A replica that lags begins earlier than it is asked to.
		if meta.Sequence.Stream >= t.next {
			t.next = meta.Sequence.Stream + 1
			t.each(Message{Subject: m.Subject, Seq: meta.Sequence.Stream, Time: meta.Timestamp, Header: m.Header, Data: m.Data})
		}
		t.reached(meta.Sequence.Stream)
	}
}

// keepUp answers what the server says about the flow, after told messages.
func (t *tail) keepUp(m *nats.Msg, told uint64) error {
	if m.Reply != "" {
		// It goes on once it hears that we have come this far.
		return m.Respond(nil)
	}
	if stalled := m.Header.Get("Nats-Consumer-Stalled"); stalled != "" {
		return t.store.nc.Publish(stalled, nil)
	}
	last := m.Header.Get("Nats-Last-Consumer")
	if last != strconv.FormatUint(told, 10) {
		return fmt.Errorf("messages up to the server's %s were lost on the way: %d came", last, told)
	}
	// It has had nothing to tell for a while, also where the message at the end was removed meanwhile.
	seen, err := strconv.ParseUint(m.Header.Get("Nats-Last-Stream"), 10, 64)
	if err != nil {
		return fmt.Errorf("place of the server: %w", err)
	}
	t.reached(seen)
	return nil
}

// reached takes down that all of interest up to seq was told.
func (t *tail) reached(seq uint64) {
	if t.current != nil && seq >= t.end {
		t.current()
		t.current = nil
	}
}
