package render

import (
	"fmt"
	"testing"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// parsed are the events that Gitee's deliveries tell of.
func parsed(t testing.TB, deliveries ...giteetest.Delivery) []*eventv1.Event {
	t.Helper()
	var events []*eventv1.Event
	secret, now := gitee.Signature("secret"), time.Now()
	for _, d := range deliveries {
		r, err := giteetest.NewRequest(t.Context(), "http://127.0.0.1/hooks/shop", secret, d, now)
		if err != nil {
			t.Fatal(err)
		}
		e, err := gitee.Parse(secret, "shop", r.Header, d.Body, now)
		if err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		events = append(events, e)
	}
	return events
}

// The rules of package delivery: ten calls of a minute's budget go to what goes alone, ten to digests, each
// of what is read at once.
const (
	aloneAtFirst = 10
	digestsLeft  = 10
	readAtOnce   = 256
)

func TestAThousandEventsFitIntoTheMessagesOfAMinute(t *testing.T) {
	start := time.Date(2026, 11, 22, 6, 30, 0, 0, time.UTC)
	var pool []*eventv1.Event
	for hour := range 12 {
		for _, d := range giteetest.All(start.Add(time.Duration(hour) * time.Hour)) {
			// Not every delivery of the story tells something.
			if d.Kind != "" && d.Kind != "ping" {
				pool = append(pool, parsed(t, d)...)
			}
		}
	}
	bursts := map[string]func(i int) *eventv1.Event{
		"pushes of one commit": func(i int) *eventv1.Event {
			return parsed(t, giteetest.Push(start, "belfry/ledger", "main", 1, fmt.Sprintf("feat%04d", i)))[0]
		},
		"pushes to several repositories": func(i int) *eventv1.Event {
			repo, branch := []string{"belfry/ledger", "belfry/web-console", "ops/charts"}[i%3], []string{"main", "release/2.4"}[i%2]
			return parsed(t, giteetest.Push(start, repo, branch, 1+i%4, fmt.Sprintf("feat%04d", i)))[0]
		},
		"everything that happens": func(i int) *eventv1.Event {
			if i%3 == 0 {
				return parsed(t, giteetest.Push(start, "belfry/ledger", "main", 1+i%3, fmt.Sprintf("feat%04d", i)))[0]
			}
			return pool[i%len(pool)]
		},
	}
	for name, event := range bursts {
		inEachLanguage(t, func(t *testing.T, locale string) {
			var batch []delivery.Notification
			for i := range 1000 {
				batch = append(batch, delivery.Notification{
					Seq: uint64(i + 1), Robot: "team", Event: event(i), CreateTime: start.Add(time.Duration(i) * 5 * time.Millisecond),
				})
			}
			robot := Options{Robot: "team", Locale: locale, Keywords: []string{"Gitee"}}
			batch = batch[aloneAtFirst:]
			var folded []int
			for len(batch) > 0 {
				m, used, err := renderAs(robot, batch[:min(len(batch), readAtOnce)])
				if err != nil {
					t.Fatal(err)
				}
				if body, err := dingtalk.Encode(m, sampleUUID); err != nil || len(body) > maxBody {
					t.Fatalf("a digest of %d has %d bytes, %v", used, len(body), err)
				}
				if name == "everything that happens" && len(folded) == 1 {
					golden(t, locale+"/digest_of_a_burst", m)
				}
				folded, batch = append(folded, used), batch[used:]
			}
			if len(folded) > digestsLeft {
				t.Errorf("%s: it took %d digests, of %v events; a minute's budget leaves %d", name, len(folded), folded, digestsLeft)
			}
			t.Logf("%s: digests of %v events", name, folded)
		})
	}
}
