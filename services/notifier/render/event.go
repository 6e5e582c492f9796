package render

import (
	"errors"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// errNoSubject is what an event without a subject, or with one of a later version, comes to.
var errNoSubject = errors.New("the event has no subject that this version knows: set one of push, tag, issue, pull_request, comment and ping")

// headline says what happened in one sentence: with the repository for a message of its own, without it
// for a digest.
func headline(w wording, e *eventv1.Event, withRepository bool) (phrase, error) {
	s := scene{action: e.GetAction(), who: somebody(w, actor(e))}
	if withRepository {
		s.repo = place(e)
	}
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Push:
		return pushHeadline(w, s, x.Push), nil
	case *eventv1.Event_Tag:
		return w.tag(tagFacts{scene: s, tag: noun(ref, x.Tag.GetName(), x.Tag.GetUrl())}), nil
	case *eventv1.Event_Issue:
		return issueHeadline(w, s, e, x.Issue), nil
	case *eventv1.Event_PullRequest:
		return pullHeadline(w, s, e, x.PullRequest), nil
	case *eventv1.Event_Comment:
		return commentHeadline(w, s, x.Comment), nil
	case *eventv1.Event_Ping:
		return w.ping(named(word, e.GetHook())), nil
	}
	return nil, errNoSubject
}

// details writes what stands below the headline of a message of its own.
func details(w wording, e *eventv1.Event, d *draft) {
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Push:
		pushDetails(w, e, x.Push, d)
	case *eventv1.Event_Tag:
		tagDetails(w, e, x.Tag, d)
	case *eventv1.Event_Issue:
		issueDetails(w, e, x.Issue, d)
	case *eventv1.Event_PullRequest:
		pullDetails(w, e, x.PullRequest, d)
	case *eventv1.Event_Comment:
		commentDetails(w, e, x.Comment, d)
	case *eventv1.Event_Ping:
		d.paragraph(w.pinged(somebody(w, actor(e)), place(e)).markup(asHead))
	}
}

// actor is who did it. Where the host does not say, the author of something new is.
func actor(e *eventv1.Event) *eventv1.User {
	if u := e.GetSender(); nameOf(u) != "" {
		return u
	}
	switch e.GetAction() {
	case eventv1.Action_ACTION_OPENED:
		if u := e.GetIssue().GetAuthor(); u != nil {
			return u
		}
		return e.GetPullRequest().GetAuthor()
	case eventv1.Action_ACTION_CREATED:
		return e.GetComment().GetAuthor()
	}
	return nil
}

// nameOf is what colleagues call u: the enterprise's name for the member before the one they chose.
func nameOf(u *eventv1.User) string {
	for _, s := range []string{u.GetRemark(), u.GetName(), u.GetLogin()} {
		if s = nounText(s); s != "" {
			return s
		}
	}
	return ""
}

func personOf(u *eventv1.User) phrase {
	if name := nameOf(u); name != "" {
		return noun(person, name, u.GetUrl())
	}
	return nil
}

func somebody(w wording, u *eventv1.User) phrase {
	if p := personOf(u); !p.isEmpty() {
		return p
	}
	return w.somebody()
}

// same tells whether a and b are one person, as far as can be told.
func same(a, b *eventv1.User) bool {
	if a.GetLogin() != "" && b.GetLogin() != "" {
		return a.GetLogin() == b.GetLogin()
	}
	return nameOf(a) != "" && nameOf(a) == nameOf(b)
}

// maxListed is how many people or labels are named one by one.
const maxListed = 8

// people lists users, at most max of them.
func people(w wording, users []*eventv1.User, max int) phrase {
	var names []phrase
	for _, u := range users {
		if p := personOf(u); !p.isEmpty() {
			names = append(names, p)
		}
	}
	return listed(w, names, max)
}

func listed(w wording, nouns []phrase, max int) phrase {
	if len(nouns) == 0 {
		return nil
	}
	shown := min(len(nouns), max)
	return w.list(nouns[:shown], len(nouns)-shown)
}

func labels(w wording, ls []*eventv1.Label) phrase {
	var names []phrase
	for _, l := range ls {
		names = append(names, named(word, l.GetName()))
	}
	return listed(w, names, maxListed)
}

// named is a noun without an address; empty where it has no text.
func named(k kind, text string) phrase {
	if text = nounText(text); text == "" {
		return nil
	}
	return noun(k, text, "")
}

// place is where it happened: the repository, or else the enterprise.
func place(e *eventv1.Event) phrase {
	r := e.GetRepository()
	for _, s := range []string{r.GetPath(), r.GetName()} {
		if s = nounText(s); s != "" {
			return noun(repository, s, r.GetUrl())
		}
	}
	if s := nounText(e.GetEnterprise().GetName()); s != "" {
		return noun(repository, s, e.GetEnterprise().GetUrl())
	}
	return nil
}

// hash is a commit by the first seven digits of its name.
func hash(id, url string) phrase {
	n := 0
	for i := range id {
		if n == shortHash {
			id = id[:i]
			break
		}
		n++
	}
	if id = nounText(id); id == "" {
		return nil
	}
	if len(id) < 4 {
		// Git abbreviates no further. At the start of a list item, a link called "x" is a check box to some.
		url = ""
	}
	return noun(ref, id, url)
}

const shortHash = 7

// titled is an issue or a pull request: what it is called, and its title if it has one.
func titled(mark, number, title, url string) phrase {
	return noun(subject, strings.TrimSpace(mark+number+" "+title), url)
}

// draft is the text of a message in the making. It knows how many bytes it may still take, encoded, and
// takes nothing that goes beyond.
type draft struct {
	b    strings.Builder
	left int
	// browser says that links open in a computer's browser.
	browser bool
}

const (
	paragraphBreak = "\n\n"
	// lineBreak is what DingTalk's document robot-message-type asks for inside a paragraph. Blanks after
	// the line feed, which it suggests too, would indent the next line and make code of some.
	lineBreak = "  \n"
)

// paragraph adds s, set off from what stands before, and tells whether there was room. An empty s is
// nothing to add.
func (d *draft) paragraph(s string) bool { return s == "" || d.add(paragraphBreak, s) }

func (d *draft) add(sep, s string) bool {
	if d.b.Len() == 0 {
		sep = ""
	}
	s = d.linked(s)
	n := jsonLen(sep) + jsonLen(s)
	if n > d.left {
		return false
	}
	d.left -= n
	d.b.WriteString(sep)
	d.b.WriteString(s)
	return true
}

// linked is s with its links as the robot wants them.
func (d *draft) linked(s string) string {
	if d.browser {
		return linksInBrowser(s)
	}
	return s
}

// room is how many bytes s takes as a line of its own.
func (d *draft) room(s string) int { return jsonLen(lineBreak) + jsonLen(d.linked(s)) }

// lines adds a paragraph of as many of lines as there is room for, less reserve bytes, and returns how many.
func (d *draft) lines(lines []string, reserve int) int {
	d.left -= reserve
	defer func() { d.left += reserve }()
	sep := paragraphBreak
	for i, l := range lines {
		if !d.add(sep, l) {
			return i
		}
		sep = lineBreak
	}
	return len(lines)
}

// facts adds a paragraph of rows of fields. A field that is not known is not shown.
func (d *draft) facts(w wording, rows ...[]fact) {
	var lines []string
	for _, row := range rows {
		line := ""
		for _, f := range row {
			if f.value.isEmpty() {
				continue
			}
			if line != "" {
				line += w.separator()
			}
			line += w.field(f.field, f.value).markup(asHead)
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	d.lines(lines, 0)
}

type fact struct {
	field field
	value phrase
}

// quote adds an excerpt of body, the host's Markdown, with a link to all of it where it was cut.
func (d *draft) quote(w wording, body, url string) {
	lines, cutted := excerpt(body, w.image(), maxExcerpt, maxExcerptLines)
	for i, l := range lines {
		lines[i] = "> " + escape(l)
	}
	rest := ""
	if cutted {
		rest = "> " + link(w.readOn(), url)
	}
	if n := d.lines(lines, d.room(rest)); n > 0 && rest != "" {
		d.add(lineBreak, rest)
	}
}
