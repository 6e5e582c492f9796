package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
)

const (
	// copyLag is how long a server of a cluster may lag behind what its leader says stands there.
	copyLag = 30 * time.Second
	// copyPause is between two looks at one that does.
	copyPause = 100 * time.Millisecond
)

// tally is what was read, or written.
type tally struct {
	count       int
	first, last uint64
	digest      hash.Hash
}

func (t *tally) add(m natsstore.Message, kind partKind) {
	if t.count == 0 {
		t.first = m.Seq
	}
	t.count, t.last = t.count+1, m.Seq
	if kind == logPart {
		_ = binary.Write(t.digest, binary.BigEndian, m.Seq) // a hash takes everything
	}
	for _, field := range [][]byte{[]byte(m.Subject), []byte(m.Header.Get(nats.MsgIdHdr)), m.Data} {
		_ = binary.Write(t.digest, binary.BigEndian, uint64(len(field)))
		_, _ = t.digest.Write(field)
	}
}

// readAll reads the messages that stood in a stream, which nobody writes to, when it had the state.
func readAll(ctx context.Context, s *natsstore.Store, stream string, state jetstream.StreamState, each func(natsstore.Message) error) error {
	moved := time.Now()
	for next, left := state.FirstSeq, state.Msgs; left > 0 && next <= state.LastSeq; {
		msgs, _, err := s.Forward(ctx, stream, ">", next, maxCommit, maxCommitBytes)
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if err := each(m); err != nil {
				return err
			}
			next, left, moved = m.Seq+1, left-1, time.Now()
		}
		if len(msgs) > 0 {
			continue
		}
		// A server that lags; or the rest has just become too old.
		if time.Since(moved) > copyLag {
			return fmt.Errorf("%d entries from %d on, to %d, can't be found", left, next, state.LastSeq)
		}
		select {
		case <-time.After(copyPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// copyWriter writes messages to a stream of another store, in batches.
type copyWriter struct {
	store *natsstore.Store
	part  copyPart
	// next is where the next message will stand, end the last place that the original gave out, and gaps how
	// many fillers were written.
	next, end uint64
	gaps      int
	// idsSince is from when on messages keep their ids; zero: none has any. Older ones are not duplicates
	// of anything any more, and might be of each other.
	idsSince time.Time

	batch []*nats.Msg
	bytes int

	count       int
	first, last uint64
	digest      hash.Hash
}

func (w *copyWriter) write(ctx context.Context, m natsstore.Message) error {
	if err := w.fill(ctx, m.Seq); err != nil {
		return err
	}
	id := m.Header.Get(nats.MsgIdHdr)
	out := nats.NewMsg(m.Subject)
	m.Header = nil
	if id != "" && !w.idsSince.IsZero() && m.Time.After(w.idsSince) {
		out.Header.Set(nats.MsgIdHdr, id)
		m.Header = out.Header
	}
	out.Data, m.Seq = m.Data, w.next
	if size, limit := out.Size(), w.store.MaxPayload()-headerRoom/2; size > limit {
		return fmt.Errorf("%d of %s has %d bytes, and the target takes %d: raise its max_payload", m.Seq, m.Subject, size, limit)
	}
	t := w.tally()
	t.add(m, w.part.kind)
	w.count, w.first, w.last = t.count, t.first, t.last
	return w.put(ctx, out)
}

// fill goes on to the place upTo. Should the original have lost something, what follows must stand where it
// stood nevertheless, and what will be appended, behind all that lanes have come past.
func (w *copyWriter) fill(ctx context.Context, upTo uint64) error {
	for w.part.kind == logPart && w.next < upTo {
		if err := w.put(ctx, nats.NewMsg(logPrefix+nobody)); err != nil {
			return err
		}
		w.gaps++
	}
	return nil
}

func (w *copyWriter) tally() tally { return tally{w.count, w.first, w.last, w.digest} }

func (w *copyWriter) put(ctx context.Context, m *nats.Msg) error {
	if len(w.batch) > 0 && (len(w.batch) == maxCommit || w.bytes+m.Size() > maxCommitBytes) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.batch, w.bytes, w.next = append(w.batch, m), w.bytes+m.Size(), w.next+1
	return nil
}

func (w *copyWriter) flush(ctx context.Context) error {
	if len(w.batch) == 0 {
		return nil
	}
	last, err := w.publish(ctx)
	switch {
	case natsstore.IsFull(err):
		return fmt.Errorf("the target's bound is too low for what is to be copied, raise it: %w: %w", ErrFull, err)
	case err != nil:
		return err
	case last != w.next-1:
		return fmt.Errorf("the target stored an entry at %d that should stand at %d: somebody else writes to it", last, w.next-1)
	}
	w.batch, w.bytes = w.batch[:0], 0
	return nil
}

// publish stores the batch and returns the place of its last. Buckets take no batches.
func (w *copyWriter) publish(ctx context.Context) (last uint64, err error) {
	if w.part.kind != recordPart {
		return w.store.PublishBatch(ctx, w.batch)
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	publishEach(ctx, w.store.JetStream(), w.batch, func(_ int, ack *jetstream.PubAck, perr error) {
		if err = errors.Join(err, perr); perr == nil {
			last = ack.Sequence
		}
	})
	return last, err
}

// finish writes what is left, and takes the fillers out again.
func (w *copyWriter) finish(ctx context.Context) error {
	if err := w.fill(ctx, w.end+1); err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil || w.gaps == 0 {
		return err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	st, err := w.store.JetStream().Stream(ctx, w.part.stream)
	if err != nil {
		return err
	}
	if err := st.Purge(ctx, jetstream.WithPurgeSubject(logPrefix+nobody)); err != nil {
		return fmt.Errorf("remove the fillers: %w", err)
	}
	return nil
}
