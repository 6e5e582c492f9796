package gitee_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
)

const (
	password = "Пароль#9f3c-колокол"
	sentAt   = "1779270067125" // 2026-05-20T09:41:07.125Z
)

var sent = time.Date(2026, 5, 20, 9, 41, 7, 125e6, time.UTC)

// headers returns those of an authentic delivery; more are added or replace them.
func headers(event string, more ...string) http.Header {
	h := header(append([]string{
		"X-Gitee-Token", password, "X-Gitee-Timestamp", sentAt, "X-Gitee-Ping", "false",
		"X-Gitee-Event", event, "X-Git-Oschina-Event", event,
	}, more...)...)
	for name, values := range h {
		if values[0] == "-" {
			delete(h, name)
		}
	}
	return h
}

func parse(h http.Header, body string) (*eventv1.Event, error) {
	return gitee.Parse(gitee.Password(password), "payments", h, []byte(body), sent)
}

// mustParse returns a valid event, or ends the test.
func mustParse(t *testing.T, h http.Header, body string) *eventv1.Event {
	t.Helper()
	e, err := parse(h, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := protovalidate.Validate(e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Bodies with no more than an event needs. The marks are replaced by what a test adds.
const (
	repo       = `"repository":{"id":77,"path_with_namespace":"колокол/часы","html_url":"https://gitee.com/kolokol/chasy","pushed_at":"2026-05-20T17:41:06+08:00"}`
	barePush   = `{"ref":"refs/heads/main","before":"a1","after":"b2",` + repo + `}`
	bareTag    = `{"ref":"refs/tags/v1","before":"000","after":"b2",` + repo + `}`
	bareIssue  = `{"issue":{"id":5,"number":"I5AB"},` + repo + `}`
	barePull   = `{"pull_request":{"id":6,"number":12},` + repo + `}`
	bareNote   = `{"comment":{"id":7,"body":"好"},` + repo + `}`
	pushHook   = "Push Hook"
	tagHook    = "Tag Push Hook"
	issueHook  = "Issue Hook"
	pullHook   = "Merge Request Hook"
	noteHook   = "Note Hook"
	demoBody   = `{"ref":"refs/heads/test_version","before":"a1","after":"b2","repository":{"path_with_namespace":"oschina/git-osc"},"project":{},"hook_url":"https://gitee.com/kolokol/chasy/hooks/1/edit"}`
	demoIssues = `{"issue":{"number":"I1"},"repository":{"path_with_namespace":"oschina/gitee"},"project":{"id":1},"hook_name":"issue_hooks","hook_url":"https://gitee.ru/a/b/c/hooks/1/edit"}`
)

// with returns body with members added at its end.
func with(body, members string) string {
	if body == "{}" {
		return "{" + members + "}"
	}
	return body[:len(body)-1] + "," + members + "}"
}

func TestWebhooksAreKnownByEitherHeaderInEitherSpellingOrByTheBody(t *testing.T) {
	for _, tt := range []struct{ classic, newer, body, kind string }{
		{pushHook, "push_hooks", barePush, "push"},
		{tagHook, "tag_push_hooks", bareTag, "tag"},
		{issueHook, "issue_hooks", bareIssue, "issue"},
		{pullHook, "merge_request_hooks", barePull, "pull_request"},
		{noteHook, "note_hooks", bareNote, "comment"},
	} {
		named := with(tt.body, `"hook_name":"`+tt.newer+`"`)
		for name, d := range map[string]struct {
			h    http.Header
			body string
		}{
			"classic, no hook_name":           {headers(tt.classic), tt.body},
			"classic":                         {headers(tt.classic), named},
			"newer":                           {headers(tt.newer), named},
			"newer, no hook_name":             {headers(tt.newer), tt.body},
			"upper case, blanks":              {headers(" " + strings.ToUpper(tt.classic) + " "), named},
			"old header only":                 {headers(tt.classic, "X-Gitee-Event", "-"), tt.body},
			"old header only, newer":          {headers(tt.newer, "X-Gitee-Event", ""), tt.body},
			"body only":                       {headers("", "X-Gitee-Event", "-", "X-Git-Oschina-Event", "-"), named},
			"unknown spelling in the header":  {headers("new_" + tt.newer), named},
			"header says what hook_name says": {headers(tt.classic), with(tt.body, `"hook_name":"`+tt.classic+`"`)},
		} {
			t.Run(tt.kind+"/"+name, func(t *testing.T) {
				e := mustParse(t, d.h, d.body)
				m := e.ProtoReflect()
				if got := m.WhichOneof(m.Descriptor().Oneofs().ByName("subject")).Name(); string(got) != tt.kind {
					t.Errorf("parsed as %s, want %s", got, tt.kind)
				}
				if e.GetHook() != "payments" {
					t.Errorf("hook is %q", e.GetHook())
				}
			})
		}
	}
}

func TestWhatIsNoGiteeEventIsMalformedAndSaysWhy(t *testing.T) {
	tests := []struct {
		name, event, body, reason string
		offset                    int64
	}{
		{"empty", pushHook, "", "not valid JSON", 0},
		{"cut", pushHook, `{"ref":"refs/heads/x`, "not valid JSON", 20},
		{"two values", pushHook, barePush + "{}", "not valid JSON", int64(len(barePush))},
		{"form", pushHook, "hook=%7B%7D", "not valid JSON", 0},
		{"unescaped control character", pushHook, "{\"ref\":\"a\nb\"}", "not valid JSON", 9},
		{"array", pushHook, `[{"ref":"refs/heads/x"}]`, "not an object", -1},
		{"null", pushHook, `null`, "not an object", -1},
		{"string", pushHook, `"{}"`, "not an object", -1},
		{"nested too deep", pushHook, `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}", "not valid JSON", -2},
		{"header and hook_name differ", pushHook, with(barePush, `"hook_name":"tag_push_hooks"`), "different webhooks", -1},
		{"hook_name unknown", pushHook, with(barePush, `"hook_name":"pipeline_hooks"`), "different webhooks", -1},
		{"no kind at all", "", barePush, "which webhook this is", -1},
		{"push of nothing", pushHook, `{}`, "path_with_namespace", -1},
		{"push without ref", pushHook, `{"before":"a1","after":"b2",` + repo + `}`, "ref is missing", -1},
		{"push of a bare name", pushHook, strings.Replace(barePush, "refs/heads/", "", 1), "refs/heads/", -1},
		{"push of an empty branch", pushHook, strings.Replace(barePush, "/main", `/\u0000 \u0007`, 1), "ref is missing", -1},
		{"push without before", pushHook, strings.Replace(barePush, `"before"`, `"b"`, 1), "before or after", -1},
		{"push without after", pushHook, strings.Replace(barePush, `"after"`, `"a"`, 1), "before or after", -1},
		{"new branch on nothing", pushHook, `{"ref":"refs/heads/x","before":"00","created":true,` + repo + `}`, "after is missing", -1},
		{"made and removed", pushHook, strings.NewReplacer("a1", "00", "b2", "00").Replace(barePush), "both makes and removes", -1},
		{"issue missing", issueHook, `{` + repo + `}`, "no issue", -1},
		{"issue is a list", issueHook, `{"issue":[],` + repo + `}`, "no issue", -1},
		{"issue without a number", issueHook, `{"issue":{"id":5},` + repo + `}`, "no number", -1},
		{"pull request missing", pullHook, `{"pull_request":null,` + repo + `}`, "no pull_request", -1},
		{"pull request without a number", pullHook, `{"pull_request":{"number":-3},"iid":"!3",` + repo + `}`, "no number", -1},
		{"pull request without a repository", pullHook, `{"pull_request":{"number":3}}`, "path_with_namespace", -1},
		{"comment missing", noteHook, `{"note":"x",` + repo + `}`, "no comment", -1},
		{"too large", pushHook, strings.Repeat(" ", gitee.MaxBody) + "{}", "larger than 10 MiB", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := parse(headers(tt.event), tt.body)
			m, ok := errors.AsType[*gitee.MalformedError](err)
			if !ok {
				t.Fatalf("got %v and %v, want a MalformedError", e, err)
			}
			if !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("says %q, want something with %q", err, tt.reason)
			}
			if tt.offset >= -1 && m.Offset != tt.offset || tt.offset == -2 && m.Offset < 10000 {
				t.Errorf("offset is %d, want %d", m.Offset, tt.offset)
			}
		})
	}
}

func TestWhatHasNoPlaceInAnEventIsIgnoredAndSaysWhy(t *testing.T) {
	for _, tt := range []struct{ name, event, body, why string }{
		{"unknown webhook", "Pipeline Hook", `{"hook_name":"pipeline_hooks"}`, `"Pipeline Hook"`},
		{"unknown webhook by its body", "", `{"hook_name":"repo_hooks"}`, `"repo_hooks"`},
		{"ref of neither branch nor tag", pushHook, strings.Replace(barePush, "heads/main", "pull/3/head", 1), "neither a branch nor a tag"},
		{"unknown action on a comment", noteHook, with(bareNote, `"action":"pinned"`), `"pinned"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := parse(headers(tt.event), tt.body)
			if i, ok := errors.AsType[*gitee.IgnoredError](err); !ok || !strings.Contains(i.Why, tt.why) || !strings.Contains(err.Error(), i.Why) {
				t.Errorf("got %v and %v, want an IgnoredError about %s", e, err, tt.why)
			}
		})
	}
}

func TestNothingIsReadOfABodyThatIsNotAuthentic(t *testing.T) {
	for _, h := range []http.Header{
		headers(pushHook, "X-Gitee-Token", "-"),
		headers(pushHook, "X-Gitee-Token", ""),
		headers(pushHook, "X-Gitee-Token", password+"!"),
		headers(pushHook, "X-Gitee-Token", "", "X-Gitee-Ping", "true"),
	} {
		for _, body := range []string{barePush, with(barePush, `"password":"`+password+`"`), "{", strings.Repeat(" ", gitee.MaxBody+1)} {
			if e, err := parse(h, body); err != gitee.ErrNotAuthentic || e != nil {
				t.Errorf("got %v and %v, want ErrNotAuthentic", e, err)
			}
		}
	}
	// A signature in the body never stands in for the one in the header.
	s := gitee.Signature(password)
	body := with(barePush, `"timestamp":"`+sentAt+`","sign":"`+s.Token(sentAt)+`"`)
	if e, err := gitee.Parse(s, "payments", headers(pushHook, "X-Gitee-Token", ""), []byte(body), sent); err != gitee.ErrNotAuthentic || e != nil {
		t.Errorf("got %v and %v, want ErrNotAuthentic", e, err)
	}
	if _, err := gitee.Parse(s, "payments", headers(pushHook, "X-Gitee-Token", s.Token(sentAt)), []byte(body), sent); err != nil {
		t.Errorf("the same with a signature in the header: %v", err)
	}
}

func TestThePressOfTheTestButtonIsAPing(t *testing.T) {
	button := headers("push_hooks", "X-Gitee-Ping", "true")
	for _, tt := range []struct {
		name, body string
		h          http.Header
		hostEvent  string
	}{
		{"by the header", demoBody, button, "push_hooks"},
		{"by the header, real-looking body", with(barePush, `"hook_name":"push_hooks"`), button, "push_hooks"},
		{"by the header, unreadable event", `{"hook_name":"tag_push_hooks","ref":[]}`, button, "tag_push_hooks"},
		{"by the header in another case", `{}`, headers("Issue Hook", "X-Gitee-Ping", "True "), "Issue Hook"},
		{"by the made-up body", demoBody, headers(pushHook), "push_hooks"},
		{"by the made-up issue", demoIssues, headers(issueHook), "issue_hooks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := mustParse(t, tt.h, tt.body)
			if e.GetPing() == nil || e.GetAction() != eventv1.Action_ACTION_PINGED || e.GetPing().GetHostEvent() != tt.hostEvent {
				t.Errorf("got %v", e)
			}
			if e.GetSender() != nil || e.GetRepository() != nil || e.GetEnterprise() != nil || e.GetHook() != "payments" || !e.GetOccurTime().AsTime().Equal(sent) {
				t.Errorf("got %v, want nothing but the hook and the time", e)
			}
			again := mustParse(t, tt.h, with(tt.body, `"x":1`))
			next := mustParse(t, headers(tt.h.Get("X-Gitee-Event"), "X-Gitee-Ping", tt.h.Get("X-Gitee-Ping"), "X-Gitee-Timestamp", "1779270067126"), tt.body)
			if again.GetId() != e.GetId() || next.GetId() == e.GetId() {
				t.Errorf("ids of the same press %s and %s, of the next %s", e.GetId(), again.GetId(), next.GetId())
			}
		})
	}
	for name, body := range map[string]string{
		"its own hook":       strings.Replace(demoBody, "kolokol/chasy", "oschina/git-osc", 1),
		"a hook of all":      strings.Replace(demoBody, "kolokol/chasy", "enterprises/oschina", 1),
		"no hook_url":        strings.Replace(demoBody, "hook_url", "url", 1),
		"another repository": strings.Replace(demoBody, "oschina/git-osc", "oschina/git-osc2", 1),
	} {
		if e := mustParse(t, headers(pushHook), body); e.GetPush() == nil {
			t.Errorf("%s: got %v, want a push", name, e)
		}
	}
	for _, body := range []string{"", "[]", "{", "null"} {
		if e, err := parse(button, body); e != nil || err == nil {
			t.Errorf("ping with the body %q: got %v and %v, want a MalformedError", body, e, err)
		}
	}
	a, err := parse(headers(pushHook, "X-Gitee-Ping", "true", "X-Gitee-Timestamp", "-"), `{}`)
	if err != nil || a.GetOccurTime() != nil {
		t.Errorf("ping without a timestamp: got %v and %v", a, err)
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	for _, body := range []string{
		`{"password":"` + password + `","sign":"` + password, `{"password":"` + password + `"}`, `["` + password + `"]`, `{"` + password + `" `,
	} {
		for _, event := range []string{pushHook, issueHook, pullHook, noteHook, "", "Other"} {
			if _, err := parse(headers(event), body); err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("body %s: got %v", body, err)
			}
		}
	}
}
