package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// compiled compiles a text for a kind of event, and fails where it has a fault.
func compiledText(t *testing.T, kind, text string) templates {
	t.Helper()
	all, faults := compileTemplates([]Template{{Kind: kind, Text: text}})
	for _, f := range faults {
		t.Fatalf("%q: %v", text, f)
	}
	return all
}

func TestTemplateValues(t *testing.T) {
	withTime := func(e *eventv1.Event) *eventv1.Event {
		e.OccurTime = timestamppb.New(time.Date(2026, 11, 22, 15, 50, 0, 0, time.UTC))
		return e
	}
	issue := withTime(issued(eventv1.Action_ACTION_OPENED, nil))
	onPull := commented(eventv1.Action_ACTION_CREATED, onThePull)
	for name, c := range map[string]struct {
		event      *eventv1.Event
		text, want string
	}{
		"root of a push":        {pushOf(1, 1), "{{.kind}} {{.action}} {{.repository}} {{.branch}} {{.sender}} {{.hook}}.", "push pushed belfry/demo feature/login zhangsan payments."},
		"root of a tag":         {tagged(eventv1.Action_ACTION_CREATED, nil), "{{.kind}} {{.action}} {{.tag}}{{.branch}}", "tag created v1.2.0"},
		"root of a comment":     {onPull, `{{.branch}} {{join "/" .labels}}`, "main feature"},
		"labels of an issue":    {issue, `{{range $i, $l := .labels}}{{if $i}}, {{end}}{{$l}}{{end}}`, "bug, 优先级:高"},
		"branch of a pull":      {pulled(eventv1.Action_ACTION_MERGED, nil), "{{.branch}}", "main"},
		"action of the event":   {issue, "{{.event.action}}", "opened"},
		"a number":              {pulled(eventv1.Action_ACTION_MERGED, nil), "{{.event.pull_request.number}} {{eq .event.pull_request.number 12}}", "12 true"},
		"absent is false":       {issue, "{{if .event.push}}p{{else if .event.issue}}i{{end}}", "i"},
		"absent has fields":     {issue, "({{.event.push.head_commit.author.name}})", "()"},
		"absent in with":        {issue, "{{with .event.push}}{{.branch}}{{else with .event.issue}}{{.number}}{{end}}", "I4CYEO"},
		"absent in and":         {issue, "{{if and .event.issue .event.push}}both{{else}}one{{end}}", "one"},
		"absent piped to and":   {issue, "{{if .event.push | and .event.issue}}both{{else}}one{{end}}", "one"},
		"absent in or":          {onPull, "{{with or .event.comment.issue .event.comment.pull_request | not}}{{end}}{{with or .event.pull_request .event.comment.pull_request}}{{.title}}{{end}}", "登录页支持扫码"},
		"absent in not":         {issue, "{{not .event.push}}", "true"},
		"absent in default":     {issue, "{{(default .event.issue.author .event.sender).login}} {{default `nobody` .event.issue.milestone}} {{default `none` .tag}}", "zhangsan v1.2 none"},
		"absent time":           {onPull, "{{if .event.occur_time}}t{{else}}no{{end}}{{date .event.occur_time}}", "no"},
		"time in Beijing":       {issue, "{{date .event.occur_time}}", "11月22日 23:50"},
		"variables":             {issue, `{{$x := "a"}}{{if .labels}}{{$x = "b"}}{{end}}{{$x}}{{with $y := .event.issue}}{{$y.number}}{{end}}`, "bI4CYEO"},
		"words or Markdown":     {issue, `{{$who := "*"}}{{if .sender}}{{$who = name .event.sender}}{{end}}{{$who}}`, "[张三](https://gitee.com/zhangsan)"},
		"break and continue":    {pushOf(5, 5), `{{range $i, $c := .event.push.commits}}{{if eq $i 0}}{{continue}}{{end}}{{if ge $i 3}}{{break}}{{end}}{{short $c.id}} {{end}}`, "a1b2c32 a1b2c33"},
		"range over a number":   {issue, "{{range $i := 3}}{{$i}}{{end}}{{range 0}}{{else}}none{{end}}", "012none"},
		"index and len":         {issue, "{{index .labels 1}} {{(index .event.issue.labels 0).name}} {{len .labels}} {{len .event.issue.number}}", "优先级:高 bug 2 6"},
		"slice":                 {issue, `{{slice .event.issue.number 1 3}} {{join "+" (slice .labels 1)}}`, "4C 优先级:高"},
		"comparisons":           {issue, `{{eq .kind "push" "issue"}} {{ne .kind "push"}} {{lt (len .labels) 3}} {{gt 1.5 1.0}}`, "true true true true"},
		"print":                 {issue, `{{print .kind "-" 3 4}} {{printf "%s #%d %%" .kind 3}} {{printf "%05d|%.1f|%v" 42 1.25 true}}`, `issue-3 4 issue #3 % 00042\|1.2\|true`},
		"clip counts as people": {issue, `{{clip 5 "👩‍👩‍👧‍👦登录页支持扫码"}} {{.event.issue.title | clip 3}}`, "👩‍👩‍👧‍👦登录页… 登录…"},
		"clip of what fits":     {issue, `{{clip 99 .kind}}`, "issue"},
		"first line":            {pushOf(1, 1), `{{firstLine "\n  one\ntwo"}}`, "one"},
		"short":                 {push(eventv1.Action_ACTION_PUSHED, nil), `{{short .event.push.after}}{{short ""}}`, "a1b2c33"},
		"link":                  {issue, `{{link "a]" .event.issue.url}} {{link "x" "javascript:alert(1)"}} {{link "" .event.issue.url}}`, `[a\]](https://gitee.com/belfry/demo/issues/I4CYEO) x [https\://gitee.com/belfry/demo/issues/I4CYEO](https://gitee.com/belfry/demo/issues/I4CYEO)`},
		"link of parts":         {issue, `{{link "CI" (printf "https://ci.example.com/%s?x=(1)" .repository)}}`, "[CI](https://ci.example.com/belfry/demo?x=%281%29)"},
		"bold":                  {issue, `{{bold "a*b"}} {{bold (link "x" "https://a.example")}}{{bold ""}}`, `**a\*b** **[x](https://a.example)**`},
		"people":                {pulled(eventv1.Action_ACTION_OPENED, nil), "{{name .event.pull_request.author}} {{names .event.pull_request.assignees}}{{name .event.issue.author}}", "[张三](https://gitee.com/zhangsan) [李雷](https://gitee.com/lilei)、[韩梅梅](https://gitee.com/han_meimei)"},
		"blocks or words":       {issue, "{{default `-` (quote .event.issue.milestone)}} {{$x := `*`}}{{if .tag}}{{$x = quote .tag}}{{end}}{{$x}}", "> v1.2\n\n \\*"},
		"quote stands alone":    {issue, "a{{quote `x\n\ny`}}b{{quote ``}}", "a\n\n> x  \n> y\n\nb"},
		"commits of a push":     {pushOf(3, 3), "a {{commits 1}} b", "a\n\n- [a1b2c33](https://gitee.com/belfry/demo/commit/a1b2c33000000000000000000000000000000003) chore: 第 3 次提交  \n- [… 还有 2 个提交](https://gitee.com/belfry/demo/compare/a1b2c30000000000000000000000000000000000...a1b2c33000000000000000000000000000000003)\n\n b"},
		"many lines in one":     {issue, "{{`a\n\n  b\tc`}}", "a b c"},
		"long values are cut":   {issue, "{{clip 3000 .event.issue.number}}{{printf `%s` `" + strings.Repeat("长", 2500) + "`}}", "I4CYEO" + strings.Repeat("长", 1999) + "…"},
		"lines and paragraphs":  {issue, "\n\na  \nb\t\n{{if false}}\nx\n{{end}}\n\n\nc\r\nd\n", "a  \nb\n\nc  \nd"},
		"literal Markdown":      {issue, "# *a* [b](https://a.example) <font color=red>{{.kind}}</font> &amp; @all", "# *a* [b](https://a.example) <font color=red>issue</font> &amp; @all"},
		"comment and trimming":  {issue, "a {{- /* b */ -}} c {{- .kind -}} d", "acissued"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := compiledText(t, eventKind(c.event), c.text).words(wordingFor("zh-CN"), c.event)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%s\n got %q\nwant %q", c.text, got, c.want)
			}
		})
	}
}

func TestTemplateWordsAreThoseOfTheLanguageAndTheZone(t *testing.T) {
	e := pulled(eventv1.Action_ACTION_OPENED, nil)
	e.OccurTime = timestamppb.New(time.Date(2026, 11, 22, 23, 50, 0, 0, time.UTC))
	all := compiledText(t, "pull_request", "{{date .event.occur_time}}, {{names .event.pull_request.assignees}}")
	const people = "[李雷](https://gitee.com/lilei)%s[韩梅梅](https://gitee.com/han_meimei)"
	for _, c := range []struct {
		locale string
		zone   *time.Location
		want   string
	}{
		{"zh-CN", nil, "11月23日 07:50, " + fmt.Sprintf(people, "、")},
		{"en", nil, "Nov 23, 07:50, " + fmt.Sprintf(people, " and ")},
		{"en", time.UTC, "Nov 22, 23:50, " + fmt.Sprintf(people, " and ")},
		{"ru", nil, "23 ноября, 02:50, " + fmt.Sprintf(people, " и ")},
	} {
		_, got, err := all.words(wordingFor(c.locale).in(c.zone), e)
		if err != nil || got != c.want {
			t.Errorf("%s in %v: %q, %v; want %q", c.locale, c.zone, got, err, c.want)
		}
	}
}

func TestTemplateTitleIsOnePlainLine(t *testing.T) {
	e := pulled(eventv1.Action_ACTION_MERGED, func(e *eventv1.Event, p *eventv1.PullRequest) {
		p.Title = "a*b\n<b> @all \u202e"
		e.Sender.Name = "张_三"
	})
	for text, want := range map[string]string{
		"{{name .event.sender}} merged\n!{{.event.pull_request.number}} {{.event.pull_request.title}}": "张_三 merged !12 a*b ＜b＞ ＠all",
		"{{names .event.pull_request.assignees}}":                                                      "李雷、韩梅梅",
		strings.Repeat("长", 100):                                                                       strings.Repeat("长", 59) + "…",
	} {
		all, faults := compileTemplates([]Template{{Kind: "pull_request", Title: text}})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		title, body, err := all.words(wordingFor("zh-CN"), e)
		if title != want || body != "" || err != nil {
			t.Errorf("%s: title %q, text %q, error %v; want the title %q alone", text, title, body, err, want)
		}
	}
}

func TestPartsWithoutATemplateAreLeftToTheBuiltInWording(t *testing.T) {
	all := compiledText(t, "issue", "x")
	for _, c := range []struct {
		event *eventv1.Event
		text  string
	}{{issued(eventv1.Action_ACTION_OPENED, nil), "x"}, {pinged(), ""}, {&eventv1.Event{}, ""}} {
		title, text, err := all.words(wordingFor("zh-CN"), c.event)
		if title != "" || text != c.text || err != nil {
			t.Errorf("%s: title %q, text %q, error %v; want the text %q alone", eventKind(c.event), title, text, err, c.text)
		}
	}
}

func TestAFaultWhileRunningIsAnErrorWithoutWords(t *testing.T) {
	long := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Title = "secret " + strings.Repeat("x", 990) })
	for text, want := range map[string]string{
		"a\n  {{index .labels 7}}":                                                    "templates[0].text:2:5: there is no entry 7: the list has 2, and counting begins with 0; ask with {{if}} first, or use {{range}}",
		"{{slice .event.issue.title 1 9999}}":                                         "templates[0].text:1:3: there is no part from 1 to 9999: this has 997",
		"{{if .event.push}}x{{end}}":                                                  "templates[0].text: the text comes out empty; give it words for every event of its kind, such as in {{else}}",
		"{{range 30}}{{$.event.issue.title}}{{end}}":                                  "templates[0].text: the template writes more than 20000 bytes",
		"{{range 15}}{{$.event.issue.title}} " + strings.Repeat(`"`, 300) + "{{end}}": "templates[0].text: the message would have 23970 bytes; 19244 are possible",
	} {
		title, body, err := compiledText(t, "issue", text).words(wordingFor("zh-CN"), long)
		if err == nil || err.Error() != want || title != "" || body != "" {
			t.Errorf("%s: title %q, text %q, error\n     %v\nwant %s", text, title, body, err, want)
		}
	}
}

func TestTemplatesAreBounded(t *testing.T) {
	const steps = "the template does too much: more than 50000 steps"
	for name, c := range map[string]struct{ text, want string }{
		"a loop without end":       {"{{range 1000000000}}{{end}}", "1:21: " + steps},
		"loops in loops":           {"{{range 10000}}{{range 10000}}{{range 10000}}{{end}}{{end}}{{end}}", "1:46: " + steps},
		"a loop that leaves":       {"{{range 10000}}{{range 10000}}{{break}}{{end}}{{if eq 1 2}}{{end}}{{end}}", "1:31: " + steps},
		"a loop that goes on":      {"{{range 100000}}{{continue}}{{end}}", "1:17: " + steps},
		"a loop that is skipped":   {"{{range 100000}}{{if .}}{{else}}{{end}}{{end}}", "1:17: " + steps},
		"a text that doubles":      {`{{$x := "ab"}}{{range 60}}{{$x = print $x $x}}{{end}}`, "1:34: a text of more than 100000 bytes would be put together"},
		"a text that is joined":    {`{{$x := "ab"}}{{range 60}}{{$x = printf "%s%s" $x $x}}{{end}}`, "1:34: a text of more than 100000 bytes would be put together"},
		"long texts over and over": {`{{range 4000}}{{$x := quote $.event.issue.body}}{{end}}`, "1:23: " + steps},
		"much output":              {"{{range 5000}}words{{end}}", " the template writes more than 20000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			e := issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Body = strings.Repeat("长文 ", 6000) })
			_, _, err := compiledText(t, "issue", c.text).words(wordingFor("zh-CN"), e)
			if want := "templates[0].text:" + c.want; err == nil || err.Error() != want {
				t.Errorf("error\n     %v\nwant %s", err, want)
			}
		})
	}
}

// TestEveryFieldOfTheSchemaIsThere holds the checker's types against the values.
func TestEveryFieldOfTheSchemaIsThere(t *testing.T) {
	for _, s := range samples() {
		o := root(s.event)
		if len(o) != len(rootFields().names) {
			t.Errorf("%s: the root has %d names, and %d are known", s.name, len(o), len(rootFields().names))
		}
		sameType(t, s.name, typ{is: isObject, fields: rootFields()}, o)
	}
}

func sameType(t *testing.T, path string, want typ, v any) {
	t.Helper()
	fits := false
	switch v := v.(type) {
	case string:
		fits = want.is == isText
	case int:
		fits = want.is == isNumber
	case bool:
		fits = want.is == isTruth
	case *moment:
		fits = want.is == isTime
	case []string:
		fits = want.is == isList && want.elem.is == isText
	case []object:
		fits = want.is == isList && want.elem.is == isObject
		for _, o := range v {
			sameType(t, path+"[]", *want.elem, o)
		}
	case object:
		fits = want.is == isObject
		for name, f := range want.fields.of {
			sameType(t, path+"."+name, f, v[name])
		}
	}
	if !fits {
		t.Errorf("%s is a %T, and checked as %v", path, v, want)
	}
}

func TestEveryFunctionOfTheCheckerCanBeCalled(t *testing.T) {
	there := (&run{}).functions()
	for name := range signatures() {
		switch _, ok := there[name]; {
		case ok, slices.Contains([]string{"and", "or", "eq", "ne", "lt", "le", "gt", "ge"}, name): // Go's own
		default:
			t.Errorf("%s is checked, and not there", name)
		}
	}
}
