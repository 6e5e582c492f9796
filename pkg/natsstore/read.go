package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lastEachChunk is how many subjects one request asks for; the server answers 1,024 at most.
const lastEachChunk = 500

// Message is a stored message. It belongs to the caller.
type Message struct {
	Subject string
	Seq     uint64
	Time    time.Time
	// Header holds what it was published with; nil where there was nothing.
	Header nats.Header
	Data   []byte
}

// directHeaders are what a direct get adds to a message's own headers.
var directHeaders = []string{
	jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer,
	"Nats-Num-Pending", "Nats-Last-Sequence", "Nats-UpTo-Sequence",
}

// directGet is a request of JetStream's direct get, described in NATS' architecture decision ADR-31.
type directGet struct {
	Seq       uint64   `json:"seq,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
}

// Forward returns the first limit messages of stream whose subject matches and whose sequence is at least
// from, ascending and without gaps, and how many more match beyond them. It ends early, though not before
// the first message, once it has maxBytes. The stream must have AllowDirect. On a cluster any replica may
// answer: what it returns is a prefix of what is there, without gaps, but may lag by moments behind what was
// acknowledged.
func (s *Store) Forward(ctx context.Context, stream, subject string, from uint64, limit, maxBytes int) (msgs []Message, more uint64, err error) {
	if limit < 1 {
		return nil, 0, nil
	}
	return s.direct(ctx, stream, directGet{Seq: max(from, 1), NextFor: subject, Batch: limit, MaxBytes: maxBytes})
}

// LastEach returns the newest message of each of the subjects that has one, in no particular order. The
// stream must have AllowDirect. On a cluster it may lag, as Forward does.
func (s *Store) LastEach(ctx context.Context, stream string, subjects []string) ([]Message, error) {
	var all []Message
	for chunk := range slices.Chunk(subjects, lastEachChunk) {
		// The server stops before the end where the answer is as large as it lets one be.
		for from, more := uint64(0), uint64(1); more > 0; {
			var msgs []Message
			var err error
			if msgs, more, err = s.direct(ctx, stream, directGet{Seq: from, MultiLast: chunk}); err != nil {
				return nil, err
			}
			if len(msgs) == 0 {
				break
			}
			all, from = append(all, msgs...), msgs[len(msgs)-1].Seq+1
		}
	}
	return all, nil
}

func (s *Store) direct(ctx context.Context, stream string, req directGet) (msgs []Message, more uint64, err error) {
	defer func() {
		if err != nil {
			msgs, err = nil, fmt.Errorf("read stream %s: %w", stream, s.Explain(err))
		}
	}()
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	body, err := json.Marshal(req)
	if err != nil {
		return nil, 0, err
	}
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	// The request bounds the answer; the client need not.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, 0, err
	}
	if err := s.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return nil, 0, err
	}
	var last uint64
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, 0, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204":
			more, err = strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
			if err != nil {
				return nil, 0, fmt.Errorf("count of what is left: %w", err)
			}
			if end := m.Header.Get("Nats-Last-Sequence"); end != strconv.FormatUint(last, 10) {
				return nil, 0, fmt.Errorf("the end of the answer, %s, was lost on the way", end)
			}
			return msgs, more, nil
		case "404":
			// It is also how an answer breaks off at a message that can't be loaded; and the newest are only
			// looked for where there are some.
			if what := m.Header.Get("Description"); len(msgs) > 0 || req.MultiLast != nil && what != "No Results" {
				return nil, 0, fmt.Errorf("a message after %d can't be loaded: the server answered %s %s", last, status, what)
			}
			return nil, 0, nil
		default:
			return nil, 0, fmt.Errorf("the server answered %s %s", status, m.Header.Get("Description"))
		}
		before := m.Header.Get("Nats-Last-Sequence")
		msg, err := fromDirect(m)
		if err != nil {
			return nil, 0, err
		}
		if before != strconv.FormatUint(last, 10) {
			return nil, 0, fmt.Errorf("a message between %d and %d was lost on the way", last, msg.Seq)
		}
		last = msg.Seq
		msgs = append(msgs, msg)
	}
}

// fromDirect makes a Message of the answer, whose headers it takes over.
func fromDirect(m *nats.Msg) (Message, error) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("sequence of a message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return Message{}, fmt.Errorf("time of message %d: %w", seq, err)
	}
	subject := m.Header.Get(jetstream.SubjectHeader)
	for _, h := range directHeaders {
		m.Header.Del(h)
	}
	if len(m.Header) == 0 {
		m.Header = nil
	}
	return Message{Subject: subject, Seq: seq, Time: at, Header: m.Header, Data: m.Data}, nil
}

// Last returns the newest message of stream whose subject matches, and whether there is one. It is the
// stream's leader who answers, so that on a cluster, too, it is at least as new as all that was acknowledged
// before the call. (A leader that a partition has cut off may not know of its successor for some seconds: a
// write that depends on what was read says so with its expected sequence.)
func (s *Store) Last(ctx context.Context, stream, subject string) (Message, bool, error) {
	return s.get(ctx, stream, map[string]any{"last_by_subj": subject})
}

// first returns the oldest message whose subject matches; otherwise it is as Last.
func (s *Store) first(ctx context.Context, stream, subject string) (Message, bool, error) {
	return s.get(ctx, stream, map[string]any{"seq": 1, "next_by_subj": subject})
}

// get asks the leader of stream for one message.
func (s *Store) get(ctx context.Context, stream string, request map[string]any) (Message, bool, error) {
	var answer struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := s.ask(ctx, "$JS.API.STREAM.MSG.GET."+stream, request, &answer); err != nil {
		return Message{}, false, fmt.Errorf("read stream %s: %w", stream, err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == codeNotFound {
			return Message{}, false, nil
		}
		return Message{}, false, fmt.Errorf("read stream %s: %w", stream, answer.Error)
	}
	m := answer.Message
	msg := Message{Subject: m.Subject, Seq: m.Seq, Time: m.Time, Data: m.Data}
	if len(m.Header) > 0 {
		var err error
		if msg.Header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return Message{}, false, fmt.Errorf("read stream %s: headers of message %d: %w", stream, m.Seq, err)
		}
	}
	return msg, true, nil
}

// ask makes a request of the JetStream API and reads its answer, which tells the API's own errors.
func (s *Store) ask(ctx context.Context, subject string, request, answer any) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := s.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return s.Explain(err)
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		return fmt.Errorf("answer of the server: %w", err)
	}
	return nil
}

// remove removes one message from stream, synced; one that is not there is no error. The client's own call
// keeps the server's error code to itself.
func (s *Store) remove(ctx context.Context, stream string, seq uint64) error {
	var answer struct {
		Success bool                `json:"success"`
		Error   *jetstream.APIError `json:"error"`
	}
	request := map[string]any{"seq": seq, "no_erase": true}
	if err := s.ask(ctx, "$JS.API.STREAM.MSG.DELETE."+stream, request, &answer); err != nil {
		return err
	}
	if answer.Error != nil && !isGone(answer.Error) {
		return answer.Error
	}
	if answer.Error == nil && !answer.Success {
		return errors.New("the server gave no reason for its refusal")
	}
	return nil
}
