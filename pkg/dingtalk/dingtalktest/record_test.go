package dingtalktest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// only returns the one message that s has.
func only(t *testing.T, s *dingtalktest.Server) dingtalktest.Received {
	t.Helper()
	list := s.Messages()
	if len(list) != 1 {
		t.Fatalf("%d messages, want 1", len(list))
	}
	return list[0]
}

func TestAMessageIsRecordedAsReceived(t *testing.T) {
	clock := newClock()
	s := start(t, dingtalktest.RobotConfig{Group: "payments"}, dingtalktest.WithClock(clock.Now))
	body := ` {"msgtype":"markdown","markdown":{"title":"t","text":"# x @15012345678"},"at":{"atMobiles":["15012345678"]},"msgUuid":"u1"}`
	call(t, s, request{body: body}).want(t, 0, "ok")
	want := dingtalktest.Received{
		N: 1, Time: clock.Now(), Group: "payments", Token: token, UUID: "u1",
		Message:  dingtalk.Message{Content: dingtalk.Markdown{Title: "t", Text: "# x @15012345678"}, Mentions: dingtalk.Mentions{Mobiles: []string{"15012345678"}}},
		Body:     json.RawMessage(body),
		Shown:    "# x @15012345678",
		Mentions: []dingtalktest.Mention{{Target: "15012345678", Effective: true}},
	}
	if diff := cmp.Diff(want, only(t, s)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	asJSON, err := json.Marshal(s.Messages())
	if err != nil || strings.Contains(string(asJSON), token) {
		t.Errorf("as JSON: %s, %v", asJSON, err)
	}
}

func TestEveryTypeIsReadAsTheClientMeantIt(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{})
	for i, m := range []dingtalk.Message{
		{Content: dingtalk.Text{Content: "x"}},
		{Content: dingtalk.Markdown{Title: "t", Text: "x"}, Mentions: dingtalk.Mentions{All: true}},
		{Content: dingtalk.Link{Title: "t", Text: "x", MessageURL: "https://a.example", PicURL: "https://p.example"}},
		{Content: dingtalk.ActionCard{Title: "t", Text: "x", SingleTitle: "s", SingleURL: "https://a.example"}},
		{Content: dingtalk.ActionCard{Title: "t", Text: "x", Buttons: []dingtalk.Button{{Title: "a", ActionURL: "https://a.example"}, {Title: "b", ActionURL: "https://b.example"}}, Horizontal: true}},
		{Content: dingtalk.FeedCard{Links: []dingtalk.FeedLink{{Title: "t", MessageURL: "https://a.example", PicURL: "https://p.example"}}}},
	} {
		body, err := dingtalk.Encode(m, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		call(t, s, request{body: string(body)}).want(t, 0, "ok")
		got := s.Messages()[i]
		if diff := cmp.Diff(m, got.Message); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		if len(got.Warnings) > 0 {
			t.Errorf("%s: %v", body, got.Warnings)
		}
	}
}

func TestKeywordsCountInTitlesAndText(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{Keywords: []string{"Jenkins", "Gitee"}}, dingtalktest.WithRate(dingtalktest.Rate{Calls: 100}))
	for body, errcode := range map[string]int{
		`{"msgtype":"text","text":{"content":"a Gitee"}}`:                                                                      0,
		`{"msgtype":"text","text":{"content":"a gitee"}}`:                                                                      310000,
		`{"msgtype":"text","text":{"content":"x"},"at":{"atUserIds":["Gitee"]},"msgUuid":"Gitee"}`:                             310000,
		`{"msgtype":"markdown","markdown":{"title":"Gitee","text":"x"}}`:                                                       0,
		`{"msgtype":"markdown","markdown":{"title":"x","text":"[Gitee](u)"}}`:                                                  0,
		`{"msgtype":"link","link":{"title":"Gitee","text":"x","messageUrl":"x"}}`:                                              0,
		`{"msgtype":"link","link":{"title":"x","text":"Gitee","messageUrl":"x"}}`:                                              0,
		`{"msgtype":"link","link":{"title":"x","text":"x","messageUrl":"Gitee"}}`:                                              310000,
		`{"msgtype":"actionCard","actionCard":{"title":"Gitee","text":"x"}}`:                                                   0,
		`{"msgtype":"actionCard","actionCard":{"title":"x","text":"x","btns":[{"title":"Gitee"}]}}`:                            310000,
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"x"},{"title":"Gitee"}]}}`:                                        0,
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"x","messageURL":"Gitee","picURL":"Gitee"},{"title":"Jenkin"}]}}`: 310000,
	} {
		t.Run(body, func(t *testing.T) { call(t, s, request{body: body}).want(t, errcode, "") })
	}
}

func TestMentionsThatTakeEffect(t *testing.T) {
	people := []dingtalktest.Member{{Mobile: "15012345678", UserID: "ann"}, {UserID: "bob"}}
	for _, test := range []struct {
		name  string
		robot dingtalktest.RobotConfig
		body  string
		want  []dingtalktest.Mention
		all   bool
		shown string
	}{
		{"listed, written, member", dingtalktest.RobotConfig{Members: people},
			`{"msgtype":"text","text":{"content":"@15012345678 @ann，看"},"at":{"atMobiles":["15012345678"],"atUserIds":["ann"]}}`,
			[]dingtalktest.Mention{{Target: "15012345678", Effective: true}, {Target: "ann", UserID: true, Effective: true}}, false, "@15012345678 @ann，看"},
		{"everybody is a member where none is named", dingtalktest.RobotConfig{},
			`{"msgtype":"text","text":{"content":"@13912341234 x"},"at":{"atMobiles":["13912341234"]}}`,
			[]dingtalktest.Mention{{Target: "13912341234", Effective: true}}, false, "@13912341234 x"},
		{"not a member", dingtalktest.RobotConfig{Members: people},
			`{"msgtype":"markdown","markdown":{"title":"t","text":"@13912341234 x"},"at":{"atMobiles":["13912341234"]}}`,
			[]dingtalktest.Mention{{Target: "13912341234", Why: "nobody in the group has it"}}, false, "@139****1234 x"},
		{"not written", dingtalktest.RobotConfig{Members: people},
			`{"msgtype":"markdown","markdown":{"title":"@ann","text":"x"},"at":{"atUserIds":["ann"]}}`,
			[]dingtalktest.Mention{{Target: "ann", UserID: true, Why: "the text has no @ann"}}, false, "x"},
		{"part of something longer", dingtalktest.RobotConfig{Members: people},
			`{"msgtype":"text","text":{"content":"@anna x@ann_1"},"at":{"atUserIds":["ann"]}}`,
			[]dingtalktest.Mention{{Target: "ann", UserID: true, Why: "the text has no @ann"}}, false, "@anna x@ann_1"},
		{"not listed", dingtalktest.RobotConfig{Members: people},
			`{"msgtype":"text","text":{"content":"@15012345678 x"}}`, nil, false, "@15012345678 x"},
		{"external group", dingtalktest.RobotConfig{Members: people, External: true},
			`{"msgtype":"text","text":{"content":"@ann @15012345678"},"at":{"atUserIds":["ann"],"atMobiles":["15012345678"]}}`,
			[]dingtalktest.Mention{{Target: "15012345678", Effective: true}, {Target: "ann", UserID: true, Why: "user ids call nobody in an external group"}}, false, "@ann @15012345678"},
		{"all", dingtalktest.RobotConfig{}, `{"msgtype":"text","text":{"content":"x"},"at":{"isAtAll":true}}`, nil, true, "x"},
		{"link", dingtalktest.RobotConfig{}, `{"msgtype":"link","link":{"title":"t","text":"@ann","messageUrl":"u"},"at":{"atUserIds":["ann"],"isAtAll":true}}`,
			[]dingtalktest.Mention{{Target: "ann", UserID: true, Why: "this type of message calls nobody"}}, false, "@ann"},
		{"card", dingtalktest.RobotConfig{}, `{"msgtype":"actionCard","actionCard":{"title":"t","text":"@ann @15012345678","singleTitle":"s","singleURL":"u"},"at":{"atUserIds":["ann"],"atMobiles":["15012345678"]}}`,
			[]dingtalktest.Mention{{Target: "15012345678", Why: "an actionCard calls people by user id only"}, {Target: "ann", UserID: true, Effective: true}}, false, "@ann @15012345678"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, test.robot)
			call(t, s, request{body: test.body}).want(t, 0, "ok")
			got := only(t, s)
			if diff := cmp.Diff(test.want, got.Mentions); diff != "" {
				t.Errorf("mentions (-want +got):\n%s", diff)
			}
			if got.MentionsAll != test.all || got.Shown != test.shown {
				t.Errorf("all %t, shown %q; want %t, %q", got.MentionsAll, got.Shown, test.all, test.shown)
			}
		})
	}
}

func TestFiftyPeopleAreCalledAtMost(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{})
	var text strings.Builder
	var ids []string
	for i := range 51 {
		ids = append(ids, fmt.Sprintf("u%02d", i))
		fmt.Fprintf(&text, "@u%02d ", i)
	}
	body, err := json.Marshal(map[string]any{"msgtype": "text", "text": map[string]any{"content": text.String()}, "at": map[string]any{"atUserIds": ids}})
	if err != nil {
		t.Fatal(err)
	}
	call(t, s, request{body: string(body)}).want(t, 0, "ok")
	got := only(t, s)
	if !got.Mentions[49].Effective || got.Mentions[50].Effective || len(got.Warnings) != 1 {
		t.Errorf("%+v, %v", got.Mentions[49:], got.Warnings)
	}
}

func TestWhatDingTalkIgnoresIsWarnedOf(t *testing.T) {
	for body, want := range map[string]string{
		`{"msgtype":"actionCard","actionCard":{"text":"x","singleTitle":"s","singleURL":"u"}}`:                                                    "no title",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x"}}`:                                                                          "no button",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","singleTitle":"s","singleURL":"u","btns":[{"title":"a","actionURL":"u"}]}}`: "the btns are not shown",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btns":[{"title":"a","actionURL":"u"}],"btnOrientation":"1"}}`:              "exactly two",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btns":[{"title":"a","actionURL":"u"}],"btnOrientation":0}}`:                "btnOrientation is not a string",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","singleTitle":"s","singleURL":"u","hideAvatar":true}}`:                      "hideAvatar is not a string",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btns":[{"title":"a","actionUrl":"u"}]}}`:                                   "btns[0] lacks",
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"t","messageUrl":"u","picURL":"p"}]}}`:                                               "links[0] lacks",
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"t","messageURL":"u","picURL":"p"},7]}}`:                                             "links[1] lacks",
		`{"msgtype":"text","text":{"content":"x"},"msgUuid":7}`:                                                                                   "msgUuid is not a string",
		`{"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"u"},"at":{"isAtAll":true}}`:                                               "isAtAll",
	} {
		t.Run(body, func(t *testing.T) {
			s := start(t, dingtalktest.RobotConfig{})
			call(t, s, request{body: body}).want(t, 0, "ok")
			if w := only(t, s).Warnings; len(w) != 1 || !strings.Contains(w[0], want) {
				t.Errorf("warnings %q, want one with %q", w, want)
			}
		})
	}
}

func TestADuplicateIsAnsweredWithYesAndNotShown(t *testing.T) {
	clock := newClock()
	s := start(t, dingtalktest.RobotConfig{Keywords: []string{"Gitee"}}, dingtalktest.WithClock(clock.Now), dingtalktest.WithUUIDWindow(time.Hour), dingtalktest.WithRate(dingtalktest.Rate{Calls: 100}))
	s.AddRobot(dingtalktest.RobotConfig{Token: "other"})
	send := func(query, content string) {
		t.Helper()
		call(t, s, request{query: query, body: `{"msgtype":"text","text":{"content":"` + content + `"},"msgUuid":"u1"}`})
	}
	send("", "refused, and so not remembered")
	send("", "Gitee 1")
	send("", "Gitee 2, never shown")
	clock.advance(time.Hour - 1)
	send("", "Gitee 3, never shown")
	send("access_token=other", "Gitee 4")
	clock.advance(1)
	send("", "Gitee 5")
	var got []string
	for _, r := range s.Messages() {
		got = append(got, fmt.Sprintf("%d %s, again %d", r.N, r.Message.Content.(dingtalk.Text).Content, r.Duplicates))
	}
	want := []string{"1 Gitee 1, again 2", "2 Gitee 4, again 0", "3 Gitee 5, again 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if n := len(s.MessagesOf(token)); n != 2 {
		t.Errorf("%d messages of the robot, want 2", n)
	}
	if left := s.BudgetLeft(token); left != 98 {
		t.Errorf("%d calls left, want 98: a duplicate counts like any call", left)
	}
}

func TestTheNewestAreKept(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithKept(10), dingtalktest.WithRate(dingtalktest.Rate{Calls: 1000}))
	for i := range 35 {
		body := fmt.Sprintf(`{"msgtype":"text","text":{"content":"%d"},"msgUuid":"u%d"}`, i, i)
		call(t, s, request{body: body}).want(t, 0, "ok")
		call(t, s, request{body: "x"}).want(t, 40035, "")
	}
	call(t, s, request{body: `{"msgtype":"text","text":{"content":"x"},"msgUuid":"u0"}`}).want(t, 0, "ok")
	call(t, s, request{body: `{"msgtype":"text","text":{"content":"x"},"msgUuid":"u34"}`}).want(t, 0, "ok")
	list := s.Messages()
	if len(list) != 10 || list[0].N != 26 || list[9].N != 35 || list[9].Duplicates != 1 || len(s.Refusals()) != 10 {
		t.Errorf("%d messages, %d refusals, the last message %+v", len(list), len(s.Refusals()), list[len(list)-1])
	}
	s.Reset()
	if len(s.Messages()) != 0 || len(s.Refusals()) != 0 {
		t.Error("something is left after Reset")
	}
	call(t, s, request{body: `{"msgtype":"text","text":{"content":"x"},"msgUuid":"u34"}`}).want(t, 0, "ok")
	if n := only(t, s).N; n != 1 {
		t.Errorf("the first message after Reset has the number %d", n)
	}
}

func TestChangedWakesAllWhoWait(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{})
	for _, body := range []string{goodBody, "x"} {
		var wg sync.WaitGroup
		for range 3 {
			changed := s.Changed()
			wg.Go(func() { <-changed })
		}
		call(t, s, request{body: body})
		wg.Wait()
	}
	select {
	case <-s.Changed():
		t.Error("closed without a change")
	default:
	}
}

func TestManyCallsAtOnceAreAllRecorded(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithRate(dingtalktest.Rate{Calls: 30}))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"msgtype":"text","text":{"content":"x"},"msgUuid":"u%d"}`, i%20)
			if _, err := try(t, s, request{body: body}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	again := 0
	for _, r := range s.Messages() {
		again += r.Duplicates
	}
	if n := len(s.Messages()) + again + s.Throttled(); n != 40 || s.Throttled() != 10 {
		t.Errorf("%d messages, %d duplicates, %d too fast; want 40 in all, 10 of them too fast", len(s.Messages()), again, s.Throttled())
	}
}
