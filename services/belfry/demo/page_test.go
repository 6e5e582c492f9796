package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

func TestPageServesItsFilesUnderAStrictPolicy(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	for path, want := range map[string]struct {
		status      int
		contentType string
		contains    string
	}{
		"/":                       {200, "text/html; charset=utf-8", "<!doctype html>"},
		"/app.js":                 {200, "text/javascript; charset=utf-8", "EventSource"},
		"/aside.js":               {200, "text/javascript; charset=utf-8", "export function aside"},
		"/message.js":             {200, "text/javascript; charset=utf-8", "export function bubble"},
		"/markdown.js":            {200, "text/javascript; charset=utf-8", "export function render"},
		"/panel.js":               {200, "text/javascript; charset=utf-8", "export async function look"},
		"/panel.css":              {200, "text/css; charset=utf-8", ".look"},
		"/api/samples":            {200, "application/json", `"pull_request"`},
		"/style.css":              {200, "text/css; charset=utf-8", "prefers-color-scheme: dark"},
		"/icon.svg":               {200, "image/svg+xml", "<svg"},
		"/api/messages":           {200, "application/json", `"支付组"`},
		"/api/webhooks/7/body":    {404, "text/plain; charset=utf-8", "not remembered"},
		"/api/webhooks/x/body":    {404, "text/plain; charset=utf-8", "not remembered"},
		"/index.html":             {404, "text/plain; charset=utf-8", ""},
		"/anything/else?token=no": {404, "text/plain; charset=utf-8", ""},
	} {
		w := get(t, p.Handler(), http.MethodGet, path)
		if w.Code != want.status || w.Header().Get("Content-Type") != want.contentType || !strings.Contains(w.Body.String(), want.contains) {
			t.Errorf("%s: %d %s %.80q", path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if got := w.Header().Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", path, got)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", path, name, got, want)
			}
		}
	}
	if w := get(t, p.Handler(), http.MethodPost, "/api/messages"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	for _, forbidden := range []string{"unsafe-inline", "unsafe-eval", "*", "http"} {
		if strings.Contains(policy, forbidden) {
			t.Errorf("the policy allows %q", forbidden)
		}
	}
}

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	for _, path := range []string{"/", "/style.css", "/panel.css", "/app.js", "/aside.js", "/panel.js", "/message.js", "/markdown.js"} {
		body := get(t, p.Handler(), http.MethodGet, path).Body.String()
		// The name of the SVG namespace is no address that anything loads.
		body = strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")
		for _, forbidden := range []string{"http://", "https://", "innerHTML", "insertAdjacentHTML", "document.write", "eval(", "<style", " style=", " onclick="} {
			if strings.Contains(body, forbidden) {
				t.Errorf("%s holds %q", path, forbidden)
			}
		}
	}
}

func TestSnapshotTellsEverythingAndNoSecret(t *testing.T) {
	g, l := newFakeGroup(), new(lookup)
	p, rec := newTestPage(t, g, saying(map[string]string{"/hooks/one": `["robots/a/deliveries/1"]`}), l)
	l.set("robots/a/deliveries/1", "u1")
	post(t, rec, "/hooks/one", `{"sign":"`+testToken+`","ref":"refs/heads/main"}`)
	g.receive("u1", dingtalk.Markdown{Title: "<script>", Text: "text"})

	w := get(t, p.Handler(), http.MethodGet, "/api/messages")
	var u update
	if err := json.Unmarshal(w.Body.Bytes(), &u); err != nil {
		t.Fatal(err)
	}
	if !u.Reset || u.Group.Name != "支付组" || len(u.Messages) != 1 || len(u.Webhooks) != 1 || u.Messages[0].Causes[0] != u.Webhooks[0].ID {
		t.Errorf("snapshot: %s", w.Body)
	}
	body := get(t, p.Handler(), http.MethodGet, "/api/webhooks/1/body")
	if body.Code != 200 || !strings.Contains(body.Body.String(), "refs/heads/main") || body.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("body: %d %s", body.Code, body.Body)
	}
	for _, answer := range []string{w.Body.String(), body.Body.String()} {
		if strings.Contains(answer, testToken) {
			t.Errorf("the robot's token or the signature is shown: %s", answer)
		}
	}
}

// watcher reads a stream of events as the handler writes it.
type watcher struct {
	header http.Header
	pipe   *io.PipeWriter
	events *bufio.Reader
	ended  chan struct{}
}

func (w *watcher) Header() http.Header         { return w.header }
func (w *watcher) WriteHeader(int)             {}
func (w *watcher) Write(p []byte) (int, error) { return w.pipe.Write(p) }
func (w *watcher) Flush()                      {}

// watch opens /events; the stream ends with the context at the latest.
func watch(ctx context.Context, p *Page) *watcher {
	r, pipe := io.Pipe()
	w := &watcher{header: make(http.Header), pipe: pipe, events: bufio.NewReader(r), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		p.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil))
		pipe.Close()
	}()
	return w
}

// next returns the next event's name and data; a comment or a retry line is an event without name.
func (w *watcher) next(t *testing.T) (name string, data string) {
	t.Helper()
	for {
		line, err := w.events.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch field, value, _ := strings.Cut(line, ": "); {
		case line == "":
			return name, data
		case field == "event":
			name = value
		default:
			data += value
		}
	}
}

func (w *watcher) update(t *testing.T, wantName string) update {
	t.Helper()
	name, data := w.next(t)
	var u update
	if err := json.Unmarshal([]byte(data), &u); name != wantName || err != nil {
		t.Fatalf("event %q with %.200q (%v), want %q", name, data, err, wantName)
	}
	return u
}

func TestStreamBeginsWithEverythingAndGoesOnWithChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := newFakeGroup(), new(lookup)
		p, rec := newTestPage(t, g, saying(map[string]string{"/hooks/one": `["robots/a/deliveries/1"]`}), l)
		g.receive("u0", dingtalk.Text{Content: "zero"})
		ctx, leave := context.WithCancel(t.Context())
		w := watch(ctx, p)
		if _, data := w.next(t); data != "1000" || w.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("the stream begins with %q as %s", data, w.header.Get("Content-Type"))
		}
		if u := w.update(t, "snapshot"); !u.Reset || u.Group.Name != "支付组" || len(u.Messages) != 1 || u.Status == nil {
			t.Errorf("snapshot %+v", u)
		}
		post(t, rec, "/hooks/one", "{}")
		if u := w.update(t, "update"); len(u.Webhooks) != 1 || len(u.Messages) != 0 || u.Reset {
			t.Errorf("after the webhook: %+v", u)
		}
		l.set("robots/a/deliveries/1", "u1")
		g.receive("u1", dingtalk.Text{Content: "one\n\ndata: two"})
		if u := w.update(t, "update"); len(u.Webhooks) != 0 || len(u.Messages) != 1 || u.Messages[0].Text != "one\n\ndata: two" || len(u.Messages[0].Causes) != 1 {
			t.Errorf("after the message: %+v", u)
		}
		// The budget refills with nobody doing anything.
		g.mu.Lock()
		g.left = 19
		g.mu.Unlock()
		if u := w.update(t, "update"); u.Status == nil || u.Status.Left != 19 {
			t.Errorf("after a while: %+v", u)
		}
		leave()
		<-w.ended
	})
}

func TestSilentStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
		ctx, leave := context.WithCancel(t.Context())
		w := watch(ctx, p)
		w.next(t)
		w.update(t, "snapshot")
		start := time.Now()
		if name, _ := w.next(t); name != "" || time.Since(start) != keepalive {
			t.Errorf("event %q after %v, want a comment after %v", name, time.Since(start), keepalive)
		}
		leave()
		<-w.ended
	})
}

func TestCloseEndsEveryStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
		var watchers []*watcher
		for range 3 {
			w := watch(t.Context(), p)
			w.next(t)
			w.update(t, "snapshot")
			watchers = append(watchers, w)
		}
		p.Close()
		p.Close()
		for _, w := range watchers {
			if name, _ := w.next(t); name != "bye" {
				t.Errorf("event %q, want bye", name)
			}
			<-w.ended
		}
		// One that comes too late is told the same.
		w := watch(t.Context(), p)
		w.next(t)
		w.update(t, "snapshot")
		if name, _ := w.next(t); name != "bye" {
			t.Errorf("event %q, want bye", name)
		}
		<-w.ended
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
		ctx, leave := context.WithCancel(t.Context())
		var watchers []*watcher
		for range maxStreams {
			w := watch(ctx, p)
			w.next(t)
			w.update(t, "snapshot")
			watchers = append(watchers, w)
		}
		if w := get(t, p.Handler(), http.MethodGet, "/events"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many got %d", w.Code)
		}
		leave()
		for _, w := range watchers {
			<-w.ended
		}
		if w := get(t, p.Handler(), http.MethodHead, "/events"); w.Code != http.StatusOK {
			t.Errorf("after they left: %d", w.Code)
		}
	})
}

func TestServerWithOpenStreamsShutsDown(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	srv := httptest.NewServer(p.Handler())
	srv.Config.RegisterOnShutdown(p.Close)
	answer, err := srv.Client().Get(srv.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := srv.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Contains(all, []byte("event: bye\n")) {
		t.Errorf("the stream said %q, %v", all, err)
	}
}
