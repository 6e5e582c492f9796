package natstest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readyTimeout is how long a cluster may take to become ready. Elections take up to 9 s each.
	readyTimeout = 60 * time.Second
	readyPause   = 100 * time.Millisecond
	// questionTimeout bounds one attempt at finding something out.
	questionTimeout = 2 * time.Second
	readyStream     = "NATSTEST_READY"
)

// WaitReady waits until the servers that run and are not frozen work together: they have elected a leader,
// a stream with a replica on each of them can be made, every stream has a leader, and every replica that
// stands on one of them is current. It fails the test after a minute.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	c.await("become ready", c.ready)
}

// StreamLeader returns the number of the server that leads stream, once it has a leader that runs and is not
// frozen. It fails the test when there is none for a minute.
func (c *Cluster) StreamLeader(stream string) int {
	c.t.Helper()
	leader := -1
	c.await("elect a leader of "+stream, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		leader = c.leader(s.CachedInfo())
		if leader < 0 || !c.nodes[leader].answers() {
			return fmt.Errorf("%s has no leader that answers", stream)
		}
		return nil
	})
	return leader
}

// Connect returns a connection to the servers that run and are not frozen, with the credentials that they
// want. The caller closes it.
func (c *Cluster) Connect() (*nats.Conn, error) {
	var urls []string
	for i, p := range c.nodes {
		if p.answers() {
			urls = append(urls, c.NodeURL(i))
		}
	}
	if len(urls) == 0 {
		return nil, errors.New("no server runs")
	}
	opts := []nats.Option{nats.Timeout(questionTimeout), nats.NoReconnect()}
	if c.opts.User != "" {
		opts = append(opts, nats.UserInfo(c.opts.User, c.opts.Password))
	}
	if c.opts.Token != "" {
		opts = append(opts, nats.Token(c.opts.Token))
	}
	if c.opts.TLS {
		opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}), nats.RootCAs(c.Certificates.CAFile),
			nats.ClientCert(c.Certificates.ClientCert, c.Certificates.ClientKey))
	}
	return nats.Connect(strings.Join(urls, ","), opts...)
}

// await calls try with a fresh connection until it returns nil.
func (c *Cluster) await(what string, try func(context.Context, jetstream.JetStream) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	for {
		err := c.ask(ctx, try)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			for _, p := range c.nodes {
				c.t.Logf("the log of %s ends:\n%s", p.Name, p.logTail())
			}
			c.t.Fatalf("the cluster did not %s within %v: %v", what, readyTimeout, err)
		case <-time.After(readyPause):
		}
	}
}

func (c *Cluster) ask(ctx context.Context, try func(context.Context, jetstream.JetStream) error) error {
	nc, err := c.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(questionTimeout))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	return try(ctx, js)
}

func (c *Cluster) ready(ctx context.Context, js jetstream.JetStream) error {
	answering := 0
	for _, p := range c.nodes {
		if p.answers() {
			answering++
		}
	}
	if err := js.DeleteStream(ctx, readyStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	// JetStream knows 5 replicas at most.
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: readyStream, Subjects: []string{readyStream}, Replicas: min(answering, 5), Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		return err
	}
	if err := js.DeleteStream(ctx, readyStream); err != nil {
		return err
	}
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		if err := c.settled(info); err != nil {
			return err
		}
	}
	return streams.Err()
}

// settled returns nil if the stream has a leader, and its replicas on servers that answer are current.
func (c *Cluster) settled(info *jetstream.StreamInfo) error {
	if len(c.nodes) == 1 {
		return nil
	}
	if c.leader(info) < 0 {
		return fmt.Errorf("stream %s has no leader", info.Config.Name)
	}
	for _, r := range info.Cluster.Replicas {
		if i := c.number(r.Name); i >= 0 && c.nodes[i].answers() && (!r.Current || r.Offline) {
			return fmt.Errorf("replica of stream %s on %s is not current", info.Config.Name, r.Name)
		}
	}
	return nil
}

// leader returns the number of the server that leads the stream, -1 if none does.
func (c *Cluster) leader(info *jetstream.StreamInfo) int {
	if len(c.nodes) == 1 {
		return 0
	}
	if info.Cluster == nil {
		return -1
	}
	return c.number(info.Cluster.Leader)
}

// number returns the number of the server of that name, -1 if it is none of ours.
func (c *Cluster) number(name string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(name, "n"))
	if err != nil || i < 0 || i >= len(c.nodes) {
		return -1
	}
	return i
}
