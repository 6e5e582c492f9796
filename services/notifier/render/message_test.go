package render

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestDirectMessagesKeepTheirTypeAndGetTheirLiteralMentions(t *testing.T) {
	both := &notifierv1.Mentions{Mobiles: []string{"13800138000"}, UserIds: []string{"zhang.san"}}
	at := dingtalk.Mentions{Mobiles: []string{"13800138000"}, UserIDs: []string{"zhang.san"}}
	tests := map[string]struct {
		give *notifierv1.Message
		want dingtalk.Message
	}{
		"text": {textMessage("好了"), dingtalk.Message{Content: dingtalk.Text{Content: "好了"}}},
		"text with mentions": {
			mentioning(textMessage("好了"), both),
			dingtalk.Message{Content: dingtalk.Text{Content: "好了\n @13800138000 @zhang.san "}, Mentions: at},
		},
		"text that has one of the mentions": {
			mentioning(textMessage("@zhang.san: 好了"), both),
			dingtalk.Message{Content: dingtalk.Text{Content: "@zhang.san: 好了\n @13800138000 "}, Mentions: at},
		},
		"text that has a longer number": {
			mentioning(textMessage("@138001380001 @zhang.san"), both),
			dingtalk.Message{Content: dingtalk.Text{Content: "@138001380001 @zhang.san\n @13800138000 "}, Mentions: at},
		},
		"mention of all": {
			mentioning(textMessage("好了"), &notifierv1.Mentions{All: true}),
			dingtalk.Message{Content: dingtalk.Text{Content: "好了"}, Mentions: dingtalk.Mentions{All: true}},
		},
		"markdown": {
			mentioning(markdownMessage("构建", "**好** <b>"), both),
			dingtalk.Message{Content: dingtalk.Markdown{Title: "构建", Text: "**好** <b>\n\n @13800138000 @zhang.san "}, Mentions: at},
		},
		"link": {linkMessage(), dingtalk.Message{Content: dingtalk.Link{
			Title: "周报", Text: "本周进展", MessageURL: "https://example.com/weekly", PicURL: "https://example.com/weekly.png",
		}}},
		"action card, where mobile numbers call nobody": {
			mentioning(cardMessage(), both),
			dingtalk.Message{Content: dingtalk.ActionCard{
				Title: "发布", Text: "### 发布 v1.2.0\n\n @zhang.san ", Horizontal: true,
				Buttons: []dingtalk.Button{{Title: "同意", ActionURL: "https://example.com/y"}, {Title: "拒绝", ActionURL: "https://example.com/n"}},
			}, Mentions: at},
		},
		"feed card": {feedMessage(), dingtalk.Message{Content: dingtalk.FeedCard{Links: []dingtalk.FeedLink{
			{Title: "一", MessageURL: "https://example.com/1", PicURL: "https://example.com/1.png"},
			{Title: "二", MessageURL: "https://example.com/2", PicURL: "https://example.com/2.png"},
		}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, used, err := renderAs(Options{Robot: "team", Mentions: Mentions{All: true}}, []delivery.Notification{ofMessage(tt.give)})
			if err != nil || used != 1 {
				t.Fatalf("Render: used %d, error %v", used, err)
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeywordsAreAddedFoundOrMissed(t *testing.T) {
	md := func(title, text string) dingtalk.Content { return dingtalk.Markdown{Title: title, Text: text} }
	feed := func(first string) dingtalk.Content {
		c := dingtalk.FeedCard{Links: []dingtalk.FeedLink{
			{Title: first, MessageURL: "https://example.com/1", PicURL: "https://example.com/1.png"},
			{Title: "二", MessageURL: "https://example.com/2", PicURL: "https://example.com/2.png"},
		}}
		return c
	}
	tests := map[string]struct {
		keywords []string
		reject   bool
		give     *notifierv1.Message
		verdict  Verdict
		keyword  string
		want     dingtalk.Content
	}{
		"no keywords":                    {nil, true, textMessage("好"), NoneRequired, "", dingtalk.Text{Content: "好"}},
		"text with one":                  {[]string{"告警", "Gitee"}, false, textMessage("Gitee 好"), Present, "Gitee", dingtalk.Text{Content: "Gitee 好"}},
		"text without one":               {[]string{"告警", "Gitee"}, false, textMessage("好"), Appended, "告警", dingtalk.Text{Content: "好\n告警"}},
		"text in another case":           {[]string{"Gitee"}, false, textMessage("gitee"), Appended, "Gitee", dingtalk.Text{Content: "gitee\nGitee"}},
		"markdown with it in both":       {[]string{"告警"}, false, markdownMessage("告警", "告警了"), Present, "告警", md("告警", "告警了")},
		"markdown with it in the title":  {[]string{"构建", "告警"}, false, markdownMessage("告警", "坏了"), Appended, "告警", md("告警", "坏了\n\n告警")},
		"markdown with it in the text":   {[]string{"构建", "告警"}, false, markdownMessage("坏了", "告警"), Appended, "告警", md("坏了 · 告警", "告警")},
		"markdown with one in each":      {[]string{"构建", "告警"}, false, markdownMessage("构建", "告警"), Appended, "构建", md("构建", "告警\n\n构建")},
		"markdown with it in an address": {[]string{"gitee"}, false, markdownMessage("gitee", "[看](https://gitee.com)"), Appended, "gitee", md("gitee", "[看](https://gitee.com)\n\ngitee")},
		"link": {[]string{"告警"}, false, linkMessage(), Appended, "告警", dingtalk.Link{
			Title: "周报 · 告警", Text: "本周进展 · 告警", MessageURL: "https://example.com/weekly", PicURL: "https://example.com/weekly.png",
		}},
		"feed card":               {[]string{"告警"}, false, feedMessage(), Appended, "告警", feed("一 · 告警")},
		"refused":                 {[]string{"告警"}, true, markdownMessage("坏", "[坏](https://x.com/告警)"), Missing, "", md("坏", "[坏](https://x.com/告警)")},
		"taken with title alone":  {[]string{"构建", "告警"}, true, markdownMessage("告警", "坏"), Present, "告警", md("告警", "坏")},
		"taken with text alone":   {[]string{"构建", "告警"}, true, markdownMessage("坏", "告警"), Present, "告警", md("坏", "告警")},
		"taken with a later link": {[]string{"二"}, true, feedMessage(), Present, "二", feed("一")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			robot := Options{Robot: "team", Keywords: tt.keywords, RejectMissingKeyword: tt.reject}
			in, err := rendererOf(robot).Inspect(ofMessage(tt.give))
			if in.Verdict != tt.verdict || in.Keyword != tt.keyword {
				t.Errorf("verdict %s with %q, want %s with %q", in.Verdict, in.Keyword, tt.verdict, tt.keyword)
			}
			if diff := gocmp.Diff(tt.want, in.Message.Content); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			missing, refused := errors.AsType[*KeywordError](err)
			if refused != (tt.verdict == Missing) || !refused && err != nil {
				t.Fatalf("error %v with verdict %s", err, tt.verdict)
			}
			if refused {
				if diff := gocmp.Diff(&KeywordError{Robot: "team", Accepted: tt.keywords}, missing); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				for _, k := range tt.keywords {
					if !strings.Contains(err.Error(), k) {
						t.Errorf("the error does not name %q: %v", k, err)
					}
				}
			}
		})
	}
}

func TestEveryEventCarriesAKeywordInTitleAndText(t *testing.T) {
	robot := Options{Robot: "team", Keywords: []string{`告"警\`, "Gitee"}}
	for _, s := range samples() {
		in, err := rendererOf(robot).Inspect(asNotification(s))
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		md := in.Message.Content.(dingtalk.Markdown)
		if !strings.Contains(md.Title, in.Keyword) || !strings.Contains(visible(md.Text), in.Keyword) || in.Keyword == "" {
			t.Errorf("%s: keyword %q is not in both title %q and text %q", s.name, in.Keyword, md.Title, md.Text)
		}
	}
}

func TestEventsAreRefusedWithoutAKeywordWhereTheRobotWantsIt(t *testing.T) {
	robot := Options{Robot: "team", Keywords: []string{"崩溃"}, RejectMissingKeyword: true}
	opened, pushed := ofEvent(issued(eventv1.Action_ACTION_OPENED, nil)), ofEvent(pushOf(1, 1))
	if _, _, err := renderAs(robot, []delivery.Notification{opened}); err != nil {
		t.Errorf("with the keyword in its title: %v", err)
	}
	if _, used, err := renderAs(robot, []delivery.Notification{pushed, opened}); used != 1 || err == nil {
		t.Errorf("without: used %d, error %v", used, err)
	}
	if _, used, err := renderAs(robot, []delivery.Notification{opened, opened, pushed}); used != 2 || err != nil {
		t.Errorf("what would be refused alone: used %d, error %v, want 2 and none", used, err)
	}
}

func TestADigestHasAKeywordAlsoWhereTheRobotRefusesMessagesWithout(t *testing.T) {
	robot := Options{Robot: "team", Keywords: []string{"里程碑"}, RejectMissingKeyword: true}
	n := ofEvent(issued(eventv1.Action_ACTION_OPENED, nil)) // the word stands in the message, and not in a digest's line
	m, used, err := renderAs(robot, []delivery.Notification{n, n})
	if err != nil || used != 2 {
		t.Fatalf("Render: used %d, error %v", used, err)
	}
	md := m.Content.(dingtalk.Markdown)
	if !strings.HasSuffix(md.Title, "里程碑") || !strings.HasSuffix(md.Text, "里程碑") {
		t.Errorf("title %q, text %q", md.Title, md.Text)
	}
}

func TestInspectionMeasuresTheExactBody(t *testing.T) {
	in, err := rendererOf(Options{Robot: "team", Keywords: []string{"Gitee"}}).Inspect(ofEvent(pushOf(3, 3)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := dingtalk.Encode(in.Message, sampleUUID)
	if err != nil || in.Size != len(body) {
		t.Errorf("Size %d, want %d; error %v", in.Size, len(body), err)
	}
	var back dingtalk.Message
	if err := json.Unmarshal(in.Body, &back); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(in.Message, back); diff != "" {
		t.Errorf("Body says something else (-message +body):\n%s", diff)
	}
}

func TestAMessageOverTheLimitIsRefusedWithItsSize(t *testing.T) {
	robot := Options{Robot: "team", Keywords: []string{strings.Repeat("警", 100)}}
	// It would fit without the keyword.
	n := ofMessage(textMessage(strings.Repeat("好", 6560)))
	in, err := rendererOf(robot).Inspect(n)
	tooLarge, ok := errors.AsType[*TooLargeError](err)
	if !ok || tooLarge.Robot != "team" || tooLarge.Bytes <= dingtalk.MaxBody || in.Size != tooLarge.Bytes {
		t.Errorf("Size %d, error %v", in.Size, err)
	}
	if in.Message.Content == nil || len(in.Body) == 0 {
		t.Error("the inspection does not show the message")
	}
	if _, used, err := renderAs(robot, []delivery.Notification{n, n}); used != 1 || err == nil {
		t.Errorf("Render: used %d, error %v", used, err)
	}
	if _, _, err := renderAs(Options{Robot: "team"}, []delivery.Notification{n}); err != nil {
		t.Errorf("without the keyword: %v", err)
	}
}

func TestNotificationsWithoutContentAreErrors(t *testing.T) {
	for name, n := range map[string]delivery.Notification{
		"nothing":               {},
		"empty message":         ofMessage(&notifierv1.Message{}),
		"event without subject": ofEvent(event(eventv1.Action_ACTION_OPENED)),
		"empty text":            ofMessage(textMessage("")),
	} {
		if in, err := rendererOf(Options{Robot: "team"}).Inspect(n); err == nil || !strings.Contains(err.Error(), "team") {
			t.Errorf("%s: Inspect returned %+v, %v", name, in, err)
		}
		if _, used, err := renderAs(Options{Robot: "team"}, []delivery.Notification{n, ofEvent(pinged())}); err == nil || used != 1 {
			t.Errorf("%s: Render returned %d, %v", name, used, err)
		}
	}
	if _, _, err := renderAs(Options{}, nil); err == nil {
		t.Error("an empty batch is no error")
	}
}

func TestTitleIsOneShortPlainLine(t *testing.T) {
	for _, tt := range []struct {
		give delivery.Notification
		want string
	}{
		{ofEvent(pushOf(3, 3)), "张三 推送了 3 个提交到 belfry/demo 的 feature/login 分支"},
		{ofMessage(textMessage("\n  磁盘\t已满  \n详情")), "磁盘 已满"},
		{ofMessage(markdownMessage("构建\n失败", "x")), "构建 失败"},
		{ofMessage(linkMessage()), "周报"},
		{ofMessage(cardMessage()), "发布"},
		{ofMessage(feedMessage()), "一"},
		{ofMessage(textMessage(strings.Repeat("长", 200))), strings.Repeat("长", 99) + "…"},
		{delivery.Notification{}, ""},
	} {
		if got := Title("zh-CN", tt.give); got != tt.want {
			t.Errorf("Title returned %q, want %q", got, tt.want)
		}
	}
	if got := Title("zh-CN", ofMessage(textMessage(strings.Repeat("👩\u200d👩 ", 200)))); len([]rune(got)) > 100 {
		t.Errorf("Title returned %d code points", len([]rune(got)))
	}
}
