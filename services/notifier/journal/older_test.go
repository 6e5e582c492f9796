package journal

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// What the first version stored, before there were quiet hours and folding.
const (
	olderRecord = `{"robot":"a","cursor":7,"intent":{"first":8,"last":9,"items":2,"newest":"2026-11-22T10:00:00Z","uuid":"0e6b6f0a",` +
		`"body":{"msgtype":"text","text":{"content":"<b>"}},"member":"m","attempts":2,"uncertain":true,"next_attempt":"2026-11-22T10:00:05Z"},` +
		`"members":{"m":{"calls":["2026-11-22T10:00:00Z"],"throttles":1}},"suspect":{"until":9,"max":2},"month":"2026-11","month_calls":3,"allowance":"org"}`
	olderOutcome = `{"robot":"a","seq":7,"delivered":true,"uuid":"u","items":2,"attempts":1,"time":"2026-11-22T10:00:00Z"}`
)

func TestWhatAnOlderVersionStoredIsRead(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	if _, err := j.lanes.Create(t.Context(), "a", []byte(olderRecord)); err != nil {
		t.Fatal(err)
	}
	if _, err := j.js.Publish(t.Context(), outcomeSubject("a", 7), []byte(olderOutcome)); err != nil {
		t.Fatal(err)
	}
	rec, err := j.Lane(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	want := delivery.LaneRecord{
		Robot: "a", Revision: rec.Revision, Cursor: 7,
		Intent: &delivery.Intent{
			First: 8, Last: 9, Items: 2, Newest: at, UUID: "0e6b6f0a", Body: json.RawMessage(`{"msgtype":"text","text":{"content":"<b>"}}`),
			Member: "m", Attempts: 2, Uncertain: true, NextAttempt: at.Add(5 * time.Second),
		},
		Members: map[string]delivery.MemberState{"m": {Calls: []time.Time{at}, Throttles: 1}},
		Suspect: &delivery.Suspect{Until: 9, Max: 2}, Month: "2026-11", MonthCalls: 3, Allowance: "org",
	}
	if diff := cmp.Diff(want, rec); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	// What has none of the newer things is stored as it was.
	if data, err := marshal(rec); err != nil || string(data) != olderRecord {
		t.Errorf("it would be stored as %s, %v", data, err)
	}
	out, err := j.Outcome(t.Context(), "a", 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&delivery.Outcome{Robot: "a", Seq: 7, Delivered: true, UUID: "u", Items: 2, Attempts: 1, Time: at}, out); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}
