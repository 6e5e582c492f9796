package render

import (
	"net/url"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// This file gives a message its shape, and its links the place where they open.

// opening is a page and the words of the button that opens it.
type opening struct{ label, address string }

// pageOf returns the page that tells most of e; ok is false where it has none that can be a link.
func (r *Renderer) pageOf(e *eventv1.Event) (o opening, ok bool) {
	var pages []opening
	if p := e.GetPush(); p != nil {
		switch commitCount(p) {
		case 0:
		case 1:
			pages = append(pages, opening{r.w.button(pageCommit), commitsURL(p)})
		default:
			pages = append(pages, opening{r.w.button(pageCommits), commitsURL(p)})
		}
		pages = append(pages, opening{r.w.button(pageBranch), p.GetBranchUrl()})
	}
	pages = append(pages,
		opening{r.w.button(pageTag), e.GetTag().GetUrl()},
		opening{r.w.button(pageIssue), e.GetIssue().GetUrl()},
		opening{r.w.button(pagePull), e.GetPullRequest().GetUrl()},
		opening{r.w.button(pageComment), e.GetComment().GetUrl()},
		opening{r.w.button(pageRepository), e.GetRepository().GetUrl()},
	)
	for _, p := range pages {
		if p.address = target(p.address); p.address == "" {
			continue
		}
		if r.opts.Browser {
			p.address = inBrowser(p.address)
		}
		return p, true
	}
	return opening{}, false
}

// card tells whether the robot tells e as an action card that calls c, and with which button. It stays
// Markdown where there is no page to open, and where somebody is called whom a card can't call: cards call by
// user id only (DingTalk document robot-message-type), and being told comes before the shape.
func (r *Renderer) card(e *eventv1.Event, c calls) (opening, bool) {
	if !r.opts.ActionCard || c.everybody {
		return opening{}, false
	}
	for _, p := range c.people {
		if !p.byUser {
			return opening{}, false
		}
	}
	return r.pageOf(e)
}

// room is how many bytes o takes in a card, encoded.
func (o opening) room() int { return jsonLen(o.label) + jsonLen(o.address) }

const (
	// browserLink opens the address that follows, escaped, in the system's browser on a computer. Without
	// it, a computer opens it in DingTalk's side bar (DingTalk document message-link-description).
	browserLink = "dingtalk://dingtalkclient/page/link?url="
	browserTail = "&pc_slide=false"
)

// inBrowser returns address, which is one that target returned, so that a computer opens it in the system's
// browser. One that would become overlong by that stays as it is.
func inBrowser(address string) string {
	if strings.HasPrefix(address, "dingtalk:") {
		return address
	}
	if wrapped := browserLink + url.QueryEscape(address) + browserTail; len(wrapped) <= maxLink {
		return wrapped
	}
	return address
}

// linksInBrowser returns text, Markdown of this package's making or of a robot's template, with every link
// as inBrowser would have it. Text from outside can't hold one: its brackets are escaped.
func linksInBrowser(text string) string {
	before, rest, found := strings.Cut(text, "](")
	if !found {
		return text
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		b.WriteString("](")
		address, after, closed := strings.Cut(rest, ")")
		if closed && !isEscaped(before) && address == target(address) {
			b.WriteString(inBrowser(address))
			rest = after
			b.WriteByte(')')
		}
		before, rest, found = strings.Cut(rest, "](")
	}
	b.WriteString(before)
	return b.String()
}
