package natsstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

func connect(t *testing.T, c *natstest.Cluster) *Store {
	t.Helper()
	s, err := Connect(t.Context(), ClusterOptions{URL: c.URL(), Name: "test store"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestCluster runs on one cluster, which takes its time to start.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := natstest.NewCluster(t, 3)
	type clusterTest struct {
		name string
		test func(*testing.T, *natstest.Cluster)
	}
	// What takes long takes it by waiting, so these run at the same time.
	t.Run("while all servers run", func(t *testing.T) {
		for _, tt := range []clusterTest{
			{"replicas beyond the servers are refused", func(t *testing.T, c *natstest.Cluster) {
				ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
				defer cancel()
				_, err := Connect(ctx, ClusterOptions{URL: c.URL(), Name: "wide", Replicas: 5})
				if err == nil || !strings.Contains(err.Error(), "too few servers, or too little room, for 5 replicas") {
					t.Errorf("Connect with 5 replicas on 3 servers = %v", err)
				}
			}},
			{"it is healthy and shared", func(t *testing.T, c *natstest.Cluster) {
				s := connect(t, c)
				if err := s.Healthy(t.Context()); err != nil || !s.Shared() || s.Replicas() != 3 || s.MaxPayload() != 1<<20 {
					t.Errorf("Healthy = %v, Shared = %t, Replicas = %d, MaxPayload = %d", err, s.Shared(), s.Replicas(), s.MaxPayload())
				}
			}},
			{"streams and buckets with other settings are refused", refusesOtherSettings},
			{"reads and tails tell what was published", func(t *testing.T, c *natstest.Cluster) { readsAndTails(t, connect(t, c)) }},
			{"a queue keeps each lane's order", func(t *testing.T, c *natstest.Cluster) { keepsOrder(t, func() *Store { return connect(t, c) }) }},
			{"a queue is refused when full", func(t *testing.T, c *natstest.Cluster) { refusesWhenFull(t, connect(t, c)) }},
			{"a queue has one user", queueHasOneUser},
			{"a tail ends with its stream", tailEndsWithStream},
			{"a tail outlives its consumer", tailOutlivesConsumer},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.test(t, c)
			})
		}
	})
	for _, tt := range []clusterTest{
		{"a tail outlives the leader", tailOutlivesLeader},
		{"nothing is acknowledged without a majority", needsMajority},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, c) })
	}
}

func refusesOtherSettings(t *testing.T, c *natstest.Cluster) {
	s, ctx := connect(t, c), t.Context()
	cfg := jetstream.StreamConfig{Name: "SETTINGS", Subjects: []string{"settings"}, Storage: jetstream.FileStorage, MaxBytes: 1000, AllowDirect: true}
	bucket := jetstream.KeyValueConfig{Bucket: "SETTINGS", Storage: jetstream.FileStorage, TTL: time.Minute}
	for range 2 {
		stream, err := s.EnsureStream(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.Replicas; got != 3 {
			t.Errorf("the stream has %d replicas", got)
		}
		kv, err := s.EnsureBucket(ctx, bucket)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := kv.Status(ctx); err != nil || status.Config().Replicas != 3 {
			t.Errorf("Status of the bucket = %+v, %v", status, err)
		}
	}
	for setting, change := range map[string]func(*jetstream.StreamConfig){
		"max bytes is 1000 there, and 2000 in the configuration":          func(c *jetstream.StreamConfig) { c.MaxBytes = 2000 },
		"subjects is settings there, and others in the configuration":     func(c *jetstream.StreamConfig) { c.Subjects = []string{"others"} },
		"retention is Limits there, and WorkQueue in the configuration":   func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"storage is File there, and Memory in the configuration":          func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"discard is DiscardOld there, and DiscardNew in":                  func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew },
		"max age is 0s there, and 1h0m0s in the configuration":            func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"duplicate window is 2m0s there, and 1m0s in the configuration":   func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute },
		"max messages is unlimited there, and 7 in the configuration":     func(c *jetstream.StreamConfig) { c.MaxMsgs = 7 },
		"max messages per subject is unlimited there, and 1 in the":       func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"allow direct is true there, and false in the configuration":      func(c *jetstream.StreamConfig) { c.AllowDirect = false },
		"allow atomic publish is false there, and true in the configurat": func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = true },
	} {
		other := cfg
		change(&other)
		_, err := s.EnsureStream(ctx, other)
		if err == nil || !strings.Contains(err.Error(), setting) || !strings.Contains(err.Error(), "nats stream edit SETTINGS") {
			t.Errorf("EnsureStream = %v, want %q and a way out", err, setting)
		}
	}
	bucket.TTL = 0
	if _, err := s.EnsureBucket(ctx, bucket); err == nil || !strings.Contains(err.Error(), "max age is 1m0s there, and 0s") {
		t.Errorf("EnsureBucket = %v", err)
	}
	// A store with other replicas is another matter.
	lone, err := Connect(ctx, ClusterOptions{URL: c.URL(), Name: "lone", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer lone.Close()
	if _, err := lone.EnsureStream(ctx, cfg); err == nil || !strings.Contains(err.Error(), "replicas is 3 there, and 1 in the configuration") {
		t.Errorf("EnsureStream with other replicas = %v", err)
	}
}

func queueHasOneUser(t *testing.T, c *natstest.Cluster) {
	first, second := connect(t, c), connect(t, c)
	opts := QueueOptions{Name: "gate", MaxBytes: 1 << 20}
	q, err := first.Queue(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Append(t.Context(), "lane", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Queue(t.Context(), opts); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("Queue beside its user = %v", err)
	}
	// A renewal whose answer was lost doesn't make us take ourselves for another.
	q.lease.mu.Lock()
	before := q.lease.revision
	q.lease.mu.Unlock()
	if lost, err := q.lease.renew(t.Context()); lost || err != nil {
		t.Fatalf("renew = %t, %v", lost, err)
	}
	q.lease.mu.Lock()
	q.lease.revision = before
	q.lease.mu.Unlock()
	if lost, err := q.lease.renew(t.Context()); lost || err != nil {
		t.Errorf("renew after an answer was lost = %t, %v", lost, err)
	}
	first.Close()
	if q, err = second.Queue(t.Context(), opts); err != nil {
		t.Fatalf("Queue after its user closed it = %v", err)
	}
	// As if its process had died, or were frozen.
	q.lease.cancel()
	<-q.lease.done
	third := connect(t, c)
	heir, err := third.Queue(t.Context(), opts)
	if err != nil {
		t.Fatalf("Queue after its user died = %v", err)
	}
	if err := q.Append(t.Context(), "lane", []byte("stale")); err == nil {
		t.Error("the old user still appends")
	}
	if lost, err := q.lease.renew(t.Context()); !lost || !errors.Is(err, ErrInUse) {
		t.Errorf("renewal of a lease that another has = %t, %v", lost, err)
	}
	if err := heir.Append(t.Context(), "lane", []byte("2")); err != nil {
		t.Error(err)
	}
	got, _ := next(t, heir, "lane", 9)
	if diff := cmp.Diff([]string{"1", "2"}, got); diff != "" {
		t.Error(diff)
	}
}

func tailOutlivesLeader(t *testing.T, c *natstest.Cluster) {
	s := connect(t, c)
	if _, err := s.EnsureStream(t.Context(), jetstream.StreamConfig{
		Name: "LEADER", Subjects: []string{"leader"}, Storage: jetstream.FileStorage, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			await(t, func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: "leader", Data: fmt.Append(nil, i), Header: nats.Header{nats.MsgIdHdr: {fmt.Sprint(i)}}})
				return err
			})
		}
	}
	tail, _ := follow(t, s, TailOptions{Stream: "LEADER"})
	publish(0, 50)
	leader := c.StreamLeader("LEADER")
	c.Kill(leader)
	publish(50, 100)
	c.Start(leader)
	publish(100, 150)
	for i, m := range tail.next(t, 150) {
		if m.Seq != uint64(i+1) || string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d is %d: %s", i, m.Seq, m.Data)
		}
	}
	c.WaitReady()
}

func tailOutlivesConsumer(t *testing.T, c *natstest.Cluster) {
	s, ctx := connect(t, c), t.Context()
	stream, err := s.EnsureStream(ctx, jetstream.StreamConfig{Name: "CONSUMER", Subjects: []string{"consumer"}, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	tail, _ := follow(t, s, TailOptions{Stream: "CONSUMER"})
	tail.awaitCurrent(t)
	var names []string
	await(t, func() error {
		list := stream.ConsumerNames(ctx)
		names = nil
		for name := range list.Name() {
			names = append(names, name)
		}
		if len(names) != 1 {
			return fmt.Errorf("consumers %v, %w", names, list.Err())
		}
		return nil
	})
	if err := stream.DeleteConsumer(ctx, names[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.Publish(ctx, "consumer", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if got := tail.next(t, 1); got[0].Seq != 1 || string(got[0].Data) != "1" {
		t.Errorf("the tail told %+v", got)
	}
}

func tailEndsWithStream(t *testing.T, c *natstest.Cluster) {
	s, ctx := connect(t, c), t.Context()
	if err := s.Tail(ctx, TailOptions{Stream: "NONE"}, func(Message) {}, func() {}); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("Tail of a stream that isn't there = %v", err)
	}
	if _, err := s.EnsureStream(ctx, jetstream.StreamConfig{Name: "ENDS", Subjects: []string{"ends"}, Storage: jetstream.FileStorage}); err != nil {
		t.Fatal(err)
	}
	ended, stop := context.WithCancel(ctx)
	stop()
	if err := s.Tail(ended, TailOptions{Stream: "ENDS"}, func(Message) {}, func() {}); err != nil {
		t.Errorf("Tail whose context ended = %v", err)
	}
	s.Close()
	if err := s.Tail(ctx, TailOptions{Stream: "ENDS"}, func(Message) {}, func() {}); err == nil {
		t.Error("Tail of a closed store = nil")
	}
}

func needsMajority(t *testing.T, c *natstest.Cluster) {
	s := connect(t, c)
	q, err := s.Queue(t.Context(), QueueOptions{Name: "majority", MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	leader := c.StreamLeader("BELFRY_QUEUE_majority")
	for i := range 3 {
		if i != leader {
			c.Stop(i)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := q.Append(ctx, "lane", []byte("1")); err == nil {
		t.Error("Append with one server of three = nil")
	}
	if err := s.Healthy(ctx); err == nil {
		t.Error("Healthy with one server of three = nil")
	}
	for i := range 3 {
		if i != leader {
			c.Cont(i)
		}
	}
	await(t, func() error { return s.Healthy(t.Context()) })
	await(t, func() error { return q.Append(t.Context(), "lane", []byte("2")) })
}
