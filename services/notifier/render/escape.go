package render

import (
	"net/url"
	"strings"
)

// escape returns s, which is tame and one line, as Markdown that shows s, wherever it comes to stand: in a
// line, at its start or its end, in a heading, a list item, a quotation or the text of a link. What it is
// careful about is CommonMark with GitHub's extensions, which is more than DingTalk renders: backslash,
// asterisk, underscore, backtick, brackets, tilde and bar everywhere; what makes headings, quotations,
// lists and rules only where it would; and addresses, so that none becomes a link by itself.
func escape(s string) string {
	if !needsEscape(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	digits := true // nothing but digits so far
	for i := range len(s) {
		c := s[i]
		switch c {
		case '\\', '*', '_', '`', '[', ']', '~', '|':
			b.WriteByte('\\')
		case '#':
			if i == 0 || strings.Trim(s[i:], "#") == "" {
				b.WriteByte('\\')
			}
		case '+', '-', '=', '>':
			if i == 0 {
				b.WriteByte('\\')
			}
		case ':':
			if strings.HasPrefix(s[i+1:], "//") || i == 0 && strings.HasPrefix(s[1:], "-") {
				b.WriteByte('\\')
			}
		case '.', ')':
			if i > 0 && digits || c == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www") {
				b.WriteByte('\\')
			}
		case '!':
			if i == len(s)-1 { // a link may follow, and would become an image
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
		digits = digits && isDigit(c)
	}
	return b.String()
}

func needsEscape(s string) bool {
	return strings.ContainsAny(s, "\\*_`[]~|#+-=>:.)!")
}

// isEscaped tells whether a sign behind before, which is Markdown, is escaped: by a backslash that is not itself.
func isEscaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// maxLink is the length of the longest address that is made a link, in bytes. Longer ones would crowd out
// the message.
const maxLink = 2048

// target returns address fit for the parentheses of a Markdown link, or "" where there should be no link:
// for schemes other than http, https and dingtalk, for addresses without a host or with a user name in
// front of it (which exist to deceive), and for overlong ones. The result has no bracket, parenthesis,
// quote, blank, backslash, "@" or character beyond ASCII, nor ";", without which no entity can form.
func target(address string) string {
	if address == "" || len(address) > maxLink {
		return ""
	}
	if isPlainWeb(address) {
		return address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(u.Host, "\\") {
		return ""
	}
	switch u.Scheme {
	case "http", "https", "dingtalk":
	default:
		return ""
	}
	if plainAddress(address) {
		return address
	}
	var b strings.Builder
	for i := range len(address) {
		c := address[i]
		if inAddress(c) && (c != '%' || isEscape(address[i:])) {
			b.WriteByte(c)
			continue
		}
		const hex = "0123456789ABCDEF"
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	if b.Len() > maxLink {
		return ""
	}
	return b.String()
}

// isPlainWeb tells of addresses that are fit as they are, without parsing them: of http and https, with a host of
// letters, digits, full stops and hyphens, without a port.
func isPlainWeb(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return false
		}
	}
	host := 0
	for host < len(rest) && (isLetter(rest[host]) || isDigit(rest[host]) || rest[host] == '.' || rest[host] == '-') {
		host++
	}
	return host > 0 && (host == len(rest) || rest[host] == '/') && plainAddress(rest[host:])
}

func plainAddress(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '%' || !inAddress(c) {
			return false
		}
	}
	return true
}

// inAddress tells of the bytes that stand in a link's target as they are.
func inAddress(c byte) bool {
	return isLetter(c) || isDigit(c) || strings.IndexByte("-._/?:#!$&+,=%", c) >= 0
}

func isEscape(s string) bool {
	isHex := func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
	return len(s) >= 3 && isHex(s[1]) && isHex(s[2])
}

// link returns text, which is Markdown, as a link to address, or alone where target wants no link.
func link(text, address string) string {
	if t := target(address); t != "" {
		return "[" + text + "](" + t + ")"
	}
	return text
}

// jsonLen is the number of bytes that s takes in a JSON string as package dingtalk writes it.
func jsonLen(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\', c == '\n', c == '\t', c == '\r', c == '\b', c == '\f':
			n++
		case c < ' ':
			n += len(`\u0000`) - 1
		case c == 0xe2 && (strings.HasPrefix(s[i:], "\u2028") || strings.HasPrefix(s[i:], "\u2029")):
			n += len(`\u2028`) - len("\u2028")
		}
	}
	return n
}
