package lifecycle

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// pipes is a listener within a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) httpClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) },
	}}
}

// slow answers after d, or when the connection is cut.
func slow(d time.Duration) *http.Server {
	return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})}
}

type result struct {
	body string
	err  error
}

func get(ln *pipes) <-chan result {
	got := make(chan result, 1)
	go func() {
		client := ln.httpClient()
		defer client.CloseIdleConnections()
		resp, err := client.Get("http://door/")
		if err != nil {
			got <- result{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		got <- result{string(body), err}
	}()
	return got
}

func TestHTTPRequestsUnderWayComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		p := New(zap.NewNop())
		p.Go("door", ServeHTTP(slow(3*time.Second), ln))
		got := get(ln)
		synctest.Wait()
		start := time.Now()
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 3*time.Second {
			t.Errorf("Stop did not wait: it took %v", took)
		}
		if r := <-got; r.err != nil || r.body != "done" {
			t.Errorf("the request came to %+v", r)
		}
		if _, err := ln.dial(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is not closed: %v", err)
		}
	})
}

// TestAllDoorsTogetherDrainWithinTheirTime has a request of a minute at each of three doors. What still
// works after them has the rest of the time.
func TestAllDoorsTogetherDrainWithinTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(zap.NewNop())
		p.Go("worker", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return nil
		})
		srv := grpc.NewServer()
		healthv1.RegisterHealthServer(srv, health.NewServer())
		rpc := newPipes()
		p.Go("gRPC door", ServeGRPC(srv, rpc))
		doors := []*pipes{newPipes(), newPipes()}
		var got []<-chan result
		for _, ln := range doors {
			p.Go("HTTP door", ServeHTTP(slow(time.Minute), ln))
			got = append(got, get(ln))
		}
		conn := dialGRPC(t, rpc)
		stream, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if err := p.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if took := time.Since(start); took < DrainTimeout || took > 9*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, c := range got {
			if r := <-c; r.err == nil {
				t.Errorf("a request of a minute came to %q", r.body)
			}
		}
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ended with %v", err)
		}
		_ = conn.Close()
	})
}

func dialGRPC(t *testing.T, ln *pipes) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///door", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.dial(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestGRPCServesAllItsListenersAndStopsAtOnceWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := grpc.NewServer()
		healthv1.RegisterHealthServer(srv, health.NewServer())
		lns := []*pipes{newPipes(), newPipes()}
		p := New(zap.NewNop())
		p.Go("door", ServeGRPC(srv, lns[0], lns[1]))
		for _, ln := range lns {
			conn := dialGRPC(t, ln)
			defer conn.Close()
			if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
				t.Error(err)
			}
		}
		start := time.Now()
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took >= DrainTimeout {
			t.Errorf("it waited %v for nothing", took)
		}
	})
}

func TestAListenerThatDiesFailsItsPart(t *testing.T) {
	for name, serve := range map[string]func(lns ...net.Listener) func(context.Context) error{
		"HTTP": func(lns ...net.Listener) func(context.Context) error { return ServeHTTP(&http.Server{}, lns[0]) },
		"gRPC": func(lns ...net.Listener) func(context.Context) error { return ServeGRPC(grpc.NewServer(), lns...) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln, other := newPipes(), newPipes()
				defer other.Close()
				p := New(zap.NewNop())
				p.Go("door", serve(ln, other))
				synctest.Wait()
				_ = ln.Close()
				if err := p.Wait(t.Context()); !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "door: ") {
					t.Errorf("Wait: %v", err)
				}
				if err := p.Stop(); err != nil {
					t.Errorf("Stop: %v", err)
				}
			})
		})
	}
}

func TestListenNamesTheKeyAndTheFault(t *testing.T) {
	ln, err := Listen("gateway.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for addr, want := range map[string]string{
		taken:             "gateway.listen: " + taken + " is in use already: stop what listens there, or choose another port",
		"192.0.2.1:0":     "gateway.listen: 192.0.2.1:0 is not an address of this machine",
		"127.0.0.1:99999": "gateway.listen: 127.0.0.1:99999: address 99999: invalid port",
	} {
		if _, err := Listen("gateway.listen", addr); err == nil || err.Error() != want {
			t.Errorf("Listen(%q): %v, want %s", addr, err, want)
		}
	}
}

func TestAListenerBoundsItsConnections(t *testing.T) {
	ln, err := Listen("admin.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	var open []net.Conn
	for range maxConnections {
		dial()
		open = append(open, <-accepted)
	}
	dial()
	// Were the bound not there, the last one would be accepted without any of the others being closed.
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-accepted:
		t.Error("one more than the bound was accepted")
	case <-timer.C:
		_ = open[0].Close()
		open = append(open, <-accepted)
	}
	_ = ln.Close()
	for conn := range accepted {
		_ = conn.Close()
	}
	for _, conn := range open {
		_ = conn.Close()
	}
}
