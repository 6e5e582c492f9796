package rules

import (
	"fmt"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
)

// text is a rule's text. Places in it are offsets in code points.
type text struct{ runes []rune }

func newText(source string) *text { return &text{[]rune(source)} }

// fault is an Error at the offset, or at the rule's first character where it is 0.
func (t *text) fault(offset int, format string, args ...any) *Error {
	if offset <= 0 {
		for offset = 0; offset < len(t.runes)-1 && unicode.IsSpace(t.runes[offset]); offset++ {
		}
	}
	offset = min(offset, len(t.runes))
	e := &Error{Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
	for _, r := range t.runes[:offset] {
		e.Column++
		if r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}

// first returns the issue that stands first in the text, and its offset: -1 where it has no place.
func (t *text) first(issues *cel.Issues) (issue *cel.Error, offset int) {
	for _, e := range issues.Errors() {
		at := t.offset(e.Location.Line(), e.Location.Column())
		if issue == nil || at < offset {
			issue, offset = e, at
		}
	}
	return issue, offset
}

// offset returns the place of a line, counted from 1, and a column, counted from 0.
func (t *text) offset(line, column int) int {
	if line < 1 || column < 0 {
		return -1
	}
	at := 0
	for ; line > 1 && at < len(t.runes); at++ {
		if t.runes[at] == '\n' {
			line--
		}
	}
	return min(at+column, len(t.runes))
}

// at returns the character at the offset, 0 where there is none.
func (t *text) at(offset int) rune {
	if offset < 0 || offset >= len(t.runes) {
		return 0
	}
	return t.runes[offset]
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// token returns what stands at the offset: a word, a quoted text as far as its line, or one character.
func (t *text) token(offset int) string {
	end := offset
	switch r := t.at(offset); {
	case isWord(r):
		for end++; isWord(t.at(end)); end++ {
		}
	case r == '"' || r == '\'':
		for end++; end < len(t.runes) && t.at(end) != r && t.at(end) != '\n'; end++ {
		}
		end++
	default:
		end++
	}
	return string(t.runes[min(offset, len(t.runes)):min(end, len(t.runes))])
}

// tokenBefore returns the word or the character that ends before the offset, and where it begins; "" where
// there is none.
func (t *text) tokenBefore(offset int) (string, int) {
	end := min(offset, len(t.runes))
	for end > 0 && unicode.IsSpace(t.runes[end-1]) {
		end--
	}
	start := end
	for start > 0 && isWord(t.runes[start-1]) {
		start--
	}
	if start == end && start > 0 {
		start--
		for strings.ContainsRune("&|=!<>", t.runes[start]) && start > 0 && strings.ContainsRune("&|=!<>", t.runes[start-1]) {
			start--
		}
	}
	return string(t.runes[start:end]), start
}

// find returns where word stands as a whole from the offset on, -1 where it doesn't.
func (t *text) find(word string, offset int) int {
	w := []rune(word)
	for i := max(offset, 0); i+len(w) <= len(t.runes); i++ {
		if string(t.runes[i:i+len(w)]) == word && !isWord(t.at(i-1)) && !isWord(t.at(i+len(w))) {
			return i
		}
	}
	return -1
}

// mark is something in a rule's text that is neither a word nor blank: a text in quotes, a comment (both from
// at to end), or one other character.
type mark struct {
	at, end int
	kind    rune // '"' for a text in quotes, '#' for a comment, else the character
}

// marks returns what stands from one offset to another.
func (t *text) marks(from, to int) []mark {
	var marks []mark
	for i := from; i < to; {
		m := mark{i, i + 1, t.at(i)}
		switch r := t.at(i); {
		case r == '"' || r == '\'':
			m = mark{i, t.quoted(i), '"'}
		case r == '/' && t.at(i+1) == '/':
			for m.kind = '#'; m.end < len(t.runes) && t.at(m.end) != '\n'; m.end++ {
			}
		case isWord(r) || unicode.IsSpace(r):
			i++
			continue
		}
		marks = append(marks, m)
		i = m.end
	}
	return marks
}

// quoted returns where the text in quotes ends that begins at the offset, with its quote if it has one.
func (t *text) quoted(at int) int {
	quote := t.at(at)
	raw := strings.ContainsRune("rR", t.at(at-1)) || strings.ContainsRune("bB", t.at(at-1)) && strings.ContainsRune("rR", t.at(at-2))
	size := 1
	if t.at(at+1) == quote && t.at(at+2) == quote {
		size = 3
	}
	for i := at + size; i < len(t.runes); i++ {
		switch {
		case t.at(i) == '\\' && !raw:
			i++
		case t.at(i) == quote && (size == 1 || t.at(i+1) == quote && t.at(i+2) == quote):
			return i + size
		}
	}
	return len(t.runes)
}

// unclosed returns the last bracket before the offset that is open there, 0 if none is.
func (t *text) unclosed(offset int) (opener rune, at int) {
	var open []mark
	for _, m := range t.marks(0, offset) {
		switch m.kind {
		case '(', '[', '{':
			open = append(open, m)
		case ')', ']', '}':
			open = open[:max(len(open)-1, 0)]
		}
	}
	if len(open) == 0 {
		return 0, 0
	}
	last := open[len(open)-1]
	return last.kind, last.at
}
