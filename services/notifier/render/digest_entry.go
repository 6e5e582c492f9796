package render

import (
	"strings"

	"github.com/rivo/uniseg"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// This file words the entries of a digest, each twice: as short as can be, and as one would like it.

const (
	// maxDigestSummary and maxDigestExcerpt bound what a line shows of a commit and of a comment, in
	// characters, where there is room; maxDigestCommits is how many commits it shows then.
	maxDigestSummary = 60
	maxDigestExcerpt = 40
	maxDigestCommits = 3
	// maxTerse bounds either where there is none, in columns: a Chinese character takes two.
	maxTerse = 36
)

// eventEntry words an event in one line.
func eventEntry(w wording, e *eventv1.Event) (entry, counted) {
	head, err := headline(w, e, false)
	if err != nil {
		head = noun(word, e.GetId(), "") // folds lets no such event through
	}
	en := entry{text: "- " + head.markup(asTerse), rich: "- " + head.markup(asLine)}
	var kind counted
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Push:
		terse, rich := pushTail(w, x.Push)
		if line := tersePush(w, e, x.Push, terse); line != "" {
			en.text = "- " + line
		} else if terse != "" {
			en.text += w.colon() + escape(terse)
		}
		if rich != "" {
			en.rich += w.colon() + rich
		}
		kind = countPush
	case *eventv1.Event_Comment:
		if lines, _ := excerpt(x.Comment.GetBody(), w.image(), maxDigestExcerpt, 3); len(lines) > 0 {
			body := strings.Join(lines, " ")
			en.text += w.colon() + escape(columns(body, maxTerse))
			en.rich += w.colon() + escape(body)
		}
		kind = countComment
	case *eventv1.Event_Tag:
		kind = countTag
	case *eventv1.Event_Issue:
		kind = countIssue
	case *eventv1.Event_PullRequest:
		kind = countPull
	case *eventv1.Event_Ping:
		kind = countPing
	}
	return en, kind
}

// at returns e with its time before it.
func (e entry) at(clock string) entry {
	if e.apart {
		e.text = clock + paragraphBreak + e.text
		return e
	}
	e.text = "- " + clock + " " + strings.TrimPrefix(e.text, "- ")
	if e.rich != "" {
		e.rich = "- " + clock + " " + strings.TrimPrefix(e.rich, "- ")
	}
	return e
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

// pushTail is the first line of a push's newest commit, as plain text; rich has some more commits' as well,
// as Markdown.
func pushTail(w wording, p *eventv1.Push) (terse, rich string) {
	list := newestFirst(p)
	if len(list) == 0 && p.GetHeadCommit() != nil {
		list = []*eventv1.Commit{p.GetHeadCommit()}
	}
	var said []string
	for i, c := range list[:min(len(list), maxDigestCommits)] {
		s := summary(c, maxDigestSummary)
		if s == "" {
			continue
		}
		if i == 0 {
			terse = columns(s, maxTerse)
		}
		said = append(said, escape(s))
	}
	return terse, strings.Join(said, w.then())
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
