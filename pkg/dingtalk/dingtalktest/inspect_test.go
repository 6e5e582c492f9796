package dingtalktest_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

func TestInspection(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{Group: "payments"})
	h := s.Inspection()
	ask := func(method, path, body string, status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		if w.Code != status || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), token) {
			t.Errorf("%s %s: %d %s; want %d with %s and no token", method, path, w.Code, w.Body, status, want)
		}
	}
	ask("POST", "/clock", `{"time":"2020-01-02T03:04:05Z"}`, 200, "{}")
	call(t, s, request{}).want(t, 0, "ok")
	ask("GET", "/messages", "", 200, `"time":"2020-01-02T03:04:05Z","group":"payments","message":{"msgtype":"text","text":{"content":"hello Gitee"}}`)
	ask("POST", "/robots/state", `{"group":"payments","state":"group dissolved"}`, 200, "{}")
	call(t, s, request{}).want(t, 400013, "群已被解散")
	ask("GET", "/refusals", "", 200, `"errcode":400013,"errmsg":"群已被解散","reason":"state"`)
	ask("POST", "/robots/state", `{"group":"payments","state":"active"}`, 200, "{}")
	ask("POST", "/robots/state", `{"group":"payments","state":"tired"}`, 400, "no state")
	ask("POST", "/robots/state", `{"group":"others","state":"active"}`, 400, "no robot")
	ask("POST", "/robots/state", `{"gruop":"payments"}`, 400, "unknown field")
	ask("POST", "/reset", "", 200, "{}")
	ask("GET", "/messages", "", 200, "[]")
	ask("POST", "/clock", `{}`, 200, "{}")
	call(t, s, request{}).want(t, 0, "ok")
	if age := time.Since(only(t, s).Time); age < 0 || age > time.Minute {
		t.Errorf("the message is %v old, so that the clock does not go", age)
	}
}
