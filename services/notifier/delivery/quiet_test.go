package delivery_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests know their zones on every machine

	"pgregory.net/rapid"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

var everyDay = [7]bool{true, true, true, true, true, true, true}

// on returns the days of the week that it names.
func on(days ...time.Weekday) (all [7]bool) {
	for _, day := range days {
		all[day] = true
	}
	return all
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// hours returns stretches of every day, from and to in hours.
func hours(fromTo ...int) (all []delivery.QuietHours) {
	for i := 0; i < len(fromTo); i += 2 {
		all = append(all, delivery.QuietHours{From: fromTo[i] * 60, To: fromTo[i+1] * 60, Days: everyDay})
	}
	return all
}

func TestQuietEndsWhenTheClocksSaySo(t *testing.T) {
	weekend := []delivery.QuietHours{
		{From: 0, To: 1440, Days: on(time.Saturday, time.Sunday)},
		{From: 22 * 60, To: 8 * 60, Days: on(time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Sunday)},
	}
	tests := map[string]struct {
		zone  string
		hours []delivery.QuietHours
		at    string
		end   string // empty: it isn't quiet
	}{
		"just before":                           {"Asia/Shanghai", hours(22, 8), "2026-11-23T21:59:59+08:00", ""},
		"from the very minute":                  {"Asia/Shanghai", hours(22, 8), "2026-11-23T22:00:00+08:00", "2026-11-24T08:00:00+08:00"},
		"after midnight":                        {"Asia/Shanghai", hours(22, 8), "2026-11-24T03:04:05.678+08:00", "2026-11-24T08:00:00+08:00"},
		"at its end":                            {"Asia/Shanghai", hours(22, 8), "2026-11-24T08:00:00+08:00", ""},
		"asked in another zone":                 {"Asia/Shanghai", hours(22, 8), "2026-11-23T14:30:00Z", "2026-11-24T00:00:00Z"},
		"to the end of the day":                 {"Asia/Shanghai", hours(20, 24), "2026-11-23T23:59:59+08:00", "2026-11-24T00:00:00+08:00"},
		"24:00 touches 00:00":                   {"Asia/Shanghai", hours(20, 24, 0, 7), "2026-11-23T21:00:00+08:00", "2026-11-24T07:00:00+08:00"},
		"overlapping":                           {"Asia/Shanghai", hours(20, 23, 22, 2, 1, 5), "2026-11-23T20:00:00+08:00", "2026-11-24T05:00:00+08:00"},
		"from and to the same":                  {"Asia/Shanghai", []delivery.QuietHours{{From: 480, To: 480, Days: on(time.Monday)}}, "2026-11-23T09:00:00+08:00", "2026-11-24T08:00:00+08:00"},
		"a whole weekend with its nights":       {"Asia/Shanghai", weekend, "2026-11-20T22:30:00+08:00", "2026-11-23T08:00:00+08:00"},
		"night that belongs to the day before":  {"Asia/Shanghai", []delivery.QuietHours{{From: 1320, To: 480, Days: on(time.Friday)}}, "2026-11-21T07:00:00+08:00", "2026-11-21T08:00:00+08:00"},
		"night of a day that is not named":      {"Asia/Shanghai", []delivery.QuietHours{{From: 1320, To: 480, Days: on(time.Friday)}}, "2026-11-22T07:00:00+08:00", ""},
		"clocks go forward in the night":        {"Europe/Berlin", hours(22, 8), "2026-03-28T22:00:00+01:00", "2026-03-29T08:00:00+02:00"},
		"clocks go back in the night":           {"Europe/Berlin", hours(22, 8), "2026-10-24T22:00:00+02:00", "2026-10-25T08:00:00+01:00"},
		"ends in the hour that is left out":     {"Europe/Berlin", []delivery.QuietHours{{From: 0, To: 150, Days: everyDay}}, "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		"lies in the hour that is left out":     {"Europe/Berlin", hours(2, 3), "2026-03-29T03:00:00+02:00", ""},
		"ends in the hour that comes twice":     {"Europe/Berlin", []delivery.QuietHours{{From: 0, To: 150, Days: everyDay}}, "2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		"and is quiet again when it comes back": {"Europe/Berlin", []delivery.QuietHours{{From: 0, To: 150, Days: everyDay}}, "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00"},
		"all of the hour that comes twice":      {"Europe/Berlin", hours(2, 3), "2026-10-25T02:10:00+02:00", "2026-10-25T03:00:00+01:00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339Nano, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			q := &delivery.Quiet{Zone: zone(t, tt.zone), Hours: tt.hours}
			got := ""
			if end := q.Until(at); !end.IsZero() {
				got = end.In(at.Location()).Format(time.RFC3339)
			}
			want := tt.end
			if want != "" {
				end, err := time.Parse(time.RFC3339, want)
				if err != nil {
					t.Fatal(err)
				}
				want = end.In(at.Location()).Format(time.RFC3339)
			}
			if got != want {
				t.Errorf("quiet until %q, want %q", got, want)
			}
		})
	}
	if end := (*delivery.Quiet)(nil).Until(time.Now()); !end.IsZero() {
		t.Errorf("without quiet hours it is quiet until %v", end)
	}
}

// TestQuietIsWhatAMinuteByMinuteCountSays holds Until against a calendar that has every minute of a week
// painted, and that is walked through minute by minute.
func TestQuietIsWhatAMinuteByMinuteCountSays(t *testing.T) {
	zones := []*time.Location{
		zone(t, "Asia/Shanghai"), zone(t, "Europe/Berlin"), zone(t, "Europe/Moscow"), zone(t, "America/New_York"),
		zone(t, "Australia/Lord_Howe"), zone(t, "Asia/Kathmandu"), time.UTC,
	}
	stretch := rapid.Custom(func(rt *rapid.T) delivery.QuietHours {
		h := delivery.QuietHours{From: rapid.IntRange(0, 1439).Draw(rt, "from"), To: rapid.IntRange(0, 1440).Draw(rt, "to")}
		for i := range h.Days {
			h.Days[i] = rapid.Bool().Draw(rt, "day")
		}
		h.Days[rapid.IntRange(0, 6).Draw(rt, "one day at least")] = true
		return h
	})
	rapid.Check(t, func(rt *rapid.T) {
		q := &delivery.Quiet{Zone: rapid.SampledFrom(zones).Draw(rt, "zone"), Hours: rapid.SliceOfN(stretch, 1, 4).Draw(rt, "hours")}
		var painted [7 * 1440]bool
		awake := len(painted)
		for _, h := range q.Hours {
			for day, begins := range h.Days {
				length := h.To - h.From
				if length <= 0 {
					length += 1440
				}
				for m := 0; begins && m < length; m++ {
					if at := (day*1440 + h.From + m) % len(painted); !painted[at] {
						painted[at] = true
						awake--
					}
				}
			}
		}
		if awake == 0 {
			rt.Skip("it never ends")
		}
		// Half of the moments lie around a change of the clocks.
		base := rapid.SampledFrom([]int64{1774742400, 1792886400, 1772953200, 1793509200, 1775314800, 1790000000}).Draw(rt, "base")
		at := time.Unix(base+rapid.Int64Range(-200_000, 200_000).Draw(rt, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(rt, "nanos"))
		shows := func(t time.Time) bool {
			t = t.In(q.Zone)
			return painted[int(t.Weekday())*1440+t.Hour()*60+t.Minute()]
		}
		var want time.Time
		if shows(at) {
			for want = at.Truncate(time.Minute); shows(want); {
				want = want.Add(time.Minute)
			}
		}
		if got := q.Until(at); !got.Equal(want) {
			rt.Fatalf("at %v it is quiet until %v, want %v", at.In(q.Zone), got.In(q.Zone), want.In(q.Zone))
		}
	})
}

func TestQuietHoursThatAreNoneAreRefused(t *testing.T) {
	tests := map[string]delivery.Quiet{
		"no zone":               {Hours: hours(22, 8)},
		"no hours":              {Zone: time.UTC},
		"no days":               {Zone: time.UTC, Hours: []delivery.QuietHours{{From: 0, To: 60}}},
		"beyond the day":        {Zone: time.UTC, Hours: []delivery.QuietHours{{From: 1440, To: 60, Days: everyDay}}},
		"to beyond the day":     {Zone: time.UTC, Hours: []delivery.QuietHours{{From: 0, To: 1441, Days: everyDay}}},
		"never ending":          {Zone: time.UTC, Hours: hours(0, 24)},
		"never ending together": {Zone: time.UTC, Hours: hours(8, 20, 20, 8)},
	}
	for name, q := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				d, err := delivery.New(b.opts)
				if err != nil {
					t.Fatal(err)
				}
				b.opts.Robots[0].Quiet = &q
				if _, err := delivery.New(b.opts); err == nil {
					t.Error("New takes them")
				}
				if err := d.Update(b.opts.Robots, nil); err == nil {
					t.Error("Update takes them")
				}
				if r, _ := d.Robot("team"); r.Quiet != nil {
					t.Error("they are there although they were refused")
				}
			})
		})
	}
}
