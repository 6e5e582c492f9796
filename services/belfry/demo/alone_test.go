package demo

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

func TestAPageWithoutADoorShowsTheGroupAlone(t *testing.T) {
	g := newFakeGroup()
	p := NewPage(Options{Server: g, Token: testToken, GroupName: "支付组"})
	t.Cleanup(p.Close)
	g.receive("u1", dingtalk.Text{Content: "hello"})
	var u update
	if err := json.Unmarshal(get(t, p.Handler(), http.MethodGet, "/api/messages").Body.Bytes(), &u); err != nil {
		t.Fatal(err)
	}
	if !u.Group.Alone || u.Group.Looks || len(u.Messages) != 1 || u.Messages[0].Looking || u.Messages[0].Text != "hello" {
		t.Errorf("%+v %+v", u.Group, u.Messages)
	}
	for _, path := range []string{"/api/samples", "/api/look", "/api/webhooks/1/body"} {
		if w := get(t, p.Handler(), http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestAPageWithoutADoorSpeaksOfNoWebhooks(t *testing.T) {
	g := newFakeGroup()
	p := NewPage(Options{Server: g, Token: testToken, GroupName: "支付组", RobotName: "Gitee 机器人"})
	t.Cleanup(p.Close)
	ctx := browse(t, p, 1280, 900)
	g.receive("u1", dingtalk.Markdown{Title: "推送", Text: "**推送** hello"})
	until(ctx, t, `document.querySelectorAll("article.message").length === 1`)
	if shown := evaluate[bool](ctx, t, `return document.getElementById("look-open").getClientRects().length > 0`); shown {
		t.Error("it offers a look at bodies, which it can't give")
	}
	for place, want := range map[string]string{"#counts": "1 message here", ".aside .none": "What caused it is not seen from here."} {
		if got := evaluate[string](ctx, t, `return document.querySelector(`+quote(place)+`).textContent`); got != want {
			t.Errorf("%s says %q, want %q", place, got, want)
		}
	}
	if text := evaluate[string](ctx, t, `return document.body.innerText`); strings.Contains(strings.ToLower(text), "webhook") {
		t.Errorf("it speaks of webhooks: %s", text)
	}
}
