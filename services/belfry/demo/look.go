package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/status"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/gitee"
)

const (
	// maxLooks is how many bodies may be looked at at once, each up to gitee.MaxBody bytes.
	maxLooks = 4
	// lookTime is how long a body may take to come in, and how long the notifier may take with its event.
	lookTime = 15 * time.Second
	// lookHook stands for the name of the hook, which a test delivery tells.
	lookHook = "demo"
	// uuidBytes is what the msgUuid takes of a message, which a preview does not count.
	uuidBytes = 49
)

// The shapes in which a message can be looked at; the page's scripts use the same words.
const (
	ShapeMarkdown   = "markdown"
	ShapeActionCard = "actionCard"
)

// lookView is what the page is told of a body: Previews, or Ignored where Belfry has nothing to tell of it, or
// Fault where it can't be read. The last two are sentences for people.
type lookView struct {
	Event    *eventView    `json:"event,omitempty"`
	Previews []previewView `json:"previews,omitempty"`
	Ignored  string        `json:"ignored,omitempty"`
	Fault    string        `json:"fault,omitempty"`
}

type eventView struct {
	Kind       string `json:"kind"`
	Action     string `json:"action"`
	ID         string `json:"id"`
	Repository string `json:"repository,omitempty"`
	Sender     string `json:"sender,omitempty"`
}

// previewView is the message in one language.
type previewView struct {
	Locale string `json:"locale"`
	// Message is absent where Failure says that there would be none, or where it is too long to be shown.
	Message *messageView `json:"message,omitempty"`
	// Body is the JSON that DingTalk would get, without its msgUuid; Bytes is its size with that.
	Body    string `json:"body,omitempty"`
	Bytes   int    `json:"bytes"`
	Keyword string `json:"keyword"`
	Failure string `json:"failure,omitempty"`
	Note    string `json:"note,omitempty"`
}

type sampleView struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Kind   string `json:"kind"`
	Action string `json:"action"`
	Event  string `json:"event"`
	Ping   bool   `json:"ping,omitempty"`
}

func (p *Page) serveSamples(w http.ResponseWriter, _ *http.Request) {
	list := make([]sampleView, len(p.samples))
	for i, s := range p.samples {
		list[i] = sampleView{Name: s.Name, Title: s.Title, Kind: s.Kind, Action: s.Action, Event: s.Event, Ping: s.Ping}
	}
	writeJSON(w, http.StatusOK, list)
}

func (p *Page) serveSample(w http.ResponseWriter, r *http.Request) {
	for _, s := range p.samples {
		if s.Name == r.PathValue("name") {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, readable(s.Body, int64(len(s.Body)))) // a reader that left needs nothing more
			return
		}
	}
	http.Error(w, "There is no sample of this name.", http.StatusNotFound)
}

// serveLook reads a webhook's body as the door would, but for its secret, and answers with what the group would
// see of it. The headers X-Gitee-Event and X-Gitee-Ping count as they do at the door; shape is one of the shapes
// above. Nothing is sent, kept or logged.
func (p *Page) serveLook(w http.ResponseWriter, r *http.Request) {
	// What a hook without a secret accepts from everywhere, a page must not.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		writeJSON(w, http.StatusUnsupportedMediaType, lookView{Fault: "Send the body as application/json."})
		return
	}
	shape := r.URL.Query().Get("shape")
	if shape != ShapeMarkdown && shape != ShapeActionCard {
		writeJSON(w, http.StatusBadRequest, lookView{Fault: "The shape is to be " + ShapeMarkdown + " or " + ShapeActionCard + "."})
		return
	}
	select {
	case p.looks <- struct{}{}:
		defer func() { <-p.looks }()
	default:
		w.Header().Set("Retry-After", "1")
		writeJSON(w, http.StatusServiceUnavailable, lookView{Fault: "Other bodies are being looked at; try again in a moment."})
		return
	}
	// A writer without deadlines, as in a test, has nobody who could be slow.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lookTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, gitee.MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		writeJSON(w, http.StatusRequestEntityTooLarge, lookView{Fault: fmt.Sprintf("The body is larger than %d MiB, which is more than Belfry's door takes.", gitee.MaxBody>>20)})
		return
	} else if err != nil {
		return // nobody is there any more
	}
	view, code := p.look(r.Context(), shape, r.Header, body)
	writeJSON(w, code, view)
}

// look returns what the page is told of a body, and the status that fits.
func (p *Page) look(ctx context.Context, shape string, header http.Header, body []byte) (lookView, int) {
	if len(bytes.TrimSpace(body)) == 0 {
		return lookView{Fault: "There is nothing here yet: paste the body of a webhook, or choose a sample."}, http.StatusBadRequest
	}
	event, err := gitee.Read(lookHook, header, body, time.Now())
	var ignored *gitee.IgnoredError
	switch {
	case errors.As(err, &ignored):
		return lookView{Ignored: ignored.Why}, http.StatusOK
	case err != nil:
		return lookView{Fault: unreadable(err, body)}, http.StatusBadRequest
	}
	view := lookView{Event: viewEvent(event)}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	previews, err := p.preview(ctx, shape, event)
	if err != nil {
		view.Fault = "The notifier can't show it: " + status.Convert(err).Message()
		return view, http.StatusBadGateway
	}
	for _, pv := range previews {
		view.Previews = append(view.Previews, p.viewPreview(pv))
	}
	return view, http.StatusOK
}

// unreadable says in a sentence why a body is no event, with the place where that is known.
func unreadable(err error, body []byte) string {
	var malformed *gitee.MalformedError
	if !errors.As(err, &malformed) {
		return "This can't be read as a webhook of Gitee's: " + err.Error()
	}
	said := "This is no webhook of Gitee's: " + malformed.Reason
	if malformed.Offset >= 0 {
		before := body[:min(malformed.Offset, int64(len(body)))]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		said += fmt.Sprintf(" (line %d, column %d)", line, column)
	}
	return said
}

func viewEvent(e *eventv1.Event) *eventView {
	m := e.ProtoReflect()
	v := &eventView{
		Action:     strings.ToLower(strings.TrimPrefix(e.GetAction().String(), "ACTION_")),
		ID:         e.GetId(),
		Repository: e.GetRepository().GetPath(),
		Sender:     e.GetSender().GetLogin(),
	}
	if subject := m.WhichOneof(m.Descriptor().Oneofs().ByName("subject")); subject != nil {
		v.Kind = string(subject.Name())
	}
	return v
}

// viewPreview shows a preview as the group would see it.
func (p *Page) viewPreview(pv *notifierv1.Preview) previewView {
	v := previewView{
		Locale: pv.GetLocale(), Body: pv.GetBody(), Bytes: int(pv.GetSizeBytes()) + uuidBytes,
		Keyword: keywordWords(pv.GetKeyword()), Failure: pv.GetFailure().GetMessage(), Note: pv.GetNote(),
	}
	var m dingtalk.Message
	if pv.GetBody() == "" || json.Unmarshal([]byte(pv.GetBody()), &m) != nil {
		return v
	}
	shown := viewContent(m.Content)
	shown.MentionsAll, shown.Bytes = m.Mentions.All, v.Bytes
	for _, mobile := range m.Mentions.Mobiles {
		shown.Mentions = append(shown.Mentions, mentionView{Target: mobile, Name: p.names[mobile], Effective: true})
	}
	for _, id := range m.Mentions.UserIDs {
		shown.Mentions = append(shown.Mentions, mentionView{Target: id, Name: p.names[id], UserID: true, Effective: true})
	}
	v.Message = &shown
	return v
}

// keywordWords says how a message stands with its robot's keywords.
func keywordWords(k *notifierv1.KeywordVerdict) string {
	switch k.GetVerdict() {
	case "PRESENT":
		return "has the keyword " + k.GetKeyword()
	case "APPENDED":
		return "the keyword " + k.GetKeyword() + " was added"
	case "MISSING":
		return "lacks a keyword: " + strings.Join(k.GetAccepted(), ", ")
	}
	return "needs no keyword"
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // its types can't fail to encode; a reader that left needs nothing more
}
