package natsstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of an atomic batch, as NATS' architecture decision ADR-50 names them.
const (
	headerBatchID  = "Nats-Batch-Id"
	headerBatchSeq = "Nats-Batch-Sequence"
	headerCommit   = "Nats-Batch-Commit"
)

// codeBatchDuplicate is JetStream's refusal of a batch that holds a known message id; it doesn't say which.
const codeBatchDuplicate = 10201

// PublishBatch stores msgs, which are of one stream with AllowAtomicPublish, all or none of them, synced, and
// returns the sequence of the last; theirs are consecutive. The server takes 1,000 messages in a batch and
// 50 batches at a time. The messages stay the caller's, unchanged. An error for which IsFull or
// IsDuplicate holds says that nothing was stored; any other leaves that unknown, though all or none holds.
func (s *Store) PublishBatch(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	if len(msgs) == 0 {
		return 0, errors.New("a batch without messages")
	}
	defer func() { err = s.Explain(err) }()
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	id := rand.Text()
	for i, m := range msgs {
		b := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Data}
		for key, values := range m.Header {
			b.Header[key] = values
		}
		b.Header.Set(headerBatchID, id)
		b.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
		if i < len(msgs)-1 {
			// Unanswered: should one be refused, so is the commit.
			if err := s.nc.PublishMsg(b); err != nil {
				return 0, err
			}
			continue
		}
		b.Header.Set(headerCommit, "1")
		answer, err := s.nc.RequestMsgWithContext(ctx, b)
		if err != nil {
			return 0, err
		}
		return readBatchAck(answer.Data, len(msgs))
	}
	panic("unreachable")
}

func readBatchAck(data []byte, want int) (last uint64, err error) {
	var ack struct {
		Seq   uint64              `json:"seq"`
		Count int                 `json:"count"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return 0, fmt.Errorf("answer of the server: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Count != want || ack.Seq < uint64(want) {
		return 0, fmt.Errorf("the server confirmed %d messages up to %d instead of %d", ack.Count, ack.Seq, want)
	}
	return ack.Seq, nil
}

// IsDuplicate reports whether err is JetStream's refusal of a batch in which some message id is known.
// Nothing was stored then.
func IsDuplicate(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeBatchDuplicate
}
