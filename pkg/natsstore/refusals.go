package natsstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// finalError is an error that time doesn't mend.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// rememberingDialer dials servers and keeps why the latest could not be reached, which the client doesn't
// tell when it has several to try.
type rememberingDialer struct {
	mu   sync.Mutex
	last error
}

// Dial implements nats.CustomDialer.
func (d *rememberingDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).Dial(network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = err
	return conn, err
}

// explain words why the client could not connect; nil stays nil.
func (d *rememberingDialer) explain(err error, files []namedFile) error {
	if err == nil {
		return nil
	}
	for _, f := range files {
		if f.path != "" && strings.Contains(err.Error(), f.path) {
			return &finalError{fmt.Errorf("%s: %w", f.field, err)}
		}
	}
	var (
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
		op          *net.OpError
	)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return &finalError{fmt.Errorf("the servers refuse the credentials: check user and password, token or credentials_file: %w", err)}
	case errors.As(err, &certificate), errors.As(err, &authority):
		return &finalError{fmt.Errorf("the server's certificate isn't trusted: check tls.ca_file and the names in the certificate: %w", err)}
	case errors.As(err, &op) && op.Op == "remote error":
		// So the tls package calls an alert.
		return &finalError{fmt.Errorf("the server refuses our side of TLS: check tls.cert_file and tls.key_file: %w", err)}
	case errors.Is(err, nats.ErrSecureConnWanted):
		return &finalError{fmt.Errorf("TLS is configured and the server doesn't speak it: remove tls, or turn it on there: %w", err)}
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("no server can be reached: %w", err)
	case errors.Is(err, nats.ErrNoServers):
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.last != nil {
			return fmt.Errorf("no server can be reached: %w", d.last)
		}
	}
	return fmt.Errorf("connect: %w", err)
}

// explainJetStream words why the first stream could not be made; nil stays nil.
func explainJetStream(err error, replicas int) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return &finalError{fmt.Errorf("JetStream is off for this account: turn it on in the servers' configuration: %w", err)}
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("JetStream is off or has no leader yet: turn it on in the servers' configuration: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("JetStream doesn't answer: too few servers run to elect a leader, or the user may not use $JS.API.>: %w", err)
	}
	if errors.As(err, &api) {
		switch {
		case api.ErrorCode == codeNotClustered:
			return &finalError{fmt.Errorf("one server alone can't keep %d replicas: set replicas to 1, or use a cluster: %w", replicas, err)}
		case api.ErrorCode == codeNoPeers || strings.Contains(api.Description, "no suitable peers"):
			return fmt.Errorf("the cluster has too few servers, or too little room, for %d replicas: %w", replicas, err)
		}
	}
	return err
}
