package render

import (
	"bytes"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// markdown reads what a generous client would: CommonMark, and GitHub's tables, strikethrough and links
// made of bare addresses.
func markdown() goldmark.Markdown { return goldmark.New(goldmark.WithExtensions(extension.GFM)) }

// attacks are texts that have broken other bots' messages.
var attacks = []string{
	hostile, "", " ", "\n", "`", "```\n<b>", "~~~", "<img src=x onerror=alert(1)>", "![a](https://evil.example/i.png)",
	"[a](https://evil.example)", "[a]: https://evil.example", "https://evil.example", "www.evil.example", "WWW.evil.example",
	"mail@evil.example", "mailto:mail@evil.example", "@13800138000", "@all", "&#64;all", "&commat;all", "&lt;script&gt;", "&l\u200bt;b&gt;",
	"# h", "1. x", "2) x", "- x", "+ x", "* x", "> x", "===", "---", "***", "|a|b|\n|-|-|\n|c|d|", ":--", "a\n:--\nb", "    code", "\tcode",
	"*a*", "_a_", "**a**", "~~a~~", "~a~", "\\", "a\\", "!", "wow!", "![", "](", "](https://evil.example)", ")", "(", "a](b", "<", ">", "->", "<!--", "-->",
	"\u202eabc\u202c", "\u2066x\u2069", "\ufeff", "\u0000", "👩‍👩‍👧‍👦", strings.Repeat("👩\u200d", 300), "a" + strings.Repeat("\u0301", 300), strings.Repeat("🎉", 300),
	strings.Repeat("\\", 500), strings.Repeat("\"", 500), strings.Repeat("[", 300), strings.Repeat("**", 300), "javascript:alert(1)", "https://ok@evil.example", "https:", "//evil.example", "http",
	"a\u2028b", "\r\n# h\r\n", "Ⅷ. x", "＃", "[^1]", "[x] done", "x<y>z", "List<String>", "a&b", "R&D;", "&", "&#", "：", "C#", "a #", "＠", "ｗｗｗ.evil.example", "٣. x",
	"@lilei", "lilei", "请@lilei 看 @han_meimei, @13800000002 @all @所有人 [@dave](https://evil.example/@dave) `@zhangsan`", "@lilei " + hostile,
	"[@lilei](dingtalk://dingtalkclient/page/link?url=x)", "!12 x\nMerge pull request !12 from @lilei/x", " @u.han ",
}

func FuzzRender(f *testing.F) {
	for i, a := range attacks {
		f.Add(uint16(i), a, attacks[(i*7+3)%len(attacks)], attacks[(i*11+5)%len(attacks)])
		f.Add(uint16(i+61), attacks[(i*5+1)%len(attacks)], a, a)
	}
	f.Fuzz(func(t *testing.T, pick uint16, a, b, c string) {
		all := samples()
		var batch []delivery.Notification
		for i := range 3 {
			e := all[(int(pick)+i*17)%len(all)].event
			texts := []string{a, b, c}
			poison(e, int(pick)+i, texts)
			// A third of the digests is of a long time.
			at := time.Date(2026, 11, 22, 15, 50, 0, 0, time.UTC).Add(time.Duration(i) * time.Duration(pick%3) * timedSpan / 2)
			batch = append(batch, delivery.Notification{Seq: uint64(i + 1), Robot: "team", Event: e, CreateTime: at})
		}
		robot := Options{
			Robot: "team", Keywords: []string{"Gitee", "钟楼"}, Locale: Locales()[int(pick)%len(Locales())],
			ActionCard: pick%2 == 0, Browser: pick%3 == 0, External: pick%5 == 0,
			People: team(), Mentions: Mentions{Names: pick%7 != 0},
		}
		if pick%4 != 0 {
			robot.Folding = allFolding
		}
		r := rendererOf(robot)

		got, err := r.Render(batch[:1], nil)
		if err != nil || got.Used != 1 {
			t.Fatalf("alone: used %d, error %v", got.Used, err)
		}
		checkMessage(t, got.Message, batch[:1], 1)

		if got, err = r.Render(batch, nil); err != nil || got.Used < 1 {
			t.Fatalf("together: used %d, error %v", got.Used, err)
		}
		shown := batch[:got.Used:got.Used]
		for _, f := range got.Folded {
			shown = slices.DeleteFunc(slices.Clone(shown), func(n delivery.Notification) bool { return n.Seq == f.Seq })
		}
		headings := 1
		if len(shown) > 1 {
			places := map[string]bool{}
			for _, n := range shown {
				name := ""
				if p := place(n.Event); !p.isEmpty() {
					name = p[0].text
				}
				places[name] = true
			}
			if len(places) > 1 {
				headings += len(places)
			}
		}
		checkMessage(t, got.Message, shown, headings)

		if title := Title(robot.Locale, batch[0]); !utf8.ValidString(title) || utf8.RuneCountInString(title) > 100 || strings.ContainsAny(title, "\n<@") {
			t.Errorf("Title returned %q", title)
		}
	})
}

// poison puts texts into every string of m, in turn, and in front of half of the addresses something that
// may become a link.
func poison(m proto.Message, seed int, texts []string) {
	n := seed
	var fill func(m protoreflect.Message)
	fill = func(m protoreflect.Message) {
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsList() && fd.Message() != nil:
				for i := range v.List().Len() {
					fill(v.List().Get(i).Message())
				}
			case fd.Message() != nil:
				fill(v.Message())
			case fd.Kind() == protoreflect.StringKind && !fd.IsList():
				n++
				s := strings.ToValidUTF8(texts[n%len(texts)], "?")
				switch name := string(fd.Name()); {
				case name == "host_action_detail":
				case strings.HasSuffix(name, "url") && n%2 == 0:
					m.Set(fd, protoreflect.ValueOfString("https://gitee.com/"+strconv.Itoa(n)+"/"+s))
				default:
					m.Set(fd, protoreflect.ValueOfString(s))
				}
			}
			return true
		})
	}
	fill(m.ProtoReflect())
}

var (
	mention   = regexp.MustCompile(`@[\pL\pN_]`)
	invisible = regexp.MustCompile("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff\x00-\x08\x0b-\x1f\x7f]")
	entity    = regexp.MustCompile(`&(?:#[0-9A-Za-z]+|[0-9A-Za-z]{1,39});`) // no name is as long as 40
	scheme    = regexp.MustCompile(`^(?i:https?|dingtalk)://`)
	percent   = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// checkMessage holds m, made of the events of batch, against all that must be true of any message.
func checkMessage(t *testing.T, m dingtalk.Message, batch []delivery.Notification, headings int) {
	t.Helper()
	body, err := dingtalk.Encode(m, sampleUUID)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	if len(body) > maxBody {
		t.Errorf("the body has %d bytes, more than %d", len(body), maxBody)
	}
	var allowed []string
	for _, n := range batch {
		allowed = append(allowed, addresses(n.Event.ProtoReflect())...)
	}
	md, ok := m.Content.(dingtalk.Markdown)
	if card, isCard := m.Content.(dingtalk.ActionCard); isCard {
		md, ok = dingtalk.Markdown{Title: card.Title, Text: card.Text}, len(m.Mentions.Mobiles) == 0
		if !slices.Contains(allowed, loosely(unwrapped(card.SingleURL))) || !scheme.MatchString(card.SingleURL) || card.SingleTitle == "" {
			t.Errorf("the button %q opens %q", card.SingleTitle, card.SingleURL)
		}
	}
	if !ok {
		t.Fatalf("the message is %#v", m)
	}
	atOf(t, m)
	if m.Mentions.All || !onlyTeam(m.Mentions) {
		t.Errorf("it calls %+v", m.Mentions)
	}
	// What is left without the literals that belong to the mentions must call nobody.
	unmentioned := md.Text
	for _, l := range slices.Concat(m.Mentions.Mobiles, m.Mentions.UserIDs) {
		unmentioned = strings.ReplaceAll(unmentioned, "@"+l+" ", "")
	}
	for what, s := range map[string]string{"title": md.Title, "text": unmentioned} {
		if !utf8.ValidString(s) {
			t.Errorf("the %s is not UTF-8: %q", what, s)
		}
		if mention.MatchString(s) || strings.Contains(s, "<") || invisible.MatchString(s) {
			t.Errorf("the %s has a mention, HTML or invisible characters: %q", what, s)
		}
		if entity.MatchString(s) {
			t.Errorf("the %s has an entity: %q", what, s)
		}
	}
	if strings.Contains(md.Title, "\n") || uniseg.GraphemeClusterCount(md.Title) > maxTitle+len(" · Gitee") {
		t.Errorf("the title is too long or has several lines: %q", md.Title)
	}
	found := 0
	doc := markdown().Parser().Parse(text.NewReader([]byte(md.Text)))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Document, *ast.Paragraph, *ast.TextBlock, *ast.Text, *ast.String, *ast.ListItem:
		case *ast.Blockquote:
			if n.Parent().Kind() != ast.KindDocument {
				t.Errorf("a quotation stands in a %s:\n%s", n.Parent().Kind(), md.Text)
			}
		case *ast.List:
			if n.IsOrdered() || n.Marker != '-' || n.Parent().Kind() != ast.KindDocument {
				t.Errorf("a list of text from outside:\n%s", md.Text)
			}
		case *ast.Heading:
			found++
			if n.Level != 3 && n.Level != 4 {
				t.Errorf("a heading of level %d:\n%s", n.Level, md.Text)
			}
		case *ast.Link:
			d := string(n.Destination)
			if !slices.Contains(allowed, loosely(unwrapped(d))) || !scheme.MatchString(d) {
				t.Errorf("a link to %q:\n%s", d, md.Text)
			}
		default:
			t.Errorf("a %s:\n%s", n.Kind(), md.Text)
		}
		return ast.WalkContinue, nil
	})
	if found != headings {
		t.Errorf("%d headings, want %d:\n%s", found, headings, md.Text)
	}
}

// addresses returns every string of m that an address stands in.
func addresses(m protoreflect.Message) (found []string) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				found = append(found, addresses(v.List().Get(i).Message())...)
			}
		case fd.Message() != nil:
			found = append(found, addresses(v.Message())...)
		case strings.HasSuffix(string(fd.Name()), "url"):
			found = append(found, loosely(v.String()))
		}
		return true
	})
	return found
}

// onlyTeam tells whether at has no one but those of the table.
func onlyTeam(at dingtalk.Mentions) bool {
	for _, l := range slices.Concat(at.Mobiles, at.UserIDs) {
		known := false
		for _, p := range team().byLogin {
			known = known || l == p.Mobile || l == p.UserID
		}
		if !known {
			return false
		}
	}
	return true
}

// unwrapped is an address without what makes it open in the browser.
func unwrapped(address string) string {
	inside, ok := strings.CutPrefix(address, browserLink)
	if inside, tail := strings.CutSuffix(inside, browserTail); ok && tail {
		if plain, err := url.QueryUnescape(inside); err == nil {
			return plain
		}
	}
	return address
}

// loosely is an address with its percent escapes undone, so that two spellings of it compare equal.
func loosely(address string) string {
	return percent.ReplaceAllStringFunc(address, func(e string) string {
		c, _ := strconv.ParseUint(e[1:], 16, 8)
		return string([]byte{byte(c)})
	})
}

// FuzzEscape holds that escaped text shows as it is, wherever it stands, and makes nothing.
func FuzzEscape(f *testing.F) {
	for _, a := range attacks {
		f.Add(a)
	}
	md := markdown()
	f.Fuzz(func(t *testing.T, s string) {
		want := oneLine(s)
		if len(want) > 10000 {
			return
		}
		for _, frame := range []string{"{}", "### {}", "- {}", "> {}", "x {} x", "x {}[y](https://gitee.com)", "> x  \n> {}", "[{}](https://gitee.com)"} {
			source := strings.Replace(frame, "{}", escape(want), 1)
			var out bytes.Buffer
			if err := md.Convert([]byte(source), &out); err != nil {
				t.Fatal(err)
			}
			got := shown(t, out.String())
			expect := strings.NewReplacer("### ", "", "- ", "", "> ", "", "  \n", "\n", "[y](https://gitee.com)", "y",
				"[{}](https://gitee.com)", "{}").Replace(frame)
			expect = strings.Join(strings.Fields(strings.Replace(expect, "{}", want, 1)), " ")
			if got = strings.Join(strings.Fields(got), " "); got != expect {
				t.Errorf("%q as %q shows %q, want %q\n%s", s, source, got, expect, out.String())
			}
		}
	})
}

// shown returns the text of an HTML page, and reports elements that the frames of FuzzEscape do not make.
func shown(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.Write(z.Text())
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			if !slices.Contains([]string{"p", "h3", "ul", "li", "blockquote", "a", "br"}, string(name)) {
				t.Errorf("made a <%s>: %s", name, page)
			}
		}
	}
}
