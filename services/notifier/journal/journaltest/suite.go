package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Open makes an empty journal for one test. reopen, which may be called several times, closes the journal
// that is open and opens it again with all that it holds. Open arranges for its end by t.Cleanup.
type Open func(t *testing.T) (j delivery.Journal, reopen func() delivery.Journal)

// outcomer is a journal that can show outcomes; the suite asks for it to see what Settle did.
type outcomer interface {
	Outcome(ctx context.Context, robot string, seq uint64) (*delivery.Outcome, error)
}

// Run tests that the journals of open keep the contract of delivery.Journal. They must have a dedup window
// of an hour at least, and show outcomes by a method Outcome like Memory's.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"keeps each robot's order and all content":             testOrder,
		"reads within its limits and without gaps":             testRead,
		"knows request ids":                                    testDuplicates,
		"knows request ids after it was reopened":              testDuplicatesAfterReopen,
		"never knows an empty request id":                      testEmptyRequestID,
		"stores the unknown beside the known":                  testPartlyKnown,
		"stores all or nothing":                                testAllOrNothing,
		"fails when the context has ended":                     testEndedContext,
		"gives one of many equal requests the place":           testRacingDuplicates,
		"keeps order under concurrent appends":                 testConcurrent,
		"starts a lane at revision zero":                       testNewLane,
		"fences a lane that was changed by another":            testFencing,
		"lets one of many concurrent savers win":               testRacingSavers,
		"keeps lane records byte for byte, also when reopened": testLaneReopen,
		"settles, also repeatedly":                             testSettle,
		"keeps and fences controls":                            testControl,
		"tells a new follower what stands in it":               testFollowState,
		"tells followers of every change":                      testFollowChanges,
		"tells of the newest under concurrent appends":         testFollowWhileAppending,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// Message returns a notification of a text message; requestID may be empty.
func Message(robot, requestID, text string) delivery.Notification {
	return delivery.Notification{
		Robot: robot, RequestID: requestID, CreateTime: time.Now().Round(0).UTC(),
		Message: &notifierv1.Message{Content: &notifierv1.Message_Text{Text: &notifierv1.Text{Content: text}}},
	}
}

func messages(robot string, texts ...string) []delivery.Notification {
	ns := make([]delivery.Notification, len(texts))
	for i, text := range texts {
		ns[i] = Message(robot, "", text)
	}
	return ns
}

func appendAll(t *testing.T, j delivery.Journal, ns ...delivery.Notification) []delivery.Receipt {
	t.Helper()
	receipts, err := j.Append(t.Context(), ns)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if len(receipts) != len(ns) {
		t.Fatalf("Append of %d returned %d receipts", len(ns), len(receipts))
	}
	for _, r := range receipts {
		if r.Seq == 0 {
			t.Fatalf("receipts without a place: %v", receipts)
		}
	}
	return receipts
}

func read(t *testing.T, j delivery.Journal, robot string, after uint64, max int) []delivery.Notification {
	t.Helper()
	ns, err := j.Read(t.Context(), robot, after, max)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return ns
}

func texts(ns []delivery.Notification) []string {
	all := []string{}
	for _, n := range ns {
		all = append(all, n.Message.GetText().GetContent())
	}
	return all
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testOrder(t *testing.T, open Open) {
	j, reopen := open(t)
	if receipts, err := j.Append(t.Context(), nil); err != nil || len(receipts) != 0 {
		t.Errorf("Append of nothing = %v, %v", receipts, err)
	}
	event := delivery.Notification{
		Robot: "a", RequestID: "<日> \r\n\x00", CreateTime: time.Now().Round(0).UTC(),
		Event: &eventv1.Event{Id: "e1", Hook: "h"},
	}
	want := []delivery.Notification{Message("a", "r1", "one"), event, Message("a", "", "three")}
	want[2].Urgent, want[2].RedeliveryOf = true, "robots/a/deliveries/7"
	want[2].Refusal = &delivery.Failure{
		Reason: notifierv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE, Message: "it is <too> large",
		Errcode: 430101, Verdict: delivery.MendMessage,
	}
	want[0].Seq = appendAll(t, j, want[0], Message("b", "r1", "other"))[0].Seq
	want[1].Seq = appendAll(t, j, want[1])[0].Seq
	want[2].Seq = appendAll(t, j, Message("b", "", "other"), want[2])[1].Seq
	equal(t, "a's notifications", want, read(t, j, "a", 0, 10))
	equal(t, "b's", []string{"other", "other"}, texts(read(t, j, "b", 0, 10)))
	equal(t, "a's after reopen", want, read(t, reopen(), "a", 0, 10))
}

func testRead(t *testing.T, open Open) {
	j, _ := open(t)
	var seqs []uint64
	for i := range 30 {
		seqs = append(seqs, appendAll(t, j, Message("a", "", fmt.Sprint(i)))[0].Seq)
		appendAll(t, j, messages("b", "x", "y")...)
	}
	if !slices.IsSorted(seqs) {
		t.Fatalf("places don't ascend: %v", seqs)
	}
	for from := 0; from <= len(seqs); from++ {
		var after uint64
		if from > 0 {
			after = seqs[from-1]
		}
		for _, max := range []int{1, 7, 100} {
			var got []uint64
			for _, n := range read(t, j, "a", after, max) {
				got = append(got, n.Seq)
			}
			if want := seqs[from:min(from+max, len(seqs))]; !slices.Equal(want, got) {
				t.Fatalf("Read after %d, %d at most = %v, want %v", after, max, got, want)
			}
		}
	}
	if got := read(t, j, "none", 0, 5); len(got) != 0 {
		t.Errorf("Read of a robot without notifications = %v", got)
	}
	if got := read(t, j, "a", 1<<40, 5); len(got) != 0 {
		t.Errorf("Read beyond the end = %v", got)
	}
}

func testDuplicates(t *testing.T, open Open) {
	j, _ := open(t)
	first := appendAll(t, j, Message("a", "r", "one"), Message("b", "r", "one"))
	if first[0].Duplicate || first[1].Duplicate {
		t.Fatalf("first receipts = %v: an id of another robot's is not known", first)
	}
	for _, robot := range []string{"a", "b"} {
		got := appendAll(t, j, Message(robot, "r", "again"))
		want := first[map[string]int{"a": 0, "b": 1}[robot]].Seq
		equal(t, "receipt of a repeat", []delivery.Receipt{{Seq: want, Duplicate: true}}, got)
	}
	got := appendAll(t, j, Message("a", "r2", "two"), Message("a", "r2", "two again"))
	if got[0].Duplicate || !got[1].Duplicate || got[0].Seq != got[1].Seq {
		t.Errorf("receipts of the same id twice in one call = %v", got)
	}
	equal(t, "a's", []string{"one", "two"}, texts(read(t, j, "a", 0, 10)))
}

func testDuplicatesAfterReopen(t *testing.T, open Open) {
	j, reopen := open(t)
	single := appendAll(t, j, Message("a", "r1", "one"))
	batch := appendAll(t, j, Message("a", "r2", "two"), Message("b", "r2", "two"), Message("c", "r2", "two"))
	for range 2 {
		j = reopen()
		equal(t, "repeat of a single", []delivery.Receipt{{Seq: single[0].Seq, Duplicate: true}}, appendAll(t, j, Message("a", "r1", "one")))
		got := appendAll(t, j, Message("a", "r2", "two"), Message("b", "r2", "two"), Message("c", "r2", "two"))
		for i := range got {
			equal(t, "repeat in a batch", delivery.Receipt{Seq: batch[i].Seq, Duplicate: true}, got[i])
		}
	}
	if next := appendAll(t, j, Message("a", "r3", "three")); next[0].Seq <= batch[2].Seq {
		t.Errorf("place after reopen = %d, want one above %d", next[0].Seq, batch[2].Seq)
	}
	equal(t, "a's", []string{"one", "two", "three"}, texts(read(t, j, "a", 0, 10)))
}

func testEmptyRequestID(t *testing.T, open Open) {
	j, _ := open(t)
	seen := make(map[uint64]bool)
	for range 3 {
		for _, r := range appendAll(t, j, messages("a", "same", "same")...) {
			if r.Duplicate || seen[r.Seq] {
				t.Errorf("receipt %v for an empty request id", r)
			}
			seen[r.Seq] = true
		}
	}
}

func testPartlyKnown(t *testing.T, open Open) {
	j, _ := open(t)
	known := appendAll(t, j, Message("b", "r", "one"))[0].Seq
	got := appendAll(t, j, Message("a", "r", "one"), Message("b", "r", "one"), Message("c", "r", "one"), Message("d", "", "one"))
	for i, r := range got {
		if isB := i == 1; r.Duplicate != isB || (r.Seq == known) != isB {
			t.Errorf("receipt %d = %v, b's was at %d", i, r, known)
		}
	}
	for _, robot := range []string{"a", "b", "c", "d"} {
		equal(t, robot+"'s", []string{"one"}, texts(read(t, j, robot, 0, 10)))
	}
}

func testAllOrNothing(t *testing.T, open Open) {
	j, _ := open(t)
	_, err := j.Append(t.Context(), []delivery.Notification{Message("a", "r", "one"), {Robot: "b", RequestID: "r"}})
	if err == nil {
		t.Fatal("Append of a notification without content = nil")
	}
	if got := read(t, j, "a", 0, 10); len(got) != 0 {
		t.Errorf("stored beside the faulty one: %v", got)
	}
	if got := appendAll(t, j, Message("a", "r", "one")); got[0].Duplicate {
		t.Error("the refused request's id is known")
	}
}

func testEndedContext(t *testing.T, open Open) {
	j, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.Append(ctx, messages("a", "x"))
	_, rerr := j.Read(ctx, "a", 0, 1)
	_, lerr := j.Lane(ctx, "a")
	_, serr := j.SaveLane(ctx, delivery.LaneRecord{Robot: "a"})
	for _, err := range []error{err, rerr, lerr, serr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error of a call under an ended context = %v", err)
		}
	}
}

func testRacingDuplicates(t *testing.T, open Open) {
	j, _ := open(t)
	const callers = 20
	receipts := make([][]delivery.Receipt, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			ns := []delivery.Notification{Message("a", "r", "one"), Message("b", "r", "one")}
			var err error
			if receipts[i], err = j.Append(t.Context(), ns[:1+i%2]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	firsts := make(map[int]int)
	for _, rs := range receipts {
		for k, r := range rs {
			if !r.Duplicate {
				firsts[k]++
			}
			if r.Seq != receipts[1][k].Seq {
				t.Errorf("one request has the places %d and %d", r.Seq, receipts[1][k].Seq)
			}
		}
	}
	equal(t, "stored per robot", map[int]int{0: 1, 1: 1}, firsts)
	equal(t, "a's", []string{"one"}, texts(read(t, j, "a", 0, 10)))
	equal(t, "b's", []string{"one"}, texts(read(t, j, "b", 0, 10)))
}
