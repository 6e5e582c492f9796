package notifier

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// services are the names of what the server serves under the API's own package.
var services = []string{"belfry.notifier.v1.NotifierService", "belfry.notifier.v1.RobotService"}

func TestReflectionShowsBothServices(t *testing.T) {
	s := start(t, plan{idle: true})
	stream, err := reflectionv1.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, svc := range resp.GetListServicesResponse().GetService() {
		got = append(got, svc.GetName())
	}
	for _, want := range append(services, "grpc.health.v1.Health") {
		if !slices.Contains(got, want) {
			t.Errorf("reflection lists %v, without %s", got, want)
		}
	}
}

func TestHealthServesUntilItIsShutDown(t *testing.T) {
	s := start(t, plan{idle: true})
	client := healthv1.NewHealthClient(s.conn)
	check := func(want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for _, name := range append([]string{""}, services...) {
			resp, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			if err != nil || resp.GetStatus() != want {
				t.Errorf("health of %q = %v, %v; want %v", name, resp.GetStatus(), err, want)
			}
		}
	}
	check(healthv1.HealthCheckResponse_SERVING)
	s.health.Shutdown()
	check(healthv1.HealthCheckResponse_NOT_SERVING)
	// Errors of services that are not ours come through as they are.
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service = %v", err)
	}
}

func TestGRPCRefusesMoreThan4MiB(t *testing.T) {
	s := start(t, plan{idle: true})
	_, err := s.notifier().Notify(t.Context(), &notifierv1.NotifyRequest{
		Robots: []string{"plain"}, RequestId: strings.Repeat("x", MaxRequest),
	})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Notify of more than 4 MiB = %v, want RESOURCE_EXHAUSTED", err)
	}
}

func TestManyFaultsOfARequestAreNamedInPart(t *testing.T) {
	s := start(t, plan{idle: true})
	commits := make([]*eventv1.Commit, 20_000)
	for i := range commits {
		commits[i] = &eventv1.Commit{}
	}
	_, err := s.notifier().Notify(t.Context(), &notifierv1.NotifyRequest{
		Robots: []string{"plain"},
		Content: &notifierv1.NotifyRequest_Event{Event: &eventv1.Event{
			Id: "e", Action: eventv1.Action_ACTION_PUSHED,
			Subject: &eventv1.Event_Push{Push: &eventv1.Push{Branch: "main", Commits: commits}},
		}},
	})
	a := answerOf(t, nil, err)
	if a.Reason != "INVALID_REQUEST" || len(a.Fields) == 0 || len(a.Fields) > 20 {
		t.Errorf("a request with 20,000 faults: %v, of which %d are named", a.Reason, len(a.Fields))
	}
}

// errInner is an error as an inner layer makes it: not for callers.
var errInner = errors.New("dial tcp 10.1.2.3:4222: refused")

func TestInternalErrorsAreKeptFromCallers(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := &Service{log: zap.New(core)}
	info := &grpc.UnaryServerInfo{FullMethod: "/belfry.notifier.v1.NotifierService/Notify"}
	_, err := s.seal(t.Context(), nil, info, func(context.Context, any) (any, error) { return nil, errInner })
	if got := answerOf(t, nil, err); got.Code != "Internal" || got.Reason != "INTERNAL" || strings.Contains(got.Message, "10.1.2.3") {
		t.Errorf("an inner error came out as %+v", got)
	}
	if logs.Len() != 1 {
		t.Errorf("%d lines were logged, want the one error", logs.Len())
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.seal(ctx, nil, info, func(ctx context.Context, _ any) (any, error) { return nil, ctx.Err() })
	if status.Code(err) != codes.Canceled {
		t.Errorf("an error of a cancelled call came out as %v", err)
	}

	known := fault.Invalid("name", "it is bad")
	if _, err = s.seal(t.Context(), nil, info, func(context.Context, any) (any, error) { return nil, known }); !errors.Is(err, known) {
		t.Errorf("an error for callers came out as %v", err)
	}
	if logs.Len() != 1 {
		t.Errorf("%d lines were logged; neither a cancelled call nor a known error is worth one", logs.Len())
	}
}

func TestAPanicIsAnsweredOverBothDoorsAndDoesNotEndTheServer(t *testing.T) {
	panics := true
	s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == "Get" && panics {
			panic("the sky falls")
		}
		return true, nil
	}})
	for _, d := range doors {
		got := d.call(t, s, "GetDelivery", []byte(`{"name":"robots/plain/deliveries/1"}`))
		if got.Code != "Internal" || got.Reason != "INTERNAL" || strings.Contains(got.Message, "sky") {
			t.Errorf("%s: a panic is answered with %+v", d.name, got)
		}
	}
	if n := s.logs.FilterMessage("a handler panicked").Len(); n != len(doors) {
		t.Errorf("%d panics were logged, want %d", n, len(doors))
	}
	panics = false
	for _, d := range doors {
		if got := d.call(t, s, "GetDelivery", []byte(`{"name":"robots/plain/deliveries/1"}`)); got.Reason != "DELIVERY_NOT_FOUND" {
			t.Errorf("%s: after a panic: %+v", d.name, got)
		}
	}
}

func TestAPanicInAStreamIsAnswered(t *testing.T) {
	s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == "Changes" {
			panic("the sky falls")
		}
		return true, nil
	}})
	_, err := s.watching(t, "robots/-", "").Recv()
	if got := answerOf(t, nil, err); got.Code != "Internal" || got.Reason != "INTERNAL" || strings.Contains(got.Message, "sky") {
		t.Errorf("a panic ends the stream with %+v", got)
	}
	s.svc.watchers.senders.Wait()
	if n := s.svc.watchers.count(); n != 0 {
		t.Errorf("%d still watch", n)
	}
}

func TestHTTPTellsThatTheNotifierIsAway(t *testing.T) {
	conn, err := grpc.NewClient("passthrough:///notifier",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("127.0.0.1 is away") }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	handler, err := NewHTTPHandler(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	got := callHTTP(t, &stack{http: srv}, "ListRobots", []byte(`{}`))
	if got.Code != "Unavailable" || got.Reason != "SHUTTING_DOWN" || strings.Contains(got.Message, "127.0.0.1") {
		t.Errorf("without a notifier HTTP answers %+v", got)
	}
}

func TestMetricsCountWhatWasTakenAndCalled(t *testing.T) {
	s := start(t, plan{})
	send := func(id, text string) {
		t.Helper()
		req := `{"robots":["plain"],"requestId":"` + id + `","message":{"text":{"content":"` + text + `"}},"wait":"30s"}`
		if got := callGRPC(t, s, "Notify", []byte(req)); got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	send("1", "one")
	send("1", "one")
	send("2", "this is forbidden")
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += " " + l.GetValue()
			}
			got[f.GetName()+labels] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"belfry_notifier_notifications_total accepted plain":                 2,
		"belfry_notifier_notifications_total duplicate plain":                1,
		"belfry_notifier_attempts_total ok plain ":                           1,
		"belfry_notifier_attempts_total message at fault plain MEND_MESSAGE": 1,
		"belfry_notifier_message_items":                                      1,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v; all: %v", name, got[name], want, got)
		}
	}
}
