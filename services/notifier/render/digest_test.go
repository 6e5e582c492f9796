package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestFoldingEndsBeforeWhatMustGoAlone(t *testing.T) {
	e := ofEvent(pinged())
	all := &notifierv1.Mentions{All: true}
	someone := &notifierv1.Mentions{Mobiles: []string{"13800138000"}}
	alone := map[string]delivery.Notification{
		"a link":                        ofMessage(linkMessage()),
		"an action card":                ofMessage(cardMessage()),
		"a feed card":                   ofMessage(feedMessage()),
		"a text that calls all":         ofMessage(mentioning(textMessage("好"), all)),
		"Markdown that calls somebody":  ofMessage(mentioning(markdownMessage("好", "好"), someone)),
		"a long text":                   ofMessage(textMessage(strings.Repeat("好", 501))),
		"long Markdown":                 ofMessage(markdownMessage("t", strings.Repeat("x", 1500))),
		"Markdown with a fence":         ofMessage(markdownMessage("好", "```\ncode")),
		"Markdown with HTML":            ofMessage(markdownMessage("好", "<details>")),
		"an event without a subject":    ofEvent(event(eventv1.Action_ACTION_OPENED)),
		"a notification without either": {},
	}
	for name, n := range alone {
		t.Run(name, func(t *testing.T) {
			if got := rendererOf(Options{}).foldable([]delivery.Notification{e, e, n, e}); got != 2 {
				t.Errorf("the prefix has %d, want the 2 before it", got)
			}
			if got := rendererOf(Options{}).foldable([]delivery.Notification{n, e, e}); got != 0 {
				t.Errorf("the prefix has %d although it comes first", got)
			}
			_, used, err := renderAs(Options{}, []delivery.Notification{e, e, n, e})
			if used != 2 || err != nil {
				t.Errorf("Render: used %d, error %v", used, err)
			}
			if _, used, _ = renderAs(Options{}, []delivery.Notification{n, e, e}); used != 1 {
				t.Errorf("Render with it first: used %d", used)
			}
		})
	}
	for name, n := range map[string]delivery.Notification{
		"an event":          ofEvent(pushOf(300, 10)),
		"a ping":            e,
		"a text":            ofMessage(textMessage(strings.Repeat("x", 1500))),
		"Markdown":          ofMessage(markdownMessage("好", "**好**")),
		"empty mentions":    ofMessage(mentioning(textMessage("好"), &notifierv1.Mentions{})),
		"text with a \"<\"": ofMessage(textMessage("a < b ``` <b>")),
	} {
		if _, used, err := renderAs(Options{}, []delivery.Notification{e, n, e}); used != 3 || err != nil {
			t.Errorf("%s: used %d, error %v, want it folded", name, used, err)
		}
	}
}

func TestADigestShowsEveryNotificationInOrderWithItsLink(t *testing.T) {
	var batch []delivery.Notification
	var want []string
	for i := range 30 {
		e := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, is *eventv1.Issue) {
			is.Number = fmt.Sprintf("I%03d", i)
			is.Url = web + "/issues/" + is.Number
		})
		batch = append(batch, ofEvent(e))
		want = append(want, "](https://gitee.com/belfry/demo/issues/"+e.GetIssue().GetNumber()+")")
	}
	m, used, err := renderAs(Options{}, batch)
	if err != nil || used != len(batch) {
		t.Fatalf("Render: used %d, error %v", used, err)
	}
	at := 0
	md := m.Content.(dingtalk.Markdown)
	for _, w := range want {
		i := strings.Index(md.Text[at:], w)
		if i < 0 {
			t.Fatalf("%s is missing or out of order in\n%s", w, md.Text)
		}
		at += i
	}
	if !strings.HasPrefix(md.Title, "belfry/demo 有 30 条动态") {
		t.Errorf("the title is %q", md.Title)
	}
}

func TestADigestGroupsByRepositoryWithTheNewestActivityLast(t *testing.T) {
	in := func(path string) delivery.Notification {
		e := pushOf(1, 1)
		e.Repository.Path = path
		return ofEvent(e)
	}
	m, used, err := renderAs(Options{}, []delivery.Notification{in("z/z"), in("a/a"), ofMessage(textMessage("你好")), in("z/z")})
	if err != nil || used != 4 {
		t.Fatalf("Render: used %d, error %v", used, err)
	}
	var got []string
	for line := range strings.Lines(m.Content.(dingtalk.Markdown).Text) {
		switch {
		case strings.HasPrefix(line, "#### "):
			name, _, _ := strings.Cut(strings.TrimSpace(line[5:]), "]")
			got = append(got, strings.TrimPrefix(name, "["))
		case strings.HasPrefix(line, "- "):
			got = append(got, "-")
		case strings.HasPrefix(line, "你好"):
			got = append(got, "你好")
		}
	}
	if want := []string{"a/a", "-", "消息 · 1", "你好", "z/z", "-", "-"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestADigestWhoseNewestIsAMessageSaysWhatThatIs(t *testing.T) {
	for want, newest := range map[string]*notifierv1.Message{
		"磁盘已满":                   textMessage("磁盘已满\n请清理"),
		"Deploy \\*\\*now\\*\\*": {Content: &notifierv1.Message_Markdown{Markdown: &notifierv1.Markdown{Title: "Deploy **now**", Text: "**2.4.18** is live"}}},
	} {
		m, used, err := renderAs(Options{}, []delivery.Notification{ofEvent(pushOf(1, 1)), ofMessage(newest)})
		if err != nil || used != 2 {
			t.Fatalf("used %d, error %v", used, err)
		}
		if text := m.Content.(dingtalk.Markdown).Text; !strings.Contains(text, "\n最新："+want+"\n") {
			t.Errorf("want the newest to be %q in\n%s", want, text)
		}
	}
}

func TestADigestOfALongTimeTellsEachWithItsTime(t *testing.T) {
	start := time.Date(2026, 11, 22, 15, 30, 0, 0, time.UTC)
	for step, want := range map[time.Duration]string{
		time.Second:      "消息 1  \n最新 23:30：",
		40 * time.Minute: "消息 1  \n11月22日 23:30 至 00:50 · 最新：",
	} {
		batch := []delivery.Notification{ofEvent(pushOf(1, 1)), ofMessage(textMessage("磁盘已满")), ofEvent(pushOf(2, 2))}
		for i := range batch {
			batch[i].CreateTime = start.Add(time.Duration(i) * step)
		}
		m, used, err := renderAs(Options{}, batch)
		if err != nil || used != 3 {
			t.Fatalf("used %d, error %v", used, err)
		}
		text := m.Content.(dingtalk.Markdown).Text
		if !strings.Contains(text, want) {
			t.Errorf("steps of %v: it lacks %q:\n%s", step, want, text)
		}
		for _, line := range []string{"- 11月22日 23:30 ", "\n\n00:10\n\n磁盘已满", "- 00:50 "} {
			if got := strings.Contains(text, line); got != (step == 40*time.Minute) {
				t.Errorf("steps of %v: it has %q: %v, in\n%s", step, line, got, text)
			}
		}
	}
}

func TestADigestTakesNoMoreThanItsCapAndTheSizeLimit(t *testing.T) {
	short := event(eventv1.Action_ACTION_DELETED)
	short.Sender = &eventv1.User{Name: "a"}
	short.Subject = &eventv1.Event_Tag{Tag: &eventv1.Tag{Name: "v1"}}
	if _, used, _ := renderAs(Options{}, slices.Repeat([]delivery.Notification{ofEvent(short)}, 250)); used != 200 {
		t.Errorf("250 short ones: used %d, want 200", used)
	}
	batch := slices.Repeat([]delivery.Notification{ofEvent(pushOf(300, 300))}, 200)
	m, used, err := renderAs(Options{}, batch)
	if err != nil {
		t.Fatal(err)
	}
	body, err := dingtalk.Encode(m, sampleUUID)
	if err != nil || len(body) > maxBody {
		t.Fatalf("%d bytes, error %v", len(body), err)
	}
	// As many as fit: one more line would not have.
	md := m.Content.(dingtalk.Markdown)
	if lines := strings.Count(md.Text, "\n- "); lines != used {
		t.Errorf("%d lines for %d notifications", lines, used)
	}
	if room := maxBody - len(body); room > digestTop+envelope+300 {
		t.Errorf("%d bytes are left, and only %d of %d used", room, used, len(batch))
	}
}

// extremes are texts that take the most room, each in its way.
var extremes = []string{
	strings.Repeat("\\", 2000), strings.Repeat(`"`, 2000), strings.Repeat("🎉", 2000), strings.Repeat("👩\u200d", 1000),
	strings.Repeat("汉", 2000), strings.Repeat("a\u0301", 1000), strings.Repeat("*\n", 1000), strings.Repeat("x", 2000),
	strings.Repeat("汉", 220), // as the end of an address, escaped, it is just within the limit
}

func TestEventsOfAnySizeFit(t *testing.T) {
	robot := Options{Robot: "team", Keywords: []string{strings.Repeat(`"`, 100), strings.Repeat("汉", 100)}}
	for _, s := range samples() {
		for i, x := range extremes {
			if p := s.event.GetPush(); p != nil && len(p.Commits) > 3 {
				p.Commits = p.Commits[:3] // the rest are the same
			}
			poison(s.event, 2*i, []string{x})
			body := strings.Repeat(x, 10)
			switch e := s.event.GetSubject().(type) {
			case *eventv1.Event_Push:
				if len(e.Push.Commits) > 0 {
					e.Push.Commits = slices.Repeat(e.Push.Commits[:1], 500)
				}
			case *eventv1.Event_Issue:
				e.Issue.Body = body
				e.Issue.Labels = slices.Repeat([]*eventv1.Label{{Name: x}}, 100)
				e.Issue.Collaborators = slices.Repeat([]*eventv1.User{s.event.Sender}, 100)
			case *eventv1.Event_PullRequest:
				e.PullRequest.Body = body
				e.PullRequest.Assignees = slices.Repeat(e.PullRequest.Assignees[:1], 100)
			case *eventv1.Event_Comment:
				e.Comment.Body = body
			}
			in, err := rendererOf(robot).Inspect(ofEvent(s.event))
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			if md := in.Message.Content.(dingtalk.Markdown); in.Size > maxBody || !utf8.ValidString(md.Title+md.Text) {
				t.Errorf("%s with extreme %d: %d bytes", s.name, i, in.Size)
			}
			if !strings.HasPrefix(in.Message.Content.(dingtalk.Markdown).Text, "### ") {
				t.Errorf("%s with extreme %d has no headline", s.name, i)
			}
			m, _, err := renderAs(robot, slices.Repeat([]delivery.Notification{ofEvent(s.event)}, 8))
			if err != nil {
				t.Fatalf("%s in a digest: %v", s.name, err)
			}
			if body, err := dingtalk.Encode(m, sampleUUID); err != nil || len(body) > maxBody {
				t.Errorf("%s with extreme %d, 8 in a digest: %d bytes, error %v", s.name, i, len(body), err)
			}
		}
	}
}

func TestMessagesOfControlCharactersFitIntoADigest(t *testing.T) {
	batch := slices.Repeat([]delivery.Notification{
		ofMessage(markdownMessage("\x01", strings.Repeat("\x02", 1400))), ofMessage(markdownMessage("t", strings.Repeat("\u2028", 450))),
	}, 20)
	m, used, err := renderAs(Options{}, batch)
	if err != nil || used < 2 {
		t.Fatalf("used %d, error %v", used, err)
	}
	if body, err := dingtalk.Encode(m, sampleUUID); err != nil || len(body) > maxBody {
		t.Errorf("%d bytes, error %v", len(body), err)
	}
}

func TestRenderLeavesItsArgumentsAlone(t *testing.T) {
	m := feedMessage()
	n := ofMessage(m)
	robot := Options{Keywords: []string{"Gitee"}}
	a, _, _ := renderAs(robot, []delivery.Notification{n})
	b, _, _ := renderAs(robot, []delivery.Notification{n})
	if first := a.Content.(dingtalk.FeedCard).Links[0].Title; first != b.Content.(dingtalk.FeedCard).Links[0].Title || m.GetFeedCard().Links[0].Title != "一" {
		t.Errorf("the second time it is %q", b.Content.(dingtalk.FeedCard).Links[0].Title)
	}
}

func BenchmarkDigestOf200Events(b *testing.B) {
	var batch []delivery.Notification
	for i := 0; len(batch) < 200; i++ {
		all := samples()
		batch = append(batch, asNotification(all[i%len(all)]))
	}
	r := rendererOf(Options{Robot: "team", Keywords: []string{"Gitee"}})
	b.ReportAllocs()
	for b.Loop() {
		if got, err := r.Render(batch, nil); err != nil || got.Used < 50 {
			b.Fatal(got.Used, err)
		}
	}
}

func BenchmarkPushOf300Commits(b *testing.B) {
	r, n := rendererOf(Options{}), []delivery.Notification{ofEvent(pushOf(300, 300))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Render(n, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhatDoesNotFitIsCountedWithALinkToIt(t *testing.T) {
	e := pushOf(40, 40)
	for _, c := range e.GetPush().Commits {
		c.Url = "https://gitee.com/" + strings.Repeat("x", 2000)
	}
	in, err := rendererOf(Options{Robot: "team"}).Inspect(ofEvent(e))
	if err != nil {
		t.Fatal(err)
	}
	text := in.Message.Content.(dingtalk.Markdown).Text
	shown := strings.Count(text, "\n- [a1b2")
	if shown < 5 || shown >= maxCommits || in.Size > maxBody {
		t.Errorf("%d commits are shown in %d bytes", shown, in.Size)
	}
	if want := fmt.Sprintf("[… 还有 %d 个提交](%s)", 40-shown, e.GetPush().CompareUrl); !strings.HasSuffix(text, want) {
		t.Errorf("the text does not end in %q:\n%s", want, text)
	}
	// Also where the commits would leave a little, and too little, for that line: the lengths go through
	// every remainder.
	for n := range 400 {
		for _, c := range e.GetPush().Commits {
			c.Url = "https://gitee.com/" + strings.Repeat("x", 1500+n)
		}
		in, err := rendererOf(Options{Robot: "team"}).Inspect(ofEvent(e))
		if err != nil || in.Size > maxBody || !strings.Contains(in.Message.Content.(dingtalk.Markdown).Text, "[… 还有 ") {
			t.Fatalf("with addresses of %d: %d bytes, error %v", 1500+n, in.Size, err)
		}
	}
}
