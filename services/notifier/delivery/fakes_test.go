package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// group stands for DingTalk: it shows a uuid once, and holds the robot to 20 calls in any 60 seconds.
type group struct {
	mu    sync.Mutex
	shown []string // the request ids that the group saw, in order
	seen  map[string]bool
	calls []time.Time
	sizes []int // items of each message shown
	uuids []string

	tooFast int
	// answer, if set, decides about the n-th call (from 0): whether the message is shown, and what is said.
	answer func(ctx context.Context, n int, items []string) (shown bool, err error)
}

func (g *group) Send(ctx context.Context, _ dingtalk.Robot, m dingtalk.Message, uuid string) error {
	items := strings.Split(m.Content.(dingtalk.Text).Content, "\n")
	g.mu.Lock()
	n := len(g.calls)
	now := time.Now()
	g.calls = append(g.calls, now)
	g.uuids = append(g.uuids, uuid)
	if n >= 20 && now.Sub(g.calls[n-20]) < time.Minute {
		g.tooFast++
	}
	g.mu.Unlock()
	shown, err := true, error(nil)
	if g.answer != nil {
		shown, err = g.answer(ctx, n, items)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if shown && !g.seen[uuid] {
		if g.seen == nil {
			g.seen = make(map[string]bool)
		}
		g.seen[uuid] = true
		g.shown = append(g.shown, items...)
		g.sizes = append(g.sizes, len(items))
	}
	return err
}

// made returns how many calls there were.
func (g *group) made() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

func refusal(class dingtalk.Class, reason dingtalk.Reason) error {
	return &dingtalk.Refusal{Class: class, Reason: reason, Advice: "because of " + string(reason)}
}

// lines words a batch as its request ids, a line each, at most max of them. It can't word what begins with
// "unwordable".
type lines struct{ max int }

func (r lines) Render(_ delivery.Robot, batch []delivery.Notification) (dingtalk.Message, int, error) {
	if strings.HasPrefix(batch[0].RequestID, "unwordable") {
		return dingtalk.Message{}, 0, errors.New("there are no words for it")
	}
	if r.max == 0 {
		r.max = 100
	}
	var ids []string
	for _, n := range batch[:min(len(batch), r.max)] {
		if strings.HasPrefix(n.RequestID, "unwordable") {
			break
		}
		ids = append(ids, n.RequestID)
	}
	return dingtalk.Message{Content: dingtalk.Text{Content: strings.Join(ids, "\n")}}, len(ids), nil
}

// panicky words as lines does, and panics where "panic" is among the batch.
type panicky struct{ lines }

func (r panicky) Render(robot delivery.Robot, batch []delivery.Notification) (dingtalk.Message, int, error) {
	for _, n := range batch {
		if n.RequestID == "panic" {
			panic("no words")
		}
	}
	return r.lines.Render(robot, batch)
}

// bench is a dispatcher at work in a synctest bubble.
type bench struct {
	t       *testing.T
	journal *journaltest.Memory
	group   *group
	opts    delivery.Options
	d       *delivery.Dispatcher
	stop    func()
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, journal: journaltest.NewMemory(), group: &group{}}
	b.opts = delivery.Options{
		Journal: b.journal, Sender: b.group, Renderer: lines{},
		Robots: []delivery.Robot{{Name: "team"}}, Log: zap.NewNop(),
	}
	return b
}

// start starts a dispatcher; the one before must have been stopped.
func (b *bench) start() {
	b.t.Helper()
	d, err := delivery.New(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	b.d = d
	b.stop = func() { cancel(); <-done }
}

func (b *bench) append(robot, id string) error {
	_, err := b.journal.Append(b.t.Context(), []delivery.Notification{{
		Robot: robot, RequestID: id, CreateTime: time.Now(), Message: &notifierv1.Message{},
	}})
	return err
}

func (b *bench) tryNotify(id string) bool { return b.append("team", id) == nil }

func (b *bench) notify(robot string, ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		if err := b.append(robot, id); err != nil {
			b.t.Fatal(err)
		}
	}
	if b.d != nil {
		b.d.Wake(robot)
	}
}

// finish stops the dispatcher and checks what must hold whatever happened.
func (b *bench) finish() {
	b.t.Helper()
	b.stop()
	for _, v := range b.journal.Violations() {
		b.t.Errorf("the journal was misused: %v", v)
	}
	if b.group.tooFast > 0 {
		b.t.Errorf("DingTalk was called too fast %d times", b.group.tooFast)
	}
}

func (b *bench) wantShown(want ...string) {
	b.t.Helper()
	b.group.mu.Lock()
	defer b.group.mu.Unlock()
	if !slices.Equal(b.group.shown, want) {
		b.t.Errorf("the group saw %q, want %q", b.group.shown, want)
	}
}

func ids(from, to int) []string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf("n%04d", i))
	}
	return all
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newBench(t)) })
}
