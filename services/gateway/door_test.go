package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// TestDoorAnswersEveryRow goes through the table of answers, with the server before the door.
func TestDoorAnswersEveryRow(t *testing.T) {
	huge := strings.Repeat(" ", maxBody+1)
	at := func(d time.Duration) func(*http.Request) {
		return func(r *http.Request) {
			stamp := timestampOf(time.Now().Add(d))
			r.Header.Set("X-Gitee-Timestamp", stamp)
			r.Header.Set("X-Gitee-Token", tokenOf("signed", stamp))
		}
	}
	shifted := func(r *http.Request) { r.Header.Set("X-Gitee-Timestamp", timestampOf(time.Now().Add(-time.Second))) }
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	for _, tt := range []struct {
		name, hook, body string
		edits            []func(*http.Request)
		status           int
		reason           string // of the error, without its prefix
	}{
		{name: "a signed push is accepted", hook: "signed", body: push(1), status: 200},
		{name: "a push with the password is accepted", hook: "plain", body: push(1), status: 200},
		{name: "a charset of utf-8 is accepted", hook: "signed", body: push(1), edits: []func(*http.Request){header("Content-Type", "application/json; charset=UTF-8")}, status: 200},
		{name: "identity is no compression", hook: "signed", body: push(1), edits: []func(*http.Request){header("Content-Encoding", "identity")}, status: 200},
		{name: "a body without announced length is accepted", hook: "signed", body: push(1), edits: []func(*http.Request){chunked}, status: 200},
		{name: "a signature of 59 minutes ago is accepted", hook: "signed", body: push(1), edits: []func(*http.Request){at(-59 * time.Minute)}, status: 200},
		{name: "a ping is accepted", hook: "signed", body: push(1), edits: []func(*http.Request){header("X-Gitee-Ping", "true")}, status: 200},
		{name: "not JSON", hook: "signed", body: `{"hook_name":`, status: 400, reason: "MALFORMED_EVENT"},
		{name: "not an event", hook: "signed", body: `[]`, status: 400, reason: "MALFORMED_EVENT"},
		{name: "no body", hook: "signed", body: ``, status: 400, reason: "MALFORMED_EVENT"},
		{name: "header and body disagree", hook: "signed", body: push(1), edits: []func(*http.Request){header("X-Gitee-Event", "Issue Hook")}, status: 400, reason: "MALFORMED_EVENT"},
		{name: "no token", hook: "signed", body: push(1), edits: []func(*http.Request){header("X-Gitee-Token", "")}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a wrong token", hook: "signed", body: push(1), edits: []func(*http.Request){header("X-Gitee-Token", "AAAA")}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a stale signature", hook: "signed", body: push(1), edits: []func(*http.Request){at(-61 * time.Minute)}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a signature of the future", hook: "signed", body: push(1), edits: []func(*http.Request){at(61 * time.Minute)}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a timestamp other than the signed one", hook: "signed", body: push(1), edits: []func(*http.Request){shifted}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a wrong password", hook: "plain", body: push(1), edits: []func(*http.Request){header("X-Gitee-Token", testPassword+"!")}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "the key sent as if it were a password", hook: "signed", body: push(1), edits: []func(*http.Request){header("X-Gitee-Token", testKey)}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a password in the body alone", hook: "plain", body: `{"password":"` + testPassword + `"}`, edits: []func(*http.Request){header("X-Gitee-Token", "")}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "a malformed body with a wrong token says nothing of the body", hook: "signed", body: `{`, edits: []func(*http.Request){header("X-Gitee-Token", "AAAA")}, status: 401, reason: "NOT_AUTHENTIC"},
		{name: "an unknown hook", hook: "nobody", body: push(1), status: 404, reason: "HOOK_NOT_FOUND"},
		{name: "an unknown hook, whatever the method", hook: "nobody", edits: []func(*http.Request){method(http.MethodGet)}, status: 404, reason: "HOOK_NOT_FOUND"},
		{name: "a path below a hook", hook: "signed/x", body: push(1), status: 404, reason: "HOOK_NOT_FOUND"},
		{name: "another path", hook: "signed", body: push(1), edits: []func(*http.Request){path("/")}, status: 404, reason: "NO_SUCH_PATH"},
		{name: "a path that would be cleaned", hook: "signed", body: push(1), edits: []func(*http.Request){path("//hooks/signed")}, status: 404, reason: "NO_SUCH_PATH"},
		{name: "GET", hook: "signed", edits: []func(*http.Request){method(http.MethodGet)}, status: 405, reason: "METHOD_NOT_ALLOWED"},
		{name: "PUT", hook: "signed", body: push(1), edits: []func(*http.Request){method(http.MethodPut)}, status: 405, reason: "METHOD_NOT_ALLOWED"},
		{name: "a body announced as too large", hook: "signed", body: huge, status: 413, reason: "BODY_TOO_LARGE"},
		{name: "a body that turns out too large", hook: "signed", body: huge, edits: []func(*http.Request){chunked}, status: 413, reason: "BODY_TOO_LARGE"},
		{name: "a form", hook: "signed", body: push(1), edits: []func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "no type", hook: "signed", body: push(1), edits: []func(*http.Request){header("Content-Type", "")}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "another charset", hook: "signed", body: push(1), edits: []func(*http.Request){header("Content-Type", "application/json; charset=gbk")}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "a compressed body", hook: "signed", body: push(1), edits: []func(*http.Request){header("Content-Encoding", "gzip")}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				notifier := &fakeNotifier{}
				client, _ := serve(t, newGateway(t, notifier, &fakeSpool{}, nil))
				resp, err := client.Do(webhook(t, "http://gateway", tt.hook, tt.body, tt.edits...))
				if err != nil {
					t.Fatal(err)
				}
				got := readReply(t, resp)
				if got.Status != tt.status {
					t.Fatalf("status = %d, want %d; error %+v", got.Status, tt.status, got.Error)
				}
				if (got.Header.Get("Allow") == http.MethodPost) != (tt.status == 405) {
					t.Errorf("Allow = %q with status %d", got.Header.Get("Allow"), got.Status)
				}
				told := len(notifier.toldTo("team"))
				if tt.status == 200 {
					if told != 1 || got.Event.ID == "" || got.Duplicate == nil || *got.Duplicate || got.Error != nil {
						t.Errorf("accepted as %+v, the robot was told %d events", got, told)
					}
					return
				}
				if got.Error == nil || got.Error.Reason != "ERROR_REASON_"+tt.reason || got.Error.Message == "" {
					t.Errorf("error = %+v, want reason ERROR_REASON_%s and a message", got.Error, tt.reason)
				}
				if told != 0 {
					t.Error("a refused webhook reached the notifier")
				}
			})
		})
	}
}

func TestAcceptedSaysWhatAndWhere(t *testing.T) {
	notifier := &fakeNotifier{}
	g := newGateway(t, notifier, &fakeSpool{}, nil)
	r := webhook(t, "http://gateway", "signed", push(1), header("X-Request-Id", "proxy-17"))
	got := send(t, g, r)
	if got.Status != http.StatusOK || got.Event.Kind != "push" || got.Event.Action != "pushed" || got.Event.ID != idOf(t, r, push(1)) {
		t.Fatalf("answer = %+v", got)
	}
	want := []string{"robots/team/deliveries/1", "robots/ops/deliveries/1"}
	if diff := cmp.Diff(want, got.Deliveries); diff != "" {
		t.Errorf("deliveries, in the order of the routes, each robot once (-want +got):\n%s", diff)
	}
	if id := got.Header.Get("X-Request-Id"); id != "proxy-17" {
		t.Errorf("X-Request-Id = %q, want the proxy's", id)
	}
	calls := notifier.callsMade()
	if len(calls) != 1 || calls[0].requestID != "proxy-17" {
		t.Errorf("calls = %+v, want one with the request's id", calls)
	}
}

func TestAPingGoesToTheHooksRobots(t *testing.T) {
	notifier := &fakeNotifier{}
	g := newGateway(t, notifier, &fakeSpool{}, nil)
	var events []*notifierv1.NotifyRequest
	notifier.fault = func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
		events = append(events, req)
		return true, nil
	}
	got := send(t, g, webhook(t, "http://gateway", "solo", push(1), header("X-Gitee-Ping", "true")))
	if got.Status != http.StatusOK || got.Event.Kind != "ping" || got.Event.Action != "pinged" {
		t.Fatalf("answer = %+v", got)
	}
	if len(events) != 1 || events[0].GetEvent().GetPing() == nil || events[0].GetEvent().GetHook() != "solo" || !slices.Equal(events[0].GetRobots(), []string{"ops"}) {
		t.Errorf("the notifier was told %v", events)
	}
}

func TestTheSameEventAgainIsADuplicateAlsoThroughAnotherHook(t *testing.T) {
	notifier := &fakeNotifier{}
	g := newGateway(t, notifier, &fakeSpool{}, nil)
	first := webhook(t, "http://gateway", "signed", push(1))
	again := webhook(t, "http://gateway", "signed", push(1))
	again.Header = first.Header.Clone()
	if got := send(t, g, first); got.Status != 200 || *got.Duplicate {
		t.Fatalf("first answer = %+v", got)
	}
	if got := send(t, g, again); got.Status != 200 || !*got.Duplicate || len(got.Deliveries) != 2 {
		t.Errorf("answer to the same request again = %+v, want a duplicate with its deliveries", got)
	}
	if got := send(t, g, webhook(t, "http://gateway", "plain", push(1))); got.Status != 200 || !*got.Duplicate {
		t.Errorf("answer through another hook = %+v, want a duplicate", got)
	}
	if told := notifier.toldTo("team"); len(told) != 1 {
		t.Errorf("the robot was told %d times", len(told))
	}
}

func TestNothingToTellIsAnswered200(t *testing.T) {
	notifier := &fakeNotifier{}
	g := newGateway(t, notifier, &fakeSpool{}, nil)
	got := send(t, g, webhook(t, "http://gateway", "signed", `{"hook_name":"pipeline_hooks"}`, header("X-Gitee-Event", "pipeline_hooks")))
	if got.Status != 200 || got.Ignored == "" || got.Duplicate != nil {
		t.Errorf("answer = %+v, want why it is ignored", got)
	}
	if len(notifier.callsMade()) != 0 {
		t.Error("the notifier was called")
	}
}

func TestOneSignatureAdmitsOneBody(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	first := webhook(t, "http://gateway", "signed", push(1))
	with := func(body string, edits ...func(*http.Request)) reply {
		r := webhook(t, "http://gateway", "signed", body)
		r.Header = first.Header.Clone()
		for _, edit := range edits {
			edit(r)
		}
		return send(t, g, r)
	}
	if got := with(push(1)); got.Status != 200 {
		t.Fatalf("answer = %+v", got)
	}
	if got := with(push(2)); got.Status != 401 || got.Error.Reason != "ERROR_REASON_NOT_AUTHENTIC" {
		t.Errorf("another body with the signature was answered %+v, want 401", got)
	}
	if got := with(push(1), header("X-Gitee-Ping", "true")); got.Status != 401 {
		t.Errorf("the body as another event was answered %+v, want 401", got)
	}
	encoded := func(r *http.Request) {
		r.Header.Set("X-Gitee-Token", strings.ReplaceAll(r.Header.Get("X-Gitee-Token"), "=", "%3D"))
	}
	if got := with(push(2), encoded); got.Status != 401 {
		t.Errorf("another body with the signature spelt differently was answered %+v, want 401", got)
	}
	if got := with(push(1)); got.Status != 200 || !*got.Duplicate {
		t.Errorf("the first body again was answered %+v, want a duplicate", got)
	}
}

func TestAPasswordAdmitsManyBodies(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	stamp := header("X-Gitee-Timestamp", timestampOf(time.Now()))
	for n := range 3 {
		if got := send(t, g, webhook(t, "http://gateway", "plain", push(n), stamp)); got.Status != 200 {
			t.Errorf("answer %d = %+v", n, got)
		}
	}
}

func TestAPanicIsAnAnswerAndALineInTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	notifier := &fakeNotifier{fault: func(context.Context, *notifierv1.NotifyRequest) (bool, error) { panic("nobody expects this") }}
	g := newGateway(t, notifier, &fakeSpool{}, zap.New(core))
	got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
	if got.Status != 500 || got.Error.Reason != "ERROR_REASON_INTERNAL" || strings.Contains(got.Error.Message, "nobody expects") {
		t.Errorf("answer = %+v", got)
	}
	entries := logs.FilterMessage("webhook.panic").All()
	if len(entries) != 1 {
		t.Fatalf("%d lines webhook.panic", len(entries))
	}
	if stack, _ := entries[0].ContextMap()["stack"].(string); !strings.Contains(stack, "Notify") {
		t.Errorf("the stack does not lead to where it happened: %q", stack)
	}
	notifier.setFault(nil)
	if got := send(t, g, webhook(t, "http://gateway", "signed", push(2))); got.Status != 200 {
		t.Errorf("after a panic the door answers %+v", got)
	}
}

// TestTheLogHoldsNoSecrets sends secrets in every place and looks for them in all that is logged.
func TestTheLogHoldsNoSecrets(t *testing.T) {
	var out bytes.Buffer
	core, logs := observer.New(zap.DebugLevel)
	spool := &fakeSpool{}
	g := newGateway(t, &fakeNotifier{fault: always(false, errAway)}, spool, zap.New(core))
	spool.setFault(func(string) (bool, error) { return false, errors.New("disk on fire") })
	requests := []*http.Request{
		webhook(t, "http://gateway", "signed", push(1), query("token=hush-hush")),
		webhook(t, "http://gateway", "plain", push(1), query("token=hush-hush")),
		webhook(t, "http://gateway", "plain", `{"password":"`+testPassword+`"`),
		webhook(t, "http://gateway", "signed", push(1), header("X-Gitee-Token", "hush-hush")),
		webhook(t, "http://gateway", "hush-hush?hush", push(1)),
	}
	var secrets = []string{"hush", testKey, testPassword, "commit 1"}
	for _, r := range requests {
		secrets = append(secrets, r.Header.Get("X-Gitee-Token"))
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, r)
		io.Copy(&out, w.Body)
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "hush-hush" })
	for _, entry := range logs.All() {
		line, err := zapLine(entry)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(line)
	}
	text := strings.ReplaceAll(out.String(), `"hook":"hush-hush"`, "") // an unknown hook's name is shown
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the log or in an answer:\n%s", secret, text)
		}
	}
	if handled := logs.FilterMessage("webhook.handled").Len(); handled != len(requests) {
		t.Errorf("%d lines webhook.handled for %d requests", handled, len(requests))
	}
}

func TestTheLogTellsOfEachWebhook(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, zap.New(core))
	r := webhook(t, "http://gateway", "signed", push(1), header("X-Request-Id", "with a blank"))
	send(t, g, r)
	entries := logs.FilterMessage("webhook.handled").All()
	if len(entries) != 1 {
		t.Fatalf("%d lines", len(entries))
	}
	got := entries[0].ContextMap()
	if id, _ := got["request_id"].(string); id == "" || strings.Contains(id, " ") {
		t.Errorf("request_id = %q, want one of the gateway's own", id)
	}
	delete(got, "request_id")
	delete(got, "elapsed_ms")
	want := map[string]any{
		"hook": "signed", "status": int64(200), "outcome": "accepted", "bytes": int64(len(push(1))),
		"kind": "push", "action": "pushed", "event_id": idOf(t, r, push(1)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("webhook.handled (-want +got):\n%s", diff)
	}
}

func TestABodyThatBreaksOffIsMalformed(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	r := webhook(t, "http://gateway", "signed", push(1))
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), brokenReader{}))
	if got := send(t, g, r); got.Status != 400 || got.Error.Reason != "ERROR_REASON_MALFORMED_EVENT" {
		t.Errorf("answer = %+v", got)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestAStrangersBodyIsNotRead: memory is for those who know the secret.
func TestAStrangersBodyIsNotRead(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	r := webhook(t, "http://gateway", "signed", push(1), header("X-Gitee-Token", "AAAA"))
	r.Body = io.NopCloser(tripwire{t})
	if got := send(t, g, r); got.Status != 401 {
		t.Errorf("answer = %+v", got)
	}
}

type tripwire struct{ t *testing.T }

func (w tripwire) Read([]byte) (int, error) {
	w.t.Error("the body was read")
	return 0, io.EOF
}

func TestPermanentRefusalOfAllIsTheAnswer(t *testing.T) {
	for _, anonymous := range []bool{false, true} {
		notifier := &fakeNotifier{picky: map[string]bool{"team": true, "ops": true}, anonymous: anonymous}
		spool := &fakeSpool{}
		g := newGateway(t, notifier, spool, nil)
		got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
		if got.Status != 400 || got.Error == nil || got.Error.Reason != "ERROR_REASON_KEYWORD_MISSING" || got.Error.Message != "team wants one of its keywords" {
			t.Errorf("anonymous %t: answer = %+v", anonymous, got)
		}
		if held := spool.heldFor(t, "team"); len(held) != 0 {
			t.Errorf("anonymous %t: the spool has %v", anonymous, held)
		}
	}
}

func TestAPermanentRefusalWithoutDetailsIsAnInvalidRequest(t *testing.T) {
	g := newGateway(t, &fakeNotifier{fault: always(false, status.Error(codes.InvalidArgument, "no"))}, &fakeSpool{}, nil)
	got := send(t, g, webhook(t, "http://gateway", "solo", push(1)))
	if got.Status != 400 || got.Error.Reason != "ERROR_REASON_INVALID_REQUEST" || got.Error.Message != "no" {
		t.Errorf("answer = %+v", got)
	}
}
