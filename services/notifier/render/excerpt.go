package render

import (
	"strings"

	"github.com/rivo/uniseg"
)

// excerpt returns the beginning of body, which is Markdown as people write it on the host, as at most
// maxLines tame lines of together at most max characters. Mark-up is taken off where it only gets in the
// way of reading; image stands for images. cutted says that there is more. What excerpt overlooks shows as
// text: that the lines are harmless does not depend on it.
func excerpt(body, image string, max, maxLines int) (lines []string, cutted bool) {
	fenced, longest := false, 4*bytesPerCharacter*max
	for raw := range strings.SplitSeq(withoutComments(body), "\n") {
		raw = strings.TrimRight(raw, "\r")
		trimmed := strings.TrimSpace(raw)
		if strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			fenced = !fenced
			continue
		}
		// A line is looked at only as far as an excerpt can show of it, with room for what is taken off.
		head := prefix(trimmed, longest)
		line := head
		if !fenced {
			line = unmark(head, image)
		}
		if line = oneLine(line); line == "" {
			continue
		}
		if len(lines) == maxLines || max <= 0 {
			return lines, true
		}
		line, cutted = cut(line, max)
		lines = append(lines, line)
		if cutted || len(head) < len(trimmed) {
			return lines, true
		}
		max -= uniseg.GraphemeClusterCount(line)
	}
	return lines, false
}

// withoutComments takes off HTML comments, in which hosts' templates talk to whoever fills them in.
func withoutComments(s string) string {
	before, rest, found := strings.Cut(s, "<!--")
	if !found {
		return s
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		_, after, closed := strings.Cut(rest, "-->")
		if !closed {
			return b.String() + rest
		}
		before, rest, found = strings.Cut(after, "<!--")
	}
	b.WriteString(before)
	return b.String()
}

// unmark returns what a line of Markdown shows.
func unmark(line, image string) string {
	for strings.HasPrefix(line, ">") {
		line = strings.TrimSpace(line[1:])
	}
	if isRule(line) {
		return ""
	}
	if h := strings.TrimLeft(line, "#"); h != line && len(line)-len(h) <= 6 && (h == "" || h[0] == ' ') {
		line = strings.TrimRight(strings.TrimSpace(h), "#")
	}
	bullet := ""
	if len(line) > 1 && strings.IndexByte("-*+", line[0]) >= 0 && line[1] == ' ' {
		line, bullet = strings.TrimSpace(line[2:]), "• "
		switch {
		case strings.HasPrefix(line, "[ ] "):
			line, bullet = line[4:], "☐ "
		case strings.HasPrefix(line, "[x] "), strings.HasPrefix(line, "[X] "):
			line, bullet = line[4:], "☑ "
		}
	}
	if len(line) > 2 && line[0] == '|' && line[len(line)-1] == '|' {
		cells := strings.Split(line[1:len(line)-1], "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		line = strings.Join(cells, " · ")
	}
	if line = unmarkInline(line, image); strings.TrimSpace(line) == "" {
		return ""
	}
	return bullet + line
}

// isRule tells of thematic breaks, the underlines of headings, and the second lines of tables.
func isRule(line string) bool {
	return len(line) >= 3 && strings.Trim(line, "-*_=|: ") == "" && !strings.Contains(line, "**:")
}

// reach is how far, in bytes, unmarkInline looks for the other end of something. It bounds the work on
// text that opens brackets without end.
const reach = 500

func unmarkInline(s, image string) string {
	if !strings.ContainsAny(s, "[`*~<") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		i := strings.IndexAny(s, "![`*~<\\")
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		switch {
		case s[0] == '\\' && len(s) > 1 && strings.IndexByte("\\`*_{}[]()#+-.!<>~|", s[1]) >= 0:
			b.WriteByte(s[1])
			s = s[2:]
		case s[0] == '!' && strings.HasPrefix(s, "!["):
			if _, after, ok := inlineLink(s[1:]); ok {
				b.WriteString(image)
				s = after
				continue
			}
			b.WriteByte('!')
			s = s[1:]
		case s[0] == '[':
			text, after, ok := inlineLink(s)
			if ok {
				b.WriteString(unmarkInline(text, image))
				s = after
				continue
			}
			b.WriteByte('[')
			s = s[1:]
		case s[0] == '`':
			if code, after, ok := enclosed(s[1:], "`"); ok && code != "" {
				b.WriteString(code)
				s = after
				continue
			}
			b.WriteByte('`')
			s = s[1:]
		case strings.HasPrefix(s, "**"), strings.HasPrefix(s, "~~"):
			if text, after, ok := enclosed(s[2:], s[:2]); ok && text != "" && strings.TrimSpace(text) == text {
				b.WriteString(unmarkInline(text, image))
				s = after
				continue
			}
			b.WriteString(s[:2])
			s = s[2:]
		case s[0] == '<':
			if shown, after, ok := tag(s, image); ok {
				b.WriteString(shown)
				s = after
				continue
			}
			b.WriteByte('<')
			s = s[1:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	b.WriteString(s)
	return b.String()
}

// inlineLink parses "[text](address)" at the beginning of s.
func inlineLink(s string) (text, after string, ok bool) {
	var rest string
	if strings.HasPrefix(s, "[![") { // an image that is a link
		_, rest, ok = inlineLink(s[2:])
		text, ok = s[1:len(s)-len(rest)], ok && strings.HasPrefix(rest, "](")
		rest = strings.TrimPrefix(rest, "](")
	} else if text, rest, ok = enclosed(s[1:], "]("); strings.Contains(text, "[") {
		ok = false
	}
	if !ok {
		return "", "", false
	}
	if _, after, ok = enclosed(rest, ")"); !ok {
		return "", "", false
	}
	return text, after, true
}

// enclosed returns what stands before and after the first end within reach.
func enclosed(s, end string) (inside, after string, ok bool) {
	i := strings.Index(s[:min(len(s), reach)], end)
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+len(end):], true
}

// tag parses an HTML tag at the beginning of s and returns what stands for it. Words in angle brackets that
// are no tags of HTML, such as type parameters, are text.
func tag(s, image string) (shown, after string, ok bool) {
	inside, after, ok := enclosed(s[1:], ">")
	if !ok {
		return "", "", false
	}
	name := strings.ToLower(strings.Trim(inside, "/ "))
	if i := strings.IndexAny(name, " /"); i >= 0 {
		name = name[:i]
	}
	switch name {
	case "img":
		return image, after, true
	case "br", "hr", "p", "div", "li", "tr", "td", "th":
		return " ", after, true
	case "a", "abbr", "b", "blockquote", "center", "code", "dd", "del", "details", "dl", "dt", "em", "font",
		"h1", "h2", "h3", "h4", "h5", "h6", "i", "ins", "kbd", "ol", "pre", "s", "small", "span", "strong",
		"sub", "summary", "sup", "table", "tbody", "thead", "u", "ul":
		return "", after, true
	}
	return "", "", false
}
