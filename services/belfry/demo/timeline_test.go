package demo

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"github.com/google/go-cmp/cmp"
)

func TestMessageIsJoinedWithItsWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := newFakeGroup(), new(lookup)
		p, rec := newTestPage(t, g, saying(map[string]string{
			"/hooks/one":   `["robots/a/deliveries/1"]`,
			"/hooks/two":   `["robots/a/deliveries/2"]`,
			"/hooks/three": `["robots/a/deliveries/3","robots/b/deliveries/3"]`,
		}), l)
		tl := p.timeline
		// The group has the message before the door has answered.
		l.set("robots/a/deliveries/1", "u1")
		g.receive("u1", dingtalk.Text{Content: "one"})
		tl.refresh(t.Context())
		u, rev := tl.since(0)
		if m := u.Messages[0]; !m.Looking || m.Causes != nil {
			t.Errorf("before the answer: looking %v, causes %v", m.Looking, m.Causes)
		}
		post(t, rec, "/hooks/one", "{}")
		tl.refresh(t.Context())
		u, rev = tl.since(rev)
		if diff := cmp.Diff([]uint64{1}, u.Messages[0].Causes); diff != "" || u.Messages[0].Items != 1 {
			t.Errorf("causes (-want +got):\n%s, %d items", diff, u.Messages[0].Items)
		}

		// A digest has several; one webhook's delivery for another robot is no part of it, and a repeat
		// of a webhook is a further cause, but no further item.
		for _, name := range []string{"two", "three", "three"} {
			post(t, rec, "/hooks/"+name, "{}")
		}
		l.set("robots/a/deliveries/2", "u2")
		l.set("robots/a/deliveries/3", "u2")
		l.set("robots/b/deliveries/3", "u9")
		g.receive("u2", dingtalk.Markdown{Title: "t", Text: "two"})
		tl.refresh(t.Context())
		u, rev = tl.since(rev)
		if len(u.Messages) != 1 || len(u.Webhooks) != 3 {
			t.Fatalf("update of %d messages and %d webhooks, want the new ones: 1 and 3", len(u.Messages), len(u.Webhooks))
		}
		if diff := cmp.Diff([]uint64{2, 3, 4}, u.Messages[0].Causes); diff != "" || u.Messages[0].Items != 2 {
			t.Errorf("causes (-want +got):\n%s, %d items", diff, u.Messages[0].Items)
		}

		// When all is known nobody is asked any more.
		time.Sleep(lookFor)
		tl.refresh(t.Context())
		asked := l.count()
		tl.refresh(t.Context())
		if u, _ := tl.since(rev); len(u.Messages) != 2 || u.Messages[0].Looking || len(u.Messages[0].Causes) != 1 {
			t.Errorf("after %v: %+v", lookFor, u.Messages)
		}
		if l.count() != asked {
			t.Errorf("asked %d times more with nothing to look for", l.count()-asked)
		}
	})
}

func TestMessageWithoutWebhookIsNotLookedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := newFakeGroup(), new(lookup)
		p, rec := newTestPage(t, g, saying(map[string]string{"/hooks/one": `["robots/a/deliveries/1"]`}), l)
		post(t, rec, "/hooks/one", "{}") // still waits for its turn
		g.receive("sent-through-the-api", dingtalk.Text{Content: "hello"})
		p.timeline.refresh(t.Context())
		if l.count() != 1 {
			t.Errorf("asked %d times, want 1", l.count())
		}
		time.Sleep(lookFor)
		p.timeline.refresh(t.Context())
		p.timeline.refresh(t.Context())
		u, _ := p.timeline.since(0)
		if m := u.Messages[0]; m.Looking || m.Causes != nil || m.Items != 0 {
			t.Errorf("looking %v, causes %v, items %d", m.Looking, m.Causes, m.Items)
		}
		if l.count() != 2 {
			t.Errorf("asked %d times, want one more", l.count())
		}
	})
}

func TestRefreshStopsAskingWhenItsTimeIsOver(t *testing.T) {
	g, l := newFakeGroup(), new(lookup)
	p, rec := newTestPage(t, g, saying(map[string]string{"/hooks/one": `["robots/a/deliveries/1"]`}), l)
	l.set("robots/a/deliveries/1", "u1")
	post(t, rec, "/hooks/one", "{}")
	g.receive("u1", dingtalk.Text{Content: "one"})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	p.timeline.refresh(gone)
	if u, _ := p.timeline.since(0); l.count() != 0 || u.Messages[0].Causes != nil || !u.Messages[0].Looking {
		t.Errorf("asked %d times, %+v", l.count(), u.Messages[0])
	}
	p.timeline.refresh(t.Context())
	if u, _ := p.timeline.since(0); len(u.Messages[0].Causes) != 1 {
		t.Errorf("the next refresh did not make up for it: %+v", u.Messages[0])
	}
}

func TestTimelineTellsOnlyWhatChanged(t *testing.T) {
	g, l := newFakeGroup(), new(lookup)
	p, _ := newTestPage(t, g, saying(nil), l)
	tl := p.timeline
	g.receive("u1", dingtalk.Text{Content: "one"})
	g.receive("u2", dingtalk.Text{Content: "two"})
	tl.refresh(t.Context())
	u, rev := tl.since(0)
	if !u.Reset || len(u.Messages) != 2 || u.Status == nil || *u.Status != (statusView{Left: 20, Budget: 20, Curl: testCurl}) {
		t.Errorf("first update: %+v", u)
	}
	tl.refresh(t.Context())
	if u, rev = tl.since(rev); !u.empty() {
		t.Errorf("nothing changed, but: %+v", u)
	}
	g.change(func() { g.received[0].Duplicates = 2; g.left = 17; g.tooFast = 1 })
	tl.refresh(t.Context())
	u, _ = tl.since(rev)
	if u.Reset || len(u.Messages) != 1 || u.Messages[0].N != 1 || u.Messages[0].Duplicates != 2 {
		t.Errorf("after a repeat: %+v", u)
	}
	if want := (statusView{Left: 17, Budget: 20, TooFast: 1, Curl: testCurl}); u.Status == nil || *u.Status != want {
		t.Errorf("status %+v, want %+v", u.Status, want)
	}
}

func TestEmptiedGroupStartsAnew(t *testing.T) {
	g, l := newFakeGroup(), new(lookup)
	p, _ := newTestPage(t, g, saying(nil), l)
	for i := range 3 {
		g.receive(fmt.Sprint("u", i), dingtalk.Text{Content: "before"})
	}
	p.timeline.refresh(t.Context())
	_, rev := p.timeline.since(0)
	g.change(func() { g.received = nil })
	g.receive("n1", dingtalk.Text{Content: "after"})
	p.timeline.refresh(t.Context())
	u, rev := p.timeline.since(rev)
	if !u.Reset || len(u.Messages) != 1 || u.Messages[0].Text != "after" {
		t.Errorf("update %+v, want a reset with the one message", u)
	}
	p.timeline.refresh(t.Context())
	if u, _ := p.timeline.since(rev); !u.empty() {
		t.Errorf("a second reset: %+v", u)
	}
}

func TestTimelineIsBounded(t *testing.T) {
	g, l := newFakeGroup(), new(lookup)
	p, rec := newTestPage(t, g, func(r *http.Request) string {
		return `{"deliveries":["robots` + r.URL.Path + `"]}`
	}, l)
	for i := range maxMessages + 40 {
		uuid := fmt.Sprint("u", i)
		l.set(fmt.Sprint("robots/hooks/", i), uuid)
		post(t, rec, fmt.Sprint("/hooks/", i), "{}")
		g.receive(uuid, dingtalk.Text{Content: uuid})
		if i%50 == 0 {
			p.timeline.refresh(t.Context())
		}
	}
	p.timeline.refresh(t.Context())
	u, _ := p.timeline.since(0)
	if len(u.Messages) != maxMessages || u.Messages[0].N != 41 || len(u.Webhooks) != maxWebhooks || u.Webhooks[0].ID != 41 {
		t.Errorf("%d messages from %d, %d webhooks from %d", len(u.Messages), u.Messages[0].N, len(u.Webhooks), u.Webhooks[0].ID)
	}
	for _, m := range u.Messages {
		if len(m.Causes) != 1 || m.Causes[0] != uint64(m.N) {
			t.Fatalf("message %d is caused by %v", m.N, m.Causes)
		}
	}
	if n := len(p.timeline.carried); n > maxWebhooks {
		t.Errorf("%d deliveries are remembered for %d webhooks", n, maxWebhooks)
	}
}

func TestMessageViewsHoldWhatThePageShows(t *testing.T) {
	for _, c := range []struct {
		content dingtalk.Content
		want    messageView
	}{
		{dingtalk.Text{Content: "c"}, messageView{Type: "text", Text: "c"}},
		{dingtalk.Markdown{Title: "t", Text: "x"}, messageView{Type: "markdown", Title: "t", Text: "x"}},
		{
			dingtalk.Link{Title: "t", Text: "x", MessageURL: "m", PicURL: "p"},
			messageView{Type: "link", Title: "t", Text: "x", URL: "m", Picture: "p"},
		},
		{
			// DingTalk looks at the single button only, where there is one.
			dingtalk.ActionCard{Title: "t", Text: "x", SingleTitle: "s", SingleURL: "u", Buttons: []dingtalk.Button{{Title: "b"}}},
			messageView{Type: "actionCard", Title: "t", Text: "x", Buttons: []linkView{{Title: "s", URL: "u"}}},
		},
		{
			dingtalk.ActionCard{Title: "t", Text: "x", Horizontal: true, Buttons: []dingtalk.Button{{Title: "a", ActionURL: "1"}, {Title: "b", ActionURL: "2"}}},
			messageView{Type: "actionCard", Title: "t", Text: "x", Horizontal: true, Buttons: []linkView{{Title: "a", URL: "1"}, {Title: "b", URL: "2"}}},
		},
		{
			dingtalk.FeedCard{Links: []dingtalk.FeedLink{{Title: "a", MessageURL: "1", PicURL: "p"}}},
			messageView{Type: "feedCard", Links: []linkView{{Title: "a", URL: "1", Picture: "p"}}},
		},
	} {
		g, l := newFakeGroup(), new(lookup)
		p, _ := newTestPage(t, g, saying(nil), l)
		g.receive("u", c.content)
		p.timeline.refresh(t.Context())
		u, _ := p.timeline.since(0)
		got := u.Messages[0]
		c.want.N, c.want.Time, c.want.UUID, c.want.Bytes, c.want.Looking = 1, got.Time, "u", len(`{"of":"some bytes"}`), true
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", c.content, diff)
		}
	}
}

func TestWhatIsFoldedAwayIsAmongTheCausesOfItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := newFakeGroup(), new(lookup)
		p, rec := newTestPage(t, g, saying(map[string]string{
			"/hooks/opened":   `["robots/a/deliveries/1"]`,
			"/hooks/assigned": `["robots/a/deliveries/2"]`,
		}), l)
		post(t, rec, "/hooks/opened", "{}")
		l.set("robots/a/deliveries/1", "u1")
		g.receive("u1", dingtalk.Text{Content: "opened"})
		p.timeline.refresh(t.Context())
		_, rev := p.timeline.since(0)

		// It comes when nobody looks for webhooks of the message any more.
		time.Sleep(2 * lookFor)
		p.timeline.refresh(t.Context())
		post(t, rec, "/hooks/assigned", "{}")
		p.timeline.refresh(t.Context())
		l.set("robots/a/deliveries/2", "folded into u1")
		time.Sleep(lookFor / 2)
		p.timeline.refresh(t.Context())
		u, _ := p.timeline.since(rev)
		if len(u.Messages) != 1 {
			t.Fatalf("%d messages are told anew, want the one that tells it", len(u.Messages))
		}
		m := u.Messages[0]
		if diff := cmp.Diff([]uint64{1, 2}, m.Causes); diff != "" || m.Items != 1 || m.Folded != 1 {
			t.Errorf("%d items, %d folded, causes (-want +got):\n%s", m.Items, m.Folded, diff)
		}
		// Nobody is asked for ever.
		time.Sleep(2 * lookFor)
		asked := l.count()
		p.timeline.refresh(t.Context())
		if n := l.count() - asked; n != 0 {
			t.Errorf("it was asked %d times more when all is known", n)
		}
	})
}
