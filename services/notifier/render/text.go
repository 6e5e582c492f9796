package render

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// This file makes text from outside harmless; escape.go makes it fit for Markdown. The order is always
// tame, cut, escape, so that a cut never meets an escape.

// tame returns s as text that says what s says and does nothing: valid UTF-8, lines ended by "\n", without
// control characters and without the characters that hide or reorder their neighbours. Three characters
// are replaced by their full-width twins, which look like them and mean nothing to a machine:
//
//   - "<" becomes "＜", and the ">" of a tag "＞". DingTalk shows a message with raw HTML blank on a phone,
//     and a backslash or an entity would only hold for renderers that read Markdown to the letter.
//   - "@" becomes "＠". It can't call anybody then, and unlike a zero-width space behind a real "@" it
//     can't be lost on the way.
//   - "&" becomes "＆" where an entity would begin, so that no entity brings the first two back.
func tame(s string) string {
	if isTame(s) {
		return s
	}
	return disarm(clean(s))
}

// isTame tells of text that tame would leave as it is, of what people mostly write: printable ASCII, and letters
// and signs of Latin, Cyrillic and Chinese.
func isTame(s string) bool {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '<' || c == '&' || c == '@' || c == 0x7f || c < ' ' && c != '\n':
			return false
		case c < 0x7f:
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if !isPlainLetter(r) {
				return false
			}
			i += n
		}
	}
	return true
}

// isPlainLetter tells of characters beyond ASCII that neither combine with others, nor hide, nor are blanks.
func isPlainLetter(r rune) bool {
	return 0x3400 <= r && r < 0xa000 || 0x400 <= r && r < 0x483 || 0xa1 <= r && r < 0x300 && r != 0xad ||
		0x3001 <= r && r < 0x302a || 0xff01 <= r && r < 0xff61
}

// maxMarks bounds the marks on one letter. Living scripts stack four; text that means to overflow its line
// stacks hundreds.
const maxMarks = 6

func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for i, r := range s {
		switch {
		case r == '\r':
			if !strings.HasPrefix(s[i+1:], "\n") {
				b.WriteByte('\n')
			}
			continue
		case r == '\u2028' || r == '\u2029':
			b.WriteByte('\n')
			continue
		case r == '\t' || r == '\u00a0':
			b.WriteByte(' ')
			continue
		case r != '\n' && unicode.IsControl(r) || isInvisible(r):
			continue
		}
		if isMark(r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isInvisible tells of characters that take no room and reorder, join or hide others. The joiners U+200C
// and U+200D are not among them: emoji and some scripts need them.
func isInvisible(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x61c, r == 0x180e, r == 0x200b, r == 0x200e, r == 0x200f, r == 0xfeff:
		return true
	}
	return 0x202a <= r && r <= 0x202e || 0x2060 <= r && r <= 0x206f || 0xfff9 <= r && r <= 0xfffb
}

func isMark(r rune) bool {
	if r < 0x300 || 0x3400 <= r && r < 0xa000 {
		return false // the quick way out for Latin and Chinese
	}
	return unicode.In(r, unicode.Mn, unicode.Me)
}

func disarm(s string) string {
	if !strings.ContainsAny(s, "<&@") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	open := 0 // tags that were begun
	for i := range len(s) {
		switch c := s[i]; {
		case c == '<':
			b.WriteString("＜")
			if i+1 < len(s) && (isLetter(s[i+1]) || strings.IndexByte("/!?", s[i+1]) >= 0) {
				open++
			}
		case c == '>' && open > 0:
			b.WriteString("＞")
			open--
		case c == '@':
			b.WriteString("＠")
		case c == '&' && beginsEntity(s[i+1:]):
			b.WriteString("＆")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// beginsEntity tells whether an ampersand before s makes an entity: "#" and anything, or a name and ";".
func beginsEntity(s string) bool {
	if strings.HasPrefix(s, "#") {
		return true
	}
	for i := 0; i < len(s) && i < 40; i++ {
		switch c := s[i]; {
		case c == ';':
			return i > 0
		case !isLetter(c) && !isDigit(c):
			return false
		}
	}
	return false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// oneLine returns s tame, with each run of white space made one blank, and none at the ends.
func oneLine(s string) string {
	s = tame(s)
	if !strings.ContainsAny(s, "\n") && !strings.Contains(s, "  ") && s == strings.TrimSpace(s) {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// maxNoun is how much of a name or a title is looked at, in bytes; more than any is shown of.
const maxNoun = 1024

// nounText is what is shown of a name or a title, but for the cut.
func nounText(s string) string { return oneLine(prefix(s, maxNoun)) }

// firstLine returns the first line of s that is not blank, as nounText does.
func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = nounText(line); line != "" {
			return line
		}
	}
	return ""
}

// prefix returns the first n bytes of s, or a few less, so that no character's encoding is split.
func prefix(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// bytesPerCharacter bounds what a character may take on average: one character can be a family of emoji
// joined without end.
const bytesPerCharacter = 8

// cut returns s if it has at most max characters as a reader counts them, and otherwise as many whole ones
// as leave room for "…"; cutted tells which. What is returned takes at most 8*max+3 bytes.
func cut(s string, max int) (short string, cutted bool) {
	if len(s) <= max || len(s) <= bytesPerCharacter*max && utf8.RuneCountInString(s) <= max {
		return s, false
	}
	keep, end := 0, 0 // where the last but one, and the last, of the characters seen end
	rest, state, n := s, -1, 0
	for len(rest) > 0 {
		var c string
		c, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if n == max || end+len(c) > bytesPerCharacter*max {
			if n < max {
				keep = end
			}
			return strings.TrimRight(s[:keep], " ") + "…", true
		}
		keep, end = end, end+len(c)
		n++
	}
	return s, false
}

// clip returns s cut to max characters.
func clip(s string, max int) string {
	s, _ = cut(s, max)
	return s
}
