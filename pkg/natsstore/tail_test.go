package natsstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// told is what a Tail tells.
type told struct {
	msgs    chan Message
	current chan struct{}
	end     chan error
}

// follow tails until the test ends, or stop is called.
func follow(t *testing.T, s *Store, opts TailOptions) (tail told, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tail = told{make(chan Message, 1000), make(chan struct{}), make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tail.end <- s.Tail(ctx, opts, func(m Message) { tail.msgs <- m }, func() { close(tail.current) })
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return tail, stop
}

// next waits for n messages.
func (x told) next(t *testing.T, n int) []Message {
	t.Helper()
	var msgs []Message
	timeout := time.After(time.Minute)
	for len(msgs) < n {
		select {
		case m := <-x.msgs:
			msgs = append(msgs, m)
		case err := <-x.end:
			t.Fatalf("Tail = %v after %d messages", err, len(msgs))
		case <-timeout:
			t.Fatalf("%d messages of %d after a minute", len(msgs), n)
		}
	}
	return msgs
}

func (x told) awaitCurrent(t *testing.T) {
	t.Helper()
	select {
	case <-x.current:
	case <-time.After(time.Minute):
		t.Fatal("the tail isn't current after a minute")
	}
}

func TestReadsAndTailsTellWhatWasPublished(t *testing.T) { readsAndTails(t, open(t, t.TempDir())) }

func readsAndTails(t *testing.T, s *Store) {
	ctx := t.Context()
	_, err := s.EnsureStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, AllowDirect: true, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		m := &nats.Msg{Subject: fmt.Sprintf("s.%c", 'a'+i%2), Data: fmt.Append(nil, i), Header: nats.Header{nats.MsgIdHdr: {fmt.Sprint(i)}}}
		if _, err := s.js.PublishMsg(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	last, ok, err := s.Last(ctx, "S", "s.a")
	if err != nil || !ok || last.Seq != 5 || string(last.Data) != "4" || last.Header.Get(nats.MsgIdHdr) != "4" || last.Subject != "s.a" || last.Time.IsZero() {
		t.Errorf("Last(s.a) = %+v, %t, %v", last, ok, err)
	}
	if last, ok, err := s.Last(ctx, "S", ">"); err != nil || !ok || last.Seq != 6 {
		t.Errorf("Last(>) = %+v, %t, %v", last, ok, err)
	}
	if last, ok, err := s.Last(ctx, "S", "s.c"); err != nil || ok {
		t.Errorf("Last(s.c) = %+v, %t, %v", last, ok, err)
	}

	all, _ := follow(t, s, TailOptions{Stream: "S"})
	odd, _ := follow(t, s, TailOptions{Stream: "S", Subject: "s.b", From: 3, HeadersOnly: true})
	fresh, _ := follow(t, s, TailOptions{Stream: "S", From: 7})
	none, _ := follow(t, s, TailOptions{Stream: "S", Subject: "s.c"})
	fresh.awaitCurrent(t)
	none.awaitCurrent(t)
	got := odd.next(t, 2)
	odd.awaitCurrent(t)
	if got[0].Seq != 4 || got[1].Seq != 6 || len(got[0].Data) != 0 || got[1].Header.Get(nats.MsgIdHdr) != "5" {
		t.Errorf("tail of s.b from 3 = %+v", got)
	}
	if _, err := s.js.Publish(ctx, "s.a", []byte("6")); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range all.next(t, 7) {
		texts = append(texts, fmt.Sprintf("%d %s %s", m.Seq, m.Subject, m.Data))
	}
	if diff := cmp.Diff([]string{"1 s.a 0", "2 s.b 1", "3 s.a 2", "4 s.b 3", "5 s.a 4", "6 s.b 5", "7 s.a 6"}, texts); diff != "" {
		t.Error(diff)
	}
	all.awaitCurrent(t)
	if got := fresh.next(t, 1); got[0].Seq != 7 || string(got[0].Data) != "6" {
		t.Errorf("tail from 7 = %+v", got)
	}
}
