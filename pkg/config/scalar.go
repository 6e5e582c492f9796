package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// spot is a place in a file, counted from 1, the column in code points.
type spot struct{ line, column int }

// spotsOf returns where in the file each code point of n's value stands, and where the value ends; nil where
// it is not followed. What it follows it holds against the value, so that a place is right or none.
func spotsOf(lines []string, n *yaml.Node) []spot {
	t := &tracer{lines: lines, value: []rune(n.Value), line: n.Line - 1, column: n.Column - 1}
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		t.literal()
	case n.Style&yaml.FoldedStyle != 0:
		t.folded()
	case n.Style&yaml.SingleQuotedStyle != 0:
		t.column++
		t.flow('\'')
	case n.Style&yaml.DoubleQuotedStyle != 0:
		t.column++
		t.flow('"')
	default:
		t.flow(0)
	}
	if t.lost || len(t.spots) != len(t.value) {
		return nil
	}
	return append(t.spots, spot{t.line + 1, t.column + 1})
}

// tracer goes through a value as the file writes it, and beside it through the value itself.
type tracer struct {
	lines []string
	value []rune
	// line and column are where it is in the file, from 0.
	line, column int
	spots        []spot
	// lost says that the file and the value differ.
	lost bool
}

func (t *tracer) done() bool { return t.lost || len(t.spots) == len(t.value) }

// take says that the file's next width code points stand for r.
func (t *tracer) take(r rune, width int) {
	if t.done() || t.value[len(t.spots)] != r {
		t.lost = true
		return
	}
	t.spots = append(t.spots, spot{t.line + 1, t.column + 1})
	t.column += width
}

// next goes to the beginning of the next line, which must be there.
func (t *tracer) next() []rune {
	t.line, t.column = t.line+1, 0
	if t.line >= len(t.lines) {
		t.lost = true
		return nil
	}
	return []rune(t.lines[t.line])
}

// escapes are those of double quotes that stand for one code point and are followed; the others are rare.
var escapes = map[rune]rune{'"': '"', '\\': '\\', '/': '/', 'n': '\n', 't': '\t', 'r': '\r', '0': 0, ' ': ' '}

// flow follows a plain (quote 0) or quoted value, over several lines if it must.
func (t *tracer) flow(quote rune) {
	if t.line >= len(t.lines) {
		t.lost = true
		return
	}
	text := []rune(t.lines[t.line])
	for !t.done() {
		if blank(text[min(t.column, len(text)):]) {
			text = t.fold(text)
			continue
		}
		r := text[t.column]
		switch {
		case quote == '\'' && r == quote && t.column+1 < len(text) && text[t.column+1] == quote:
			t.take(quote, 2)
		case quote == '"' && r == '\\':
			e, ok := rune(0), t.column+1 < len(text)
			if ok {
				e, ok = escapes[text[t.column+1]]
			}
			if !ok {
				t.lost = true
				return
			}
			t.take(e, 2)
		default:
			t.take(r, 1)
		}
	}
}

// fold goes from the end of a line to the text of the next one that has some: a single line break is a blank
// in the value, and of several each but the first a line feed.
func (t *tracer) fold(text []rune) []rune {
	breaks, end := 0, spot{t.line + 1, t.column + 1}
	for !t.lost && blank(text[min(t.column, len(text)):]) {
		text = t.next()
		breaks++
		for t.column < len(text) && (text[t.column] == ' ' || text[t.column] == '\t') {
			t.column++
		}
	}
	t.broken(breaks, end)
	return text
}

// broken says that so many line breaks, the first at end, stand for what folding makes of them.
func (t *tracer) broken(breaks int, end spot) {
	line, column := t.line, t.column
	t.line, t.column = end.line-1, end.column-1
	if breaks == 1 {
		t.take(' ', 0)
	}
	for range breaks - 1 {
		t.take('\n', 0)
	}
	t.line, t.column = line, column
}

// literal follows a value that begins with "|": line by line, each without its indentation.
func (t *tracer) literal() {
	indent := -1
	lines := strings.Split(string(t.value), "\n")
	for i, want := range lines {
		if i == len(lines)-1 && want == "" && len(t.spots) == len(t.value) {
			return // what follows the last line break
		}
		text, wanted := t.next(), []rune(want)
		if indent < 0 && want != "" {
			indent = len(text) - len(wanted)
		}
		t.column = max(0, min(indent, len(text)))
		if t.lost || want != "" && string(text[t.column:]) != want {
			t.lost = true
			return
		}
		for _, r := range wanted {
			t.take(r, 1)
		}
		if i < len(lines)-1 {
			t.take('\n', 0)
		}
	}
}

// folded follows a value that begins with ">": as a literal one, but that line breaks are folded between
// lines which are not indented further than the first.
func (t *tracer) folded() {
	indent, breaks, deep := -1, 0, false
	end := spot{t.line + 1, t.column + 1}
	for !t.done() {
		text := t.next()
		if t.lost {
			return
		}
		if blank(text) {
			breaks++
			continue
		}
		first := indent < 0
		if first {
			indent = len(text) - len([]rune(strings.TrimLeft(string(text), " ")))
		}
		if len(text) <= indent {
			t.lost = true
			return
		}
		t.column = indent
		wasDeep := deep
		deep = text[indent] == ' ' || text[indent] == '\t'
		switch {
		case first: // each break before it stands for itself
			line := t.line
			for i := range breaks {
				t.line, t.column = line-breaks+i, 0
				t.take('\n', 0)
			}
			t.line, t.column = line, indent
		case deep || wasDeep:
			t.broken(breaks+2, end)
		default:
			t.broken(breaks+1, end)
		}
		breaks = 0
		for _, r := range text[indent:] {
			t.take(r, 1)
		}
		end = spot{t.line + 1, t.column + 1}
		if rest := t.value[len(t.spots):]; only(rest, "\n") {
			for range rest {
				t.take('\n', 0)
			}
		}
	}
}

// blank says whether nothing but blanks and tabs is in text, only whether nothing but those characters is.
func blank(text []rune) bool { return only(text, " \t") }

func only(text []rune, chars string) bool {
	return !slices.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(chars, r) })
}
