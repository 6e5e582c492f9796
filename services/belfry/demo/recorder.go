package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxWebhooks is how many webhooks a Recorder remembers.
	maxWebhooks = 500
	// maxCapture is how much of a request's body is looked at; a longer one is not shown.
	maxCapture = 1 << 20
	// maxAnswer is how much of the door's answer is looked at; real ones have some hundred bytes.
	maxAnswer = 64 << 10
	// maxDeliveries is how many deliveries of one webhook are remembered.
	maxDeliveries = 100
	// maxWord is the longest header, name or reason that is kept, in bytes.
	maxWord = 300
)

// Recorder is an http.Handler that stands before the gateway's door and remembers the last 500 webhooks
// with their answers. It changes neither. Requests beside "/hooks/" pass unrecorded.
//
// It holds at most 64 KiB of each remembered body, and while a request is being answered up to 1 MiB of
// that one's. Its methods may be called from any goroutine.
type Recorder struct {
	next http.Handler

	mu      sync.Mutex
	last    uint64
	kept    []Webhook // oldest first
	changed chan struct{}
}

// Webhook is one request to the gateway's door and what the door said.
type Webhook struct {
	// ID counts from 1 in the order of the answers.
	ID uint64
	// Time is when it came in, Elapsed how long the answer took.
	Time    time.Time
	Elapsed time.Duration
	// Hook is the last part of the path, EventHeader what X-Gitee-Event says, Ping whether X-Gitee-Ping
	// says that it is a test.
	Hook, EventHeader string
	Ping              bool
	// Kind, Action and EventID are the event's as the door's answer tells them; empty where it has none.
	Kind, Action, EventID string
	// Size is the body's, in bytes; Status the HTTP status of the answer.
	Size   int64
	Status int
	// Deliveries are the resource names of what the notifier took on, at most 100; not to be changed.
	Deliveries []string
	// Duplicate and Spooled are the answer's; Ignored is why an event told nothing; Reason and Message
	// are why the door refused.
	Duplicate, Spooled       bool
	Ignored, Reason, Message string
	// Body is the request's body as indented JSON, at most 64 KiB, without its secrets; or one line
	// that says why it is not shown.
	Body string
}

// NewRecorder returns a recorder that passes every request on to next.
func NewRecorder(next http.Handler) *Recorder {
	return &Recorder{next: next, changed: make(chan struct{})}
}

// ServeHTTP passes the request on and remembers it once it is answered.
func (rec *Recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hook, ok := strings.CutPrefix(r.URL.Path, "/hooks/")
	if !ok {
		rec.next.ServeHTTP(w, r)
		return
	}
	start := time.Now()
	body := &bodyTap{ReadCloser: r.Body}
	answer := &answerTap{ResponseWriter: w}
	seen := r.WithContext(r.Context())
	if r.Body != nil {
		seen.Body = body
	}
	rec.next.ServeHTTP(answer, seen)

	event := r.Header.Get("X-Gitee-Event")
	if event == "" {
		event = r.Header.Get("X-Git-Oschina-Event")
	}
	wh := Webhook{
		Time:        start,
		Elapsed:     time.Since(start),
		Hook:        cut(hook, maxWord),
		EventHeader: cut(event, maxWord),
		Ping:        r.Header.Get("X-Gitee-Ping") == "true",
		Size:        max(body.size, r.ContentLength),
		Status:      answer.status,
		Body:        readable(body.kept.Bytes(), body.size),
	}
	if wh.Status == 0 {
		wh.Status = http.StatusOK
	}
	wh.readAnswer(answer.kept.Bytes())
	rec.remember(wh)
}

// readAnswer fills in what the door's answer tells. An answer that is no JSON tells nothing.
func (wh *Webhook) readAnswer(answer []byte) {
	var said struct {
		Event struct {
			Kind   string `json:"kind"`
			Action string `json:"action"`
			ID     string `json:"id"`
		} `json:"event"`
		Deliveries []string `json:"deliveries"`
		Duplicate  bool     `json:"duplicate"`
		Spooled    bool     `json:"spooled"`
		Ignored    string   `json:"ignored"`
		Error      struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return
	}
	wh.Kind, wh.Action, wh.EventID = cut(said.Event.Kind, maxWord), cut(said.Event.Action, maxWord), cut(said.Event.ID, maxWord)
	wh.Duplicate, wh.Spooled = said.Duplicate, said.Spooled
	wh.Ignored = cut(said.Ignored, maxWord)
	wh.Reason, wh.Message = cut(said.Error.Reason, maxWord), cut(said.Error.Message, maxWord)
	for _, name := range said.Deliveries[:min(len(said.Deliveries), maxDeliveries)] {
		wh.Deliveries = append(wh.Deliveries, cut(name, maxWord))
	}
}

func (rec *Recorder) remember(wh Webhook) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.last++
	wh.ID = rec.last
	if len(rec.kept) == maxWebhooks {
		rec.kept = slices.Delete(rec.kept, 0, 1)
	}
	rec.kept = append(rec.kept, wh)
	close(rec.changed)
	rec.changed = make(chan struct{})
}

// Webhooks returns what is remembered, oldest first.
func (rec *Recorder) Webhooks() []Webhook {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clone(rec.kept)
}

// Webhook returns the one with this ID, and false where it is not, or no longer, remembered.
func (rec *Recorder) Webhook(id uint64) (Webhook, bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	// IDs have no gaps, so the place follows from the first one.
	if len(rec.kept) == 0 || id < rec.kept[0].ID || id > rec.last {
		return Webhook{}, false
	}
	return rec.kept[id-rec.kept[0].ID], true
}

// Changed returns a channel that is closed when the next webhook has been remembered.
func (rec *Recorder) Changed() <-chan struct{} {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.changed
}

// bodyTap keeps the beginning of what the handler reads.
type bodyTap struct {
	io.ReadCloser
	kept bytes.Buffer
	size int64
}

func (t *bodyTap) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.size += int64(n)
	t.kept.Write(p[:min(n, maxCapture-t.kept.Len())])
	return n, err
}

// answerTap keeps the status and the beginning of what the handler writes.
type answerTap struct {
	http.ResponseWriter
	status int
	kept   bytes.Buffer
}

func (t *answerTap) WriteHeader(status int) {
	// 1xx answers are only announcements; the first other one counts.
	if t.status == 0 && status >= 200 {
		t.status = status
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *answerTap) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.kept.Write(p[:min(len(p), maxAnswer-t.kept.Len())])
	return t.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *answerTap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// cut returns s, or as much of it as fits into limit bytes of valid UTF-8.
func cut(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
