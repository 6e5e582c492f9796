package render

import (
	"sort"
	"strings"
	"text/template/parse"
	"unicode"
	"unicode/utf8"
)

// templateName stands in the messages of text/template, from which it is taken off.
const templateName = "t"

// source is the text of a template and what can be seen of it without its grammar. The parser of
// text/template tells only the line of a fault; this finds the column.
type source struct {
	text    string
	actions []action
}

// action is what stands between {{ and }}.
type action struct {
	// begin and end are its offsets, delimiters included; end is -1 for one that is not closed.
	begin, end int
	// tokens are the words, texts and signs in it; a comment has none.
	tokens []token
	// open is the offset of a text, character or comment in it that is not closed; -1 where there is none.
	open int
}

// token is a piece of an action: the offset where it begins, and itself.
type token struct {
	at   int
	text string
}

// word is the first word of an action, such as "if"; may be empty.
func (a action) word() string {
	if len(a.tokens) == 0 {
		return ""
	}
	return a.tokens[0].text
}

func newSource(text string) source {
	s := source{text: text}
	for at := 0; ; {
		i := strings.Index(text[at:], "{{")
		if i < 0 {
			return s
		}
		a := scan(text, at+i)
		s.actions = append(s.actions, a)
		if a.end < 0 {
			return s
		}
		at = a.end
	}
}

// scan reads the action that begins at an offset.
func scan(text string, begin int) action {
	a := action{begin: begin, end: -1, open: -1}
	at := begin + len("{{")
	if inside := strings.TrimPrefix(text[at:], "- "); strings.HasPrefix(inside, "/*") {
		a.open = len(text) - len(inside)
		if i := strings.Index(inside, "*/"); i >= 0 {
			if j := strings.Index(inside[i:], "}}"); j >= 0 {
				a.end, a.open = a.open+i+j+len("}}"), -1
			}
		}
		return a
	}
	for at < len(text) {
		if strings.HasPrefix(text[at:], "}}") {
			a.end = at + len("}}")
			return a
		}
		n, closed := tokenAt(text[at:])
		if !closed {
			a.open = at
			return a
		}
		if t := text[at : at+n]; strings.TrimSpace(t) != "" {
			a.tokens = append(a.tokens, token{at, t})
		}
		at += n
	}
	return a
}

// tokenAt returns the length of the token at the beginning of s, and whether it is closed.
func tokenAt(s string) (n int, closed bool) {
	switch quote := s[0]; quote {
	case '"', '\'', '`':
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == quote:
				return i + 1, true
			case s[i] == '\\' && quote != '`':
				i++
			case s[i] == '\n' && quote != '`':
				return i, false
			}
		}
		return len(s), false
	}
	for i, r := range s {
		if r != '_' && r != '.' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			if i == 0 {
				i = utf8.RuneLen(r)
				if r == utf8.RuneError {
					i = 1
				}
			}
			return i, true
		}
	}
	return len(s), true
}

// spot is the line and the column, in code points, at an offset, both from 1.
func (s source) spot(at int) (line, column int) {
	before := s.text[:min(at, len(s.text))]
	start := strings.LastIndexByte(before, '\n') + 1
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[start:])
}

// offset is where a line, from 1, has a column, in bytes from 0.
func (s source) offset(line, column int) int {
	at := 0
	for ; line > 1; line-- {
		at += strings.IndexByte(s.text[at:], '\n') + 1
	}
	return min(at+column, len(s.text))
}

// parse returns the tree of the source, or where a fault is, as an offset, and what it is.
func (s source) parse() (tree *parse.Tree, at int, message string) {
	for _, a := range s.actions {
		switch a.word() {
		case "define", "block", "template":
			return nil, a.tokens[0].at, a.word() + " is not available: a template is one piece"
		}
	}
	tree, err := parseTemplate(s.text)
	if err == nil {
		return tree, 0, ""
	}
	at, message = s.explain(err.Error())
	return nil, at, message
}

func parseTemplate(text string) (*parse.Tree, error) {
	t := parse.New(templateName)
	t.Mode = parse.SkipFuncCheck // the checker knows functions, and where they stand
	return t.Parse(text, "", "", map[string]*parse.Tree{})
}

// end is the offset up to which the source must be read to meet the parser's fault. The parser reads from
// left to right, so that every beginning of the source that is at least as long has the same one, and
// shorter ones lack something else.
func (s source) end(fault string) int {
	return sort.Search(len(s.text), func(n int) bool {
		_, err := parseTemplate(s.text[:n])
		return err != nil && err.Error() == fault
	})
}

// tokenBefore is the last token that begins before an offset, and the action it stands in.
func (s source) tokenBefore(end int) (token, action) {
	for i := len(s.actions) - 1; i >= 0; i-- {
		a := s.actions[i]
		if a.begin >= end {
			continue
		}
		for j := len(a.tokens) - 1; j >= 0; j-- {
			if t := a.tokens[j]; t.at < end {
				return t, a
			}
		}
		return token{at: a.begin, text: "{{"}, a
	}
	return token{}, action{}
}

// unclosed is the last action before the end that {{end}} would have to close; its tokens are empty where
// there is none.
func (s source) unclosed() action {
	var open []action
	for _, a := range s.actions {
		switch a.word() {
		case "if", "range", "with":
			open = append(open, a)
		case "end":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return action{}
	}
	return open[len(open)-1]
}
