package notifier

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// watching calls WatchDeliveries over gRPC, and returns the stream after its first answer.
func (s *stack) watching(t *testing.T, parent, token string) grpc.ServerStreamingClient[notifierv1.WatchDeliveriesResponse] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := s.notifier().WatchDeliveries(s.showing(ctx), &notifierv1.WatchDeliveriesRequest{Parent: parent, ResumeToken: token})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetDelivery() != nil || first.GetResumeToken() == "" {
		t.Fatalf("the stream begins with %v, %v", first, err)
	}
	return stream
}

// told reads stream until a delivery of each of names has ended, and returns the states of each in order.
func told(t *testing.T, recv func() (*notifierv1.WatchDeliveriesResponse, error), names ...string) (states map[string][]string, token string) {
	t.Helper()
	states = map[string][]string{}
	for len(names) > 0 {
		m, err := recv()
		if err != nil {
			t.Fatalf("after %v: %v", states, err)
		}
		token = m.GetResumeToken()
		d := m.GetDelivery()
		if d == nil {
			continue
		}
		states[d.GetName()] = append(states[d.GetName()], d.GetState())
		if d.GetState() == stateDelivered || d.GetState() == stateDead {
			names = slices.DeleteFunc(names, func(n string) bool { return n == d.GetName() })
		}
	}
	return states, token
}

func TestAStreamTellsEachDeliveryInItsOrderToTheEnd(t *testing.T) {
	s := start(t, plan{})
	s.sim.Inject(dingtalktest.Errcode(-1, "busy").For(tokenOf("plain")))
	stream := s.watching(t, "robots/-", "")
	for _, req := range []string{
		`{"robots":["plain","lax"],"message":{"text":{"content":"Gitee"}}}`,
		`{"robots":["plain"],"message":{"text":{"content":"forbidden"}}}`,
	} {
		if got := callGRPC(t, s, "Notify", []byte(req)); got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	ends := map[string]string{
		"robots/plain/deliveries/1": stateDelivered, "robots/lax/deliveries/2": stateDelivered, "robots/plain/deliveries/3": stateDead,
	}
	names := []string{"robots/plain/deliveries/1", "robots/lax/deliveries/2", "robots/plain/deliveries/3"}
	states, token := told(t, stream.Recv, names...)
	for name, got := range states {
		ranks := make([]int, len(got))
		for i, state := range got {
			ranks[i] = rankOf(state)
		}
		if !slices.IsSorted(ranks) || len(slices.Compact(ranks)) != len(got) || got[len(got)-1] != ends[name] {
			t.Errorf("%s was told as %v", name, got)
		}
	}
	// DingTalk was busy at first, so that the first attempt lasted.
	if first := states["robots/plain/deliveries/1"]; !slices.Contains(first, stateSending) {
		t.Errorf("what was being sent for a while was told as %v", first)
	}
	// All of it has ended, and is not told again.
	again := s.watching(t, "robots/-", token)
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["lax"],"message":{"text":{"content":"Gitee"}}}`)); got.Code != "OK" {
		t.Fatalf("Notify = %+v", got)
	}
	if states, _ := told(t, again.Recv, "robots/lax/deliveries/4"); len(states) != 1 {
		t.Errorf("after the end of all the stream goes on with %v", states)
	}
}

func TestAStreamOfOneRobotTellsOfNoOther(t *testing.T) {
	s := start(t, plan{})
	stream := s.watching(t, "robots/lax", "")
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain","lax"],"message":{"text":{"content":"Gitee"}}}`)); got.Code != "OK" {
		t.Fatalf("Notify = %+v", got)
	}
	if states, _ := told(t, stream.Recv, "robots/lax/deliveries/2"); len(states) != 1 {
		t.Errorf("it told of %v", states)
	}
}

func TestAStreamEndsWhenTheServiceStopsAndNoneBegins(t *testing.T) {
	s := start(t, plan{})
	stream := s.watching(t, "robots/-", "")
	s.svc.EndWatches()
	_, err := stream.Recv()
	if got := answerOf(t, nil, err); got.Code != "Unavailable" || got.Reason != "SHUTTING_DOWN" {
		t.Errorf("the stream ended with %+v", got)
	}
	for _, d := range doors {
		s.lines = 2
		if got := d.call(t, s, "WatchDeliveries", []byte(`{"parent":"robots/-"}`)); got.Code != "Unavailable" && got.Code != "Unknown" {
			t.Errorf("%s: a stream after the end: %+v", d.name, got)
		}
	}
}

func TestACallerWhoReadsNothingDoesNotHoldUpTheEnd(t *testing.T) {
	s := start(t, plan{})
	s.sim.SetRobotState(tokenOf("plain"), dingtalktest.StateDisabled)
	stream := s.watching(t, "robots/plain", "")
	const n = 2000 // far more than gRPC takes for a caller who reads nothing
	for range n / 200 {
		var ns []delivery.Notification
		for range 200 {
			ns = append(ns, journaltest.Message("plain", "", strings.Repeat("x", 90)))
		}
		if _, err := s.journal.Append(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
	}
	s.await(t, "plain", func(st delivery.Status) bool { return st.Suspension != nil })
	s.svc.EndWatches()
	s.svc.watchers.senders.Wait()
	got := 0
	for {
		_, err := stream.Recv()
		if err == nil {
			got++
			continue
		}
		if a := answerOf(t, nil, err); a.Reason != "SHUTTING_DOWN" {
			t.Errorf("the stream ended with %+v", a)
		}
		break
	}
	if got >= n {
		t.Errorf("%d answers were taken for a caller who read nothing", got)
	}
}

func TestAJournalThatForgotOrFailsEndsAStreamWithTheReason(t *testing.T) {
	var fails atomic.Value
	fails.Store(fmt.Errorf("read: %w", errInner))
	s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == "Changes" {
			return false, fails.Load().(error)
		}
		return true, nil
	}})
	stream := s.watching(t, "robots/-", "")
	_, err := stream.Recv()
	if got := answerOf(t, nil, err); got.Reason != "JOURNAL_UNAVAILABLE" {
		t.Errorf("a journal that fails: %+v", got)
	}
	fails.Store(fmt.Errorf("read: %w", journal.ErrPositionExpired))
	stream = s.watching(t, "robots/-", "")
	_, err = stream.Recv()
	if got := answerOf(t, nil, err); got.Code != "OutOfRange" || got.Reason != "RESUME_TOKEN_EXPIRED" {
		t.Errorf("a journal that forgot: %+v", got)
	}
}

func TestTooManyStreamsAreRefusedUntilOneLeaves(t *testing.T) {
	s := start(t, plan{idle: true})
	var in []*watcher
	for range maxWatchers {
		w, ok := s.svc.watchers.join("plain")
		if !ok {
			t.Fatalf("only %d streams are taken", len(in))
		}
		in = append(in, w)
	}
	for _, d := range doors {
		if got := d.call(t, s, "WatchDeliveries", []byte(`{"parent":"robots/-"}`)); got.Code != "ResourceExhausted" || got.Reason != "TOO_MANY_WATCHERS" {
			t.Errorf("%s: one more: %+v", d.name, got)
		}
	}
	s.svc.watchers.leave(in[0])
	s.watching(t, "robots/-", "")
}

func TestAStreamOverHTTPOutlivesTheServersBoundsAndFlushesEachLine(t *testing.T) {
	s := start(t, plan{})
	handler, err := NewHTTPHandler(t.Context(), s.conn)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(handler)
	const bound = 100 * time.Millisecond
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = bound, bound
	srv.Start()
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v1/robots/plain/deliveries:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 2 {
		var m notifierv1.WatchDeliveriesResponse
		if err := readLine(lines, &m); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if i == 0 {
			<-time.After(3 * bound) // what is to be outlived
			if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"late"}}}`)); got.Code != "OK" {
				t.Fatalf("Notify = %+v", got)
			}
		} else if m.GetDelivery().GetTitle() != "late" {
			t.Errorf("line %d is %v", i, &m)
		}
	}
	// Who hangs up makes room.
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	s.svc.watchers.senders.Wait()
	if n := s.svc.watchers.count(); n != 0 {
		t.Errorf("%d still watch", n)
	}
}

// quiet is a journal in which nothing happens.
type quiet struct{ Journal }

func (quiet) Head(context.Context) (journal.Position, error) {
	return journal.Position{Log: 7, Outcomes: 3}, nil
}

func (quiet) Changes(_ context.Context, _ string, after journal.Position, _ int) ([]journal.Change, journal.Position, error) {
	return nil, after, nil
}

// taker is a stream whose caller takes what take lets through.
type taker struct {
	grpc.ServerStream
	ctx  context.Context
	take func(context.Context, *notifierv1.WatchDeliveriesResponse) error
}

func (s taker) Context() context.Context { return s.ctx }

func (s taker) Send(m *notifierv1.WatchDeliveriesResponse) error { return s.take(s.ctx, m) }

// watchQuiet runs WatchDeliveries on a journal in which nothing happens; its stream's context ends after it
// has returned, as gRPC's does.
func watchQuiet(ctx context.Context, take func(context.Context, *notifierv1.WatchDeliveriesResponse) error) error {
	s := &Service{journal: quiet{}, log: zap.NewNop()}
	s.watches, s.endWatches = context.WithCancel(context.Background())
	defer s.endWatches()
	ctx, cancel := context.WithCancel(ctx)
	err := s.WatchDeliveries(&notifierv1.WatchDeliveriesRequest{Parent: "robots/-"}, taker{ctx: ctx, take: take})
	cancel()
	s.watchers.senders.Wait()
	return err
}

func TestASilentStreamSaysEvery15SecondsThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer cancel()
		start := time.Now()
		var at []time.Duration
		err := watchQuiet(ctx, func(_ context.Context, m *notifierv1.WatchDeliveriesResponse) error {
			if m.GetDelivery() != nil || m.GetResumeToken() == "" {
				t.Errorf("it says %v", m)
			}
			at = append(at, time.Since(start))
			return nil
		})
		want := []time.Duration{0, 15 * time.Second, 30 * time.Second, 45 * time.Second, time.Minute}
		if !errors.Is(err, context.DeadlineExceeded) || !slices.Equal(at, want) {
			t.Errorf("it ended with %v, after answers at %v", err, at)
		}
	})
}

func TestACallerWhoTakesNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := watchQuiet(t.Context(), func(ctx context.Context, _ *notifierv1.WatchDeliveriesResponse) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if fault.Reason(err) == 0 || time.Since(start) != stallLimit {
			t.Errorf("the stream ended with %v after %v, want %v", err, time.Since(start), stallLimit)
		}
	})
}

func TestWhatAStreamRemembersIsBoundedAndNeverGoesBack(t *testing.T) {
	m := memory{ranks: map[string]int{}}
	if !m.forward("x", 2) || m.forward("x", 2) || m.forward("x", 1) || !m.forward("x", 3) || m.forward("x", 2) {
		t.Error("a state was told again, or one before it")
	}
	for i := range 3 * remembered {
		if !m.forward(fmt.Sprint(i), 1) {
			t.Fatalf("%d is no news", i)
		}
	}
	if len(m.ranks) != remembered || len(m.names) != remembered {
		t.Errorf("%d and %d are remembered, want %d", len(m.ranks), len(m.names), remembered)
	}
	if last := fmt.Sprint(3*remembered - 1); m.forward(last, 1) {
		t.Error("the last was forgotten")
	}
}
