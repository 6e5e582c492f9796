package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// page is what a run of a template wrote. escape makes a value harmless by itself; page sees to it that it
// is harmless where it comes to stand, too: behind the template's own Markdown and behind other values.
type page struct{ b []byte }

var errTooLong = fmt.Errorf("the template writes more than %d bytes", maxOutput)

// Write adds text of the template, or a value that is fit for its place.
func (p *page) Write(s []byte) (int, error) {
	if len(p.b)+len(s) > maxOutput {
		return 0, errTooLong
	}
	// An entity that two pieces make between them is taken apart, as tame does.
	if i := bytes.LastIndexByte(p.b, '&'); i >= 0 && isWord(p.b[i+1:]) {
		if n := slices.IndexFunc(s, func(c byte) bool { return !inWord(c) }); n >= 0 && s[n] == ';' {
			p.b = slices.Replace(p.b, i, i+1, []byte("＆")...)
		}
	}
	p.b = append(p.b, s...)
	return len(s), nil
}

func inWord(c byte) bool { return isLetter(c) || isDigit(c) || c == '#' }

func isWord(s []byte) bool {
	return !slices.ContainsFunc(s, func(c byte) bool { return !inWord(c) })
}

// place tells whether a value may be put in behind what was written so far. There are places that read it
// otherwise than as text. The signs of values are escaped, so that those that are not are the template's own.
func (p *page) place() error {
	paragraph := p.paragraph()
	if i := strings.LastIndex(paragraph, "]("); i >= 0 && !isEscaped(paragraph[:i]) && !strings.ContainsAny(paragraph[i:], ")\n") {
		return failed("a value can't stand in the address of a link: write {{link TEXT URL}}")
	}
	word := paragraph[strings.LastIndexAny(paragraph, " \n)>")+1:]
	if i := strings.Index(word, "://"); i > 0 && !isEscaped(word[:i]) {
		return failed(`a value can't stand in an address: write {{link TEXT URL}}, with (printf "https://…%%s" VALUE) for an address of several parts`)
	}
	if i := strings.LastIndexByte(paragraph, '<'); i >= 0 && !strings.Contains(paragraph[i:], ">") {
		if rest := paragraph[i+1:]; rest == "" || isLetter(rest[0]) || strings.IndexByte("/!?", rest[0]) >= 0 {
			return failed("a value can't stand behind <, in what would be an HTML tag")
		}
	}
	if p.insideCode(paragraph) {
		return failed("a value can't stand in code, between backticks, where nothing can be escaped")
	}
	return nil
}

// paragraph is what was written of the paragraph so far.
func (p *page) paragraph() string {
	return string(p.b[bytes.LastIndex(p.b, []byte(paragraphBreak))+1:])
}

// insideCode tells of an open code span, or of an open fence.
func (p *page) insideCode(paragraph string) bool {
	ticks, fences := 0, 0
	for i := range len(paragraph) {
		if paragraph[i] == '`' && !isEscaped(paragraph[:i]) {
			ticks++
		}
	}
	if bytes.Contains(p.b, []byte("```")) || bytes.Contains(p.b, []byte("~~~")) {
		for line := range bytes.SplitSeq(p.b, []byte("\n")) {
			if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte("```")) || bytes.HasPrefix(line, []byte("~~~")) {
				fences++
			}
		}
	}
	return ticks%2 == 1 || fences%2 == 1
}

// protect returns s, which is not empty and escaped or made by a function, so that it makes nothing together
// with what stands before it; where it is that which must change, it changes it.
func (p *page) protect(s string) string {
	written := string(p.b[max(0, len(p.b)-1000):])
	ends := func(suffix string) bool { return strings.HasSuffix(written, suffix) }
	switch blank := strings.TrimRight(written, " "); {
	case isEscaped(written):
		p.b = append(p.b, '\\') // else it would take the escape of s for its own
		return s
	case s[0] == '[' && ends("!"): // an image
		p.escapeLast()
		return s
	case strings.HasSuffix(blank, "]:"): // the definition of a link
		p.b = p.b[:len(p.b)-(len(written)-len(blank))]
		p.escapeLast()
		p.b = append(p.b, ' ')
		return s
	case ends(".") && strings.HasSuffix(strings.ToLower(written), "www."): // an address
		p.escapeLast()
		return s
	case s[0] == '(' && ends("]"), s[0] == ':' && ends("]"), // a link, the definition of one
		strings.HasPrefix(s, "//") && ends(":"), s[0] == '/' && ends(":/"): // an address
		return `\` + s
	case s[0] == '.' || s[0] == ')': // a list
		if line := written[strings.LastIndexByte(written, '\n')+1:]; strings.Trim(line, " >*+-0123456789") == "" {
			return `\` + s
		}
	}
	isW := func(r rune) bool { return r == 'w' || r == 'W' }
	before := len(written) - len(strings.TrimRightFunc(written, isW))
	if n := len(s) - len(strings.TrimLeftFunc(s, isW)); n < len(s) && s[n] == '.' && before > 0 && before+n >= 3 {
		return s[:n] + `\` + s[n:]
	}
	return s
}

// escapeLast puts a backslash before the last character, unless it is escaped.
func (p *page) escapeLast() {
	if last := len(p.b) - 1; !isEscaped(string(p.b[:last])) {
		p.b = slices.Insert(p.b, last, '\\')
	}
}
