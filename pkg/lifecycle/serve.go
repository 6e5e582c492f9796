package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
)

// maxConnections bounds how many connections a listener has open at once; more wait to be accepted.
const maxConnections = 1000

// Listen opens a TCP listener with at most 1,000 connections at once. The error names key, the
// configuration's key of the address, and says what is wrong with addr.
func Listen(key, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		return netutil.LimitListener(ln, maxConnections), nil
	}
	why := err
	if op, ok := errors.AsType[*net.OpError](err); ok {
		why = op.Err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use already: stop what listens there, or choose another port", key, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is not an address of this machine", key, addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s needs rights that this process does not have; ports below 1024 usually do", key, addr)
	}
	return nil, fmt.Errorf("%s: %s: %w", key, addr, why)
}

// ServeHTTP returns a part for Go that serves on ln, which is its own from then on. When the process
// stops, no connection is accepted any more, and requests under way may go on until DrainTimeout after the
// process began to stop; then their connections are cut.
func ServeHTTP(srv *http.Server, ln net.Listener) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- srv.Serve(ln) }()
		select {
		case err := <-failed:
			return errors.Join(err, srv.Close())
		case <-ctx.Done():
		}
		dctx, cancel := drain(ctx)
		defer cancel()
		err := srv.Shutdown(dctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(errCutOff, srv.Close())
		}
		<-failed
		return err
	}
}

// ServeGRPC returns a part for Go that serves on all of lns, which are its own from then on. When the
// process stops, no call is accepted any more, and calls under way may go on until DrainTimeout after the
// process began to stop; then they are cancelled.
func ServeGRPC(srv *grpc.Server, lns ...net.Listener) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ended := make(chan error, len(lns))
		for _, ln := range lns {
			go func() { ended <- srv.Serve(ln) }()
		}
		running := len(lns)
		var err error
		select {
		case err = <-ended:
			running--
			srv.Stop()
		case <-ctx.Done():
			dctx, cancel := drain(ctx)
			defer cancel()
			inTime := context.AfterFunc(dctx, srv.Stop)
			srv.GracefulStop()
			if !inTime() {
				err = errCutOff
			}
		}
		for range running {
			<-ended
		}
		return err
	}
}
