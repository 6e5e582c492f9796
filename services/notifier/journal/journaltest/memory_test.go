package journaltest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestMemoryIsAJournal(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) (delivery.Journal, func() delivery.Journal) {
		m := journaltest.NewMemory()
		t.Cleanup(func() {
			for _, v := range m.Violations() {
				t.Errorf("violation: %v", v)
			}
		})
		return m, func() delivery.Journal { return m }
	})
}

func TestMemoryFailsBeforeOrAfterAsTold(t *testing.T) {
	lost := errors.New("connection lost")
	for _, applied := range []bool{false, true} {
		m := journaltest.NewMemory()
		broken := true
		m.Fault = func(op string) (bool, error) {
			if broken && op == journaltest.OpAppend {
				return applied, lost
			}
			return false, nil
		}
		if _, err := m.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")}); !errors.Is(err, lost) {
			t.Fatalf("Append = %v, want the fault", err)
		}
		broken = false
		receipts, err := m.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")})
		if err != nil || receipts[0].Duplicate != applied {
			t.Errorf("applied %t: repeat = %v, %v", applied, receipts, err)
		}
		if n := len(m.Log("a")); n != 1 {
			t.Errorf("applied %t: %d in the log", applied, n)
		}
	}
}

func TestMemoryTellsOfWhatIsSavedWhateverItsMakerLearns(t *testing.T) {
	m := journaltest.NewMemory()
	var fault error
	apply := true
	m.Fault = func(string) (bool, error) { return apply, fault }
	var saved []uint64
	m.Saved = func(_ context.Context, rec delivery.LaneRecord) { saved = append(saved, rec.Cursor) }
	if _, err := m.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")}); err != nil {
		t.Fatal(err)
	}
	rec, err := m.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a"})
	if err != nil {
		t.Fatal(err)
	}
	fault = errors.New("connection lost")
	rec.Cursor = 1
	_, happened := m.SaveLane(t.Context(), rec)
	_, fenced := m.SaveLane(t.Context(), rec)
	apply = false
	_, failed := m.SaveLane(t.Context(), rec)
	if happened == nil || fenced == nil || failed == nil || !slices.Equal(saved, []uint64{0, 1}) {
		t.Errorf("%v, %v, %v; told of cursors %d", happened, fenced, failed, saved)
	}
}

func TestMemoryEndsFollowWhenAChangeWasNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("connection lost")
		m := journaltest.NewMemory()
		fails := false
		m.Fault = func(op string) (bool, error) {
			if fails && op == journaltest.OpSaveLane {
				return true, lost
			}
			return false, nil
		}
		w := journaltest.NewWatcher()
		ended := make(chan error, 1)
		go func() { ended <- m.Follow(t.Context(), w) }()
		synctest.Wait()
		fails = true
		if _, err := m.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a"}); !errors.Is(err, lost) {
			t.Fatalf("SaveLane = %v, want the fault", err)
		}
		if err := <-ended; !errors.Is(err, lost) {
			t.Errorf("Follow after a change that nobody was told of = %v, want the fault", err)
		}
		if w.Revision("a") != 0 {
			t.Error("the follower was told of a change whose maker wasn't")
		}
		w.Follow(t, m)()
		if w.Revision("a") == 0 {
			t.Error("a new Follow doesn't tell of the change")
		}
	})
}

func TestMemoryForgetsRequestIDsAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := journaltest.NewMemory()
		m.DedupWindow = time.Hour
		for i, want := range []bool{false, true, false} {
			receipts, err := m.Append(t.Context(), []delivery.Notification{journaltest.Message("a", "r", "x")})
			if err != nil || receipts[0].Duplicate != want {
				t.Errorf("append %d = %v, %v, want duplicate %t", i, receipts, err, want)
			}
			time.Sleep(time.Duration(i) * time.Hour) // the bubble's time
		}
	})
}

func TestMemoryTellsOnLanes(t *testing.T) {
	tests := map[string]func(m *journaltest.Memory) error{
		"cursor goes back": func(m *journaltest.Memory) error {
			rec, err := m.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a", Cursor: 2})
			if err != nil {
				return err
			}
			rec.Cursor = 1
			_, err = m.SaveLane(t.Context(), rec)
			return err
		},
		"cursor beyond the log": func(m *journaltest.Memory) error {
			_, err := m.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a", Cursor: 4})
			return err
		},
		"intent leaves one out": func(m *journaltest.Memory) error {
			_, err := m.SaveLane(t.Context(), delivery.LaneRecord{Robot: "a", Cursor: 1, Intent: &delivery.Intent{First: 3, Last: 3, Items: 1, Body: []byte("{}")}})
			return err
		},
		"outcome without notification": func(m *journaltest.Memory) error {
			return m.Settle(t.Context(), []delivery.Outcome{{Robot: "b", Seq: 1}})
		},
		"delivered, then failed": func(m *journaltest.Memory) error {
			return m.Settle(t.Context(), []delivery.Outcome{{Robot: "a", Seq: 1, Delivered: true}, {Robot: "a", Seq: 1}})
		},
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			m := journaltest.NewMemory()
			ns := []delivery.Notification{journaltest.Message("a", "", "1"), journaltest.Message("a", "", "2"), journaltest.Message("a", "", "3")}
			if _, err := m.Append(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
			if err := do(m); err != nil {
				t.Fatal(err)
			}
			if len(m.Violations()) != 1 {
				t.Errorf("violations = %v, want one", m.Violations())
			}
		})
	}
}
