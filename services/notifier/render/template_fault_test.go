package render

import (
	"slices"
	"strings"
	"testing"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// TestFaultsHaveTheirPlaceAndSayWhatToDo has what people get wrong. In each source, ‸ stands before what
// the message points at.
func TestFaultsHaveTheirPlaceAndSayWhatToDo(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		// The grammar.
		{"登录 {{.event.issue.title‸}", "an action ends with }}"},
		{"a\n  ‸{{.event.issue.title\nb", "this action is not closed: write }} at its end"},
		{"a\n‸{{if .kind}}\n{{range .labels}}{{end}}", "this {{if}} has no {{end}}"},
		{"{{if .kind}}{{end}}\n ‸{{end}}", "this {{end}} closes nothing: there is no {{if}}, {{range}} or {{with}} for it"},
		{"{{if .kind}}{{else}}‸{{else}}{{end}}", "this is a second {{else}} for the same block: write {{end}}, or {{else if …}} before it"},
		{"‸{{else}}", "this {{else}} belongs to no {{if}}, {{range}} or {{with}}"},
		{"x ‸{{}}", "this action is empty: give it a value"},
		{"‸{{if}}x{{end}}", "{{if}} needs a value to work on"},
		{"{{clip 3 ‸\"登录 }}", `this text is not closed: write " at its end`},
		{"{{clip 3 ‸`登录 }}", "this text is not closed: write ` at its end"},
		{"‸{{/* x }}", "this comment is not closed: write */}} at its end"},
		{"‸{{(.kind}}", "a ( in this action is not closed: write )"},
		{"{{.kind‸)}}", "this ) closes nothing"},
		{"{{.event‸.}}", "a name is missing behind this dot"},
		{"{{if .kind ‸== \"push\"}}{{end}}", `"==" is written eq, before both values: {{if eq .kind "push"}}`},
		{"{{if .tag ‸!= 3}}{{end}}", `"!=" is written ne, before both values: {{if ne .kind "push"}}`},
		{"{{if .tag ‸&& .branch}}{{end}}", `"&&" is written and, before both values: {{if and .branch .sender}}`},
		{"{{if .tag ‸|| .branch}}{{end}}", `"||" is written or, before both values: {{if or .branch .tag}}`},
		{"{{if ‸!.tag}}{{end}}", `"!" is written not: {{if not .branch}}`},
		{"{{len .labels ‸+ 1}}", "+ can't stand here: there is no arithmetic"},
		{"{{eq .kind ‸'push'}}", "'push' is no text: texts stand in double quotes"},
		{"{{eq .kind ‸“push”}}", `texts stand in straight quotes: "`},
		{"{{.event.pull‸-request}}", `"-" can't stand here: names are written with _`},
		{"{{.labels‸[0]}}", `"[" can't stand here: an entry of a list is {{index .labels 0}}`},
		{"{{clip‸(20, .kind)}}", `"(" can't stand here: arguments stand behind a function's name without brackets and commas: {{clip 20 .event.comment.body}}`},
		{"{{clip 20‸, .kind}}", `"," can't stand here: arguments are set apart by blanks`},
		{"{{.kind | ‸3}}", "3 can't stand after |, which hands a value on to a function"},
		{"{{‸{.kind}}}", `an action begins with {{ and ends with }}; "{" can't stand in it`},
		{"{{‸define \"x\"}}{{end}}", "define is not available: a template is one piece"},
		{"{{‸template \"x\"}}", "template is not available: a template is one piece"},
		{"{{ ‸block \"x\" .}}{{end}}", "block is not available: a template is one piece"},
		{"‸{{break}}", "{{break}} is for {{range}}: there is none around it"},
		{"{{‸99999999999999999999}}", "99999999999999999999 is too large a number"},
		// Names.
		{"{{.event.issue‸.titel}}", `there is no field "titel" in event.issue; it has: title, state, id, url, labels, number, body, author and 5 more`},
		{"{{if false}}{{.event.pull_request.author‸.nam}}{{end}}", `there is no field "nam" in event.pull_request.author; it has: name, url, login, remark`},
		{"{{with .event.issue}}{{‸.event.id}}{{end}}", `there is no field "event" in event.issue; it has: id, title, body, url, state, labels, number, author and 5 more; inside {{with}} and {{range}}, the event's own is $.event`},
		{"{{range $i, $c := .event.push.commits}}{{$c.author‸.nick}}{{end}}", `there is no field "nick" in event.push.commits[].author; it has: name, url, login, remark`},
		{"{{(index .event.issue.labels 0)‸.colour}}", `there is no field "colour" in event.issue.labels[]; it has: color, name`},
		{"{{‸.kynd}}", `there is no ".kynd"; there are: kind, event, tag, sender, hook, branch, action, labels, repository`},
		{"{{.kind‸.name}}", "a text has no fields, and no .name"},
		{"{{‸$x}}", "there is no variable $x here: one is known from where it is made, as in {{$x := …}}, to the end of the block around it"},
		{"{{‸$x = 3}}", "there is no variable $x here: one is known from where it is made, as in {{$x := …}}, to the end of the block around it"},
		{"{{if .kind}}{{$x := 1}}{{else}}{{‸$x}}{{end}}", "there is no variable $x here: one is known from where it is made, as in {{$x := …}}, to the end of the block around it"},
		{"{{‸$ := 3}}", "$ is what the template was given: choose a longer name for your own, such as $x"},
		{"{{‸clap 3 .kind}}", `there is no function "clap"; there are: clip, le, len, lt, and, bold, date, eq and 18 more`},
		{"{{‸html .kind}}", "html is not here: what a template puts in is escaped already"},
		{"{{if .kind}}{{‸elseif .tag}}{{end}}", "elseif is written {{else if …}}"},
		{"{{‸belfry_emit .kind}}", `there is no function "belfry_emit"; there are: default, bold, clip, commits, le, len, lt, print and 18 more`},
		// Values that don't fit.
		{"{{‸.event.sender}}", "this is a user: write {{name .event.sender}}"},
		{"{{‸index .event.push.commits 0}}", "event.push.commits[] has several fields: say which, as in {{(index .event.push.commits 0).id}}"},
		{"{{‸.event.issue}}", "event.issue has several fields: say which, as in {{.event.issue.id}}"},
		{"{{‸.event.issue.collaborators}}", "this is a list of users: write {{names .event.issue.collaborators}}"},
		{"{{‸.labels}}", `this is a list: write {{join ", " .labels}}`},
		{"{{‸.event.push.commits}}", "this is a list: go through it, {{range .event.push.commits}} … {{end}}"},
		{"{{‸.event.occur_time}}", "this is a time: write {{date .event.occur_time}}"},
		{"{{‸or .kind .labels}}", "this can be one of several things: use {{if}} and {{else}}"},
		{"{{range ‸.kind}}{{end}}", "{{range}} goes through a list, and this is a text"},
		{"{{range ‸.event.issue}}{{end}}", "{{range}} goes through a list, and event.issue is none; to look into it, write {{with .event.issue}}"},
		{"{{range $i, $n := ‸3}}{{end}}", "{{range}} over a number makes one variable only"},
		{"{{‸clip 3}}", "clip takes 2 values, not 1: {{clip COUNT TEXT}}"},
		{"{{clip ‸.kind .hook}}", "clip takes a number here, and this is a text: {{clip COUNT TEXT}}"},
		{"{{link ‸3 .hook}}", "link takes a text here, and this is a number: write (print 3)"},
		{"{{link (‸bold .kind) .hook}}", "link takes plain text, and this is finished Markdown: {{link TEXT URL}}"},
		{"{{bold (‸quote .kind)}}", "bold takes a text here, and this is Markdown with paragraphs of its own: {{bold TEXT}}"},
		{"{{.labels | clip 3}}", "clip takes a text here, and this is a list of texts: {{clip COUNT TEXT}}"},
		{"{{name ‸.sender}}", "name takes a user here, and this is a text: {{name USER}}"},
		{"{{names ‸.event.issue.labels}}", "names takes a list of users here, and this is event.issue.labels: {{names USERS}}"},
		{"{{date ‸.kind}}", "date takes a time here, and this is a text: {{date TIME}}"},
		{"{{eq .kind ‸3}}", "eq compares values of one type, and these are a text and a number"},
		{"{{lt ‸.labels 3}}", "lt takes texts and numbers, and this is a list of texts: {{lt VALUE OTHER}}"},
		{"{{index ‸.kind 0}}", "index takes a list, and this is a text: {{index LIST NUMBER}}"},
		{"{{‸default .labels .kind}}", "default gives one of two values, and these can't be used in the same way: a list of texts, and a text"},
		{"{{print ‸.labels}}", "print takes texts and numbers, and this is a list of texts: {{print VALUE …}}"},
		{"{{print (‸bold .kind)}}", "print makes plain text, and this is finished Markdown: give each an action of its own"},
		{"{{printf ‸\"%s %s\" .kind}}", "this text has room for 2 values, and 1 follow it"},
		{"{{printf \"%d\" ‸.kind}}", "%d does not go with a text; %v goes with everything"},
		{"{{printf ‸\"%y\" .kind}}", "there is no %y; there are %s, %d and %v, and %% is a % of its own"},
		{"{{printf ‸\"%999s\" .kind}}", "a width has at most two digits"},
		{"{{printf ‸.hook .kind}}", "the first value of printf is a text in quotes, in which %s and %d stand for the others"},
		{"{{.kind | ‸.hook}}", "| hands a value on to a function, and .hook is none"},
		{"{{‸.kind .hook}}", "only functions take arguments, and .kind is none"},
		{"{{$x := 3}}{{‸$x = .labels}}", "$x was made with a number, and a list of texts can't be put into it"},
		{"{{‸nil}}", "nil can't be used here: to ask whether something is there, write {{if .event.issue}}"},
		{"{{‸commits 3}}", "commits is for templates of kind push only"},
	} {
		before, after, marked := strings.Cut(c.source, "‸")
		_, faults := compileTemplates([]Template{{Kind: "issue", Text: before + after}})
		if len(faults) != 1 {
			t.Errorf("%s: %d faults, want one: %v", c.source, len(faults), faults)
			continue
		}
		f := faults[0]
		if f.Message != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.source, f.Message, c.want)
		}
		line, column := newSource(before).spot(len(before))
		if marked && (f.Line != line || f.Column != column) {
			t.Errorf("%s: the fault is at %d:%d, want %d:%d", c.source, f.Line, f.Column, line, column)
		}
	}
}

func TestFaultsOfSeveralTemplatesAreAllTold(t *testing.T) {
	_, faults := compileTemplates([]Template{
		{Kind: "issue", Title: "{{bold .kind}}", Text: "{{.a}} {{.b}}"},
		{Kind: "push", Text: "{{.kind}}"},
		{Kind: "pull-request", Text: "x"},
		{Kind: "tag", Title: strings.Repeat("x", 2001), Text: strings.Repeat("{{.a}}", 30)},
	})
	var got []string
	for _, f := range faults {
		got = append(got, f.Error())
	}
	want := []string{
		"templates[0].title:1:3: bold makes Markdown, and a title is plain text: use the value itself",
		`templates[0].text:1:3: there is no ".a"; there are: tag, kind, hook, event, action, branch, labels, sender, repository`,
		`templates[0].text:1:10: there is no ".b"; there are: tag, kind, hook, event, branch, labels, action, sender, repository`,
		`templates[2].kind: there is no kind "pull-request"; there are: pull_request, push, issue, comment, ping, tag`,
		"templates[3].title: the template has 2001 bytes; at most 2000 are possible",
	}
	if len(got) != len(want)+maxFaults || !slices.Equal(got[:len(want)], want) {
		t.Errorf("%d faults:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestTryingTemplatesFindsWhatShowsOnlyWhenTheyAreRun(t *testing.T) {
	samples := []*eventv1.Event{
		pinged(),
		issued(eventv1.Action_ACTION_OPENED, nil),
		issued(eventv1.Action_ACTION_CLOSED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Labels = nil }),
	}
	for _, c := range []struct{ text, want string }{
		{"{{.kind}}", ""},
		{"{{index .labels 0}}", "templates[0].text:1:3: there is no entry 0: the list has 0, and counting begins with 0; ask with {{if}} first, or use {{range}} (seen with a sample: issue, closed)"},
		{`{{if ne .action "closed"}}x{{end}}`, "templates[0].text: the text comes out empty; give it words for every event of its kind, such as in {{else}} (seen with a sample: issue, closed)"},
		{"[登录]({{.event.issue.url}})", "templates[0].text:1:8: a value can't stand in the address of a link: write {{link TEXT URL}} (seen with a sample: issue, opened)"},
		{"https://ci.example.com/{{.branch}}{{.kind}}", `templates[0].text:1:37: a value can't stand in an address: write {{link TEXT URL}}, with (printf "https://…%s" VALUE) for an address of several parts (seen with a sample: issue, opened)`},
		{"{{.kind}}://{{.branch}}{{.kind}}", `templates[0].text:1:26: a value can't stand in an address: write {{link TEXT URL}}, with (printf "https://…%s" VALUE) for an address of several parts (seen with a sample: issue, opened)`},
		{"<font color={{.kind}}>", "templates[0].text:1:15: a value can't stand behind <, in what would be an HTML tag (seen with a sample: issue, opened)"},
		{"<{{.kind}}>", "templates[0].text:1:4: a value can't stand behind <, in what would be an HTML tag (seen with a sample: issue, opened)"},
		{"`{{.kind}}`", "templates[0].text:1:4: a value can't stand in code, between backticks, where nothing can be escaped (seen with a sample: issue, opened)"},
		{"```\n\n{{.kind}}\n```", "templates[0].text:3:3: a value can't stand in code, between backticks, where nothing can be escaped (seen with a sample: issue, opened)"},
		{"{{clip 0 .kind}}", "templates[0].text:1:3: clip takes how many characters to leave, from 1; this is 0 (seen with a sample: issue, opened)"},
	} {
		got := ""
		for _, f := range TryTemplates("zh-CN", []Template{{Kind: "issue", Text: c.text}}, samples) {
			got += f.Error()
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}
