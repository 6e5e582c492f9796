package gitee_test

import (
	"errors"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
)

func TestReadIsParseForWhoeverSentIt(t *testing.T) {
	for _, tt := range [][2]string{
		{pushHook, barePush}, {issueHook, bareIssue}, {pullHook, barePull}, {noteHook, bareNote}, {"push_hooks", demoBody},
	} {
		event, body := tt[0], tt[1]
		want := mustParse(t, headers(event), body)
		for _, token := range []string{password, "somebody else's", "-"} {
			got, err := gitee.Read("payments", headers(event, "X-Gitee-Token", token), []byte(body), sent)
			if err != nil || !proto.Equal(got, want) {
				t.Errorf("with the token %q: got %v and %v, want %v", token, got, err, want)
			}
		}
	}
}

func TestReadNeedsNoHeaderWhereTheBodySaysWhatItIs(t *testing.T) {
	body := with(barePush, `"hook_name":"push_hooks","timestamp":"1779270067125"`)
	want := mustParse(t, headers(pushHook), body)
	for _, header := range []http.Header{nil, {}} {
		got, err := gitee.Read("payments", header, []byte(body), sent)
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("got %v and %v, want %v", got, err, want)
		}
	}
	if e, err := gitee.Read("payments", nil, []byte(with(demoBody, `"hook_name":"push_hooks"`)), sent); err != nil || e.GetPing() == nil {
		t.Errorf("the test button's body: got %v and %v, want a ping", e, err)
	}
	for _, body := range []string{barePush, "{", "[]"} {
		if e, err := gitee.Read("payments", nil, []byte(body), sent); e != nil || !isMalformed(err) {
			t.Errorf("%s: got %v and %v, want a MalformedError", body, e, err)
		}
	}
}

func isMalformed(err error) bool {
	_, is := errors.AsType[*gitee.MalformedError](err)
	return is
}

func TestWhatComesWithANewPullRequestIsNeitherItsOpeningNorALaterAssignment(t *testing.T) {
	pull := func(action, detail string) *eventv1.Event {
		return mustParse(t, headers(pullHook), with(barePull, `"action":"`+action+`","action_desc":`+detail))
	}
	ids := map[string]bool{}
	for _, tt := range []struct {
		action, detail   string
		want             eventv1.Action
		host, hostDetail string
	}{
		{"open", `"open"`, eventv1.Action_ACTION_OPENED, "open", ""},
		{"open", `"assign"`, eventv1.Action_ACTION_ASSIGNED, "open", "assign"},
		{"open", `"test"`, eventv1.Action_ACTION_TESTER_ASSIGNED, "open", "test"},
		{"assign", `null`, eventv1.Action_ACTION_ASSIGNED, "assign", ""},
		{"test", `"open"`, eventv1.Action_ACTION_TESTER_ASSIGNED, "test", ""},
	} {
		e := pull(tt.action, tt.detail)
		if e.GetAction() != tt.want || e.GetHostAction() != tt.host || e.GetHostActionDetail() != tt.hostDetail {
			t.Errorf("%s %s: got %v, %q and %q", tt.action, tt.detail, e.GetAction(), e.GetHostAction(), e.GetHostActionDetail())
		}
		if ids[e.GetId()] {
			t.Errorf("%s %s has another's id", tt.action, tt.detail)
		}
		ids[e.GetId()] = true
	}
}
