package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// answerFor has answer answer what is sent to a subject of which the server itself knows nothing.
func answerFor(t *testing.T, s *Store, subject string, answer func(*nats.Msg)) {
	t.Helper()
	sub, err := s.nc.Subscribe(subject, answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
}

// stored is a message as a direct get answers with it.
func stored(seq, before uint64) *nats.Msg {
	return &nats.Msg{Data: []byte("x"), Header: nats.Header{
		jetstream.SubjectHeader: {fmt.Sprintf("s.%d", seq)}, jetstream.SequenceHeader: {fmt.Sprint(seq)},
		jetstream.TimeStampHeaer: {time.Now().UTC().Format(time.RFC3339Nano)}, "Nats-Last-Sequence": {fmt.Sprint(before)},
	}}
}

// status ends such an answer.
func status(line string, header ...string) *nats.Msg {
	code, description, _ := strings.Cut(line, " ")
	m := &nats.Msg{Header: nats.Header{"Status": {code}, "Description": {description}}}
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	return m
}

func end(last, more uint64) *nats.Msg {
	return status("204 EOB", "Nats-Last-Sequence", fmt.Sprint(last), "Nats-Num-Pending", fmt.Sprint(more))
}

func TestAnswersThatBreakOffAreErrors(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	forward := func(ctx context.Context, stream string) ([]Message, error) {
		msgs, _, err := s.Forward(ctx, stream, ">", 1, 10, 1<<20)
		return msgs, err
	}
	lastEach := func(ctx context.Context, stream string) ([]Message, error) {
		return s.LastEach(ctx, stream, []string{"s.*"})
	}
	for i, tt := range []struct {
		name   string
		read   func(context.Context, string) ([]Message, error)
		answer []*nats.Msg
		want   int
		fails  bool
	}{
		{name: "nothing there, forward", read: forward, answer: []*nats.Msg{status("404 Message Not Found")}},
		{name: "nothing there, newest", read: lastEach, answer: []*nats.Msg{status("404 No Results")}},
		{name: "whole, newest", read: lastEach, answer: []*nats.Msg{stored(3, 0), stored(5, 3), end(5, 0)}, want: 2},
		{name: "one can't be loaded, forward", read: forward, answer: []*nats.Msg{stored(3, 0), status("404 Message Not Found")}, fails: true},
		{name: "one can't be loaded, newest", read: lastEach, answer: []*nats.Msg{stored(3, 0), status("404 Message Not Found")}, fails: true},
		{name: "the first can't be loaded, newest", read: lastEach, answer: []*nats.Msg{status("404 Message Not Found")}, fails: true},
		{name: "one is lost on the way", read: forward, answer: []*nats.Msg{stored(3, 0), stored(5, 4), end(5, 0)}, fails: true},
		{name: "the last is lost on the way", read: forward, answer: []*nats.Msg{stored(3, 0), end(5, 0)}, fails: true},
		{name: "too many", read: lastEach, answer: []*nats.Msg{status("413 Too Many Results")}, fails: true},
	} {
		stream := fmt.Sprint("FAKE", i)
		answerFor(t, s, "$JS.API.DIRECT.GET."+stream, func(m *nats.Msg) {
			for _, a := range tt.answer {
				if err := m.RespondMsg(a); err != nil {
					t.Error(err)
				}
			}
		})
		msgs, err := tt.read(t.Context(), stream)
		if (err != nil) != tt.fails || len(msgs) != tt.want {
			t.Errorf("%s: %d messages, %v", tt.name, len(msgs), err)
		}
	}
}

func TestLastEachGoesOnWhereTheServerStopped(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	// The server stops where an answer has as many bytes as it lets wait for a client.
	answerFor(t, s, "$JS.API.DIRECT.GET.FAKE", func(m *nats.Msg) {
		var request directGet
		if err := json.Unmarshal(m.Data, &request); err != nil {
			t.Error(err)
		}
		answer := []*nats.Msg{stored(3, 0), stored(5, 3), end(5, 1)}
		if request.Seq > 5 {
			answer = []*nats.Msg{stored(9, 0), end(9, 0)}
		}
		for _, a := range answer {
			if err := m.RespondMsg(a); err != nil {
				t.Error(err)
			}
		}
	})
	msgs, err := s.LastEach(t.Context(), "FAKE", []string{"s.*"})
	var seqs []uint64
	for _, m := range msgs {
		seqs = append(seqs, m.Seq)
	}
	if err != nil || !slices.Equal(seqs, []uint64{3, 5, 9}) {
		t.Errorf("LastEach = %v, %v, want all three", seqs, err)
	}
}

// The server has two codes for a condition that doesn't hold: one for what is stored, one for what is about
// to be.
func TestALeaseThatAnotherIsTakingIsNotOurs(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	l := &lease{store: s, bucket: "FAKE", name: "queue"}
	for _, code := range []int{10071, 10164, 10077} {
		sub, err := s.nc.Subscribe(l.subject(), func(m *nats.Msg) {
			_ = m.Respond(fmt.Appendf(nil, `{"error":{"code":400,"err_code":%d,"description":"refused"}}`, code))
		})
		if err != nil {
			t.Fatal(err)
		}
		taken, err := l.write(t.Context(), 7)
		if unmet := code != 10077; taken || (err == nil) != unmet {
			t.Errorf("write refused with %d = %t, %v", code, taken, err)
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDialingAStoreWithoutAServerIsAnError(t *testing.T) {
	t.Parallel()
	e := &embedded{}
	if conn, err := e.InProcessConn(); err == nil {
		t.Errorf("InProcessConn = %v", conn)
	}
	e.setFault(errors.New("the disk is full"))
	if _, err := e.InProcessConn(); err == nil || err.Error() != "the disk is full" {
		t.Errorf("InProcessConn during an outage = %v", err)
	}
}
