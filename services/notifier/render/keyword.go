package render

import (
	"fmt"
	"slices"
	"strings"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// Verdict says how a message stands with its robot's keywords, in the words of the API.
type Verdict string

// The verdicts.
const (
	// NoneRequired: the robot has no keywords.
	NoneRequired Verdict = "NONE_REQUIRED"
	// Present: the message had one by itself.
	Present Verdict = "PRESENT"
	// Appended: one was added.
	Appended Verdict = "APPENDED"
	// Missing: it has none, and the robot refuses such messages.
	Missing Verdict = "MISSING"
)

// KeywordError says that a message has none of the keywords of a robot that refuses such messages.
type KeywordError struct {
	// Robot is the robot's name.
	Robot string
	// Accepted are its keywords.
	Accepted []string
}

// Error names the keywords and both ways out.
func (e *KeywordError) Error() string {
	return fmt.Sprintf("robot %s: the message has none of its keywords (%s): use one of them, or set missing_keyword to APPEND",
		e.Robot, strings.Join(e.Accepted, ", "))
}

// withKeyword returns m so that it passes the robot's keyword check, if it may be mended, and which of the
// keywords stands in it. m itself stays as it is.
//
// DingTalk documents that a message must have one of the words, and not where: so one is made to stand in
// the title and in the text. A message that may not be mended is taken at its word, wherever a keyword
// stands. Addresses of links are no place for one, nobody sees them.
func withKeyword(o Options, m dingtalk.Message, mend bool) (dingtalk.Message, Verdict, string) {
	if len(o.Keywords) == 0 {
		return m, NoneRequired, ""
	}
	places := keywordPlaces(m.Content)
	most, best := -1, ""
	for _, k := range o.Keywords {
		n := 0
		for _, p := range places {
			if strings.Contains(p, k) {
				n++
			}
		}
		if n > most {
			most, best = n, k
		}
	}
	switch {
	case most == len(places), most > 0 && !mend:
		return m, Present, best
	case !mend:
		if f, ok := m.Content.(dingtalk.FeedCard); ok {
			if k := anyTitle(f, o.Keywords); k != "" {
				return m, Present, k
			}
		}
		return m, Missing, ""
	}
	m.Content = appendKeyword(m.Content, best)
	return m, Appended, best
}

// keywordPlaces returns what a keyword is made to stand in.
func keywordPlaces(c dingtalk.Content) []string {
	switch c := c.(type) {
	case dingtalk.Text:
		return []string{c.Content}
	case dingtalk.Markdown:
		return []string{c.Title, visible(c.Text)}
	case dingtalk.Link:
		return []string{c.Title, c.Text}
	case dingtalk.ActionCard:
		return []string{c.Title, visible(c.Text)}
	case dingtalk.FeedCard:
		if len(c.Links) > 0 {
			return []string{c.Links[0].Title}
		}
	}
	return []string{""}
}

func anyTitle(f dingtalk.FeedCard, keywords []string) string {
	for _, l := range f.Links {
		for _, k := range keywords {
			if strings.Contains(l.Title, k) {
				return k
			}
		}
	}
	return ""
}

const titleSeparator = " · "

func appendKeyword(c dingtalk.Content, k string) dingtalk.Content {
	add := func(s, sep string) string {
		if strings.Contains(visible(s), k) {
			return s
		}
		return s + sep + k
	}
	switch c := c.(type) {
	case dingtalk.Text:
		c.Content = add(c.Content, "\n")
		return c
	case dingtalk.Markdown:
		c.Title, c.Text = add(c.Title, titleSeparator), add(c.Text, paragraphBreak)
		return c
	case dingtalk.Link:
		c.Title, c.Text = add(c.Title, titleSeparator), add(c.Text, titleSeparator)
		return c
	case dingtalk.ActionCard:
		c.Title, c.Text = add(c.Title, titleSeparator), add(c.Text, paragraphBreak)
		return c
	case dingtalk.FeedCard:
		if len(c.Links) > 0 {
			c.Links = slices.Clone(c.Links)
			c.Links[0].Title = add(c.Links[0].Title, titleSeparator)
		}
		return c
	}
	return c
}

// visible is Markdown without the addresses of its links.
func visible(text string) string {
	before, rest, found := strings.Cut(text, "](")
	if !found {
		return text
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		b.WriteString("]")
		if end := strings.IndexAny(rest, ") \n"); end >= 0 && rest[end] == ')' {
			rest = rest[end+1:]
		}
		before, rest, found = strings.Cut(rest, "](")
	}
	b.WriteString(before)
	return b.String()
}

// keywordRoom is how many bytes a keyword takes, encoded, if it has to be added to title and text.
func keywordRoom(o Options) int {
	room := 0
	for _, k := range o.Keywords {
		room = max(room, 2*jsonLen(k)+jsonLen(titleSeparator)+jsonLen(paragraphBreak))
	}
	return room
}
