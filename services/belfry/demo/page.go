package demo

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"sync"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

//go:embed page
var pageFiles embed.FS

// policy is the page's Content-Security-Policy: nothing but its own files, no inline script or style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes are told rather than guessed: a machine's own tables may say otherwise.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Source is where the page learns what the group received; a *dingtalktest.Server is one.
type Source interface {
	// MessagesOf returns what was accepted from the robot with this token, in order.
	MessagesOf(token string) []dingtalktest.Received
	// Changed returns a channel that is closed at the next message or refusal.
	Changed() <-chan struct{}
	// BudgetLeft returns how many calls the robot may make now without being called too fast.
	BudgetLeft(token string) int
	// Throttled returns how many calls were refused as too fast.
	Throttled() int
}

// Cause says how a delivery went out.
type Cause struct {
	// UUID is the msgUuid of its message.
	UUID string
	// Folded says that it has no place of its own there, because another one tells it.
	Folded bool
}

// Options are what a Page shows. Server is required, and the others where the door is in this process.
type Options struct {
	// Server is the simulator, Token the robot's, which is used to ask it and shown nowhere.
	Server Source
	Token  string
	// Budget is how many calls a minute the simulator admits; 0 means DingTalk's 20.
	Budget int
	// Recorder is the one that stands before the gateway's door. Without one the page shows the group alone, and
	// Causes is not called.
	Recorder *Recorder
	// Causes returns the message in which a delivery, by its resource name, went or goes out, and false
	// where none is known yet. It is called from the goroutines of requests, one call at a time, and should
	// heed ctx.
	Causes func(ctx context.Context, delivery string) (c Cause, ok bool)
	// Preview returns what a robot would send of an event, in all languages, as one of the shapes
	// ShapeMarkdown and ShapeActionCard. It is called from the goroutines of requests and heeds ctx. Without it
	// the page offers no look at bodies.
	Preview func(ctx context.Context, shape string, e *eventv1.Event) ([]*notifierv1.Preview, error)
	// Samples are the webhooks that the page offers to look at; their names are unique.
	Samples []giteetest.Delivery
	// Names are the names of the group's members by the mobile number or user id that calls them: DingTalk
	// shows a member's name where the message has the number.
	Names map[string]string
	// GroupName, RobotName and Members are what the group's header and the messages show.
	GroupName, RobotName string
	Members              int
	// Curl makes the command, in one or several lines, that the page offers for copying; nil offers none.
	// It is asked again after each webhook and every ten minutes, so the command may be good for one
	// webhook and for a while only.
	Curl func() string
}

// Page serves the page. Make one with NewPage.
type Page struct {
	group    groupView
	timeline *timeline
	recorder *Recorder
	source   Source
	preview  func(ctx context.Context, shape string, e *eventv1.Event) ([]*notifierv1.Preview, error)
	samples  []giteetest.Delivery
	names    map[string]string
	streams  chan struct{} // a place for each open stream
	looks    chan struct{} // a place for each body that is looked at
	closing  chan struct{}
	close    func()
}

// NewPage returns a page that shows what o names. It starts nothing: all its work is done while requests
// are served.
func NewPage(o Options) *Page {
	if o.Budget == 0 {
		o.Budget = 20
	}
	alone := o.Recorder == nil
	if alone {
		o.Recorder = NewRecorder(http.NotFoundHandler()) // which nobody asks
	}
	p := &Page{
		group: groupView{
			Name: o.GroupName, Robot: o.RobotName, Members: o.Members, Alone: alone, Looks: o.Preview != nil,
			KeepMessages: maxMessages, KeepWebhooks: maxWebhooks,
		},
		timeline: &timeline{
			source: o.Server, token: o.Token, budget: o.Budget, recorder: o.Recorder, causes: o.Causes,
			alone:   alone,
			names:   o.Names,
			curl:    o.Curl,
			carried: make(map[string]Cause),
		},
		recorder: o.Recorder,
		source:   o.Server,
		preview:  o.Preview,
		samples:  o.Samples,
		names:    o.Names,
		streams:  make(chan struct{}, maxStreams),
		looks:    make(chan struct{}, maxLooks),
		closing:  make(chan struct{}),
	}
	p.close = sync.OnceFunc(func() { close(p.closing) })
	return p
}

// Close ends all streams of events, now and later. An http.Server waits in Shutdown for streams to end
// and does not end them itself, so hand Close to its RegisterOnShutdown. It may be called repeatedly.
func (p *Page) Close() { p.close() }

// Handler serves the page at "/" with its files beside it, "/events" (all there is, then each change, as
// server-sent events), "/api/messages" (all there is, as JSON), "/api/webhooks/{id}/body" (what came in,
// without its secrets), "/api/samples" with "/api/samples/{name}/body" (webhooks to look at), and "/api/look",
// which takes a webhook's body and tells what the group would see of it. That one takes POST, from the page's
// own origin only; all others take GET and HEAD. None changes anything.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic("demo: the embedded page: " + err.Error()) // the pattern of go:embed says that it is there
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic("demo: the embedded page: " + err.Error())
	}
	for _, e := range entries {
		content, err := fs.ReadFile(files, e.Name())
		if err != nil {
			panic("demo: the embedded page: " + err.Error())
		}
		at := "/" + e.Name()
		if e.Name() == "index.html" {
			at = "/{$}"
		}
		mux.HandleFunc("GET "+at, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentTypes[path.Ext(e.Name())])
			_, _ = w.Write(content) // a reader that left needs nothing more
		})
	}
	mux.HandleFunc("GET /events", p.serveEvents)
	mux.HandleFunc("GET /api/messages", p.serveSnapshot)
	mux.HandleFunc("GET /api/webhooks/{id}/body", p.serveBody)
	if p.preview != nil {
		mux.HandleFunc("GET /api/samples", p.serveSamples)
		mux.HandleFunc("GET /api/samples/{name}/body", p.serveSample)
		mux.Handle("POST /api/look", http.NewCrossOriginProtection().Handler(http.HandlerFunc(p.serveLook)))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// snapshot reads everything anew and returns all of it.
func (p *Page) snapshot(ctx context.Context) (update, uint64) {
	p.timeline.refresh(ctx)
	u, revision := p.timeline.since(0)
	group := p.group
	u.Group = &group
	return u, revision
}

func (p *Page) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	u, _ := p.snapshot(r.Context())
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(u) // its types can't fail to encode; a reader that left needs nothing more
}

func (p *Page) serveBody(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	wh, ok := p.recorder.Webhook(id)
	if err != nil || !ok {
		http.Error(w, "This webhook is not remembered any more; the recorder keeps the last "+
			strconv.Itoa(maxWebhooks)+".", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(wh.Body)) // a reader that left needs nothing more
}
