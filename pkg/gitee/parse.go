package gitee

import (
	"net/http"
	"strings"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// MaxBody is the largest body that Parse reads, in bytes. Gitee documents no limit; real bodies are of
// some 5 to 20 KB.
const MaxBody = 10 << 20

// kind is one of Gitee's webhooks, by its word in a body's hook_name.
type kind string

const (
	kindPush    kind = "push_hooks"
	kindTag     kind = "tag_push_hooks"
	kindIssue   kind = "issue_hooks"
	kindPull    kind = "merge_request_hooks"
	kindComment kind = "note_hooks"
)

// kindOf reads the name of a webhook in both spellings: "Push Hook", as Gitee's documents have it, and
// "push_hooks", seen in deliveries since 2023.
func kindOf(s string) (kind, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "push hook", "push_hooks":
		return kindPush, true
	case "tag push hook", "tag_push_hooks":
		return kindTag, true
	case "issue hook", "issue_hooks":
		return kindIssue, true
	case "merge request hook", "merge_request_hooks":
		return kindPull, true
	case "note hook", "note_hooks":
		return kindComment, true
	default:
		return "", false
	}
}

// Parse verifies the delivery with the given header and body under secret and returns the event that it
// tells of. hook is the receiver's name for the hook, now its clock. Parse keeps none of its arguments.
//
// The event is complete: it keeps every limit that belfry.event.v1 sets, its texts are valid UTF-8
// without control characters other than "\n" and "\t" (and these only in bodies and commit messages), its
// addresses are of http or https, and all of it is smaller than 1.5 MiB, whatever the body. Nothing of
// the password, the signature or the hook's address is in it, nor in an error.
//
// The errors are ErrNotAuthentic, before anything of the body was read; a *MalformedError where the body
// is larger than MaxBody, is not a JSON object, lacks what makes it an event, or is of another kind than
// the header says; and an *IgnoredError where there is nothing to tell: a webhook, a ref or an action
// that has no place in belfry.event.v1.
//
// What Gitee sends along with a new pull request, that reviewers and testers were asked, comes as
// ACTION_ASSIGNED and ACTION_TESTER_ASSIGNED with the host_action "open" and the host_action_detail "assign"
// or "test", which sets it apart from what happens later.
//
// The event's id is equal for deliveries of the same event, also through different hooks, and different
// for different events, as far as what Gitee sends can tell them apart. The id of a ping is equal only
// for the same press of the button.
func Parse(secret Secret, hook string, header http.Header, body []byte, now time.Time) (*eventv1.Event, error) {
	if err := secret.Verify(header, now); err != nil {
		return nil, err
	}
	return Read(hook, header, body, now)
}

// Read is Parse without the verification: anybody may have sent what it reads. It is no receiver's, but for
// looking at a body that is at hand, as Gitee's request history shows it. The header may be nil; then the
// body's hook_name says which webhook it is, and whether it is a press of the test button is told by what it
// says.
func Read(hook string, header http.Header, body []byte, now time.Time) (*eventv1.Event, error) {
	if len(body) > MaxBody {
		return nil, malformed("the body is larger than %d MiB", MaxBody>>20)
	}
	if strings.EqualFold(strings.TrimSpace(header.Get(headerPing)), "true") {
		// All of this body but its envelope is made up.
		w, err := decode[struct {
			HookName  text `json:"hook_name"`
			Timestamp text `json:"timestamp"`
		}](body)
		if err != nil {
			return nil, err
		}
		return ping(hook, first(w.HookName, text(eventName(header))), delivered(header, w.Timestamp), now), nil
	}
	w, err := decode[wire](body)
	if err != nil {
		return nil, err
	}
	k, err := w.kind(header)
	if err != nil {
		return nil, err
	}
	d := &delivery{wire: w, sent: delivered(header, w.Timestamp)}
	if w.madeUp() {
		return ping(hook, text(k), d.sent, now), nil
	}
	var e *eventv1.Event
	switch k {
	case kindPush, kindTag:
		e, err = d.ref()
	case kindIssue:
		e, err = d.issue()
	case kindPull:
		e, err = d.pull()
	case kindComment:
		e, err = d.comment()
	}
	if err != nil {
		return nil, err
	}
	e.Hook = line(text(hook), maxHook)
	e.Enterprise = enterprise(w.Enterprise)
	return e, nil
}

// delivery is a verified body on its way to an event.
type delivery struct {
	*wire
	sent time.Time // by Gitee's clock; zero where it does not say
}

// eventName returns the header that names the webhook; the second one is its name of before 2018.
func eventName(header http.Header) string {
	if s := header.Get(headerEvent); strings.TrimSpace(s) != "" {
		return s
	}
	return header.Get(headerOldEvent)
}

// kind finds which webhook this is. A known name in the header must agree with hook_name; a name that is
// not known there gives way to hook_name, which has been the same since 2015.
func (w *wire) kind(header http.Header) (kind, error) {
	name := eventName(header)
	byHeader, known := kindOf(name)
	byBody, ok := kindOf(string(w.HookName))
	switch {
	case ok && (!known || byHeader == byBody):
		return byBody, nil
	case known && first(w.HookName) == "":
		return byHeader, nil
	case known:
		return "", malformed("the header %s and the body's hook_name name different webhooks", headerEvent)
	}
	unknown := line(first(text(name), w.HookName), maxWord)
	if unknown == "" {
		return "", malformed("neither the header %s nor the body's hook_name says which webhook this is", headerEvent)
	}
	return "", ignored("Belfry has no words for the webhook %q; it knows pushes, tag pushes, issues, pull requests and comments", unknown)
}

// delivered returns when Gitee sent the delivery: by the header, which real deliveries always have, else
// by the body; zero where neither says.
func delivered(header http.Header, inBody text) time.Time {
	for _, s := range []string{header.Get(headerTimestamp), string(inBody)} {
		if t, ok := milliseconds(s); ok {
			return t
		}
	}
	return time.Time{}
}

// madeUp recognises the body of a test delivery without its header: it tells of one of Gitee's own two
// demonstration repositories, by the hook of another repository. Gitee's documents show the same
// repository in bodies without "project", which every real delivery has; those are taken as they are.
func (w *wire) madeUp() bool {
	path := w.Repository.v.path()
	if !w.Project.got || (path != "oschina/gitee" && path != "oschina/git-osc") {
		return false
	}
	u := parseLink(w.HookURL)
	if u == nil {
		return false
	}
	owner, _, ok := strings.Cut(strings.Trim(u.Path, "/"), "/hooks/")
	return ok && strings.Contains(owner, "/") && owner != path && !strings.HasPrefix(owner, "enterprises/")
}

// ping returns the event of a press of the test button. Two presses differ in Gitee's timestamp; where
// there is none, in the time of arrival.
func ping(hook string, hostEvent text, sent, now time.Time) *eventv1.Event {
	k := newKey("ping", "")
	k.str(hook)
	k.text(hostEvent)
	if k.num(sent.UnixMilli()); sent.IsZero() {
		k.num(now.UnixNano())
	}
	return &eventv1.Event{
		Id:        k.id("ping"),
		Action:    eventv1.Action_ACTION_PINGED,
		OccurTime: stamp(sent),
		Hook:      line(text(hook), maxHook),
		Subject:   &eventv1.Event_Ping{Ping: &eventv1.Ping{HostEvent: line(hostEvent, maxWord)}},
	}
}
