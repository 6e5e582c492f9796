package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// nextMaxBytes is how much Next returns at most beyond its first item.
const nextMaxBytes = 4 << 20

// ErrQueueFull is what Append returns when a bound is reached. Nothing was stored; nothing older was
// discarded to make room.
var ErrQueueFull = errors.New("queue is full")

// QueueOptions say which queue to open.
type QueueOptions struct {
	// Name is the queue's in its store: lower-case letters, digits and "-".
	Name string
	// MaxBytes bounds the queue on disk. It must be above 0.
	MaxBytes int64
	// MaxAge is the age at which the store drops an item by itself, without a word; 0 keeps items until
	// they are removed, which is what an owner wants that must answer for each.
	MaxAge time.Duration
}

// Queue is a durable first-in-first-out queue in lanes. Its methods may be called from any goroutine. It
// ends with its Store.
type Queue struct {
	store  *Store
	name   string
	prefix string
	stream jetstream.Stream
	// lease is set on a shared store.
	lease *lease
}

// Item is one entry of a Queue. It belongs to the caller.
type Item struct {
	// Seq is its place, unique in the queue and ascending in order of arrival.
	Seq  uint64
	Lane string
	Data []byte
	Time time.Time
}

// Queue opens the queue of that name with all that is in it, or makes it. On an embedded store one that is
// there takes over the new bounds; should it hold more than they allow, it keeps that and takes nothing until
// it has shrunk. On a cluster it must have these bounds, and one process uses a queue at a time: the queue is
// this Store's until Close. If another has it that still runs, or ran until a moment ago, the answer takes
// some seconds, and for one that runs it is ErrInUse.
func (s *Store) Queue(ctx context.Context, opts QueueOptions) (*Queue, error) {
	if !isToken(opts.Name) {
		return nil, fmt.Errorf("queue name %q: use lower-case letters, digits and \"-\"", opts.Name)
	}
	if opts.MaxBytes <= 0 || opts.MaxAge < 0 {
		return nil, fmt.Errorf("queue %s: MaxBytes must be above 0, and MaxAge not below", opts.Name)
	}
	q := &Queue{store: s, name: opts.Name, prefix: "belfry.queue." + opts.Name + "."}
	// No duplicate window to speak of: items carry no ids. It must not exceed the age, though.
	window := time.Minute
	if opts.MaxAge > 0 {
		window = min(window, opts.MaxAge)
	}
	var err error
	q.stream, err = s.EnsureStream(ctx, jetstream.StreamConfig{
		Name: "BELFRY_QUEUE_" + opts.Name, Subjects: []string{q.prefix + "*"},
		Description: "A queue of Belfry's; its subjects end in the lane.",
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxBytes: opts.MaxBytes, MaxAge: opts.MaxAge, Duplicates: window, AllowDirect: true,
	})
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", opts.Name, err)
	}
	if s.Shared() {
		if q.lease, err = s.acquire(ctx, "queue-"+opts.Name); err != nil {
			return nil, fmt.Errorf("queue %s: %w", opts.Name, err)
		}
		s.mu.Lock()
		s.leases = append(s.leases, q.lease)
		s.mu.Unlock()
	}
	return q, nil
}

// mayUse returns nil while the queue is ours.
func (q *Queue) mayUse() error {
	if q.lease == nil {
		return nil
	}
	if err := q.lease.check(); err != nil {
		return fmt.Errorf("queue %s: %w", q.name, err)
	}
	return nil
}

// Append puts data at the end of lane. On nil it is synced to disk. ErrQueueFull says that it was not
// stored; any other error leaves that unknown. A lane is named in lower-case letters, digits and "-".
func (q *Queue) Append(ctx context.Context, lane string, data []byte) error {
	if !isToken(lane) {
		return fmt.Errorf("queue %s: lane %q: use lower-case letters, digits and \"-\"", q.name, lane)
	}
	// The server would end the connection over a message that is too large. 1 KiB is left for its subject
	// and headers.
	if limit := q.store.maxPayload - 1<<10; len(data) > limit {
		return fmt.Errorf("queue %s: an item of %d bytes is too large: at most %d", q.name, len(data), limit)
	}
	if err := q.mayUse(); err != nil {
		return err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	_, err := q.store.js.Publish(ctx, q.prefix+lane, data)
	switch {
	case IsFull(err):
		return fmt.Errorf("queue %s: %w: %w", q.name, ErrQueueFull, err)
	case err != nil:
		return fmt.Errorf("queue %s: append to %s: %w", q.name, lane, q.store.Explain(err))
	}
	return nil
}

// Lanes returns the lanes that hold something, each with the number of its items.
func (q *Queue) Lanes(ctx context.Context) (map[string]uint64, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	info, err := q.stream.Info(ctx, jetstream.WithSubjectFilter(q.prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("queue %s: lanes: %w", q.name, q.store.Explain(err))
	}
	lanes := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		lanes[strings.TrimPrefix(subject, q.prefix)] = n
	}
	return lanes, nil
}

// Next returns the oldest items of lane, oldest first, and leaves them there: limit of them at most, and
// fewer when they would exceed 4 MiB, but at least one if the lane holds any.
func (q *Queue) Next(ctx context.Context, lane string, limit int) ([]Item, error) {
	if !isToken(lane) {
		return nil, fmt.Errorf("queue %s: lane %q: use lower-case letters, digits and \"-\"", q.name, lane)
	}
	if err := q.mayUse(); err != nil {
		return nil, err
	}
	msgs, err := q.oldest(ctx, lane, limit)
	if err != nil {
		return nil, fmt.Errorf("queue %s: next of %s: %w", q.name, lane, err)
	}
	items := make([]Item, len(msgs))
	for i, m := range msgs {
		items[i] = Item{Seq: m.Seq, Lane: lane, Data: m.Data, Time: m.Time}
	}
	return items, nil
}

// oldest reads up to limit items of lane. On a cluster it is the leader who says which is the first, so that
// one that was appended is there, and one that was removed is not, although the others come from a replica
// that may lag.
func (q *Queue) oldest(ctx context.Context, lane string, limit int) ([]Message, error) {
	if limit < 1 {
		return nil, nil
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	stream, subject := q.stream.CachedInfo().Config.Name, q.prefix+lane
	if !q.store.Shared() {
		msgs, _, err := q.store.Forward(ctx, stream, subject, 1, limit, nextMaxBytes)
		return msgs, err
	}
	first, ok, err := q.store.first(ctx, stream, subject)
	if err != nil || !ok {
		return nil, err
	}
	msgs := []Message{first}
	if limit > 1 {
		more, _, err := q.store.Forward(ctx, stream, subject, first.Seq+1, limit-1, nextMaxBytes)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, more...)
	}
	return msgs, nil
}

// Oldest returns when the oldest item of lane was appended, and whether the lane holds any.
func (q *Queue) Oldest(ctx context.Context, lane string) (time.Time, bool, error) {
	items, err := q.Next(ctx, lane, 1)
	if err != nil || len(items) == 0 {
		return time.Time{}, false, err
	}
	return items[0].Time, true, nil
}

// Remove removes items; one that is not there is passed over. On nil they are gone for good. An error leaves
// each of them either removed or not.
func (q *Queue) Remove(ctx context.Context, seqs ...uint64) error {
	if err := q.mayUse(); err != nil {
		return err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	for _, seq := range seqs {
		if err := q.store.remove(ctx, q.stream.CachedInfo().Config.Name, seq); err != nil {
			return fmt.Errorf("queue %s: remove %d: %w", q.name, seq, err)
		}
	}
	return nil
}

// Depth returns how many items the queue holds and what they take on disk.
func (q *Queue) Depth(ctx context.Context) (msgs, bytes uint64, err error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	info, err := q.stream.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("queue %s: depth: %w", q.name, q.store.Explain(err))
	}
	return info.State.Msgs, info.State.Bytes, nil
}

// isToken reports whether s can stand in a subject and in a stream's name.
func isToken(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
