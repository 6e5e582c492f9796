package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestACardHasAButtonThatOpensThePageOfItsEvent(t *testing.T) {
	created, deleted := eventv1.Action_ACTION_CREATED, eventv1.Action_ACTION_DELETED
	tests := map[string]struct {
		event *eventv1.Event
		want  string // empty for Markdown
	}{
		"several commits":         {push(eventv1.Action_ACTION_PUSHED, nil), web + "/compare/" + sha(0) + "..." + sha(3)},
		"one commit":              {pushOf(1, 1), web + "/commit/" + sha(1)},
		"a branch":                {push(created, func(p *eventv1.Push) { p.CompareUrl, p.Commits, p.TotalCommits = "", nil, 0 }), web + "/tree/feature/login"},
		"a branch that is gone":   {removal("x"), web},
		"a tag":                   {tagged(created, nil), web + "/tree/v1.2.0"},
		"a tag that is gone":      {tagged(deleted, func(t *eventv1.Tag) { t.Url = "" }), web},
		"an issue":                {issued(eventv1.Action_ACTION_OPENED, nil), web + "/issues/I4CYEO"},
		"a pull request":          {pulled(eventv1.Action_ACTION_MERGED, nil), web + "/pulls/12"},
		"a comment":               {commented(created, onThePull), web + "/pulls/12#note_99"},
		"a ping":                  {pinged(), web},
		"an address that is none": {issued(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, i *eventv1.Issue) { i.Url, e.Repository = "javascript:x", nil }), ""},
	}
	for name, tt := range tests {
		plain, err := rendererOf(Options{}).Inspect(ofEvent(tt.event))
		if err != nil {
			t.Fatal(err)
		}
		md := plain.Message.Content.(dingtalk.Markdown)
		in, err := rendererOf(Options{ActionCard: true}).Inspect(ofEvent(tt.event))
		if err != nil {
			t.Fatal(err)
		}
		card, ok := in.Message.Content.(dingtalk.ActionCard)
		if ok != (tt.want != "") || card.SingleURL != tt.want {
			t.Errorf("%s: it is %#v, want a button to %q", name, in.Message.Content, tt.want)
		}
		if ok && (card.Title != md.Title || card.Text != md.Text || card.SingleTitle == "") {
			t.Errorf("%s: %+v", name, card)
		}
	}
}

func TestACardThatCouldNotCallSomebodyIsMarkdown(t *testing.T) {
	e := issued(eventv1.Action_ACTION_OPENED, issueBy(alice(), carol()))
	for name, tt := range map[string]struct {
		change func(*Options)
		card   bool
	}{
		"a user id": {func(*Options) {}, true},
		"a number":  {func(o *Options) { o.People = NewPeople([]Person{{Gitee: "han_meimei", Mobile: "13800000003"}}) }, false},
		"everybody": {func(o *Options) { o.Mentions = Mentions{All: true, Opened: []Role{Everybody}} }, false},
		"a number outside": {func(o *Options) {
			o.External, o.People = true, NewPeople([]Person{{Gitee: "han_meimei", Mobile: "13800000003", UserID: "x"}})
		}, false},
		"nobody who can be reached": {func(o *Options) { o.External = true }, true},
	} {
		o := calling()
		o.ActionCard = true
		tt.change(&o)
		in, err := rendererOf(o).Inspect(ofEvent(e))
		if _, ok := in.Message.Content.(dingtalk.ActionCard); ok != tt.card || err != nil {
			t.Errorf("%s: it is a %T, error %v", name, in.Message.Content, err)
		}
		atOf(t, in.Message)
	}
}

func TestDigestsAreMarkdownAlsoWhereCardsAreWanted(t *testing.T) {
	m, used, err := renderAs(Options{ActionCard: true}, []delivery.Notification{ofEvent(pinged()), ofEvent(pushOf(1, 1))})
	if _, ok := m.Content.(dingtalk.Markdown); !ok || used != 2 || err != nil {
		t.Errorf("it is a %T, used %d, error %v", m.Content, used, err)
	}
}

func TestLinksOpenInTheBrowserWhereThatIsWanted(t *testing.T) {
	e := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Title = "a](https://evil.example) b" })
	const wrapped = "dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fgitee.com%2Fbelfry%2Fdemo%2Fissues%2FI4CYEO&pc_slide=false"
	in, err := rendererOf(Options{ActionCard: true, Browser: true}).Inspect(ofEvent(e))
	if err != nil {
		t.Fatal(err)
	}
	card := in.Message.Content.(dingtalk.ActionCard)
	if card.SingleURL != wrapped || !strings.Contains(card.Text, "]("+wrapped+")") || strings.Contains(card.Text, "](https:") {
		t.Errorf("%s\n%s", card.SingleURL, card.Text)
	}
	if !strings.Contains(card.Text, `a\](https\://evil.example) b`) {
		t.Errorf("text that looks like a link is changed:\n%s", card.Text)
	}
	theirs := ofMessage(markdownMessage("构建", "[看](https://ci.example.com/1)"))
	m, used, err := renderAs(Options{Browser: true}, []delivery.Notification{ofEvent(e), theirs, ofEvent(pinged())})
	if err != nil || used != 3 {
		t.Fatalf("used %d, error %v", used, err)
	}
	text := m.Content.(dingtalk.Markdown).Text
	if !strings.Contains(text, "[看](https://ci.example.com/1)") || strings.Count(text, "](https:") != 1 || !strings.Contains(text, wrapped) {
		t.Errorf("%s", text)
	}
	if in, _ = rendererOf(Options{Browser: true}).Inspect(theirs); !strings.Contains(in.Message.Content.(dingtalk.Markdown).Text, "](https:") {
		t.Error("a caller's link is changed")
	}
}

func TestALinkWhoseTextEndsInABackslashOpensInTheBrowserToo(t *testing.T) {
	for title, links := range map[string]int{`C:\`: 1, `C:\\`: 1, `\](https://evil.example)`: 1, `a](https://evil.example) \`: 1} {
		e := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Title = title })
		in, err := rendererOf(Options{Browser: true}).Inspect(ofEvent(e))
		if err != nil {
			t.Fatal(err)
		}
		text := in.Message.Content.(dingtalk.Markdown).Text
		if n := strings.Count(text, "](https%3A%2F%2Fgitee.com%2Fbelfry%2Fdemo%2Fissues"); n != 0 || strings.Contains(text, "](https://gitee") ||
			strings.Count(text, "issues%2FI4CYEO") != links || strings.Contains(text, "evil.example%") {
			t.Errorf("%q:\n%s", title, text)
		}
	}
}

func TestAnAddressThatWouldBecomeOverlongStaysAsItIs(t *testing.T) {
	// "https://gitee.com/" grows by eight bytes, and the frame comes on top.
	longest := maxLink - len(browserLink) - len(browserTail) - 8
	for n, wrapped := range map[int]bool{100: true, longest: true, longest + 1: false, maxLink: false} {
		address := "https://gitee.com/" + strings.Repeat("x", n-len("https://gitee.com/"))
		if got := inBrowser(address); len(got) > maxLink || (got != address) != wrapped {
			t.Errorf("%d bytes became %d", n, len(got))
		}
	}
	if a := "dingtalk://dingtalkclient/page/link?url=x"; inBrowser(a) != a {
		t.Error("an address of DingTalk's own is wrapped")
	}
}

func TestADigestWithLongLinksFitsAndKeepsThem(t *testing.T) {
	var batch []delivery.Notification
	for i := range 200 {
		batch = append(batch, ofEvent(issued(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, is *eventv1.Issue) {
			is.Url = fmt.Sprintf("%s/issues/%s/%d", web, strings.Repeat("/", i%60), i)
			e.Repository.Path = fmt.Sprint("r/", i%7)
		})))
	}
	m, used, err := renderAs(Options{Browser: true, Keywords: []string{"钟楼"}}, batch)
	body, eerr := dingtalk.Encode(m, sampleUUID)
	if err != nil || eerr != nil || used < 30 || len(body) > maxBody {
		t.Fatalf("used %d, %d bytes, errors %v, %v", used, len(body), err, eerr)
	}
	if n := strings.Count(m.Content.(dingtalk.Markdown).Text, "issues%2F"); n != used {
		t.Errorf("%d links for %d", n, used)
	}
}

func TestARendererSpeaksAnotherLanguageOnRequest(t *testing.T) {
	r := rendererOf(Options{Robot: "team", Locale: "zh-CN"})
	n := ofEvent(pulled(eventv1.Action_ACTION_MERGED, nil))
	seen := map[string]string{}
	for _, locale := range Locales() {
		in, err := r.In(locale)
		if err != nil {
			t.Fatal(err)
		}
		got, err := in.Inspect(n)
		if err != nil || in.Options().Locale != locale {
			t.Fatalf("%s: %v", locale, err)
		}
		text := got.Message.Content.(dingtalk.Markdown).Text
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s say the same:\n%s", locale, other, text)
		}
		seen[text] = locale
	}
	if _, err := r.In("fr"); err == nil || !slices.Contains(Locales(), r.Options().Locale) {
		t.Errorf("In(fr) returned %v", err)
	}
}

func TestAFailingTemplateLeavesTheBuiltInWordingAndANote(t *testing.T) {
	n := ofEvent(pulled(eventv1.Action_ACTION_MERGED, nil))
	plain, _ := rendererOf(Options{}).Inspect(n)
	built := plain.Message.Content.(dingtalk.Markdown)
	for name, tt := range map[string]struct {
		template Template
		note     string
		want     func(dingtalk.Markdown) bool
	}{
		"both parts": {Template{Kind: "pull_request", Title: "T {{.action}}", Text: "**merged** [x](https://gitee.com/x)"}, "", func(m dingtalk.Markdown) bool {
			return m.Title == "T merged" && strings.HasPrefix(m.Text, "**merged** [x](dingtalk://")
		}},
		"the title alone": {Template{Kind: "pull_request", Title: "T"}, "", func(m dingtalk.Markdown) bool { return m.Title == "T" && strings.HasPrefix(m.Text, "### ") }},
		"the text alone":  {Template{Kind: "pull_request", Text: "x"}, "", func(m dingtalk.Markdown) bool { return m.Title == built.Title && strings.HasPrefix(m.Text, "x") }},
		"another kind":    {Template{Kind: "push", Text: "x"}, "", func(m dingtalk.Markdown) bool { return m.Title == built.Title && strings.HasPrefix(m.Text, "### ") }},
		"an empty text":   {Template{Kind: "pull_request", Text: "{{if .event.issue}}x{{end}}"}, "empty", func(m dingtalk.Markdown) bool { return m.Title == built.Title && strings.HasPrefix(m.Text, "### ") }},
		"too large":       {Template{Kind: "pull_request", Text: strings.Repeat("长", 6400)}, "too large", func(m dingtalk.Markdown) bool { return m.Title == built.Title && strings.HasPrefix(m.Text, "### ") }},
	} {
		o := calling()
		o.Keywords, o.Templates, o.Browser = []string{"钟楼"}, []Template{tt.template}, true
		e := pulled(eventv1.Action_ACTION_MERGED, pullBy)
		in, err := rendererOf(o).Inspect(ofEvent(e))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		md := in.Message.Content.(dingtalk.Markdown)
		md.Title = strings.TrimSuffix(md.Title, " · 钟楼")
		if !tt.want(md) || (in.Note == "") != (tt.note == "") || !strings.Contains(in.Note, tt.note) || in.Size > maxBody {
			t.Errorf("%s: note %q, %d bytes:\n%s\n%s", name, in.Note, in.Size, md.Title, md.Text)
		}
		if at := atOf(t, in.Message); !slices.Equal(at, []string{"13800000002"}) {
			t.Errorf("%s: it calls %q", name, at)
		}
		out, err := rendererOf(o).Render([]delivery.Notification{ofEvent(e)}, nil)
		if err != nil || out.Note != in.Note {
			t.Errorf("%s: Render's note is %q, error %v", name, out.Note, err)
		}
		// A digest has its own lines.
		out, err = rendererOf(o).Render([]delivery.Notification{ofEvent(e), ofEvent(e)}, nil)
		if err != nil || out.Note != "" || out.Used != 2 || strings.Contains(out.Message.Content.(dingtalk.Markdown).Text, "**merged**") {
			t.Errorf("%s, in a digest: %+v, error %v", name, out, err)
		}
	}
	if _, err := New(Options{Templates: []Template{{Kind: "push", Text: "{{"}}}); err == nil || !strings.Contains(err.Error(), "templates[0].text:1:") {
		t.Errorf("New returned %v", err)
	}
}
