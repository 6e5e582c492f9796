package demo

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

const testToken = "a-robot-token-that-nobody-may-see"

// fakeGroup is a Source that holds what a test says.
type fakeGroup struct {
	mu       sync.Mutex
	received []dingtalktest.Received
	left     int
	tooFast  int
	changed  chan struct{}
}

func newFakeGroup() *fakeGroup { return &fakeGroup{left: 20, changed: make(chan struct{})} }

func (g *fakeGroup) MessagesOf(token string) []dingtalktest.Received {
	g.mu.Lock()
	defer g.mu.Unlock()
	if token != testToken {
		return nil
	}
	return append([]dingtalktest.Received(nil), g.received...)
}

func (g *fakeGroup) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

func (g *fakeGroup) BudgetLeft(string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.left
}

func (g *fakeGroup) Throttled() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tooFast
}

// change changes the group under its lock and tells the watchers.
func (g *fakeGroup) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.changed)
	g.changed = make(chan struct{})
}

// receive puts a message into the group.
func (g *fakeGroup) receive(uuid string, content dingtalk.Content) {
	g.change(func() {
		g.received = append(g.received, dingtalktest.Received{
			N: len(g.received) + 1, Time: time.Now(), Token: testToken, UUID: uuid,
			Message: dingtalk.Message{Content: content}, Body: []byte(`{"of":"some bytes"}`),
		})
	})
}

// lookup is the notifier's answer to which message a delivery went in: its msgUuid, after "folded into " for one
// that was folded away.
type lookup struct {
	mu    sync.Mutex
	uuids map[string]string
	asked int
}

func (l *lookup) set(delivery, uuid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uuids == nil {
		l.uuids = make(map[string]string)
	}
	l.uuids[delivery] = uuid
}

func (l *lookup) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func (l *lookup) causes(ctx context.Context, delivery string) (Cause, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	uuid, ok := l.uuids[delivery]
	uuid, folded := strings.CutPrefix(uuid, "folded into ")
	return Cause{UUID: uuid, Folded: folded}, ok && ctx.Err() == nil
}

// newTestPage returns a page over a group, with a recorder whose door answers what answer says.
func newTestPage(t *testing.T, g Source, answer func(*http.Request) string, l *lookup) (*Page, *Recorder) {
	t.Helper()
	rec := NewRecorder(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		door(http.StatusOK, answer(r)).ServeHTTP(w, r)
	}))
	p := NewPage(Options{
		Server: g, Token: testToken, Recorder: rec, Causes: l.causes,
		Preview: fakePreview, Samples: giteetest.All(time.Now()), Names: map[string]string{"0266": "李娜"},
		GroupName: "支付组", RobotName: "Gitee 机器人", Members: 8, Curl: func() string { return testCurl },
	})
	t.Cleanup(p.Close)
	return p, rec
}

// saying answers each webhook with the deliveries that the path names after the hook's name.
func saying(deliveries map[string]string) func(*http.Request) string {
	return func(r *http.Request) string {
		return `{"event":{"kind":"push","action":"pushed","id":"e"},"deliveries":` + deliveries[r.URL.Path] + `}`
	}
}

// testCurl is the command that pages in tests offer.
const testCurl = "curl -X POST http://127.0.0.1/"
