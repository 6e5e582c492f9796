package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/fault"
)

// look gets a page.
func look(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// awaitReady asks until the process is ready.
func awaitReady(t *testing.T, admin string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		code, body := look(t, "http://"+admin+"/readyz")
		if code == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not become ready: %s", body)
		}
	}
}

// gate stands before the simulator and holds calls until it is opened.
type gate struct {
	*httptest.Server
	arrived chan struct{} // one for each call
	open    func()
}

func newGate(t *testing.T, sim *dingtalktest.Server) *gate {
	opened := make(chan struct{})
	g := &gate{arrived: make(chan struct{}, 100), open: sync.OnceFunc(func() { close(opened) })}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		g.arrived <- struct{}{}
		select {
		case <-opened:
		case <-r.Context().Done():
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { g.open(); g.Close() })
	return g
}

// answered is what came of a request to the HTTP door.
type answered struct {
	status int
	resp   struct {
		Deliveries []struct{ Name, State string }
	}
	err error
}

// notify asks for a message and waits for its outcome, in another goroutine.
func notify(ctx context.Context, door, id string) <-chan answered {
	return notifyFor(ctx, door, id, 30*time.Second)
}

// notifyFor is notify with another bound for the wait.
func notifyFor(ctx context.Context, door, id string, wait time.Duration) <-chan answered {
	done := make(chan answered, 1)
	go func() {
		var a answered
		defer func() { done <- a }()
		body := fmt.Sprintf(`{"robots":["team"],"requestId":%q,"wait":"%ds","message":{"text":{"content":"Gitee %s"}}}`, id, int(wait.Seconds()), id)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+door+"/v1/notifications", strings.NewReader(body))
		if err != nil {
			a.err = err
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			a.err = err
			return
		}
		defer resp.Body.Close()
		a.status = resp.StatusCode
		a.err = json.NewDecoder(resp.Body).Decode(&a.resp)
	}()
	return done
}

func (g *gate) await(t *testing.T) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(patience):
		t.Fatal("DingTalk is not called")
	}
}

// slowPlace is a place whose robot's calls are held by a gate.
func slowPlace(t *testing.T) (place, *gate, *dingtalktest.Server) {
	sim := dingtalktest.NewServer()
	t.Cleanup(sim.Close)
	at := newPlace(t)
	sim.AddRobot(dingtalktest.RobotConfig{Token: at.token, Secret: at.robotSecret, Keywords: []string{"Gitee"}})
	g := newGate(t, sim)
	at.webhook = g.URL + "/robot/send?access_token=" + at.token
	return at, g, sim
}

// TestASignalStopsInOrder has a request wait for a slow DingTalk while the signal comes: readiness falls
// first, on the admin door and in the gRPC door's health, and the request still gets its answer.
func TestASignalStopsInOrder(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			at, gate, sim := slowPlace(t)
			c := spawn(t, at.secrets(), "run", "-c", write(t, at.yaml()))
			ready := c.awaitLog("ready")
			awaitReady(t, ready.Admin)
			conn, err := grpc.NewClient(ready.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			serving := func() healthv1.HealthCheckResponse_ServingStatus {
				resp, err := healthv1.NewHealthClient(conn).Check(ctx,
					&healthv1.HealthCheckRequest{Service: notifierv1.NotifierService_ServiceDesc.ServiceName})
				if err != nil {
					t.Fatal(err)
				}
				return resp.GetStatus()
			}
			if got := serving(); got != healthv1.HealthCheckResponse_SERVING {
				t.Errorf("before the signal the gRPC door says %v", got)
			}
			under := notify(ctx, ready.HTTP, "one")
			gate.await(t)
			watch, err := notifierv1.NewNotifierServiceClient(conn).WatchDeliveries(ctx, &notifierv1.WatchDeliveriesRequest{Parent: "robots/-"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := watch.Recv(); err != nil {
				t.Fatal(err)
			}

			c.signal(sig)
			c.awaitLog("stopping")
			for err == nil {
				_, err = watch.Recv()
			}
			if got := fault.Reason(err); got != notifierv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN {
				t.Errorf("the watch ended with %v", err)
			}
			for {
				code, body := look(t, "http://"+ready.Admin+"/readyz")
				if code == http.StatusServiceUnavailable && strings.Contains(body, "the process is stopping\n") {
					break
				}
			}
			if got := serving(); got != healthv1.HealthCheckResponse_NOT_SERVING {
				t.Errorf("after the signal the gRPC door says %v", got)
			}
			if len(under) > 0 {
				t.Error("the request ended before DingTalk answered")
			}
			gate.open()
			a := <-under
			if a.err != nil || a.status != http.StatusOK || len(a.resp.Deliveries) != 1 || a.resp.Deliveries[0].State != "DELIVERED" {
				t.Errorf("the request under way came to %+v", a)
			}
			if code := c.wait().ExitCode(); code != 0 {
				t.Errorf("it exited with %d", code)
			}
			c.awaitLog("stopped")
			if n := len(sim.MessagesOf(at.token)); n != 1 {
				t.Errorf("the group got %d messages", n)
			}
		})
	}
}

// TestASecondSignalStopsAtOnce has a delivery that would hold the stop up.
func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	at, gate, _ := slowPlace(t)
	c := spawn(t, at.secrets(), "run", "-c", write(t, at.yaml()))
	ready := c.awaitLog("ready")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	under := notify(ctx, ready.HTTP, "one")
	gate.await(t)
	c.signal(syscall.SIGTERM)
	c.awaitLog("stopping")
	// The handler of the first is taken away at about the same time as that is logged.
	for running := true; running; {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.ended:
			running = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	if ws := c.wait().Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by itself: %v", c.cmd.ProcessState)
	}
	if a := <-under; a.err == nil {
		t.Errorf("the request came to %+v", a)
	}
}

// TestAStopThatCutsOffADeliveryLosesAndDoublesNothing has DingTalk answer only after the process has gone.
// The next one asks again under the same msgUuid.
func TestAStopThatCutsOffADeliveryLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	at, gate, sim := slowPlace(t)
	file := write(t, at.yaml())
	c := spawn(t, at.secrets(), "run", "-c", file)
	ready := c.awaitLog("ready")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	under := notify(ctx, ready.HTTP, "one")
	gate.await(t)
	c.signal(syscall.SIGTERM)
	if a := <-under; a.err != nil || len(a.resp.Deliveries) != 1 || a.resp.Deliveries[0].State != "SENDING" {
		t.Errorf("the request that waited came to %+v", a)
	}
	if code := c.wait().ExitCode(); code != 0 {
		t.Errorf("it exited with %d", code)
	}
	if n := len(sim.MessagesOf(at.token)); n != 0 {
		t.Fatalf("the group got %d messages through a closed gate", n)
	}

	gate.open()
	c = spawn(t, at.secrets(), "run", "-c", file)
	ready = c.awaitLog("ready")
	if got := await(t, sim, at.token, 1)[0]; got.UUID == "" || !strings.Contains(got.Shown, "one") {
		t.Errorf("the group got %+v", got)
	}
	if a := <-notify(ctx, ready.HTTP, "one"); a.err != nil || len(a.resp.Deliveries) != 1 || a.resp.Deliveries[0].State != "DELIVERED" {
		t.Errorf("the same request again came to %+v", a)
	}
	c.signal(syscall.SIGTERM)
	if code := c.wait().ExitCode(); code != 0 {
		t.Errorf("the second process exited with %d", code)
	}
	if n := len(sim.MessagesOf(at.token)); n != 1 {
		t.Errorf("the group got %d messages", n)
	}
}
