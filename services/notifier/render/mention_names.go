package render

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// namedIn returns the logins, in lower case and of persons of the table, that text, which is the host's
// Markdown, names with "@": outside of words, e-mail addresses, code, comments and the targets of links. The
// same may come more than once. It takes time in proportion to text.
func namedIn(text string, people *People) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !strings.Contains(text, "@") {
			return
		}
		for part := range prose(withoutComments(text)) {
			for at := strings.IndexByte(part, '@'); at >= 0; {
				if login := loginAt(part, at, people); login != "" && !yield(login) {
					return
				}
				next := strings.IndexByte(part[at+1:], '@')
				if next < 0 {
					break
				}
				at += 1 + next
			}
		}
	}
}

// maxLogin is the length of the longest login that the schema lets an event have.
const maxLogin = 200

// loginAt returns the login that the "@" at that place of s names, in lower case; empty for none.
func loginAt(s string, at int, people *People) string {
	before, _ := utf8.DecodeLastRuneInString(s[:at])
	if at > 0 && gluesLogin(before) {
		return ""
	}
	rest := s[at+1:]
	end := 0
	for end < len(rest) && end <= maxLogin && inLogin(rest[end]) {
		end++
	}
	if end > maxLogin || end < len(rest) && (rest[end] == '/' || rest[end] == '@') {
		return "" // the scope of a package, or an address
	}
	login := strings.ToLower(rest[:end])
	for login != "" {
		if _, ok := people.find(login); ok {
			return login
		}
		// The full stop at the end of a sentence is none of the login's.
		short := strings.TrimRight(login, ".-_")
		if short == login {
			return ""
		}
		login = short
	}
	return ""
}

// inLogin tells of the characters that a login on Gitee may have.
func inLogin(c byte) bool { return isLetter(c) || isDigit(c) || strings.IndexByte("._-", c) >= 0 }

// gluesLogin tells of characters that make an "@" behind them part of a word or an address. Chinese, Japanese
// and Korean are written without blanks: there a name may follow at once.
func gluesLogin(r rune) bool {
	if strings.ContainsRune(`._-+%/=@\`, r) {
		return true
	}
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) &&
		!unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo)
}

// prose yields the pieces of text, which is Markdown, that are neither code nor the target of a link nor a
// bare address. What follows a piece is no part of its last word.
func prose(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		fence := ""
		for line := range strings.Lines(text) {
			trimmed := strings.TrimLeft(line, " \t>")
			mark := fenceOf(trimmed)
			switch {
			case fence != "":
				if strings.HasPrefix(mark, fence) && strings.TrimSpace(trimmed[len(mark):]) == "" {
					fence = ""
				}
				continue
			case mark != "" && (mark[0] == '~' || !strings.Contains(trimmed[len(mark):], "`")):
				fence = mark
				continue
			}
			if !proseOfLine(line, yield) {
				return
			}
		}
	}
}

// fenceOf returns the row of backticks or tildes with which a line of code's fence begins; empty for others.
func fenceOf(line string) string {
	for _, c := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, c)); n >= 3 {
			return line[:n]
		}
	}
	return ""
}

// proseOfLine yields the prose of one line. Code that goes on in the next line is looked for in this one
// only: what is code then may be taken for a name, but no name is lost by a stray backtick.
func proseOfLine(line string, yield func(string) bool) bool {
	start := 0
	// skip leaves out line[from:to].
	skip := func(from, to int) bool {
		piece := line[start:from]
		start = to
		return piece == "" || yield(piece)
	}
	closings := closingRuns(line)
	for i := 0; i < len(line); {
		end := i
		switch {
		case line[i] == '`':
			n := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
			end = i + n
			if last := closings[n]; last >= end {
				end = closeOf(line, end, n)
				if !skip(i, end) {
					return false
				}
			}
		case line[i] == '\\' && i+1 < len(line):
			end = i + 2
		case strings.HasPrefix(line[i:], "]("):
			if n := strings.IndexByte(line[i:min(len(line), i+maxLink)], ')'); n >= 0 {
				end = i + n
				if !skip(i+1, end) {
					return false
				}
			}
		case strings.HasPrefix(line[i:], "://"):
			end = len(line)
			if n := strings.IndexFunc(line[i:], endsAddress); n >= 0 {
				end = i + n
			}
			if !skip(i, end) {
				return false
			}
		}
		i = max(end, i+1)
	}
	return skip(len(line), len(line))
}

// endsAddress tells of characters that no bare address has.
func endsAddress(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>)\"", r) }

// closingRuns returns where the last row of n backticks begins, by n.
func closingRuns(line string) map[int]int {
	if strings.IndexByte(line, '`') < 0 {
		return nil
	}
	last := make(map[int]int)
	for i := 0; i < len(line); {
		n := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		if n > 0 {
			last[n] = i
		}
		i += max(n, 1)
	}
	return last
}

// closeOf returns where the first row of exactly n backticks at or behind from ends.
func closeOf(line string, from, n int) int {
	for i := from; i < len(line); {
		m := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		if m == n {
			return i + m
		}
		i += max(m, 1)
	}
	return len(line)
}
