package demo

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

const (
	// maxMessages is how many messages the page shows.
	maxMessages = 500
	// lookFor is how long a message may wait for its webhook. The group may have it before the door has
	// answered, but not by much.
	lookFor = 5 * time.Second
	// lookupTime bounds the questions to the notifier that one refresh asks.
	lookupTime = 2 * time.Second
)

// timeline joins what the group received with what the recorder saw. Every entry carries the revision of
// its last change, so that each reader can be told what is new to it.
type timeline struct {
	source   Source
	token    string
	budget   int
	alone    bool // there are no webhooks to look for
	names    map[string]string
	recorder *Recorder
	causes   func(ctx context.Context, delivery string) (Cause, bool)

	mu       sync.Mutex
	revision uint64
	// reset is the revision at which the group was emptied; readers that are behind it start anew.
	reset    uint64
	messages []messageEntry   // as the group has them, the newest maxMessages
	webhooks []webhookEntry   // as the recorder has them
	carried  map[string]Cause // by delivery
	status   statusView
	statusAt uint64
	// curlLine was made at curlAt, when curlAfter was the last webhook.
	curl      func() string
	curlLine  string
	curlAt    time.Time
	curlAfter uint64
}

type messageEntry struct {
	view     messageView
	seen     time.Time
	revision uint64
}

type webhookEntry struct {
	view     webhookView
	revision uint64
}

// refresh reads the group, the recorder and the budget. It asks the notifier which message a delivery
// went in only while a message lacks its webhook, and while the webhook is new. What it could not learn before ctx ended is left for
// the next refresh.
func (t *timeline) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()

	t.mu.Lock()
	defer t.mu.Unlock()
	t.revision++
	received := t.source.MessagesOf(t.token)
	if len(received) > maxMessages {
		received = received[len(received)-maxMessages:]
	}
	t.readWebhooks()
	t.readMessages(received)
	t.findCauses(ctx)

	status := statusView{Left: t.source.BudgetLeft(t.token), Budget: t.budget, TooFast: t.source.Throttled(), Curl: t.freshCurl()}
	if status != t.status || t.statusAt == 0 {
		t.status, t.statusAt = status, t.revision
	}
}

func (t *timeline) readWebhooks() {
	recorded := t.recorder.Webhooks()
	var last uint64
	if n := len(t.webhooks); n > 0 {
		last = t.webhooks[n-1].view.ID
	}
	for _, wh := range recorded {
		if wh.ID > last {
			t.webhooks = append(t.webhooks, webhookEntry{viewWebhook(wh), t.revision})
		}
	}
	for _, gone := range t.webhooks[:len(t.webhooks)-len(recorded)] {
		for _, name := range gone.view.Deliveries {
			delete(t.carried, name)
		}
	}
	t.webhooks = slices.Delete(t.webhooks, 0, len(t.webhooks)-len(recorded))
}

// freshCurl returns a command that was not used yet and is not old.
func (t *timeline) freshCurl() string {
	if t.curl == nil {
		return ""
	}
	var last uint64
	if n := len(t.webhooks); n > 0 {
		last = t.webhooks[n-1].view.ID
	}
	if t.curlLine == "" || last != t.curlAfter || time.Since(t.curlAt) > 10*time.Minute {
		t.curlLine, t.curlAt, t.curlAfter = t.curl(), time.Now(), last
	}
	return t.curlLine
}

func (t *timeline) readMessages(received []dingtalktest.Received) {
	known := make(map[int]messageEntry, len(t.messages))
	for _, e := range t.messages {
		known[e.view.N] = e
	}
	// The group only grows, and forgets from its old end, unless it was emptied.
	if n := len(t.messages); n > 0 {
		newest := t.messages[n-1].view
		if !slices.ContainsFunc(received, func(r dingtalktest.Received) bool {
			return r.N == newest.N && r.Time.Equal(newest.Time)
		}) && (len(received) == 0 || received[0].N <= newest.N) {
			t.reset = t.revision
			clear(known)
		}
	}
	t.messages = t.messages[:0]
	for _, r := range received {
		e, ok := known[r.N]
		if !ok {
			e = messageEntry{view: viewMessage(r, t.names), seen: time.Now(), revision: t.revision}
			e.view.Looking = !t.alone
		} else if e.view.Duplicates != r.Duplicates {
			e.view.Duplicates, e.revision = r.Duplicates, t.revision
		}
		t.messages = append(t.messages, e)
	}
}

func (t *timeline) findCauses(ctx context.Context) {
	looking := slices.ContainsFunc(t.messages, func(e messageEntry) bool { return e.view.Looking })
	type cause struct {
		webhooks      []uint64
		items, folded int
	}
	byUUID := make(map[string]*cause)
	counted := make(map[string]bool)
	for _, wh := range t.webhooks {
		for _, name := range wh.view.Deliveries {
			in, ok := t.carried[name]
			// What is folded into a message of before brings no message that would lack its webhook.
			fresh := time.Since(wh.view.Time) < lookFor
			if !ok && (looking || fresh) && ctx.Err() == nil {
				if in, ok = t.causes(ctx, name); ok && in.UUID != "" {
					t.carried[name] = in
				}
			}
			if in.UUID == "" {
				continue
			}
			c := byUUID[in.UUID]
			if c == nil {
				c = new(cause)
				byUUID[in.UUID] = c
			}
			if n := len(c.webhooks); n == 0 || c.webhooks[n-1] != wh.view.ID {
				c.webhooks = append(c.webhooks, wh.view.ID)
			}
			if !counted[name] { // a repeated webhook names the same deliveries again
				counted[name] = true
				if in.Folded {
					c.folded++
				} else {
					c.items++
				}
			}
		}
	}
	for i := range t.messages {
		e := &t.messages[i]
		before := e.view
		if c := byUUID[e.view.UUID]; c != nil {
			e.view.Causes, e.view.Items = c.webhooks, max(c.items, e.view.Items)
			e.view.Folded = max(c.folded, e.view.Folded)
		}
		// A message of several may still lack some of its webhooks, so looking goes on for a while.
		e.view.Looking = !t.alone && e.view.UUID != "" && time.Since(e.seen) < lookFor
		if e.view.Looking != before.Looking || !reflect.DeepEqual(e.view.Causes, before.Causes) ||
			e.view.Items != before.Items || e.view.Folded != before.Folded {
			e.revision = t.revision
		}
	}
}

// since returns what has changed after revision, everything when that is 0, and the revision it leads to.
func (t *timeline) since(revision uint64) (update, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if revision < t.reset {
		revision = 0
	}
	u := update{Reset: revision == 0}
	for _, e := range t.webhooks {
		if e.revision > revision {
			u.Webhooks = append(u.Webhooks, e.view)
		}
	}
	for _, e := range t.messages {
		if e.revision > revision {
			u.Messages = append(u.Messages, e.view)
		}
	}
	if t.statusAt > revision {
		status := t.status
		u.Status = &status
	}
	return u, t.revision
}

// empty says that an update tells nothing.
func (u *update) empty() bool {
	return !u.Reset && u.Status == nil && len(u.Webhooks) == 0 && len(u.Messages) == 0
}
