package delivery

import (
	"testing"
	"time"
)

func TestGatheringFollowsTheCalendar(t *testing.T) {
	a := Allowance{Name: "org", PerMonth: 3000, MaxWait: 30 * time.Minute}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tests := map[string]struct {
		used int
		now  string
		want time.Duration
	}{
		"nothing used":                             {0, "2026-11-01T00:00:00+08:00", 0},
		"the first day's share may go at once":     {100, "2026-11-01T00:00:00+08:00", 0},
		"one ahead waits for one more's share":     {101, "2026-11-01T00:00:00+08:00", 14*time.Minute + 24*time.Second},
		"far ahead waits as long as anything may":  {500, "2026-11-01T00:00:00+08:00", 30 * time.Minute},
		"half-way, half used":                      {1500, "2026-11-16T00:00:00+08:00", 0},
		"the last day brings the whole share":      {2999, "2026-11-30T00:00:00+08:00", 0},
		"nothing left":                             {3000, "2026-11-30T12:00:00+08:00", 30 * time.Minute},
		"more used than there is":                  {4000, "2026-11-20T00:00:00+08:00", 30 * time.Minute},
		"not beyond the month's end":               {4000, "2026-11-30T23:50:00+08:00", 10 * time.Minute},
		"the month ends in Beijing, not elsewhere": {4000, "2026-11-30T15:50:00Z", 10 * time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := a.gather(tt.used, at(tt.now)).Round(time.Second); got != tt.want {
				t.Errorf("gather = %v, want %v", got, tt.want)
			}
		})
	}
	if got := (Allowance{PerMonth: 10}).gather(10, at("2026-11-20T00:00:00+08:00")); got != 0 {
		t.Errorf("without a longest wait things wait %v", got)
	}
}

func TestLedgerAddsUpEachMonthOfEachAllowance(t *testing.T) {
	november, december := time.Date(2026, 11, 30, 23, 0, 0, 0, beijing), time.Date(2026, 12, 1, 1, 0, 0, 0, beijing)
	b := newLedger()
	enter := func(robot, allowance string, now time.Time, calls int) {
		b.enter(robot, entry{account{allowance, monthOf(now)}, calls})
	}
	want := func(allowance string, now time.Time, calls int) {
		t.Helper()
		if got := b.used(allowance, now); got != calls {
			t.Errorf("used of %s in %s = %d, want %d", allowance, monthOf(now), got, calls)
		}
	}
	enter("a", "org", november, 3)
	enter("a", "org", november, 5)
	enter("b", "org", november, 2)
	enter("c", "other", november, 7)
	want("org", november, 7)
	want("other", november, 7)
	want("org", december, 0)
	enter("a", "org", december, 1)
	want("org", november, 2)
	want("org", december, 1)
	enter("b", "other", december, 1)
	want("org", november, 0)
	want("other", december, 1)
	if n := len(b.sums); n != 3 {
		t.Errorf("%d sums are kept", n)
	}
}
