package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// drain reads all changes after a position, by max at once, as "robot/text:state".
func drain(t *testing.T, j *Journal, robot string, after Position, max int) (all []string, next Position) {
	t.Helper()
	for range 10_000 {
		changes, next, err := j.Changes(unhurried(t), robot, after, max)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) > max {
			t.Fatalf("Changes returned %d of %d at most", len(changes), max)
		}
		for _, c := range changes {
			state := "pending"
			if c.Outcome != nil {
				state = map[bool]string{true: "delivered", false: "dead"}[c.Outcome.Delivered]
			}
			all = append(all, fmt.Sprintf("%s/%s:%s", c.Notification.Robot, c.Notification.Message.GetText().GetContent(), state))
		}
		if next == after {
			return all, next
		}
		after = next
	}
	t.Fatal("Changes never comes to an end")
	return nil, after
}

func settle(t *testing.T, j *Journal, robot string, seq uint64, delivered bool) {
	t.Helper()
	if err := j.Settle(unhurried(t), []delivery.Outcome{{Robot: robot, Seq: seq, Delivered: delivered}}); err != nil {
		t.Fatal(err)
	}
}

func TestChangesTellWhatWasAcceptedAndWhatEnded(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	wantChanges := func(robot string, after Position, want ...string) Position {
		t.Helper()
		var next Position
		for _, max := range []int{1, 2, 500} {
			var got []string
			if got, next = drain(t, j, robot, after, max); !slices.Equal(want, got) {
				t.Errorf("changes of %q after %+v by %d = %q, want %q", robot, after, max, got, want)
			}
		}
		return next
	}
	head, err := j.Head(unhurried(t))
	if err != nil || head != (Position{}) {
		t.Fatalf("Head of an empty journal = %+v, %v", head, err)
	}
	if next := wantChanges("", head); next != head {
		t.Errorf("position after nothing = %+v", next)
	}
	receipts, err := j.Append(unhurried(t), []delivery.Notification{
		journaltest.Message("a", "", "1"), journaltest.Message("b", "", "2"), journaltest.Message("a", "", "3"),
	})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, j, "b", receipts[1].Seq, true)
	next := wantChanges("", head, "a/1:pending", "b/2:delivered", "a/3:pending", "b/2:delivered")
	wantChanges("", next)
	ofA := wantChanges("a", head, "a/1:pending", "a/3:pending")
	settle(t, j, "a", receipts[2].Seq, false)
	settle(t, j, "a", receipts[0].Seq, true)
	wantChanges("", next, "a/3:dead", "a/1:delivered")
	wantChanges("a", ofA, "a/3:dead", "a/1:delivered")
	if head, err = j.Head(unhurried(t)); err != nil {
		t.Fatal(err)
	}
	wantChanges("", head)
	// One that is settled anew is told of anew, as it is now.
	settle(t, j, "a", receipts[2].Seq, true)
	wantChanges("", next, "a/1:delivered", "a/3:delivered")
	wantChanges("b", head)
}

func TestChangesKeepToTheirBytes(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	head, err := j.Head(unhurried(t))
	if err != nil {
		t.Fatal(err)
	}
	const n = 7
	for i := range n {
		receipts, err := j.Append(unhurried(t), []delivery.Notification{journaltest.Message("a", "", strings.Repeat(fmt.Sprint(i), 3<<20))})
		if err != nil {
			t.Fatal(err)
		}
		settle(t, j, "a", receipts[0].Seq, true)
	}
	for after, all := range map[Position]int{head: 2 * n, {Log: n}: n} {
		changes, _, err := j.Changes(unhurried(t), "", after, 100)
		if err != nil || len(changes) == 0 || len(changes) >= all {
			t.Errorf("Changes after %+v returned %d of %d with 3 MiB each, %v", after, len(changes), all, err)
		}
	}
	if all, _ := drain(t, j, "", head, 100); len(all) != 2*n {
		t.Errorf("%d changes in all, want %d", len(all), 2*n)
	}
}

func TestChangesTellWhatTheyCouldReadBeforeAFailure(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	receipts, err := j.Append(unhurried(t), []delivery.Notification{journaltest.Message("a", "", "1")})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, j, "a", receipts[0].Seq, true)
	if _, err := j.js.Publish(unhurried(t), outcomeSubject("a", 99), []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	changes, next, err := j.Changes(unhurried(t), "", Position{}, 1000)
	if err != nil || len(changes) != 2 || next != (Position{Log: 1, Outcomes: 1}) {
		t.Fatalf("Changes = %+v, next %+v, %v", changes, next, err)
	}
	if changes, after, err := j.Changes(unhurried(t), "", next, 1000); err == nil || after != next {
		t.Errorf("Changes of what is damaged = %+v, next %+v, %v", changes, after, err)
	}
}

func TestChangesRefuseAPositionThatWasForgotten(t *testing.T) {
	t.Parallel()
	// The server's clock is the machine's, so notifications are kept as briefly as it allows.
	j, _ := openIn(t, t.TempDir(), Options{DedupWindow: 100 * time.Millisecond, Retention: 200 * time.Millisecond})
	var seqs []uint64
	for range 3 {
		receipts, err := j.Append(unhurried(t), []delivery.Notification{journaltest.Message("a", "", "x")})
		if err != nil {
			t.Fatal(err)
		}
		settle(t, j, "a", receipts[0].Seq, true)
		seqs = append(seqs, receipts[0].Seq)
	}
	ctx, cancel := context.WithTimeout(unhurried(t), 20*time.Second)
	defer cancel()
	var err error
	for err == nil {
		if _, _, err = j.Changes(ctx, "", Position{Log: seqs[0]}, 10); ctx.Err() != nil {
			t.Fatal("the position was never refused")
		}
	}
	if !errors.Is(err, ErrPositionExpired) {
		t.Errorf("Changes after what was forgotten = %v, want ErrPositionExpired", err)
	}
	// Nothing came after the last one. Its outcome is still there, but it is not.
	for {
		changes, _, err := j.Changes(ctx, "", Position{Log: seqs[2]}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			return
		}
	}
}
