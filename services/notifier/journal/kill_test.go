package journal

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

const childDir = "JOURNAL_TEST_CHILD_DIR"

// appendForParent is the child of TestAcknowledgedNotificationsSurviveKill: it appends as fast as it can and
// prints each request id once it has the receipt.
func appendForParent() {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	s, err := natsstore.Open(context.Background(), natsstore.Options{Dir: dir, Name: "child"})
	if err != nil {
		panic(err)
	}
	j, err := Open(context.Background(), Options{Store: s})
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", c, i)
				ns := []delivery.Notification{journaltest.Message("a", id, id), journaltest.Message("b", id, id)}
				receipts, err := j.Append(context.Background(), ns)
				if err != nil {
					panic(err)
				}
				if _, err := fmt.Printf("%s %d %d\n", id, receipts[0].Seq, receipts[1].Seq); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAcknowledgedNotificationsSurviveKill(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		dir := t.TempDir()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := make(map[string][2]uint64)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var id string
			var seqs [2]uint64
			if n, _ := fmt.Sscan(lines.Text(), &id, &seqs[0], &seqs[1]); n == 3 {
				acked[id] = seqs
			}
			if len(acked) == 100+50*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		j, shut := openIn(t, dir, Options{})
		found := make([]map[string]uint64, 2)
		for k, robot := range []string{"a", "b"} {
			found[k] = make(map[string]uint64)
			ns, err := j.Read(t.Context(), robot, 0, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range ns {
				if _, twice := found[k][n.RequestID]; twice {
					t.Errorf("%s stands twice in %s's log", n.RequestID, robot)
				}
				found[k][n.RequestID] = n.Seq
			}
		}
		for id, seqs := range acked {
			if found[0][id] != seqs[0] || found[1][id] != seqs[1] {
				t.Errorf("acknowledged %s at %v stands at %d and %d", id, seqs, found[0][id], found[1][id])
			}
		}
		// All or none holds for what was under way, too.
		for id := range found[0] {
			if found[1][id] == 0 {
				t.Errorf("%s is in one robot's log only", id)
			}
		}
		if len(found[0]) != len(found[1]) {
			t.Errorf("the logs have %d and %d entries", len(found[0]), len(found[1]))
		}
		// A repeat after the crash is known.
		for id, seqs := range acked {
			got, err := j.Append(t.Context(), []delivery.Notification{journaltest.Message("a", id, id), journaltest.Message("b", id, id)})
			if err != nil || !got[0].Duplicate || got[0].Seq != seqs[0] || got[1].Seq != seqs[1] {
				t.Errorf("repeat of %s = %v, %v", id, got, err)
			}
			break
		}
		t.Logf("round %d: %d acknowledged, %d found", round, len(acked), len(found[0]))
		shut()
	}
}
