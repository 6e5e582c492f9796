package render

import (
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// maxItems is how many notifications a digest has at most.
	maxItems = 200
	// maxFolded is the size of a caller's message that may stand in a digest, in bytes.
	maxFolded = 1500
	// digestTop is room for a digest's title and the counts below its heading.
	digestTop = 1024
	// maxDigestSummary and maxDigestExcerpt bound what a line shows of a commit and of a comment, in
	// characters; maxDigestCommits is how many commits it shows where there is room.
	maxDigestSummary = 60
	maxDigestExcerpt = 40
	maxDigestCommits = 3
)

// foldable returns how many notifications at the beginning of batch can be told together.
func (r *Renderer) foldable(robot delivery.Robot, batch []delivery.Notification) int {
	for i, n := range batch[:min(len(batch), maxItems)] {
		if !folds(n) {
			return i
		}
		if robot.RejectMissingKeyword && len(robot.Keywords) > 0 {
			// What the robot refuses alone must not slip through in company.
			if _, err := r.single(robot, n); err != nil {
				return i
			}
		}
	}
	return min(len(batch), maxItems)
}

// folds tells whether n loses nothing, and does no harm, in a digest.
func folds(n delivery.Notification) bool {
	if n.Event != nil {
		return n.Event.GetSubject() != nil
	}
	m := n.Message
	if at := m.GetMentions(); at.GetAll() || len(at.GetMobiles()) > 0 || len(at.GetUserIds()) > 0 {
		return false
	}
	switch c := m.GetContent().(type) {
	case *notifierv1.Message_Text:
		return len(c.Text.GetContent()) <= maxFolded && firstLine(c.Text.GetContent()) != ""
	case *notifierv1.Message_Markdown:
		title, text := c.Markdown.GetTitle(), c.Markdown.GetText()
		return title != "" && text != "" && len(title)+len(text) <= maxFolded &&
			!strings.Contains(text, "```") && !strings.Contains(text, "~~~") && !strings.Contains(text, "<")
	}
	return false
}

// digest is a message in the making that tells of several notifications.
type digest struct {
	w      wording
	groups []*group
	byKey  map[string]*group
	counts [countedKinds]int
	items  int
	left   int
}

// group is what belongs together in a digest: what happened in one repository, or messages.
type group struct {
	place   phrase // empty where it is no repository
	heading string
	entries []entry
}

// entry is one notification.
type entry struct {
	text string
	// rich says more than text, where there is room; may be empty.
	rich string
	// apart says that it is no item of a list, but paragraphs of its own.
	apart bool
}

// digest tells of as much of batch as there is room for.
func (r *Renderer) digest(robot delivery.Robot, batch []delivery.Notification) (dingtalk.Message, int) {
	d := &digest{
		w:     r.wording(robot),
		byKey: make(map[string]*group),
		left:  maxBody - envelope - digestTop - keywordRoom(robot),
	}
	for _, n := range batch {
		if !d.add(n) {
			break
		}
	}
	d.enrich()
	m, _, _ := withKeyword(robot, dingtalk.Message{Content: d.message()}, true)
	return m, d.items
}

// add adds n, if there is room.
func (d *digest) add(n delivery.Notification) bool {
	var key string
	var g *group
	var e entry
	var kind counted
	if n.Event != nil {
		key, g = d.groupOf(n.Event)
		e, kind = eventEntry(d.w, n.Event)
	} else {
		key, g = "message", &group{heading: escape(d.w.messages())}
		e, kind = entry{text: messageEntry(n.Message), apart: true}, countMessage
	}
	cost := jsonLen(paragraphBreak) + jsonLen(e.text)
	known, ok := d.byKey[key]
	if !ok {
		cost += jsonLen(paragraphBreak) + len("#### ") + jsonLen(g.heading)
		if len(d.groups) == 0 {
			cost += jsonLen(g.heading) // it stands in the digest's own heading, if it stays alone
		}
	}
	if cost > d.left {
		return false
	}
	if !ok {
		d.groups, d.byKey[key] = append(d.groups, g), g
		known = g
	}
	known.entries = append(known.entries, e)
	d.left -= cost
	d.counts[kind]++
	d.items++
	return true
}

// groupOf returns the group that e belongs to, and what tells it from others.
func (d *digest) groupOf(e *eventv1.Event) (string, *group) {
	p := place(e)
	if p.isEmpty() {
		return "elsewhere", &group{heading: escape(d.w.elsewhere())}
	}
	return "in " + p[0].text, &group{place: p, heading: p.markup(asHead)}
}

// enrich says more where there is room for more, from the top.
func (d *digest) enrich() {
	for _, g := range d.groups {
		for i, e := range g.entries {
			if more := jsonLen(e.rich) - jsonLen(e.text); e.rich != "" && more <= d.left {
				g.entries[i].text = e.rich
				d.left -= more
			}
		}
	}
}

func (d *digest) message() dingtalk.Markdown {
	var place phrase
	repositories := 0
	for _, g := range d.groups {
		if !g.place.isEmpty() {
			repositories++
		}
	}
	if len(d.groups) == 1 {
		place = d.groups[0].place
	}
	head := d.w.digest(d.items, repositories, place)
	counts := ""
	for k, n := range d.counts {
		if n > 0 {
			if counts != "" {
				counts += d.w.separator()
			}
			counts += d.w.count(counted(k), n)
		}
	}
	var b strings.Builder
	b.WriteString("### " + head.markup(asHead) + paragraphBreak + counts)
	for _, g := range d.groups {
		if len(d.groups) > 1 {
			b.WriteString(paragraphBreak + "#### " + g.heading)
		}
		for i, e := range g.entries {
			if i == 0 || e.apart {
				b.WriteString(paragraphBreak)
			} else {
				b.WriteString(lineBreak)
			}
			b.WriteString(e.text)
		}
	}
	return dingtalk.Markdown{Title: clip(head.markup(asTitle)+d.w.colon()+counts, maxTitle), Text: b.String()}
}

// eventEntry words an event in one line.
func eventEntry(w wording, e *eventv1.Event) (entry, counted) {
	head, err := headline(w, e, false)
	if err != nil {
		head = noun(word, e.GetId(), "") // folds lets no such event through
	}
	line := "- " + head.markup(asLine)
	var kind counted
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Push:
		text, rich := pushTail(w, x.Push)
		if text != "" {
			text = w.colon() + text
		}
		if rich != "" {
			rich = line + w.colon() + rich
		}
		return entry{text: line + text, rich: rich}, countPush
	case *eventv1.Event_Comment:
		if lines, _ := excerpt(x.Comment.GetBody(), w.image(), maxDigestExcerpt, 3); len(lines) > 0 {
			line += w.colon() + escape(strings.Join(lines, " "))
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
	return entry{text: line}, kind
}

// pushTail is the first line of a push's newest commit; rich has some more commits' as well.
func pushTail(w wording, p *eventv1.Push) (text, rich string) {
	list := newestFirst(p)
	if len(list) == 0 && p.GetHeadCommit() != nil {
		list = []*eventv1.Commit{p.GetHeadCommit()}
	}
	var b strings.Builder
	shown := 0
	for _, c := range list[:min(len(list), maxDigestCommits)] {
		s := escape(summary(c, maxDigestSummary))
		if s == "" {
			continue
		}
		if shown++; shown == 1 {
			text = s
		} else {
			b.WriteString(w.then())
		}
		b.WriteString(s)
	}
	if shown < 2 {
		return text, ""
	}
	return text, b.String()
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
