package render

import (
	"strings"

	"github.com/rivo/uniseg"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// This file words the entries of a digest: as short as can be, and as one would like them.

const (
	// maxDigestSummary and maxDigestExcerpt bound what a line shows of a commit and of a comment, in
	// characters, where there is room; maxDigestCommits is how many commits it shows then.
	maxDigestSummary = 60
	maxDigestExcerpt = 40
	maxDigestCommits = 3
	// maxTerse bounds either where there is none, in columns: a Chinese character takes two.
	maxTerse = 36
)

// eventLine words an event, of which head says what happened, in one line that is as short as can be.
func eventLine(w wording, e *eventv1.Event, head phrase) (string, counted) {
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Push:
		terse := terseTail(x.Push)
		if line := tersePush(w, e, x.Push, terse); line != "" {
			return line, countPush
		}
		line := head.markup(asTerse)
		if terse != "" {
			line += w.colon() + escape(terse)
		}
		return line, countPush
	case *eventv1.Event_Comment:
		line := head.markup(asTerse)
		if said := commentTail(w, x.Comment); said != "" {
			line += w.colon() + escape(columns(said, maxTerse))
		}
		return line, countComment
	case *eventv1.Event_Tag:
		return head.markup(asTerse), countTag
	case *eventv1.Event_Issue:
		return head.markup(asTerse), countIssue
	case *eventv1.Event_PullRequest:
		return head.markup(asTerse), countPull
	}
	return head.markup(asTerse), countPing
}

// eventRich words an event in one line that says more, for where there is room.
func eventRich(w wording, e *eventv1.Event, head phrase) string {
	line := head.markup(asLine)
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Push:
		if rich := richTail(w, x.Push); rich != "" {
			line += w.colon() + rich
		}
	case *eventv1.Event_Comment:
		if said := commentTail(w, x.Comment); said != "" {
			line += w.colon() + escape(said)
		}
	}
	return line
}

// commentTail is the beginning of a comment, as plain text of one line.
func commentTail(w wording, c *eventv1.Comment) string {
	lines, _ := excerpt(c.GetBody(), w.image(), maxDigestExcerpt, 3)
	return strings.Join(lines, " ")
}

// tersePush is the short line of an ordinary push, whose link is its newest commit, by the first line of
// that commit's message. The link to all commits would take a third of a line. Empty for other pushes.
func tersePush(w wording, e *eventv1.Event, p *eventv1.Push, summary string) string {
	list := newestFirst(p)
	if e.GetAction() != eventv1.Action_ACTION_PUSHED || len(list) == 0 || summary == "" || target(list[0].GetUrl()) == "" {
		return ""
	}
	s := scene{action: e.GetAction(), who: somebody(w, actor(e))}
	head := w.pushed(s.who, noun(ref, p.GetBranch(), ""), commitCount(p))
	return head.markup(asTerse) + w.colon() + link(escape(summary), list[0].GetUrl())
}

// commitsToTell are the commits of a push that a digest can speak of, newest first. A new branch may have none of its
// own; then what it points at tells what it is.
func commitsToTell(p *eventv1.Push) []*eventv1.Commit {
	list := newestFirst(p)
	if len(list) == 0 && p.GetHeadCommit() != nil {
		list = []*eventv1.Commit{p.GetHeadCommit()}
	}
	return list[:min(len(list), maxDigestCommits)]
}

// terseTail is the first line of a push's newest commit, as plain text.
func terseTail(p *eventv1.Push) string {
	list := commitsToTell(p)
	if len(list) == 0 {
		return ""
	}
	return columns(summary(list[0], maxDigestSummary), maxTerse)
}

// richTail is the same of some more commits, as Markdown.
func richTail(w wording, p *eventv1.Push) string {
	var said []string
	for _, c := range commitsToTell(p) {
		if s := summary(c, maxDigestSummary); s != "" {
			said = append(said, escape(s))
		}
	}
	return strings.Join(said, w.then())
}

// columns returns s cut to max columns: a Chinese character takes two, a Latin letter one.
func columns(s string, most int) string {
	if uniseg.StringWidth(s) <= most {
		return clip(s, most)
	}
	runes, width := 0, 0
	for rest, state := s, -1; len(rest) > 0 && width < most; runes++ {
		var w int
		_, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		width += w
	}
	return clip(s, max(runes, 1))
}

// messageEntry shows a caller's message in full: its text is Markdown already, or is made such.
func messageEntry(m *notifierv1.Message) string {
	if md := m.GetMarkdown(); md != nil {
		text := strings.Trim(md.GetText(), "\r\n")
		if title := oneLine(md.GetTitle()); !strings.Contains(visible(text), md.GetTitle()) {
			text = "**" + escape(title) + "**" + paragraphBreak + text
		}
		return text
	}
	var b strings.Builder
	for line := range strings.SplitSeq(tame(m.GetText().GetContent()), "\n") {
		if line = oneLine(line); line != "" {
			if b.Len() > 0 {
				b.WriteString(lineBreak)
			}
			b.WriteString(escape(line))
		}
	}
	return b.String()
}
