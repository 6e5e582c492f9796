package render

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// This file puts the entries of a digest on the page.

// group is what belongs together in a digest: what happened in one repository, or messages.
type group struct {
	key     string
	heading string
	place   phrase // empty where it is no repository
	// count is how many entries it has; the entries themselves are found at the end.
	count   int
	entries []*item
}

// groupCount is room for the number of entries in a group's heading.
const groupCount = len(" · 200")

// room is how many bytes g takes beside its entries, encoded.
func (g *group) room() int {
	return jsonLen(paragraphBreak) + len("#### ") + jsonLen(g.heading) + groupCount
}

// groupOf returns the group that e belongs to.
func (d *digest) groupOf(e *eventv1.Event) *group {
	p := place(e)
	if p.isEmpty() {
		return d.grouped("elsewhere", nil, d.w.elsewhere())
	}
	return d.grouped("in "+p[0].text, p, "")
}

// grouped returns the group of that key; a new one is of place, or has the words for a heading.
func (d *digest) grouped(key string, place phrase, words string) *group {
	if g, ok := d.groups[key]; ok {
		return g
	}
	g := &group{key: key, place: place, heading: escape(words)}
	if !place.isEmpty() {
		g.heading = place.markup(asHead)
		if d.r.opts.Browser {
			g.heading = linksInBrowser(g.heading)
		}
	}
	return g
}

func countOf(groups []*group, g *group) (n int) {
	for _, other := range groups {
		if other == g {
			n++
		}
	}
	return n
}

// message returns the digest as it stands.
func (d *digest) message() dingtalk.Message {
	groups, c := d.laidOut()
	d.enrich(groups)
	m := dingtalk.Message{Content: d.page(groups), Mentions: c.mentions()}
	m, _, _ = withKeyword(d.r.opts, m, true)
	return m
}

// laidOut puts the entries into groups, and says behind the first entry that calls somebody who that is.
func (d *digest) laidOut() ([]*group, calls) {
	var groups []*group
	all := calls{everybody: d.everybody > 0}
	for i := range d.items {
		it := &d.items[i]
		if !it.fate.isShown() {
			continue
		}
		g := it.group
		if len(g.entries) > 0 {
			groups = slices.DeleteFunc(groups, func(other *group) bool { return other == g })
		}
		groups = append(groups, g)
		g.entries = append(g.entries, it)
		for _, c := range it.calls.people {
			if !slices.Contains(all.people, c) {
				all.people = append(all.people, c)
				it.entry.tail += " @" + c.literal + " "
			}
		}
	}
	return groups, all
}

// folded are those that others tell.
func (d *digest) folded() []delivery.Fold {
	var all []delivery.Fold
	for i, it := range d.items {
		switch {
		case it.fate.told != 0:
			all = append(all, delivery.Fold{Seq: d.batch[i].Seq, Into: it.fate.told})
		case it.fate.folded:
			all = append(all, delivery.Fold{Seq: d.batch[i].Seq, Into: d.batch[it.fate.into].Seq})
		}
	}
	return all
}

// leastEnriched is the room in bytes below which it is not worth wording a line anew.
const leastEnriched = 4

// enrich says more where there is room for more, of the newest first.
func (d *digest) enrich(groups []*group) {
	for _, g := range slices.Backward(groups) {
		for _, it := range slices.Backward(g.entries) {
			if d.left < leastEnriched {
				return
			}
			if it.event == nil {
				continue
			}
			rich := d.linked(it.event, eventRich(d.w, it.event, it.head))
			if more := jsonLen(rich) - jsonLen(it.entry.text); more <= d.left {
				it.entry.text = rich
				d.left -= more
			}
		}
	}
}

func (d *digest) page(groups []*group) dingtalk.Markdown {
	var place phrase
	repositories := 0
	for _, g := range groups {
		if !g.place.isEmpty() {
			repositories++
		}
	}
	if len(groups) == 1 {
		place = groups[0].place
	}
	head := d.w.digest(d.shown, repositories, place)
	var counts []string
	for k, n := range d.counts {
		if n > 0 {
			counts = append(counts, d.w.count(counted(k), n))
		}
	}
	sum := strings.Join(counts, d.w.separator())
	heading := head.markup(asHead)
	if d.r.opts.Browser {
		heading = linksInBrowser(heading)
	}
	var b strings.Builder
	b.WriteString("### " + heading + paragraphBreak + sum)
	if line := d.latest(len(groups) > 1); line != "" {
		b.WriteString(lineBreak + line)
	}
	for _, g := range groups {
		if len(groups) > 1 {
			b.WriteString(paragraphBreak + "#### " + g.heading + d.w.separator() + strconv.Itoa(len(g.entries)))
		}
		for i, it := range g.entries {
			if i == 0 || it.entry.apart {
				b.WriteString(paragraphBreak)
			} else {
				b.WriteString(lineBreak)
			}
			b.WriteString(it.entry.markup())
		}
	}
	title := fitted(head.markup(asTitle)+d.w.colon()+sum, maxTitle, maxTitleBytes, nil)
	return dingtalk.Markdown{Title: title, Text: b.String()}
}

// latest says over what time the notifications came that are shown, and what the newest of them is; it stands
// last.
func (d *digest) latest(withRepository bool) string {
	oldest, newest := -1, -1
	for i, it := range d.items {
		if !it.fate.isShown() {
			continue
		}
		if newest = i; oldest < 0 {
			oldest = i
		}
	}
	if d.shown < 2 {
		return ""
	}
	var what phrase
	if e := d.items[newest].event; e != nil {
		what, _ = headline(d.w, e, withRepository) // on error there is nothing to say of it
	} else {
		what = lit(cmp.Or(directTitle(d.batch[newest].Message), d.w.messages()))
	}
	said := fitted(what.markup(asTitle), maxLatest, maxLatestBytes, escape)
	if said == "" {
		return ""
	}
	return d.w.latest(d.batch[oldest].CreateTime, d.batch[newest].CreateTime, said)
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
