package journal

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// connect opens the cluster's store; it ends with the test.
func connect(t testing.TB, c *natstest.Cluster) *natsstore.Store {
	t.Helper()
	s, err := natsstore.Connect(t.Context(), natsstore.ClusterOptions{URL: c.URL(), Name: "test journal"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// openOn opens a journal on a store of its own on the cluster; shut ends both, and may be called twice.
func openOn(t testing.TB, c *natstest.Cluster) (j *Journal, shut func()) {
	t.Helper()
	return openOnWith(t, c, Options{})
}

func openOnWith(t testing.TB, c *natstest.Cluster, opts Options) (j *Journal, shut func()) {
	t.Helper()
	s := connect(t, c)
	opts.Store = s
	j, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	shut = func() {
		j.Close()
		s.Close()
	}
	t.Cleanup(shut)
	return j, shut
}

// empty removes all that journals left on the cluster.
func empty(t *testing.T, c *natstest.Cluster) {
	t.Helper()
	s := connect(t, c)
	defer s.Close()
	for _, stream := range []string{logStream, outcomeStream, bucketStream(laneBucket), bucketStream(controlBucket)} {
		if err := s.JetStream().DeleteStream(t.Context(), stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatal(err)
		}
	}
}

func TestJournalOnACluster(t *testing.T) {
	t.Parallel()
	c := natstest.NewCluster(t, 3)
	// It takes its time, which the others needn't wait for.
	t.Run("keeps robots apart when processes share them", func(t *testing.T) {
		t.Parallel()
		testRosterOnACluster(t, c)
	})
	t.Run("as others", func(t *testing.T) {
		t.Parallel()
		testOnACluster(t, c)
	})
}

func testOnACluster(t *testing.T, c *natstest.Cluster) {
	journaltest.Run(t, func(t *testing.T) (delivery.Journal, func() delivery.Journal) {
		empty(t, c)
		j, shut := openOn(t, c)
		return j, func() delivery.Journal {
			shut()
			j, shut = openOn(t, c)
			return j
		}
	})
	for name, test := range map[string]func(*testing.T, *natstest.Cluster){
		"tells followers what other processes do": testFollowOthers,
		"refuses what is too large, and says so":  testTooLargeForACluster,
		"refuses when it is full, and keeps what it has": func(t *testing.T, c *natstest.Cluster) {
			empty(t, c)
			j, _ := openOnWith(t, c, Options{MaxBytes: 200 << 10})
			testFull(t, j)
		},
		"refuses streams with other settings": testOtherSettings,
		"finds what was just stored":          testReadsAfterWrites,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func testFollowOthers(t *testing.T, c *natstest.Cluster) {
	empty(t, c)
	ours, _ := openOn(t, c)
	theirs, _ := openOn(t, c)
	w := journaltest.NewWatcher()
	w.Follow(t, ours)
	receipts, err := theirs.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "", "1"), journaltest.Message("b", "", "2")})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := theirs.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a"})
	if err != nil {
		t.Fatal(err)
	}
	w.Await(t, "another process's notifications", func() bool { return w.Newest("a") == receipts[0].Seq && w.Newest("b") == receipts[1].Seq })
	w.Await(t, "another process's record", func() bool { return w.Revision("a") == rec.Revision })
	if got, err := ours.Lane(t.Context(), "a"); err != nil || got.Revision < rec.Revision {
		t.Errorf("Lane after it was told = %+v, %v", got, err)
	}
	if _, err := ours.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a"}); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveLane over another process's record = %v, want ErrFenced", err)
	}
}

func testTooLargeForACluster(t *testing.T, c *natstest.Cluster) {
	empty(t, c)
	j, _ := openOn(t, c)
	limit := j.store.MaxPayload()
	for size, want := range map[int]error{limit - 4<<10: nil, limit - 1: ErrTooLarge, 2 * limit: ErrTooLarge} {
		_, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "", strings.Repeat("x", size))})
		if !errors.Is(err, want) {
			t.Errorf("Append of %d bytes = %v, want %v", size, err, want)
		}
	}
	// Several large ones in one batch are no more than the servers can take at once.
	var ns []delivery.Notification
	for i := range 10 {
		ns = append(ns, journaltest.Message("b", fmt.Sprint(i), strings.Repeat("x", limit-4<<10)))
	}
	if _, err := j.Append(t.Context(), ns); err != nil {
		t.Errorf("Append of 10 of almost %d bytes = %v", limit, err)
	}
	got := 0
	for after := uint64(0); ; {
		ns, err := j.Read(t.Context(), "b", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(ns) == 0 {
			break
		}
		got, after = got+len(ns), ns[len(ns)-1].Seq
	}
	if got != 10 {
		t.Errorf("%d of 10 were stored", got)
	}
}

func testOtherSettings(t *testing.T, c *natstest.Cluster) {
	empty(t, c)
	_, shut := openOn(t, c)
	shut()
	s := connect(t, c)
	for _, opts := range []Options{
		{Store: s, MaxBytes: 1 << 20}, {Store: s, DedupWindow: time.Hour}, {Store: s, Retention: 50 * time.Hour},
	} {
		_, err := Open(t.Context(), opts)
		if err == nil || !strings.Contains(err.Error(), "nats stream edit") || !strings.Contains(err.Error(), logStream) {
			t.Errorf("Open with other settings = %v, want an error that says what to do", err)
		}
	}
}

func testReadsAfterWrites(t *testing.T, c *natstest.Cluster) {
	empty(t, c)
	ours, _ := openOn(t, c)
	theirs, _ := openOn(t, c)
	var rec delivery.LaneRecord
	rec.Robot = "a"
	for i := range 100 {
		receipts, err := ours.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "", fmt.Sprint(i))})
		if err != nil {
			t.Fatal(err)
		}
		// From the leader, as when another server lags; then from whoever answers.
		if m, found, err := theirs.fromLeader(t.Context(), receipts[0].Seq); err != nil || !found || m.Subject != logPrefix+"a" || len(m.Data) == 0 {
			t.Fatalf("what was just stored, from the leader = %+v, %t, %v", m, found, err)
		}
		if n, err := theirs.Get(t.Context(), "a", receipts[0].Seq); err != nil || n.Message.GetText().GetContent() != fmt.Sprint(i) {
			t.Fatalf("Get of what was just stored = %v, %v", n, err)
		}
		if rec, err = ours.SaveLane(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if got, err := theirs.Lane(t.Context(), "a"); err != nil || got.Revision != rec.Revision {
			t.Fatalf("Lane of what was just saved = %d, %v, want %d", got.Revision, err, rec.Revision)
		}
	}
	if _, found, err := theirs.fromLeader(t.Context(), 1000); found || err != nil {
		t.Errorf("what was never stored, from the leader = %t, %v", found, err)
	}
	// What a change tells of is there, too.
	after := Position{}
	seen := 0
	for deadline := time.Now().Add(30 * time.Second); seen < 100 && time.Now().Before(deadline); {
		changes, next, err := theirs.Changes(t.Context(), "a", after, 30)
		if err != nil {
			t.Fatal(err)
		}
		seen, after = seen+len(changes), next
	}
	if seen != 100 {
		t.Errorf("%d changes, want 100", seen)
	}
}

func testRosterOnACluster(t *testing.T, c *natstest.Cluster) {
	var rosters []*Roster
	for i := range 2 {
		r, err := Join(t.Context(), connect(t, c), RosterOptions{ID: fmt.Sprint("host-", i)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		rosters = append(rosters, r)
	}
	deadline := time.After(4 * rosterTerm)
	for {
		// The channels first, lest a change is missed.
		changed := [2]<-chan struct{}{rosters[0].Changed(), rosters[1].Changed()}
		count := [2]int{}
		for i := range 100 {
			mine := 0
			for k, r := range rosters {
				if _, ok := r.Mine(fmt.Sprint("r", i)); ok {
					mine++
					count[k]++
				}
			}
			if mine > 1 {
				t.Fatalf("r%d is both members'", i)
			}
		}
		if count[0]+count[1] == 100 && count[0] > 0 && count[1] > 0 {
			break
		}
		select {
		case <-changed[0]:
		case <-changed[1]:
		case <-deadline:
			t.Fatalf("the robots are spread as %v", count)
		}
	}
	rosters[0].Close()
	if living, err := Living(t.Context(), connect(t, c)); err != nil || len(living) != 1 {
		t.Errorf("Living after one left = %v, %v", living, err)
	}
}

// load appends as fast as it can until stop is called, and remembers what was accepted.
type load struct {
	wg       sync.WaitGroup
	stop     chan struct{}
	mu       sync.Mutex
	accepted map[string][2]uint64
	failed   int
	wake     chan struct{}
}

func startLoad(t *testing.T, j *Journal, callers int) *load {
	l := &load{stop: make(chan struct{}), accepted: make(map[string][2]uint64), wake: make(chan struct{}, 1)}
	for c := range callers {
		l.wg.Go(func() {
			for i := 0; ; {
				select {
				case <-l.stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", c, i)
				receipts, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", id, id), journaltest.Message("b", id, id)})
				l.mu.Lock()
				if err != nil {
					// Repeated with the same id, as callers must.
					l.failed++
				} else {
					l.accepted[id] = [2]uint64{receipts[0].Seq, receipts[1].Seq}
					i++
				}
				l.mu.Unlock()
				select {
				case l.wake <- struct{}{}:
				default:
				}
			}
		})
	}
	return l
}

// await waits until n more have been accepted.
func (l *load) await(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	want := len(l.accepted) + n
	l.mu.Unlock()
	deadline := time.After(time.Minute)
	for {
		l.mu.Lock()
		got, failed := len(l.accepted), l.failed
		l.mu.Unlock()
		if got >= want {
			return
		}
		select {
		case <-l.wake:
		case <-deadline:
			t.Fatalf("%d were accepted within a minute, want %d; %d calls failed", got, want, failed)
		}
	}
}

func TestAcceptedNotificationsSurviveTheLeadersDeath(t *testing.T) {
	t.Parallel()
	c := natstest.NewCluster(t, 3)
	j, _ := openOn(t, c)
	w := journaltest.NewWatcher()
	w.Follow(t, j)
	l := startLoad(t, j, 4)
	for range 2 {
		l.await(t, 50)
		dead := c.StreamLeader(logStream)
		c.Kill(dead)
		l.await(t, 50)
		c.Start(dead)
		c.WaitReady()
	}
	close(l.stop)
	l.wg.Wait()
	for k, robot := range []string{"a", "b"} {
		found := make(map[string]uint64)
		var last uint64
		for {
			ns, err := j.Read(t.Context(), robot, last, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(ns) == 0 {
				break
			}
			for _, n := range ns {
				if found[n.RequestID] != 0 {
					t.Errorf("%s stands twice in %s's log, at %d and %d", n.RequestID, robot, found[n.RequestID], n.Seq)
				}
				found[n.RequestID], last = n.Seq, n.Seq
			}
		}
		for id, seqs := range l.accepted {
			if found[id] != seqs[k] {
				t.Errorf("%s was accepted for %s at %d and stands at %d", id, robot, seqs[k], found[id])
			}
		}
		w.Await(t, "the last", func() bool { return w.Newest(robot) == last })
		t.Logf("%s: %d accepted, %d found, %d calls failed", robot, len(l.accepted), len(found), l.failed)
	}
}
