package natstest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serveVariable is the environment variable that makes a test binary a server; it holds a node as JSON.
const serveVariable = "BELFRY_NATSTEST_NODE"

// startTimeout is how long a server may take until it accepts connections.
const startTimeout = 20 * time.Second

// ready is what a server says once it accepts connections.
const ready = "ready\n"

// node is all that a server is told.
type node struct {
	Name       string
	Port       int
	RoutePort  int
	Routes     []int
	Dir        string
	Options    Options
	ServerCert string
	ServerKey  string
	CA         string
}

// MaybeServe makes this process a NATS server if NewCluster started it as one, and then does not return.
// In any other process it does nothing. A test binary that uses NewCluster calls it first in TestMain.
func MaybeServe() {
	told := os.Getenv(serveVariable)
	if told == "" {
		return
	}
	var n node
	if err := json.Unmarshal([]byte(told), &n); err != nil {
		fail(err)
	}
	opts, err := n.serverOptions()
	if err != nil {
		fail(err)
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		fail(err)
	}
	ns.ConfigureLogger()
	ns.Start()
	if !ns.ReadyForConnections(startTimeout) {
		fail(fmt.Errorf("server %s was not ready within %v", n.Name, startTimeout))
	}
	fmt.Print(ready)
	// The test holds the other end. When it ends, however it ends, so does this process.
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (n *node) serverOptions() (*server.Options, error) {
	opts := &server.Options{
		ServerName: n.Name,
		Host:       "127.0.0.1",
		Port:       n.Port,
		NoSigs:     true,
		LogFile:    n.logFile(),
		MaxPayload: n.Options.MaxPayload,
		Username:   n.Options.User, Password: n.Options.Password, Authorization: n.Options.Token,
		JetStream: !n.Options.NoJetStream,
		StoreDir:  filepath.Join(n.Dir, "data"), SyncAlways: true,
		// Streams are reserved out of it, not out of the disk.
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 30,
	}
	if len(n.Routes) > 1 {
		opts.Cluster = server.ClusterOpts{Name: "belfry-test", Host: "127.0.0.1", Port: n.RoutePort}
		for _, port := range n.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		}
	}
	if n.Options.TLS {
		pair, err := tls.LoadX509KeyPair(n.ServerCert, n.ServerKey)
		if err != nil {
			return nil, err
		}
		ca, err := os.ReadFile(n.CA)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		opts.TLS, opts.TLSVerify, opts.TLSTimeout = true, true, 5
		opts.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		}
	}
	return opts, nil
}

func (n *node) logFile() string { return filepath.Join(n.Dir, "server.log") }
