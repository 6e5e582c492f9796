package demo

import (
	"encoding/json"
	"net/http"
	"testing"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"github.com/google/go-cmp/cmp"
)

func TestPageShowsWhatTheSimulatorReceived(t *testing.T) {
	srv := dingtalktest.NewServer()
	defer srv.Close()
	srv.AddRobot(dingtalktest.RobotConfig{
		Token: testToken, Secret: "SECtest", Group: "支付组",
		Members: []dingtalktest.Member{{Mobile: "13800000001"}},
	})
	l := new(lookup)
	p, rec := newTestPage(t, srv, saying(map[string]string{"/hooks/one": `["robots/a/deliveries/1"]`}), l)
	post(t, rec, "/hooks/one", "{}")

	robot, err := dingtalk.NewRobot(srv.Webhook(testToken), "SECtest")
	if err != nil {
		t.Fatal(err)
	}
	client := dingtalk.NewClient()
	defer client.Close()
	const uuid = "0e5b1c2e-1111-4222-8333-444455556666"
	l.set("robots/a/deliveries/1", uuid)
	message := dingtalk.Message{
		Content:  dingtalk.Markdown{Title: "推送", Text: "**推送** @13800000001 @13900000002"},
		Mentions: dingtalk.Mentions{Mobiles: []string{"13800000001", "13900000002"}},
	}
	for range 2 { // the second is a retry
		if err := client.Send(t.Context(), robot, message, uuid); err != nil {
			t.Fatal(err)
		}
	}

	var u update
	if err := json.Unmarshal(get(t, p.Handler(), http.MethodGet, "/api/messages").Body.Bytes(), &u); err != nil {
		t.Fatal(err)
	}
	if len(u.Messages) != 1 || *u.Status != (statusView{Left: 18, Budget: 20, Curl: testCurl}) {
		t.Fatalf("%d messages, status %+v", len(u.Messages), u.Status)
	}
	m := u.Messages[0]
	if m.Title != "推送" || m.UUID != uuid || m.Duplicates != 1 || m.Items != 1 || m.Bytes == 0 {
		t.Errorf("message %+v", m)
	}
	if diff := cmp.Diff([]uint64{1}, m.Causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
	if len(m.Mentions) != 2 || !m.Mentions[0].Effective || m.Mentions[0].Masked || m.Mentions[1].Effective || !m.Mentions[1].Masked {
		t.Errorf("mentions %+v", m.Mentions)
	}
}
