package render

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// explain returns the place of what the parser of text/template refuses, as an offset, and says it for
// people.
func (s source) explain(fault string) (at int, message string) {
	short := strings.TrimPrefix(fault, "template: "+templateName+":")
	_, short, _ = strings.Cut(short, ": ")
	// A fault in an action of several lines has where the action began at its end.
	short, _, _ = strings.Cut(short, " in action started at ")
	short, _, _ = strings.Cut(short, " started at ")

	if at, message := s.unfinished(short); message != "" {
		return at, message
	}
	end := s.end(fault)
	t, a := s.tokenBefore(end)
	switch before, _, _ := strings.Cut(short, " U+"); before {
	case "unexpected <.> in operand":
		t = token{at: strings.LastIndexByte(s.text[:end], '.'), text: "."}
	case "bad character", "unrecognized character in action:":
		// What is at fault may stand in the middle of a token.
		_, n := utf8.DecodeLastRuneInString(s.text[:end])
		t = token{at: end - n, text: s.text[end-n : end]}
	}
	if t.at > 0 && (t.text == "|" || t.text == "=") && strings.IndexByte(":|=", s.text[t.at-1]) >= 0 {
		t = token{at: t.at - 1, text: s.text[t.at-1:][:2]} // the parser stumbles over its second half only
	}
	for _, r := range rephrased {
		if strings.HasPrefix(short, r.begin) {
			if r.whole {
				t.at = a.begin
			}
			return t.at, strings.NewReplacer("{token}", clip(t.text, maxQuoted), "{word}", a.word()).Replace(r.message)
		}
	}
	for _, r := range signs {
		if strings.HasPrefix(s.text[t.at:], r.sign) {
			return t.at, r.message
		}
	}
	return t.at, fmt.Sprintf("%q can't stand here", clip(t.text, maxQuoted))
}

// maxQuoted is how much of a source stands in a message, in characters.
const maxQuoted = 40

// unfinished explains a fault of the source as a whole: that something in it does not end. The message is
// empty for other faults.
func (s source) unfinished(fault string) (at int, message string) {
	if len(s.actions) == 0 {
		return 0, fault
	}
	last := s.actions[len(s.actions)-1]
	switch fault {
	case "unexpected EOF":
		if a := s.unclosed(); a.word() != "" {
			return a.begin, fmt.Sprintf("this {{%s}} has no {{end}}", a.word())
		}
	case "unclosed action", "unclosed action action":
		return last.begin, "this action is not closed: write }} at its end"
	case "unclosed comment":
		return last.begin, "this comment is not closed: write */}} at its end"
	case "unterminated quoted string", "unterminated raw quoted string", "unterminated character constant":
		if last.open >= 0 {
			return last.open, fmt.Sprintf("this text is not closed: write %c at its end", s.text[last.open])
		}
	}
	return 0, ""
}

// rephrased says what messages of the parser mean, by how they begin. {token} stands for the token at fault,
// {word} for the first word of its action.
var rephrased = []struct {
	begin, message string
	// whole says that the place is that of the whole action.
	whole bool
}{
	{"unexpected {{end}}", "this {{end}} closes nothing: there is no {{if}}, {{range}} or {{with}} for it", true},
	{"unexpected {{else}}", "this {{else}} belongs to no {{if}}, {{range}} or {{with}}", true},
	{"expected end; found {{else}}", "this is a second {{else}} for the same block: write {{end}}, or {{else if …}} before it", true},
	{"{{break}} outside", "{{break}} is for {{range}}: there is none around it", true},
	{"{{continue}} outside", "{{continue}} is for {{range}}: there is none around it", true},
	{"missing value for command", "this action is empty: give it a value", true},
	{"missing value for parenthesized", "these brackets are empty: give them a value", false},
	{"missing value for", "{{{word}}} needs a value to work on", true},
	{"undefined variable", "there is no variable {token} here: one is known from where it is made, as in {{$x := …}}, to the end of the block around it", false},
	{"range can only initialize", "{{range}} takes variables before := and what to range over after it, as in {{range $i, $c := .event.push.commits}}", true},
	{"too many declarations", "this makes too many variables: {{range}} makes at most two, everything else one", true},
	{"non executable command", "{token} can't stand after |, which hands a value on to a function", false},
	{"empty command", "there is nothing behind |: name a function, or take it off", false},
	{"unclosed left paren", "a ( in this action is not closed: write )", true},
	{"unexpected right paren", "this ) closes nothing", false},
	{"comment ends before", "a comment ends with */}}, with nothing in between", true},
	{"malformed character constant", "{token} is no text: texts stand in double quotes", false},
	{"illegal number syntax", "{token} can't stand here: there is no arithmetic", false},
	{"bad number syntax", "{token} is no number", false},
	{"integer overflow", "{token} is too large a number", false},
	{"invalid syntax", `{token} has a \ before a character that needs none: write \\ for a \`, false},
	{"unexpected . after term", "{token} can't be read: fields are written as in .event.issue.title", false},
	{"max expression depth", "brackets are nested too deep", false},
	{"unexpected <.>", "a name is missing behind this dot", false},
}

// signs are what people write who think of other languages.
var signs = []struct{ sign, message string }{
	{"==", `"==" is written eq, before both values: {{if eq .kind "push"}}`},
	{"!=", `"!=" is written ne, before both values: {{if ne .kind "push"}}`},
	{":=", "\":=\" makes a variable: {{$x := …}}"},
	{"=", `"=" can't stand here: to compare, write {{if eq .kind "push"}}; to put a value into a variable, {{$x = …}} with blanks`},
	{"&&", `"&&" is written and, before both values: {{if and .branch .sender}}`},
	{"||", `"||" is written or, before both values: {{if or .branch .tag}}`},
	{"!", `"!" is written not: {{if not .branch}}`},
	{"<=", `"<=" is written le, before both values: {{if le (len .labels) 3}}`},
	{">=", `">=" is written ge, before both values: {{if ge (len .labels) 3}}`},
	{"<", `"<" is written lt, before both values: {{if lt (len .labels) 3}}`},
	{">", `">" is written gt, before both values: {{if gt (len .labels) 3}}`},
	{"-", `"-" can't stand here: names are written with _`},
	{"[", `"[" can't stand here: an entry of a list is {{index .labels 0}}`},
	{"{", `an action begins with {{ and ends with }}; "{" can't stand in it`},
	{"}", "an action ends with }}"},
	{"(", `"(" can't stand here: arguments stand behind a function's name without brackets and commas: {{clip 20 .event.comment.body}}`},
	{",", `"," can't stand here: arguments are set apart by blanks`},
	{"“", "texts stand in straight quotes: \""},
	{"”", "texts stand in straight quotes: \""},
	{"‘", "texts stand in straight double quotes: \""},
	{"’", "texts stand in straight double quotes: \""},
}
