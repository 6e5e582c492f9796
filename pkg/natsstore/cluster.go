package natsstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

const (
	defaultReplicas = 3
	connectTimeout  = 10 * time.Second
	connectPause    = 250 * time.Millisecond
	// dialTimeout is how long one server may take to greet; a frozen one accepts and stays silent.
	dialTimeout = 2 * time.Second
	// A server that answers no ping is left after pingInterval times pingsLost.
	pingInterval = 2 * time.Second
	pingsLost    = 3
	// attemptTimeout bounds one attempt: what a server has forgotten in an election is asked again.
	attemptTimeout = 3 * time.Second
)

// ClusterOptions say which cluster to use, and as whom. At most one of User, Token and CredentialsFile is
// given.
type ClusterOptions struct {
	// URL holds the servers' addresses, nats:// or tls://, with commas between them; no credentials.
	URL string
	// Name is what errors and logs call the store, such as "notifier journal".
	Name string
	// Replicas is on how many servers each stream and bucket stands: 1, 3 or 5; 0 stands for 3.
	Replicas int
	// MinPayload is how large a message with its headers the servers must take, in bytes.
	MinPayload int

	User, Password string
	Token          string
	// CredentialsFile is a file with a user's JWT and key (.creds). It is read at each connect.
	CredentialsFile string
	TLS             ClusterTLS

	// Log receives what happens to the connection; nil discards it.
	Log *zap.Logger
}

// ClusterTLS is how the client checks the servers and shows itself. TLS is used when a field is set, when
// an address says tls://, and when a server demands it. The files, in PEM, are read at each connect.
type ClusterTLS struct {
	// CAFile holds the certificates of which one must have signed the server's; empty means the system's.
	CAFile string
	// CertFile and KeyFile are this client's; both or neither are given.
	CertFile, KeyFile string
	// ServerName is what the servers' certificates must have; empty means the host that is called.
	ServerName string
}

// Connect opens the store on a cluster, which others may share. It waits for servers that can't be reached
// and for elections until ctx ends, or 10 s; its errors say what is wrong and hold no credentials. A lost
// connection is made again for ever; meanwhile calls fail. The caller closes the Store.
func Connect(ctx context.Context, opts ClusterOptions) (*Store, error) {
	if opts.Replicas == 0 {
		opts.Replicas = defaultReplicas
	}
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Name, err)
	}
	ctx, cancel := withDeadline(ctx, connectTimeout)
	defer cancel()
	s := &Store{
		name: opts.Name, place: "at " + opts.URL, replicas: opts.Replicas,
		batches: make(chan struct{}, batchesAtOnce), log: opts.Log.With(zap.String("store", opts.Name)),
	}
	if err := s.connect(ctx, opts); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s at %s: %w", opts.Name, opts.URL, err)
	}
	return s, nil
}

func (o *ClusterOptions) check() error {
	for addr := range strings.SplitSeq(o.URL, ",") {
		u, err := url.Parse(addr)
		if err != nil || u.User != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			// The address is not repeated: it may hold credentials.
			return errors.New("url: give addresses such as nats://n1:4222,nats://n2:4222, with the credentials in fields of their own")
		}
	}
	switch o.Replicas {
	case 1, 3, 5:
	default:
		return fmt.Errorf("replicas is %d: give 1, 3 or 5", o.Replicas)
	}
	ways := 0
	for _, way := range []string{o.User, o.Token, o.CredentialsFile} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 || o.Password != "" && o.User == "" {
		return errors.New("give one of user with password, token, and credentials_file")
	}
	if (o.TLS.CertFile == "") != (o.TLS.KeyFile == "") {
		return errors.New("tls: give both cert_file and key_file, or neither")
	}
	for _, f := range o.files() {
		if f.path == "" {
			continue
		}
		file, err := os.Open(f.path)
		if err != nil {
			return fmt.Errorf("%s: %w", f.field, err)
		}
		_ = file.Close() // it was only read
	}
	return nil
}

// namedFile is a file and the field of the configuration that names it.
type namedFile struct{ field, path string }

func (o *ClusterOptions) files() []namedFile {
	return []namedFile{
		{"credentials_file", o.CredentialsFile},
		{"tls.ca_file", o.TLS.CAFile}, {"tls.cert_file", o.TLS.CertFile}, {"tls.key_file", o.TLS.KeyFile},
	}
}

// connect makes the connection, and a probe stream to see whether the servers can store as they should.
func (s *Store) connect(ctx context.Context, opts ClusterOptions) error {
	dialer := &rememberingDialer{}
	options := append(clientOptions(s.log), opts.identity()...)
	options = append(options, nats.SetCustomDialer(dialer),
		nats.Timeout(dialTimeout), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsLost))
	err := s.attempts(ctx, func(context.Context) (err error) {
		s.nc, err = nats.Connect(opts.URL, options...)
		return dialer.explain(err, opts.files())
	})
	if err != nil {
		return err
	}
	s.maxPayload = int(s.nc.MaxPayload())
	if s.maxPayload < opts.MinPayload {
		return fmt.Errorf("the servers take messages of %d bytes, and %d are needed: raise their max_payload", s.maxPayload, opts.MinPayload)
	}
	if err := s.useJetStream(); err != nil {
		return err
	}
	return s.attempts(ctx, func(ctx context.Context) error {
		return explainJetStream(s.ensureProbe(ctx), s.replicas)
	})
}

// identity returns what shows the servers who we are, and us who they are.
func (o *ClusterOptions) identity() []nats.Option {
	var options []nats.Option
	switch {
	case o.User != "":
		options = append(options, nats.UserInfo(o.User, o.Password))
	case o.Token != "":
		options = append(options, nats.Token(o.Token))
	case o.CredentialsFile != "":
		options = append(options, nats.UserCredentials(o.CredentialsFile))
	}
	if o.TLS != (ClusterTLS{}) {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.TLS.ServerName}))
	}
	if o.TLS.CAFile != "" {
		options = append(options, nats.RootCAs(o.TLS.CAFile))
	}
	if o.TLS.CertFile != "" {
		options = append(options, nats.ClientCert(o.TLS.CertFile, o.TLS.KeyFile))
	}
	return options
}

// attempts calls try, for some seconds each time, until it succeeds, fails for good, or ctx ends.
func (s *Store) attempts(ctx context.Context, try func(context.Context) error) error {
	for {
		one, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := try(one)
		cancel()
		var final *finalError
		if err == nil || errors.As(err, &final) {
			return err
		}
		timer := time.NewTimer(connectPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w (given up: %w)", err, ctx.Err())
		}
	}
}
