package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// fill appends n notifications for the robots that robot names for each, and returns their places.
func fill(t testing.TB, j *Journal, n int, robot func(i int) string) map[string][]uint64 {
	t.Helper()
	places := make(map[string][]uint64)
	for start := 0; start < n; start += maxCommit {
		var ns []delivery.Notification
		for i := start; i < min(start+maxCommit, n); i++ {
			ns = append(ns, journaltest.Message(robot(i), fmt.Sprint(i), strings.Repeat("text ", 40)))
		}
		receipts, err := j.Append(unhurried(t), ns)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range receipts {
			places[ns[i].Robot] = append(places[ns[i].Robot], r.Seq)
			places[""] = append(places[""], r.Seq)
		}
	}
	return places
}

// listAll pages through the list of robot and returns the places in it, and how many calls that took.
func listAll(t *testing.T, j *Journal, robot string, max int) (seqs []uint64, calls int) {
	t.Helper()
	var before uint64
	for {
		ns, next, err := j.List(unhurried(t), robot, before, max)
		if err != nil {
			t.Fatal(err)
		}
		if calls++; len(ns) > max || calls > 10_000 {
			t.Fatalf("List returned %d of %d at most, in call %d", len(ns), max, calls)
		}
		for _, n := range ns {
			if robot != "" && n.Robot != robot {
				t.Fatalf("List of %s returned one of %s", robot, n.Robot)
			}
			seqs = append(seqs, n.Seq)
		}
		if next == 0 {
			return seqs, calls
		}
		if before != 0 && next >= before {
			t.Fatalf("List below %d wants to go on at %d", before, next)
		}
		before = next
	}
}

func TestListGoesThroughEverythingNewestFirst(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	if seqs, _ := listAll(t, j, "", 10); len(seqs) != 0 {
		t.Errorf("List of an empty journal = %v", seqs)
	}
	// One robot often, one now and then, one only at the very beginning, one only at the very end.
	const n = 2000
	places := fill(t, j, n, func(i int) string {
		switch {
		case i < 3:
			return "early"
		case i == n-1:
			return "late"
		case i%97 == 0:
			return "rare"
		}
		return "busy"
	})
	for _, robot := range []string{"", "busy", "rare", "early", "late", "none"} {
		want := slices.Clone(places[robot])
		slices.Reverse(want)
		for _, max := range []int{1, 50, 1000} {
			if max == 1 && len(want) > 100 {
				continue
			}
			got, calls := listAll(t, j, robot, max)
			if !slices.Equal(want, got) {
				t.Errorf("List of %q by %d: %d places, want %d", robot, max, len(got), len(want))
			}
			if limit := len(want)/max + 2; calls > limit {
				t.Errorf("List of %q by %d took %d calls, want %d at most", robot, max, calls, limit)
			}
		}
	}
}

func TestListKeepsToItsBytes(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	var want []uint64
	for i := range 7 {
		receipts, err := j.Append(unhurried(t), []delivery.Notification{
			journaltest.Message("a", "", strings.Repeat(string(rune('a'+i)), 3<<20)),
			journaltest.Message("b", "", "small"),
		})
		if err != nil {
			t.Fatal(err)
		}
		want = slices.Insert(want, 0, receipts[0].Seq)
	}
	ns, next, err := j.List(unhurried(t), "a", 0, 20)
	if err != nil {
		t.Fatal(err)
	}
	if len(ns) == 0 || len(ns) > 6 || next == 0 {
		t.Errorf("List returned %d notifications of 3 MiB, next %d", len(ns), next)
	}
	if got, _ := listAll(t, j, "a", 20); !slices.Equal(want, got) {
		t.Errorf("List = %v, want %v", got, want)
	}
	read, err := j.Read(unhurried(t), "a", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(read) != 2 {
		t.Errorf("Read returned %d notifications of 3 MiB", len(read))
	}
}

func TestGetFindsDeliveriesOfTheRobotAlone(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	want := journaltest.Message("a", "r", "text")
	receipts, err := j.Append(unhurried(t), []delivery.Notification{want})
	if err != nil {
		t.Fatal(err)
	}
	want.Seq = receipts[0].Seq
	got, err := j.Get(unhurried(t), "a", want.Seq)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for _, missing := range []struct {
		robot string
		seq   uint64
	}{{"b", want.Seq}, {"a", want.Seq + 1}, {"a", 0}, {"a", 1 << 60}} {
		if _, err := j.Get(unhurried(t), missing.robot, missing.seq); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%s, %d) = %v, want ErrNotFound", missing.robot, missing.seq, err)
		}
	}
}

func TestOutcomesAreFoundInBulk(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	var outcomes []delivery.Outcome
	var ns []delivery.Notification
	for i := range uint64(1300) {
		robot := fmt.Sprintf("r%d", i%7)
		ns = append(ns, delivery.Notification{Robot: robot, Seq: i + 1})
		if i%3 != 0 {
			outcomes = append(outcomes, delivery.Outcome{Robot: robot, Seq: i + 1, Delivered: true, Attempts: int(i)})
		}
	}
	if err := j.Settle(unhurried(t), outcomes); err != nil {
		t.Fatal(err)
	}
	// The later of two in one call counts.
	again := slices.Clone(outcomes[:20])
	for i := range again {
		again[i].Attempts = -1
	}
	if err := j.Settle(unhurried(t), append(again, outcomes[:20]...)); err != nil {
		t.Fatal(err)
	}
	got, err := j.Outcomes(unhurried(t), ns)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range got {
		switch {
		case i%3 == 0 && o != nil:
			t.Errorf("outcome of %d, which has none: %+v", ns[i].Seq, o)
		case i%3 != 0 && (o == nil || o.Seq != ns[i].Seq || o.Robot != ns[i].Robot || o.Attempts != i):
			t.Errorf("outcome of %d = %+v", ns[i].Seq, o)
		}
	}
}

func TestBacklogCountsWhatIsBeyondTheCursor(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	var places []uint64
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for i := range 10 {
		n := journaltest.Message("a", "", "text")
		n.CreateTime = start.Add(time.Duration(i) * time.Minute)
		receipts, err := j.Append(unhurried(t), []delivery.Notification{n, journaltest.Message("b", "", "text")})
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, receipts[0].Seq)
	}
	for settled := range 11 {
		var after uint64
		var want time.Time
		if settled > 0 {
			after = places[settled-1]
		}
		if settled < 10 {
			want = start.Add(time.Duration(settled) * time.Minute)
		}
		count, oldest, err := j.Backlog(unhurried(t), "a", after)
		if err != nil || count != uint64(10-settled) || !oldest.Equal(want) {
			t.Errorf("Backlog after %d = %d, %v, %v; want %d, %v", settled, count, oldest, err, 10-settled, want)
		}
	}
	if count, _, err := j.Backlog(unhurried(t), "none", 0); err != nil || count != 0 {
		t.Errorf("Backlog of a robot without notifications = %d, %v", count, err)
	}
}
