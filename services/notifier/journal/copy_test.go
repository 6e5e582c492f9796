package journal

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/testing/protocmp"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// openStore opens an embedded store that ends with the test.
func openStore(t *testing.T, dir string) *natsstore.Store {
	t.Helper()
	s, err := natsstore.Open(t.Context(), natsstore.Options{Dir: dir, Name: "test journal"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// contents are all that a journal's users can see of it.
type contents struct {
	log      map[string][]delivery.Notification
	outcomes map[string][]*delivery.Outcome
	lanes    map[string]delivery.LaneRecord
	controls map[string]delivery.Control
}

func contentsOf(t *testing.T, j *Journal, robots ...string) contents {
	t.Helper()
	c := contents{
		make(map[string][]delivery.Notification), make(map[string][]*delivery.Outcome),
		make(map[string]delivery.LaneRecord), make(map[string]delivery.Control),
	}
	for _, robot := range robots {
		for after := uint64(0); ; {
			ns, err := j.Read(t.Context(), robot, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(ns) == 0 {
				break
			}
			outcomes, err := j.Outcomes(t.Context(), ns)
			if err != nil {
				t.Fatal(err)
			}
			c.log[robot], c.outcomes[robot] = append(c.log[robot], ns...), append(c.outcomes[robot], outcomes...)
			after = ns[len(ns)-1].Seq
		}
		rec, err := j.Lane(t.Context(), robot)
		if err != nil {
			t.Fatal(err)
		}
		control, err := j.Control(t.Context(), robot)
		if err != nil {
			t.Fatal(err)
		}
		rec.Revision, control.Revision = 0, 0
		c.lanes[robot], c.controls[robot] = rec, control
	}
	return c
}

// makeOriginal makes a journal that has lost its beginning by age and something in its middle by accident.
func makeOriginal(t *testing.T, j *Journal, n int) {
	t.Helper()
	ctx := t.Context()
	places := fill(t, j, n, func(i int) string { return []string{"a", "b", "c"}[i%3] })[""]
	if err := j.log.Purge(ctx, jetstream.WithPurgeSequence(places[9])); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []int{20, 21, 22, n / 2} {
		if err := j.log.DeleteMsg(ctx, places[lost]); err != nil {
			t.Fatal(err)
		}
	}
	var outcomes []delivery.Outcome
	for i, place := range places[9 : n/2] {
		outcomes = append(outcomes, delivery.Outcome{Robot: []string{"a", "b", "c"}[(9+i)%3], Seq: place, Delivered: i%7 != 0, Into: places[9], Note: "n"})
	}
	if err := j.Settle(ctx, outcomes); err != nil {
		t.Fatal(err)
	}
	settle(t, j, "a", places[9], true)
	for _, robot := range []string{"a", "b"} {
		rec, err := j.SaveLane(ctx, delivery.LaneRecord{Robot: robot, Cursor: places[12]})
		if err != nil {
			t.Fatal(err)
		}
		rec.Ahead, rec.Told = places[14:16], []delivery.Told{{Mark: delivery.Mark{Seq: places[12], Mark: "m"}, Time: time.Now().UTC().Round(0)}}
		rec.Intent = &delivery.Intent{
			First: places[13], Last: places[13], Items: 1, UUID: "u", Body: []byte(`{"text":"<b>"}`), Through: true, Ahead: places[13:14],
			Folded: []delivery.Fold{{Seq: places[13], Into: places[12]}}, Marks: []delivery.Mark{{Seq: places[13], Mark: "m"}}, Note: "n",
		}
		if _, err := j.SaveLane(ctx, rec); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.SaveControl(ctx, delivery.Control{Robot: "c", Note: "暂停", PausedSince: time.Now().UTC().Round(0)}); err != nil {
		t.Fatal(err)
	}
}

// checkCopy checks that the journal in to is that of want, and goes on where that one ended.
func checkCopy(t *testing.T, to *natsstore.Store, want contents, last uint64) {
	t.Helper()
	j, err := Open(t.Context(), Options{Store: to})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if diff := cmp.Diff(want, contentsOf(t, j, "a", "b", "c"), protocmp.Transform(), cmp.AllowUnexported(contents{})); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
	known := want.log["a"][len(want.log["a"])-1]
	receipts, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", known.RequestID, "again"), journaltest.Message("a", "", "new")})
	if err != nil || !receipts[0].Duplicate || receipts[0].Seq != known.Seq || receipts[1].Seq != last+1 {
		t.Errorf("Append to the copy = %v, %v, want a duplicate of %d, and %d", receipts, err, known.Seq, last+1)
	}
}

func TestCopyMovesAJournalBetweenStores(t *testing.T) {
	t.Parallel()
	c := natstest.NewCluster(t, 3)
	here, there, back := openStore(t, t.TempDir()), connect(t, c), openStore(t, t.TempDir())
	j, err := Open(t.Context(), Options{Store: here})
	if err != nil {
		t.Fatal(err)
	}
	const n = 700
	makeOriginal(t, j, n)
	want := contentsOf(t, j, "a", "b", "c")
	head, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j.Close()

	var parts []string
	progress := func(part string, done, total int) {
		if done > total {
			t.Errorf("%s: %d of %d", part, done, total)
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	counts, err := Copy(t.Context(), here, Options{Store: there}, progress)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Notifications != n-9-4 || counts.FirstSeq != 10 || counts.LastSeq != n || counts.Lanes != 2 || counts.Controls != 1 || counts.Outcomes != n/2-9 {
		t.Errorf("counts = %+v", counts)
	}
	if len(parts) != 8 {
		t.Errorf("progress told of %q", parts)
	}
	again, err := Copy(t.Context(), there, Options{Store: back}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(counts, again); diff != "" {
		t.Errorf("counts of the way back (-there +back):\n%s", diff)
	}
	for _, s := range []*natsstore.Store{there, back} {
		if _, err := Copy(t.Context(), here, Options{Store: s}, nil); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("Copy onto a journal = %v, want ErrNotEmpty", err)
		}
		checkCopy(t, s, want, n)
		// Who watched the original learns from the copy what it hasn't seen, and maybe more, but no less.
		j, err := Open(t.Context(), Options{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		if ended, _ := drain(t, j, "b", Position{Log: n, Outcomes: head.Outcomes - 5}, 100); len(ended) == 0 {
			t.Error("the endings behind a position of the original are missing in the copy")
		}
		j.Close()
	}
}

func TestCopyRefusesWhileProcessesShareTheJournal(t *testing.T) {
	t.Parallel()
	c := natstest.NewCluster(t, 1)
	s, err := natsstore.Connect(t.Context(), natsstore.ClusterOptions{URL: c.URL(), Name: "test journal", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	j, err := Open(t.Context(), Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	r, err := Join(t.Context(), s, RosterOptions{ID: "host"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	target := openStore(t, t.TempDir())
	if _, err := Copy(t.Context(), s, Options{Store: target}, nil); err == nil {
		t.Error("Copy of a journal in use = nil")
	}
	r.Close()
	if _, err := Copy(t.Context(), s, Options{Store: target}, nil); err != nil {
		t.Errorf("Copy after all have left = %v", err)
	}
}

func TestACopyCutShortIsRefusedAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	here, there := openStore(t, t.TempDir()), openStore(t, t.TempDir())
	if _, err := Copy(t.Context(), here, Options{Store: there}, nil); err == nil {
		t.Error("Copy of nothing = nil")
	}
	j, err := Open(t.Context(), Options{Store: here})
	if err != nil {
		t.Fatal(err)
	}
	makeOriginal(t, j, 400)
	want := contentsOf(t, j, "a", "b", "c")
	j.Close()
	for _, stage := range []string{"notifications", "notifications, compared", "outcomes", "lanes", "controls, compared"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Copy(ctx, here, Options{Store: there}, func(part string, _, _ int) {
			if part == stage {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Copy that was cut short at %s = %v", stage, err)
		}
		if _, err := Open(t.Context(), Options{Store: there}); err == nil {
			t.Fatalf("Open of a copy that was cut short at %s = nil", stage)
		}
		if _, err := Copy(t.Context(), there, Options{Store: here}, nil); err == nil || errors.Is(err, ErrNotEmpty) {
			t.Errorf("Copy of a copy that was cut short = %v", err)
		}
	}
	if _, err := Copy(t.Context(), here, Options{Store: there, MaxBytes: 50 << 10}, nil); !errors.Is(err, ErrFull) {
		t.Errorf("Copy to where there is too little room = %v, want ErrFull", err)
	}
	if _, err := Copy(t.Context(), here, Options{Store: there}, nil); err != nil {
		t.Fatal(err)
	}
	checkCopy(t, there, want, 400)
}

// An operator may throw away the newest notifications of a robot. Their places stay taken, since its lane may
// have come past them: what the copy gave those places would never be told.
func TestACopyGoesOnBehindPlacesWhoseNotificationsAreGone(t *testing.T) {
	t.Parallel()
	here, there := openStore(t, t.TempDir()), openStore(t, t.TempDir())
	j, err := Open(t.Context(), Options{Store: here})
	if err != nil {
		t.Fatal(err)
	}
	places := fill(t, j, 40, func(i int) string {
		if i < 10 {
			return "a"
		}
		return "b"
	})
	last := places["b"][29]
	if _, err := j.SaveLane(t.Context(), delivery.LaneRecord{Robot: "b", Cursor: last}); err != nil {
		t.Fatal(err)
	}
	if err := j.log.Purge(t.Context(), jetstream.WithPurgeSubject(logPrefix+"b")); err != nil {
		t.Fatal(err)
	}
	j.Close()
	counts, err := Copy(t.Context(), here, Options{Store: there}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Notifications != 10 || counts.LastSeq != places["a"][9] {
		t.Errorf("counts = %+v", counts)
	}
	if j, err = Open(t.Context(), Options{Store: there}); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	receipts, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("b", "", "new")})
	if err != nil || receipts[0].Seq != last+1 {
		t.Fatalf("Append to the copy = %v, %v, want place %d", receipts, err, last+1)
	}
	rec, err := j.Lane(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if ns, err := j.Read(t.Context(), "b", rec.Cursor, 10); err != nil || len(ns) != 1 {
		t.Errorf("beyond the cursor stand %v, %v, want what was appended", ns, err)
	}
}
