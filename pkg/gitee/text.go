package gitee

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// The limits of belfry.event.v1, in characters; that of addresses is kept in bytes, so that hundreds of
// them leave an event small.
const (
	maxHook       = 63
	maxHash       = 64
	maxWord       = 100
	maxName       = 200
	maxPath       = 500 // also branches, tags, milestones, names of repositories
	maxFile       = 1000
	maxTitle      = 1000
	maxURL        = 2000
	maxMessage    = 4000
	maxBody       = 20000
	maxNumber     = 50
	maxLabelColor = 20
	maxPeople     = 100
	maxLabels     = 100
)

// prose returns s with its line ends as "\n", without control characters other than "\n" and "\t",
// valid, and cut to limit characters.
func prose(s text, limit int) string { return tidy(string(s), limit, true) }

// line returns s as prose does, with line ends and tabs made blanks, and without blanks around it.
func line(s text, limit int) string {
	return strings.TrimSpace(tidy(strings.TrimSpace(string(s)), limit, false))
}

func tidy(s string, limit int, lines bool) string {
	if head := s[:min(len(s), limit)]; plain(head, lines) {
		if len(s) > 2*limit {
			return strings.Clone(head) // so as not to hold the rest in memory
		}
		return head
	}
	var b strings.Builder
	b.Grow(min(len(s), 4*limit))
	n := 0
	for i, r := range s { // an invalid byte comes as U+FFFD
		switch {
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
			continue
		case r == '\r' || r == '\n':
			r = '\n'
			if !lines {
				r = ' '
			}
		case r == '\t':
			if !lines {
				r = ' '
			}
		case unicode.IsControl(r):
			continue
		}
		if n == limit {
			break
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// plain reports whether s is printable ASCII only, with line feeds where lines are allowed.
func plain(s string, lines bool) bool {
	for i := range len(s) {
		if (s[i] < ' ' || s[i] > '~') && (s[i] != '\n' || !lines) {
			return false
		}
	}
	return true
}

// word returns s as one of the host's words: lower-case, without blanks around it.
func word(s text) string { return strings.ToLower(line(s, maxWord)) }

// link returns the first of the addresses that is one of http or https with a host, without a user, a
// blank or a control character, and at most maxURL bytes long; "" where none is.
func link(addresses ...text) string {
	for _, a := range addresses {
		if u := parseLink(a); u != nil {
			return u.Scheme + string(a)[len(u.Scheme):] // the scheme in lower case, the rest as it came
		}
	}
	return ""
}

func parseLink(a text) *url.URL {
	s := string(a)
	if s == "" || len(s) > maxURL || !utf8.ValidString(s) ||
		strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil
	}
	return u
}

// hostOf returns the host of the first of the addresses that is a link, in lower case.
func hostOf(addresses ...text) string {
	for _, a := range addresses {
		if u := parseLink(a); u != nil {
			return strings.ToLower(u.Host)
		}
	}
	return ""
}

// treeLink returns the page of a branch or a tag of the repository with the given page.
func treeLink(repository, name string) string {
	if repository == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(repository, "/"))
	b.WriteString("/tree")
	for part := range strings.SplitSeq(name, "/") {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(part))
	}
	return link(text(b.String()))
}

// clock reads a time as Gitee writes it: RFC 3339, with "+08:00". The blank that decoding a form leaves
// in place of the plus sign is taken for it (seen in a sample of Gitee's from 2016).
func clock(s text) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, strings.Replace(strings.TrimSpace(string(s)), " ", "+", 1))
	if err != nil || t.Year() < 1970 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// stamp returns t for an event, nil for the zero time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// first returns the first text that is not blank.
func first(s ...text) text {
	for _, t := range s {
		if strings.TrimSpace(string(t)) != "" {
			return t
		}
	}
	return ""
}
