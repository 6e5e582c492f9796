package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
)

const (
	// smallCommit is up to how many messages that don't depend on each other are cheaper stored one by one:
	// a batch costs as much as some 6 to 15 of them, since the server stages it in a store of its own.
	smallCommit = 6
	// writeAttempts bounds how often a commit is begun anew because some of it was known.
	writeAttempts = 4
)

// write stores entries and settles them. They are stored all or none, unless they are separate and few. On
// nil all are settled.
func (j *Journal) write(ctx context.Context, entries []*entry, separate bool) error {
	for range writeAttempts {
		if len(entries) <= 1 || separate && len(entries) <= smallCommit {
			return j.writeEach(ctx, entries)
		}
		msgs := make([]*nats.Msg, len(entries))
		for i, e := range entries {
			msgs[i] = e.msg
		}
		last, err := j.store.PublishBatch(ctx, msgs)
		switch {
		case err == nil:
			for i, e := range entries {
				e.settle(last-uint64(len(entries)-1-i), false)
			}
			return nil
		case !natsstore.IsDuplicate(err):
			return err
		}
		// Something in it is known. Find out what, and begin again with the rest.
		if err := j.recognize(ctx, entries); err != nil {
			return err
		}
		entries = slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return e.settled })
	}
	return errors.New("others store the same notifications at the same time")
}

// writeEach stores entries one by one, in order, and settles those that it could store; the others have
// errors of their own.
func (j *Journal) writeEach(ctx context.Context, entries []*entry) error {
	msgs := make([]*nats.Msg, len(entries))
	for i, e := range entries {
		msgs[i] = e.msg
	}
	var fault error
	publishEach(ctx, j.js, msgs, func(i int, ack *jetstream.PubAck, err error) {
		if err != nil {
			err = j.store.Explain(err)
			entries[i].err = err
			fault = errors.Join(fault, err)
			return
		}
		entries[i].settle(ack.Sequence, ack.Duplicate)
	})
	return fault
}

// publishEach publishes msgs one after the other without waiting in between, then waits for each, and calls
// done for it with its acknowledgement or its error.
func publishEach(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg, done func(i int, ack *jetstream.PubAck, err error)) {
	acks := make([]jetstream.PubAckFuture, 0, len(msgs))
	var fault error
	for _, m := range msgs {
		// A copy: the client writes into what it publishes.
		ack, err := js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		if err != nil {
			fault = err
			break
		}
		acks = append(acks, ack)
	}
	for i := range msgs {
		if i >= len(acks) {
			done(i, nil, fault)
			continue
		}
		select {
		case ack := <-acks[i].Ok():
			done(i, ack, nil)
		case err := <-acks[i].Err():
			done(i, nil, err)
		case <-ctx.Done():
			done(i, nil, ctx.Err())
		}
	}
}

// recognize settles those of entries that the log knows, and stores nothing. It asks by publishing each id
// under a condition that can't hold: the server looks for duplicates before it looks at the condition, so
// that a known one is answered with its place and an unknown one with a refusal.
func (j *Journal) recognize(ctx context.Context, entries []*entry) error {
	header, value := jetstream.ExpectedLastMsgIDHeader, rand.Text()
	if j.store.Replicas() > 1 {
		// On several servers it is this condition that is looked at after the duplicates and before anything
		// is proposed; on one, it is looked at first.
		header, value = jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(impossible, 10)
	}
	acks := make(map[*entry]jetstream.PubAckFuture)
	for _, e := range entries {
		if e.id() == "" {
			continue
		}
		m := nats.NewMsg(e.msg.Subject)
		m.Header.Set(nats.MsgIdHdr, e.id())
		m.Header.Set(header, value)
		ack, err := j.js.PublishMsgAsync(m)
		if err != nil {
			return err
		}
		acks[e] = ack
	}
	for e, future := range acks {
		select {
		case ack := <-future.Ok():
			if !ack.Duplicate {
				return errors.New("the server ignored a condition")
			}
			e.settle(ack.Sequence, true)
		case err := <-future.Err():
			if !isUnmet(err) {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// codeWrongLastMsgID is JetStream's refusal because of ExpectedLastMsgIDHeader.
const codeWrongLastMsgID = 10070

// isUnmet reports whether err is JetStream's refusal of a message because its condition doesn't hold.
func isUnmet(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case codeWrongLastMsgID, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return true
	}
	return false
}
