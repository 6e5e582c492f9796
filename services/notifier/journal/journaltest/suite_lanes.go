package journaltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func testConcurrent(t *testing.T, open Open) {
	j, _ := open(t)
	const callers, calls = 8, 25
	robots := []string{"a", "b", "c"}
	places := make([][]uint64, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for k := range calls {
				var ns []delivery.Notification
				for _, robot := range robots[:1+k%3] {
					ns = append(ns, Message(robot, fmt.Sprintf("%d/%d", c, k), fmt.Sprintf("%d/%d", c, k)))
				}
				receipts, err := j.Append(t.Context(), ns)
				if err != nil {
					t.Errorf("Append: %v", err)
					return
				}
				for _, r := range receipts {
					places[c] = append(places[c], r.Seq)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[uint64]bool)
	for c := range callers {
		var last uint64
		for _, seq := range places[c] {
			if seen[seq] || seq <= last {
				t.Fatalf("caller %d was given place %d after %d, taken: %t", c, seq, last, seen[seq])
			}
			seen[seq], last = true, seq
		}
	}
	total := 0
	for _, robot := range robots {
		next := make(map[int]int)
		var last uint64
		for _, n := range read(t, j, robot, 0, 10*callers*calls) {
			var c, k int
			if _, err := fmt.Sscanf(n.Message.GetText().GetContent(), "%d/%d", &c, &k); err != nil {
				t.Fatal(err)
			}
			if n.Seq <= last || k < next[c] || !seen[n.Seq] {
				t.Fatalf("%s: call %d of caller %d at %d stands after call %d and place %d", robot, k, c, n.Seq, next[c]-1, last)
			}
			next[c], last = k+1, n.Seq
			total++
		}
	}
	if total != len(seen) {
		t.Errorf("%d notifications were read, %d stored", total, len(seen))
	}
}

func testNewLane(t *testing.T, open Open) {
	j, _ := open(t)
	got, err := j.Lane(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "record that was never saved", delivery.LaneRecord{Robot: "a"}, got)
}

func testFencing(t *testing.T, open Open) {
	j, _ := open(t)
	ctx := t.Context()
	seq := appendAll(t, j, messages("a", "one")...)[0].Seq
	first, err := j.SaveLane(ctx, delivery.LaneRecord{Robot: "a"})
	if err != nil || first.Revision == 0 {
		t.Fatalf("first SaveLane = %+v, %v", first, err)
	}
	if _, err := j.SaveLane(ctx, delivery.LaneRecord{Robot: "a", MonthCalls: 9}); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveLane as if there was none = %v, want ErrFenced", err)
	}
	next := first
	next.Cursor = seq
	second, err := j.SaveLane(ctx, next)
	if err != nil || second.Revision <= first.Revision || second.Cursor != seq {
		t.Fatalf("second SaveLane = %+v, %v", second, err)
	}
	if _, err := j.SaveLane(ctx, first); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveLane at an old revision = %v, want ErrFenced", err)
	}
	ahead := second
	ahead.Revision += 1000
	if _, err := j.SaveLane(ctx, ahead); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveLane at a revision to come = %v, want ErrFenced", err)
	}
	got, err := j.Lane(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "record after the fenced ones", second, got)
	// A record of another robot's has no say.
	if other, err := j.SaveLane(ctx, delivery.LaneRecord{Robot: "b"}); err != nil || other.Robot != "b" {
		t.Errorf("SaveLane of another robot = %+v, %v", other, err)
	}
	if _, err := j.SaveLane(ctx, second); err != nil {
		t.Errorf("SaveLane after another robot's = %v", err)
	}
}

func testRacingSavers(t *testing.T, open Open) {
	j, _ := open(t)
	const savers, rounds = 6, 5
	for range rounds {
		base, err := j.Lane(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		won := make([]bool, savers)
		var wg sync.WaitGroup
		for i := range savers {
			wg.Go(func() {
				rec := base
				rec.MonthCalls = i
				_, err := j.SaveLane(t.Context(), rec)
				if won[i] = err == nil; err != nil && !errors.Is(err, delivery.ErrFenced) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		rec, err := j.Lane(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range won {
			if w != (i == rec.MonthCalls) {
				t.Errorf("saver %d: won = %t, but the record is of saver %d", i, w, rec.MonthCalls)
			}
		}
	}
}

func testLaneReopen(t *testing.T, open Open) {
	j, reopen := open(t)
	ctx := t.Context()
	receipts := appendAll(t, j, messages("a", "one", "two", "three", "four")...)
	at := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	if err := j.Settle(ctx, []delivery.Outcome{{Robot: "a", Seq: receipts[3].Seq, Delivered: true}}); err != nil {
		t.Fatal(err)
	}
	want := delivery.LaneRecord{
		Robot: "a", Cursor: receipts[0].Seq, Ahead: []uint64{receipts[3].Seq},
		Told: []delivery.Told{{Mark: delivery.Mark{Seq: receipts[0].Seq, Mark: "合并 <!7>"}, Time: at}},
		Intent: &delivery.Intent{
			First: receipts[1].Seq, Last: receipts[2].Seq, Items: 2, UUID: "0e6b6f0a",
			Ahead: []uint64{receipts[1].Seq, receipts[2].Seq}, Through: true,
			Folded: []delivery.Fold{{Seq: receipts[2].Seq, Into: receipts[1].Seq}},
			Marks:  []delivery.Mark{{Seq: receipts[1].Seq, Mark: "m"}}, Note: "a <note>",
			// Escapes would make the body larger than DingTalk takes.
			Body:     json.RawMessage("{\"text\":\"<b>&amp; 日本 \u2028\u2029 \\u003c\"}"),
			Attempts: 3, Uncertain: true, NextAttempt: at,
		},
		Members: map[string]delivery.MemberState{"m": {
			Calls: []time.Time{at, at.Add(time.Second)}, MutedUntil: at.Add(time.Hour), Throttles: 2,
			Suspension: &delivery.Suspension{
				Failure: delivery.Failure{
					Reason: notifierv1.ErrorReason(1), Message: "a < b", Errcode: 310000,
					Verdict: delivery.GivenUp, Last: &delivery.Failure{Reason: notifierv1.ErrorReason(2)},
				},
				Since: at, NextProbe: at, Probes: 4,
			},
		}},
	}
	saved, err := j.SaveLane(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	want.Revision = saved.Revision
	equal(t, "record that SaveLane returned", want, saved)
	for range 2 {
		got, err := j.Lane(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "record", want, got)
		if string(got.Intent.Body) != string(want.Intent.Body) {
			t.Errorf("body = %q, want %q", got.Intent.Body, want.Intent.Body)
		}
		j = reopen()
	}
	if _, err := j.SaveLane(ctx, saved); err != nil {
		t.Errorf("SaveLane after reopen = %v", err)
	}
	if _, err := j.SaveLane(ctx, saved); !errors.Is(err, delivery.ErrFenced) {
		t.Errorf("SaveLane at the old revision after reopen = %v, want ErrFenced", err)
	}
}

func testSettle(t *testing.T, open Open) {
	j, reopen := open(t)
	ctx := t.Context()
	receipts := appendAll(t, j, append(messages("a", "one", "two", "three"), messages("b", "other")...)...)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	failed := delivery.Outcome{
		Robot: "a", Seq: receipts[0].Seq, Attempts: 1, Time: at,
		Failure: &delivery.Failure{Reason: notifierv1.ErrorReason(1), Message: "it is <too> large", Errcode: 430101},
	}
	var digest []delivery.Outcome
	for _, r := range receipts[1:3] {
		digest = append(digest, delivery.Outcome{Robot: "a", Seq: r.Seq, Delivered: true, UUID: "u", Items: 2, Attempts: 2, Time: at})
	}
	digest[0].Into, digest[1].Note = digest[1].Seq, "built-in <wording>"
	if err := j.Settle(ctx, nil); err != nil {
		t.Errorf("Settle of nothing = %v", err)
	}
	check := func(j delivery.Journal, robot string, seq uint64, want *delivery.Outcome) {
		t.Helper()
		shower, ok := j.(outcomer)
		if !ok {
			t.Fatalf("%T doesn't show outcomes", j)
		}
		got, err := shower.Outcome(ctx, robot, seq)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("outcome of %d of %s", seq, robot), want, got)
	}
	for range 2 {
		for _, outcomes := range [][]delivery.Outcome{{failed}, digest} {
			if err := j.Settle(ctx, outcomes); err != nil {
				t.Fatal(err)
			}
		}
		check(j, "a", failed.Seq, &failed)
		check(j, "a", digest[0].Seq, &digest[0])
		check(j, "b", receipts[3].Seq, nil)
	}
	failed.Attempts = 7
	if err := j.Settle(ctx, []delivery.Outcome{failed}); err != nil {
		t.Fatal(err)
	}
	j = reopen()
	check(j, "a", failed.Seq, &failed)
	check(j, "a", digest[1].Seq, &digest[1])
	check(j, "b", failed.Seq, nil)
	equal(t, "the log after it was settled", []string{"one", "two", "three"}, texts(read(t, j, "a", 0, 10)))
}
