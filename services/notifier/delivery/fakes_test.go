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

// group stands for DingTalk: it shows a uuid once for each robot that brings it, and holds each robot to 20
// calls in any 60 seconds.
type group struct {
	mu    sync.Mutex
	shown []string // the request ids that the group saw, in order
	uuids []string // of the messages that each of them was in
	seen  map[string]bool
	calls []call
	sizes []int // items of each message shown

	tooFast int
	// answer, if set, decides about each call: whether the message is shown, and what is said.
	answer func(ctx context.Context, c call) (shown bool, err error)
	trace  *trace
}

// call is one call to DingTalk: the n-th of all, from 0.
type call struct {
	n      int
	member string
	uuid   string
	items  []string
	at     time.Time
	// unheard says that the caller has hung up before the answer.
	unheard bool
}

func (g *group) Send(ctx context.Context, robot dingtalk.Robot, m dingtalk.Message, uuid string) error {
	c := g.take(robot, m, uuid)
	shown, err := true, error(nil)
	if g.answer != nil {
		shown, err = g.answer(ctx, c)
	}
	if shown {
		g.show(c)
	}
	return err
}

// take takes note of a call, and counts it where the robot makes too many.
func (g *group) take(robot dingtalk.Robot, m dingtalk.Message, uuid string) call {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := call{
		n: len(g.calls), member: memberOf(robot), uuid: uuid, at: time.Now(),
		items: strings.Split(m.Content.(dingtalk.Text).Content, "\n"),
	}
	g.calls = append(g.calls, c)
	recent := 0
	for _, other := range g.calls {
		if other.member == c.member && c.at.Sub(other.at) < time.Minute {
			recent++
		}
	}
	if recent > 20 {
		g.tooFast++
		g.trace.end("that was too fast")
	}
	return c
}

func (g *group) show(c call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if key := c.member + c.uuid; !g.seen[key] {
		if g.seen == nil {
			g.seen = make(map[string]bool)
		}
		g.seen[key] = true
		g.shown = append(g.shown, c.items...)
		g.uuids = append(g.uuids, slices.Repeat([]string{c.uuid}, len(c.items))...)
		g.sizes = append(g.sizes, len(c.items))
	}
}

// made returns the calls there were.
func (g *group) made() []call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// through returns the members that the calls went through.
func (g *group) through() string {
	var all []string
	for _, c := range g.made() {
		all = append(all, c.member)
	}
	return strings.Join(all, " ")
}

func refusal(class dingtalk.Class, reason dingtalk.Reason) *dingtalk.Refusal {
	return &dingtalk.Refusal{Class: class, Reason: reason, Errcode: 1, Advice: "because of " + string(reason)}
}

// lines words a batch as its request ids, a line each, at most max of them. It can't word what begins with
// "unwordable".
type lines struct{ max int }

func (r lines) Render(batch []delivery.Notification, _ []delivery.Told) (delivery.Rendering, error) {
	if strings.HasPrefix(batch[0].RequestID, "unwordable") {
		return delivery.Rendering{}, errors.New("there are no words for it")
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
	return delivery.Rendering{Message: dingtalk.Message{Content: dingtalk.Text{Content: strings.Join(ids, "\n")}}, Used: len(ids)}, nil
}

func (lines) Calls(n delivery.Notification, _ []delivery.Told) bool {
	at := n.Message.GetMentions()
	return at.GetAll() || len(at.GetMobiles()) > 0 || len(at.GetUserIds()) > 0
}

func (lines) Hold([]delivery.Notification, []delivery.Told) time.Duration { return 0 }

// panicky words as lines does, and panics where "panic" is among the batch.
type panicky struct{ lines }

func (r panicky) Render(batch []delivery.Notification, told []delivery.Told) (delivery.Rendering, error) {
	for _, n := range batch {
		if n.RequestID == "panic" {
			panic("no words")
		}
	}
	return r.lines.Render(batch, told)
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

// robot returns a robot with that many members, whose IDs are "m0", "m1" and so on.
func robot(name string, members int) delivery.Robot {
	r := delivery.Robot{Name: name, Renderer: lines{}}
	for i := range members {
		r.Members = append(r.Members, member(i))
	}
	return r
}

func member(i int) delivery.Member {
	webhook, err := dingtalk.NewRobot(fmt.Sprintf("http://127.0.0.1/robot/send?access_token=%d", i), "")
	if err != nil {
		panic(err)
	}
	return delivery.Member{ID: fmt.Sprintf("m%d", i), Webhook: webhook}
}

// memberOf returns the ID of the member with that webhook.
func memberOf(robot dingtalk.Robot) string {
	for i := range 10 {
		if m := member(i); m.Webhook.Equal(robot) {
			return m.ID
		}
	}
	return "?"
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, journal: journaltest.NewMemory(), group: &group{}}
	b.opts = delivery.Options{
		Journal: b.journal, Sender: b.group,
		Robots: []delivery.Robot{robot("team", 1)}, Log: zap.NewNop(),
	}
	return b
}

// word has r word what all robots tell.
func (b *bench) word(r delivery.Renderer) {
	for i := range b.opts.Robots {
		b.opts.Robots[i].Renderer = r
	}
}

// start starts a dispatcher; the one before must have been stopped.
func (b *bench) start() {
	b.t.Helper()
	b.d, b.stop = run(b.t, b.opts)
}

// run starts a dispatcher, and returns what stops it and waits for it.
func run(t *testing.T, opts delivery.Options) (*delivery.Dispatcher, func()) {
	t.Helper()
	d, err := delivery.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	return d, func() { cancel(); <-done }
}

// put appends n, or a copy of it for each of ids.
func (b *bench) put(n delivery.Notification, ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		n.RequestID, n.CreateTime = id, time.Now()
		if n.Message == nil {
			n.Message = &notifierv1.Message{}
		}
		if _, err := b.journal.Append(b.t.Context(), []delivery.Notification{n}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) notify(robot string, ids ...string) {
	b.t.Helper()
	b.put(delivery.Notification{Robot: robot}, ids...)
}

// control changes what operators want of the robot.
func (b *bench) control(robot string, change func(*delivery.Control)) {
	b.t.Helper()
	c, err := b.journal.Control(b.t.Context(), robot)
	if err == nil {
		change(&c)
		_, err = b.journal.SaveControl(b.t.Context(), c)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func pause(c *delivery.Control)  { c.PausedSince = time.Now() }
func resume(c *delivery.Control) { c.PausedSince, c.Resumed = time.Time{}, time.Now() }

// status returns how the robot "team" is.
func (b *bench) status() delivery.Status {
	s, _ := b.d.Status("team")
	return s
}

// outcome returns how the n-th notification of all, from 1, ended.
func (b *bench) outcome(robot string, n uint64) delivery.Outcome { return b.journal.Outcomes(robot)[n] }

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

// unknownFirst answers the first call with an unknown outcome after showing it, and all others with yes.
func unknownFirst(_ context.Context, c call) (bool, error) {
	if c.n == 0 {
		return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	}
	return true, nil
}

// sendLate is Send for a call that the caller should have made earlier: it isn't held against the budget,
// since nobody can know of it.
func (g *group) sendLate(ctx context.Context, robot dingtalk.Robot, m dingtalk.Message, uuid string) error {
	c := call{
		n: -1, member: memberOf(robot), uuid: uuid, at: time.Now(), unheard: ctx.Err() != nil,
		items: strings.Split(m.Content.(dingtalk.Text).Content, "\n"),
	}
	shown := true
	var err error
	if g.answer != nil {
		shown, err = g.answer(ctx, c)
	}
	if shown {
		g.show(c)
	}
	if c.unheard {
		return &dingtalk.Refusal{Class: dingtalk.Unknown, Reason: dingtalk.ReasonUnavailable, Advice: "hung up"}
	}
	return err
}
