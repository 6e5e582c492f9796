// Package natstest runs clusters of real NATS servers for tests: processes of their own on loopback, made of
// the test binary itself, which can be killed, frozen and started again.
//
// A test binary that uses it calls MaybeServe first in its TestMain.
package natstest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// portAttempts bounds how often a free port is looked for.
const portAttempts = 1000

// Options say what servers to run. The zero value is a plain JetStream cluster that anybody may use.
type Options struct {
	// User with Password, or Token, is what the servers want of clients.
	User, Password string
	Token          string
	// TLS makes the servers speak TLS alone and want a client's certificate; see Cluster.Certificates.
	TLS bool
	// MaxPayload bounds a message in bytes; 0 stands for the server's default, 1 MiB.
	MaxPayload int32
	// NoJetStream leaves JetStream off.
	NoJetStream bool
}

// Cluster is a running cluster. It belongs to the test that made it. Servers are told apart by their number,
// from 0.
type Cluster struct {
	// Certificates are set if the servers speak TLS.
	Certificates Certificates

	t     testing.TB
	opts  Options
	nodes []*process
}

// NewCluster starts n servers as a cluster (one alone if n is 1), waits until they are ready, and ends them
// with the test. Each syncs what it stores before it answers. It fails the test when that takes too long.
func NewCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	return NewClusterWith(t, n, Options{})
}

// NewClusterWith is NewCluster with Options.
func NewClusterWith(t testing.TB, n int, opts Options) *Cluster {
	t.Helper()
	c := &Cluster{t: t, opts: opts}
	dir := t.TempDir()
	if opts.TLS {
		c.Certificates = makeCertificates(t, dir)
	}
	ports := freePorts(t, 2*n)
	for i := range n {
		p := &process{node: node{
			Name: fmt.Sprintf("n%d", i), Port: ports[i], RoutePort: ports[n+i], Routes: ports[n:],
			Dir: filepath.Join(dir, fmt.Sprint(i)), Options: opts,
			CA: c.Certificates.CAFile, ServerCert: c.Certificates.ServerCert, ServerKey: c.Certificates.ServerKey,
		}}
		if err := os.Mkdir(p.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, p)
	}
	t.Cleanup(func() {
		for _, p := range c.nodes {
			p.kill()
		}
	})
	for i := range n {
		c.nodes[i].launch(t)
	}
	for i := range n {
		c.nodes[i].awaitStart(t)
	}
	if !opts.NoJetStream {
		c.WaitReady()
	}
	return c
}

// URL returns the addresses of all servers, with commas between them and without credentials.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.nodes))
	for i := range c.nodes {
		urls[i] = c.NodeURL(i)
	}
	return strings.Join(urls, ",")
}

// NodeURL returns the address of server i.
func (c *Cluster) NodeURL(i int) string { return fmt.Sprintf("nats://127.0.0.1:%d", c.nodes[i].Port) }

// Kill ends server i with SIGKILL and waits until it is gone. One that doesn't run is left alone.
func (c *Cluster) Kill(i int) { c.nodes[i].kill() }

// Start runs server i again, on its ports and with its data, after Kill, and returns when it accepts
// connections. WaitReady tells when it takes part again.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	c.nodes[i].launch(c.t)
	c.nodes[i].awaitStart(c.t)
}

// Stop freezes server i with SIGSTOP: its connections stay, and nothing answers.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	c.nodes[i].signal(c.t, syscall.SIGSTOP)
}

// Cont wakes server i after Stop.
func (c *Cluster) Cont(i int) {
	c.t.Helper()
	c.nodes[i].signal(c.t, syscall.SIGCONT)
}

// freePorts returns n ports of 127.0.0.1 at which nobody listens. They lie below those that the system
// gives to connections, so that a server that was killed finds its own free again.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range portAttempts {
		port := 10000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("no %d free ports after %d attempts", n, portAttempts)
	return nil
}
