package main

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// replica is a notifier that counts its calls and, while broken, cuts them off.
type replica struct {
	notifierv1.UnimplementedNotifierServiceServer
	*grpc.Server
	health  *health.Server
	address string
	calls   atomic.Int64
	broken  atomic.Bool
}

func (r *replica) Notify(context.Context, *notifierv1.NotifyRequest) (*notifierv1.NotifyResponse, error) {
	r.calls.Add(1)
	if r.broken.Load() {
		return nil, status.Error(codes.Unavailable, "the connection broke")
	}
	return &notifierv1.NotifyResponse{}, nil
}

func newReplica(t *testing.T, address string) *replica {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{Server: grpc.NewServer(), health: health.NewServer(), address: ln.Addr().String()}
	notifierv1.RegisterNotifierServiceServer(r, r)
	healthv1.RegisterHealthServer(r, r.health)
	r.health.SetServingStatus(notifierv1.NotifierService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Serve(ln)
	}()
	t.Cleanup(func() { r.Stop(); <-done })
	return r
}

// TestCallsGoToReplicasThatServe has one replica after the other become unfit, each in another way, while
// calls go on, none of which may fail.
func TestCallsGoToReplicasThatServe(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const somewhere = "127.0.0.1:0"
	one, two, three := newReplica(t, somewhere), newReplica(t, somewhere), newReplica(t, somewhere)
	conn, err := dialNotifier(&configv1.NotifierClient{Addresses: []string{one.address, two.address, three.address}}, newBearer(""), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := notifierv1.NewNotifierServiceClient(conn)
	notify := func() {
		t.Helper()
		if _, err := client.Notify(ctx, &notifierv1.NotifyRequest{}); err != nil {
			t.Errorf("a call failed: %v", err)
		}
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for !done() {
			if ctx.Err() != nil {
				t.Fatalf("it does not come to this: %s", what)
			}
			notify()
		}
	}
	// silent says that others were called n times and r was not.
	silent := func(r *replica, others ...*replica) func() bool {
		return func() bool {
			var before, after int64
			for _, o := range others {
				before += o.calls.Load()
			}
			mine := r.calls.Load()
			for range 3 * len(others) {
				notify()
			}
			for _, o := range others {
				after += o.calls.Load()
			}
			return r.calls.Load() == mine && after-before == int64(3*len(others))
		}
	}
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.WaitForStateChange(ctx, state)
	}
	until("all are called", func() bool { return one.calls.Load() > 0 && two.calls.Load() > 0 && three.calls.Load() > 0 })
	one.health.Shutdown()
	until("the one that stops is not called", silent(one, two, three))
	two.broken.Store(true)
	for range 10 {
		notify()
	}
	two.broken.Store(false)
	three.Stop()
	until("the one that is gone is not called", silent(three, two))
}

// TestADeadNotifierIsCalledAgainSoonAfterItIsBack kills the only notifier and starts one at its address.
func TestADeadNotifierIsCalledAgainSoonAfterItIsBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first := newReplica(t, "127.0.0.1:0")
	conn, err := dialNotifier(&configv1.NotifierClient{Address: first.address}, newBearer(""), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := notifierv1.NewNotifierServiceClient(conn)
	if _, err := client.Notify(ctx, &notifierv1.NotifyRequest{}); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	for {
		if _, err := client.Notify(ctx, &notifierv1.NotifyRequest{}); status.Code(err) == codes.Unavailable {
			break
		} else if ctx.Err() != nil {
			t.Fatalf("a dead notifier is not noticed: %v", err)
		}
	}
	second := newReplica(t, first.address)
	for second.calls.Load() == 0 {
		_, err := client.Notify(ctx, &notifierv1.NotifyRequest{})
		if ctx.Err() != nil {
			t.Fatalf("a notifier that is back is not found: %v", err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
