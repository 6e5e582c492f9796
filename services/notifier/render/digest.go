package render

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

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
	// digestTop is room for a digest's title, the counts below its heading, and the line with the newest.
	digestTop = maxTitleBytes + maxLatestBytes + 280
	// maxTitleBytes and maxLatestBytes bound the title and what the line with the newest says of it,
	// encoded; maxLatest bounds the latter in characters.
	maxTitleBytes  = 240
	maxLatestBytes = 160
	maxLatest      = 40
	// timedSpan is the time over which a digest's notifications came from which on each is told with its own.
	timedSpan = 10 * time.Minute
)

// foldable returns how many notifications at the beginning of batch can be told together.
func (r *Renderer) foldable(batch []delivery.Notification) int {
	for i, n := range batch[:min(len(batch), maxItems)] {
		if !folds(n) {
			return i
		}
		if r.opts.RejectMissingKeyword && len(r.opts.Keywords) > 0 {
			// What the robot refuses alone must not slip through in company.
			if _, err := r.single(n); err != nil {
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

// digest is a message in the making that tells of several notifications. Time runs down the page: within a
// group in the order of acceptance, and the group in which something happened last is the last one.
type digest struct {
	w      wording
	groups []*group
	byKey  map[string]*group
	counts [countedKinds]int
	items  int
	left   int
	// from is when the first notification in it was accepted, newest is the last.
	from   time.Time
	newest delivery.Notification
	// timed says that each is told with its time; until is the latest that may be.
	timed bool
	until time.Time
}

// group is what belongs together in a digest: what happened in one repository, or messages.
type group struct {
	place   phrase // empty where it is no repository
	heading string
	entries []entry
}

// entry is one notification.
type entry struct {
	// text is as short as can be, so that many fit.
	text string
	// rich says more than text, where there is room; may be empty.
	rich string
	// apart says that it is no item of a list, but paragraphs of its own.
	apart bool
}

// digest tells of as much of batch as there is room for.
func (r *Renderer) digest(batch []delivery.Notification) (dingtalk.Message, int) {
	d := &digest{
		w:     wordingFor(r.opts.Locale),
		byKey: make(map[string]*group),
		left:  maxBody - envelope - digestTop - keywordRoom(r.opts),
	}
	d.until = batch[len(batch)-1].CreateTime
	d.timed = !batch[0].CreateTime.IsZero() && d.until.Sub(batch[0].CreateTime) >= timedSpan
	for _, n := range batch {
		if !d.add(n) {
			break
		}
	}
	d.enrich()
	m, _, _ := withKeyword(r.opts, dingtalk.Message{Content: d.message()}, true)
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
	if d.timed {
		e = e.at(d.w.clock(n.CreateTime, d.until))
	}
	cost := jsonLen(lineBreak) + jsonLen(e.text)
	known, ok := d.byKey[key]
	if !ok {
		cost += jsonLen(paragraphBreak) + len("#### ") + jsonLen(g.heading) + groupCount
		if len(d.groups) == 0 {
			cost += jsonLen(g.heading) // it stands in the digest's own heading, if it stays alone
		}
	}
	if cost > d.left {
		return false
	}
	if !ok {
		d.byKey[key] = g
		known = g
	} else {
		d.groups = slices.DeleteFunc(d.groups, func(g *group) bool { return g == known })
	}
	d.groups = append(d.groups, known)
	known.entries = append(known.entries, e)
	d.left -= cost
	d.counts[kind]++
	if d.items++; d.items == 1 {
		d.from = n.CreateTime
	}
	d.newest = n
	return true
}

// groupCount is room for the number of entries in a group's heading.
const groupCount = len(" · 200")

// groupOf returns the group that e belongs to, and what tells it from others.
func (d *digest) groupOf(e *eventv1.Event) (string, *group) {
	p := place(e)
	if p.isEmpty() {
		return "elsewhere", &group{heading: escape(d.w.elsewhere())}
	}
	return "in " + p[0].text, &group{place: p, heading: p.markup(asHead)}
}

// enrich says more where there is room for more, of the newest first.
func (d *digest) enrich() {
	for _, g := range slices.Backward(d.groups) {
		for i, e := range slices.Backward(g.entries) {
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
	var counts []string
	for k, n := range d.counts {
		if n > 0 {
			counts = append(counts, d.w.count(counted(k), n))
		}
	}
	sum := strings.Join(counts, d.w.separator())
	var b strings.Builder
	b.WriteString("### " + head.markup(asHead) + paragraphBreak + sum)
	if line := d.latest(); line != "" {
		b.WriteString(lineBreak + line)
	}
	for _, g := range d.groups {
		if len(d.groups) > 1 {
			b.WriteString(paragraphBreak + "#### " + g.heading + d.w.separator() + strconv.Itoa(len(g.entries)))
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
	title := fitted(head.markup(asTitle)+d.w.colon()+sum, maxTitle, maxTitleBytes, nil)
	return dingtalk.Markdown{Title: title, Text: b.String()}
}

// latest says over what time the notifications came, and what the newest of them is; it stands last.
func (d *digest) latest() string {
	var what phrase
	if e := d.newest.Event; e != nil {
		what, _ = headline(d.w, e, len(d.groups) > 1) // on error there is nothing to say of it
	} else {
		what = lit(cmp.Or(directTitle(d.newest.Message), d.w.messages()))
	}
	said := fitted(what.markup(asTitle), maxLatest, maxLatestBytes, escape)
	if said == "" || d.items < 2 {
		return ""
	}
	return d.w.latest(d.from, d.newest.CreateTime, said)
}

// fitted returns s cut to max characters, and to fewer where those would take more than bytes, encoded. mark
// makes Markdown of it; nil leaves it plain.
func fitted(s string, max, bytes int, mark func(string) string) string {
	for ; max > 0; max -= max/4 + 1 {
		short := clip(s, max)
		if mark != nil {
			short = mark(short)
		}
		if jsonLen(short) <= bytes {
			return short
		}
	}
	return ""
}
