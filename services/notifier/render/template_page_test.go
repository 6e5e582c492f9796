package render

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// TestValuesMakeNothingTogetherWithWhatStandsBeforeThem has what is harmless in a place of its own.
func TestValuesMakeNothingTogetherWithWhatStandsBeforeThem(t *testing.T) {
	for _, c := range []struct{ text, title, body, want string }{
		{"[x]{{.event.issue.title}}", "(https://evil.example)", "", `[x]\(https\://evil.example)`},
		{"[x]{{.event.issue.title}}", ": https://evil.example", "", `[x]\: https\://evil.example`},
		{"[x]: {{.event.issue.title}}", "/evil", "", `[x]\: /evil`},
		{"[x]\\: {{.event.issue.title}}", "/evil", "", `[x]\: /evil`},
		{"!{{link .event.issue.title .event.issue.body}}", "a", "https://a.example", `\![a](https://a.example)`},
		{`\!{{link .event.issue.title .event.issue.body}}`, "a", "https://a.example", `\![a](https://a.example)`},
		{"{{.event.issue.title}}!{{link `x` .event.issue.body}}", `a\`, "https://a.example", `a\\\![x](https://a.example)`},
		{"!{{.event.issue.title}}", "[a](b)", "", `!\[a\](b)`},
		{`\{{.event.issue.title}}`, "*a*", "", `\\\*a\*`},
		{`\\{{.event.issue.title}}`, "*a*", "", `\\\*a\*`},
		{"https:{{.event.issue.title}}", "//evil.example", "", `https:\//evil.example`},
		{"{{.event.issue.title}}/{{.event.issue.body}}", "https:", "/evil.example", `https:/\/evil.example`},
		{"{{.event.issue.title}}{{.event.issue.body}}", "https", "://evil.example", `https\://evil.example`},
		{"{{.event.issue.title}}{{.event.issue.body}}", "www", ".evil.example", `www\.evil.example`},
		{"w{{.event.issue.title}}{{.event.issue.body}}", "W", "w.evil.example", `wWw\.evil.example`},
		{"{{.event.issue.title}}.{{.event.issue.body}}", "www", "evil.example", `www\.evil.example`},
		{"{{.event.issue.title}}{{.event.issue.body}}", "v1", ".2", "v1.2"},
		{"{{.event.issue.title}}{{.event.issue.body}}", "1", ". a", `1\. a`},
		{"> - {{.event.issue.title}}{{.event.issue.body}}", "12", ") a", `> - 12\) a`},
		{"{{.event.issue.title}}{{.event.issue.body}}", "&", "lt;b>", "＆lt;b>"},
		{"{{.event.issue.title}};", "a &#64", "", "a ＆#64;"},
		{"&{{.event.issue.title}}", "commat;all", "", "＆commat;all"},
		{"{{.event.issue.title}} & {{.event.issue.body}}", "a", "b;", "a & b;"},
		{"{{.event.issue.title}}{{.event.issue.body}}", "a<", "b onclick=x>", "a＜b onclick=x>"},
		{"a < {{.event.issue.title}}", "b>", "", "a < b>"},
		{"{{.event.issue.title}}{{.event.issue.body}}", "@", "all", "＠all"},
		{"#{{.event.issue.title}}", "# a", "", `#\# a`},
		{"{{.event.issue.title}}\n{{.event.issue.body}}", "a", "===", "a  \n\\==="},
		{"{{.event.issue.title}} {{.event.issue.body}}", "[a](", "`<b` ```", "\\[a\\]( \\`＜b\\` \\`\\`\\`"},
		{"{{bold .event.issue.title}}", "**a** \\", "", `**\*\*a\*\* \\**`},
	} {
		e := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Title, i.Body = c.title, c.body })
		_, got, err := compiledText(t, "issue", c.text).words(wordingFor("zh-CN"), e)
		if err != nil || got != c.want {
			t.Errorf("%s with %q and %q\n got %s, %v\nwant %s", c.text, c.title, c.body, got, err, c.want)
		}
	}
}

// frames are texts of a template for issues, in which VALUE and OTHER stand for values.
var frames = []string{
	"{{VALUE}}", "### {{VALUE}}", "- {{VALUE}}\n- {{OTHER}}", "> {{VALUE}}\n> {{OTHER}}", "x {{VALUE}} {{OTHER}} y", "{{VALUE}}{{OTHER}}", "{{VALUE}}\n{{OTHER}}",
	"[x]{{VALUE}}{{OTHER}}", "[x]: {{VALUE}}", "({{VALUE}}){{OTHER}}", "w{{VALUE}}{{OTHER}}", "{{VALUE}}.{{OTHER}}", "{{VALUE}}:{{OTHER}}", "{{VALUE}}/{{OTHER}}", "https:{{VALUE}}",
	"1{{VALUE}}", "&{{VALUE}};", "{{VALUE}};{{OTHER}}", `\{{VALUE}}`, "!{{VALUE}}", "!{{link VALUE .event.issue.url}}", "a#{{VALUE}}", "-{{VALUE}}", "={{VALUE}}", "_{{VALUE}}_", "~{{VALUE}}~",
	"{{link VALUE .event.issue.url}}{{OTHER}}", "{{link OTHER .event.sender.url}}{{VALUE}}", "{{link .kind (print `https://gitee.com/1/` VALUE)}}", "[a](https://gitee.com/1/a){{VALUE}}", "{{link .kind .event.issue.url}}{{VALUE}}",
	"{{bold VALUE}}{{OTHER}}", "{{bold (link VALUE .event.issue.url)}}", "{{VALUE}}{{quote OTHER .event.issue.url}}{{VALUE}}", "x {{quote VALUE}}", "{{clip 3 VALUE}}{{OTHER}}", "{{firstLine VALUE}}{{OTHER}}",
	"{{short VALUE}}{{OTHER}}", "{{print VALUE OTHER}}", "{{printf `%s%q` VALUE OTHER}}", "{{join VALUE .labels}}", "{{join `` .labels}}{{join OTHER .labels}}", "{{default VALUE OTHER}}", "{{slice VALUE 0}}",
	"{{name .event.sender}}{{VALUE}}", "{{VALUE}}{{names .event.issue.collaborators}}", "{{range .event.issue.labels}}{{.name}}{{.color}}{{end}}", "{{with VALUE}}{{.}}{{end}}{{$x := OTHER}}{{$x}}", "{{or VALUE OTHER}}{{and VALUE OTHER}}",
	"{{VALUE}}!{{link OTHER .event.issue.url}}", "{{VALUE}}[a](https://gitee.com/1/a){{OTHER}}", "{{VALUE}}: {{link OTHER .event.issue.url}}", "{{quote VALUE}}{{OTHER}}", "{{VALUE}}\n\n{{OTHER}}",
	"{{VALUE}}!{{OTHER}}", "{{VALUE}}]: {{OTHER}}",
	"{{range .labels}}- {{.}}\n{{end}}{{VALUE}}", "*{{VALUE}}*", "x {{if VALUE}}{{VALUE}}{{end}}{{date .event.occur_time}}{{index .labels 0}}",
}

var valuesOfIssues = []string{".event.issue.title", ".event.issue.body", ".event.issue.state_name", ".event.sender.name", ".event.issue.author.remark", ".repository", ".sender", ".event.issue.url", ".hook"}

// ownAddress is an address that frames begin.
var ownAddress = regexp.MustCompile(`\]\(https://gitee\.com/1/[^)]*\)`)

func TestHostileValuesStayTextInEveryFrame(t *testing.T) {
	for i, a := range attacks {
		for j := i % 3; j < len(frames); j += 3 { // the race detector makes all of them long
			checkFrame(t, j, i*len(frames)+j, a, attacks[(i*7+j)%len(attacks)])
		}
	}
}

func FuzzTemplateValues(f *testing.F) {
	for i, a := range attacks {
		f.Add(uint16(i%len(frames)), uint16(i), a, attacks[(i*7+1)%len(attacks)])
	}
	f.Fuzz(func(t *testing.T, frame, pick uint16, a, b string) { checkFrame(t, int(frame), int(pick), a, b) })
}

// checkFrame words an event full of a and b with a frame, and holds that nothing in it is of their making.
func checkFrame(t *testing.T, frame, pick int, a, b string) {
	t.Helper()
	text := frames[frame%len(frames)]
	n := len(valuesOfIssues)
	text = strings.NewReplacer("VALUE", valuesOfIssues[pick%n], "OTHER", valuesOfIssues[pick/n%n]).Replace(text)
	e := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) {
		i.Author, i.Collaborators = bob(), []*eventv1.User{carol(), bob()}
		i.Labels[0].Color = "f00"
	})
	poison(e, pick, []string{a, b})
	all, faults := compileTemplates([]Template{{Kind: "issue", Title: text, Text: text}, {Kind: "tag", Text: text}})
	for _, fault := range faults {
		if fault.Field != "title" { // some frames are for texts only
			t.Fatalf("%s: %v", text, fault)
		}
	}
	title, got, err := all.words(wordingFor("zh-CN"), e)
	if err != nil {
		if !strings.Contains(err.Error(), "comes out empty") && !strings.Contains(err.Error(), "writes more than") && !strings.Contains(err.Error(), "would have") {
			t.Fatalf("%s: %v", text, err)
		}
		return
	}
	if title == "" {
		title = "title"
	}
	headings := 0
	if strings.HasPrefix(text, "#") {
		headings = 1
	}
	// Emphasis and addresses that are the template's own are taken off. Values have their signs escaped.
	plain := ownAddress.ReplaceAllString(strings.ReplaceAll(got, "**", ""), "]("+web+")")
	if c := text[:1]; strings.HasSuffix(text, c) && strings.Contains("*_~", c) {
		plain = strings.TrimSuffix(strings.TrimPrefix(plain, c), c)
	}
	if plain == "" {
		return
	}
	told := []delivery.Notification{{Event: e}, {Event: &eventv1.Event{Repository: demo()}}}
	checkMessage(t, dingtalk.Message{Content: dingtalk.Markdown{Title: title, Text: plain}}, told, headings)
}

func FuzzTemplateSource(f *testing.F) {
	for _, frame := range frames {
		f.Add(strings.NewReplacer("VALUE", ".event.issue.title", "OTHER", ".repository").Replace(frame), "a", "b")
	}
	for _, s := range []string{
		"{{range 1000000000}}{{range 1000000000}}{{end}}{{end}}", "{{$x := `ab`}}{{range 60}}{{$x = print $x $x}}{{end}}", "{{define `x`}}{{template `x`}}{{end}}",
		"{{if .a}}{{else if .b}}{{else}}{{end}}{{break}}", "{{/* a */}}{{- /* b */ -}}", "{{printf \"%*d\" 1000 3}}", "{{'a'}}{{1i}}{{0x1p4}}{{1e3}}", "{{(((.kind)))}}", "{{.kind | print | print}}", "\xff{{.\xff}}",
		"{{with $x := .event}}{{with $y := $x.issue}}{{range $i, $l := .labels}}{{$i}}{{$l.name}}{{end}}{{end}}{{end}}", strings.Repeat("{{if .kind}}", 300), strings.Repeat("(", 3000), "{{" + strings.Repeat("(", 3000),
	} {
		f.Add(s, "a", "b")
	}
	w := wordingFor("zh-CN")
	f.Fuzz(func(t *testing.T, source, a, b string) {
		e := issued(eventv1.Action_ACTION_OPENED, nil)
		poison(e, len(source), []string{a, b})
		for _, ts := range [][]Template{{{Kind: "issue", Text: source}}, {{Kind: "issue", Title: source}}} {
			all, faults := compileTemplates(ts)
			for _, fault := range faults {
				checkFault(t, source, fault)
			}
			title, text, err := all.words(w, e)
			if err != nil {
				checkFault(t, source, err.(*TemplateError))
			}
			if strings.Contains(title, "\n") || utf8.RuneCountInString(title) > maxTitle*bytesPerCharacter || jsonLen(text) > maxBody {
				t.Errorf("%q: the title %q, and a text of %d bytes", source, title, len(text))
			}
		}
	})
}

// checkFault holds a fault against the source that it is about.
func checkFault(t *testing.T, source string, fault *TemplateError) {
	t.Helper()
	lines := strings.Split(source, "\n")
	whole := fault.Line == 0 && fault.Column == 0
	if !whole && (fault.Line < 1 || fault.Line > len(lines) || fault.Column < 1 || fault.Column > utf8.RuneCountInString(lines[fault.Line-1])+1) {
		t.Errorf("%q: a fault outside of it: %v", source, fault)
	}
	if strings.Contains(fault.Message, "template: ") || strings.Contains(fault.Message, "fault of Belfry") || len(fault.Message) > 2000 {
		t.Errorf("%q: %v", source, fault)
	}
}
