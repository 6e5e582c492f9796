package render

import (
	"slices"
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
	// digestTop is room for a digest's title and for what the line with the newest says of it; for the words
	// around them the language keeps its own.
	digestTop = maxTitleBytes + maxLatestBytes
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
			if _, _, err := r.single(n, nil, 1); err != nil {
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
	if callsSomebody(m) {
		return false // in a digest it would not be plain who is called for what
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
	r      *Renderer
	w      wording
	batch  []delivery.Notification
	told   *lately
	folder *folder
	// items are the beginning of batch: what became of each.
	items  []item
	shown  int
	groups map[string]*group
	// heading is room for the longest of the groups' headings, which is the digest's own where it stays alone.
	heading int
	counts  [countedKinds]int
	// called are those called, each with how many entries want it; everybody counts those that call all.
	called    map[callee]int
	everybody int
	left      int
	// timed says that each is told with its time; until is the latest that may be.
	timed bool
	until time.Time
}

// item is what became of one notification.
type item struct {
	fate fate
	// event is what is worded of it; nil for a caller's message.
	event *eventv1.Event
	entry entry
	kind  counted
	group *group
	head  phrase // what happened; empty for a caller's message
	calls calls
	// times is how many it tells of that are alike.
	times int
}

// entry is what a digest shows of one notification.
type entry struct {
	// text is as short as can be, so that many fit; clock stands before it, and tail behind it, where they
	// are not empty.
	text, clock, tail string
	// apart says that it is no item of a list, but paragraphs of its own.
	apart bool
}

// room is how many bytes e takes, encoded.
func (e entry) room() int { return jsonLen(lineBreak) + jsonLen(e.markup()) }

// markup is e as Markdown.
func (e entry) markup() string {
	switch {
	case e.apart && e.clock != "":
		return e.clock + paragraphBreak + e.text
	case e.apart:
		return e.text
	case e.clock != "":
		return "- " + e.clock + " " + e.text + e.tail
	}
	return "- " + e.text + e.tail
}

// digest begins a digest of batch, and takes in as much of it as there is room for.
func (r *Renderer) digest(batch []delivery.Notification, told *lately) *digest {
	d := &digest{
		r: r, w: r.w, batch: batch, told: told, folder: r.folder(batch, told),
		items: make([]item, 0, len(batch)), groups: make(map[string]*group), called: make(map[callee]int),
		left: maxBody - envelope - digestTop - r.w.digestRoom - keywordRoom(r.opts),
	}
	d.until = batch[len(batch)-1].CreateTime
	d.timed = !batch[0].CreateTime.IsZero() && d.until.Sub(batch[0].CreateTime) >= timedSpan
	for i := range batch {
		if !d.add(i) {
			break
		}
	}
	return d
}

// add takes in the notification at index i, if there is room.
func (d *digest) add(i int) bool {
	n := d.batch[i]
	it := item{fate: d.folder.fate(i), event: n.Event, times: 1}
	if !it.fate.isShown() {
		d.items = append(d.items, it)
		return true
	}
	// The room that is left once those are gone that it takes in.
	left := d.left
	var emptied []*group
	var freed map[callee]int
	for _, j := range it.fate.takes {
		old := &d.items[j]
		left += old.entry.room()
		emptied = append(emptied, old.group)
		for _, c := range old.calls.people {
			if freed == nil {
				freed = make(map[callee]int)
			}
			if freed[c]++; freed[c] == d.called[c] {
				left += c.room()
			}
		}
		if old.event.GetAction() == eventv1.Action_ACTION_UPDATED && n.Event.GetAction() == eventv1.Action_ACTION_UPDATED {
			it.times += old.times
			it.event = alike(old.event, it.event)
		}
	}
	d.word(&it, n)
	left -= it.entry.room()
	if it.group.count == 0 {
		left -= it.group.room()
	}
	for k, g := range emptied {
		if g != it.group && !slices.Contains(emptied[:k], g) && countOf(emptied, g) == g.count {
			left += g.room()
		}
	}
	heading := max(d.heading, jsonLen(it.group.heading))
	left -= heading - d.heading
	people := len(d.called)
	for c, n := range freed {
		if n == d.called[c] {
			people--
		}
	}
	for _, c := range it.calls.people {
		if d.called[c] == freed[c] {
			left -= c.room()
			people++
		}
	}
	if left < 0 || people > dingtalk.MaxMentions {
		return false
	}
	for _, j := range it.fate.takes {
		d.drop(j, i)
	}
	d.left, d.heading = left, heading
	d.folder.place(i, it.fate)
	d.groups[it.group.key] = it.group
	it.group.count++
	d.counts[it.kind]++
	d.shown++
	if it.calls.everybody {
		d.everybody++
	}
	for _, c := range it.calls.people {
		d.called[c]++
	}
	d.items = append(d.items, it)
	return true
}

// drop takes back the notification at index j, which the one at index into tells as well.
func (d *digest) drop(j, into int) {
	old := &d.items[j]
	old.group.count--
	d.counts[old.kind]--
	d.shown--
	if old.calls.everybody {
		d.everybody--
	}
	for _, c := range old.calls.people {
		if d.called[c]--; d.called[c] == 0 {
			delete(d.called, c)
		}
	}
	old.fate = fate{folded: true, into: into}
	for i := range d.items {
		if f := &d.items[i].fate; f.folded && f.into == j {
			f.into = into
		}
	}
}

// alike is newer, worded so that it is true of older too.
func alike(older, newer *eventv1.Event) *eventv1.Event {
	if older.GetHostActionDetail() == newer.GetHostActionDetail() {
		return newer
	}
	return &eventv1.Event{
		Id: newer.GetId(), Action: newer.GetAction(), OccurTime: newer.GetOccurTime(), Sender: newer.GetSender(),
		Repository: newer.GetRepository(), Enterprise: newer.GetEnterprise(), Hook: newer.GetHook(),
		HostAction: newer.GetHostAction(), Subject: newer.GetSubject(),
	}
}

// word says what it shows of n.
func (d *digest) word(it *item, n delivery.Notification) {
	if e := it.event; e != nil {
		it.group = d.groupOf(e)
		it.head, _ = headline(d.w, e, false) // folds lets no event through that has none
		it.entry.text, it.kind = eventLine(d.w, e, it.head)
		if it.times > 1 {
			it.entry.tail = escape(d.w.times(it.times))
		}
		it.calls = d.r.callsOf(e, d.told)
	} else {
		it.group = d.grouped("message", nil, d.w.messages())
		it.entry, it.kind = entry{text: messageEntry(n.Message), apart: true}, countMessage
	}
	if d.timed {
		it.entry.clock = d.w.clock(n.CreateTime, d.until)
	}
	it.entry.text = d.linked(it.event, it.entry.text)
}

// linked is what was made of e, nil for a caller's message, with its links as the robot wants them.
func (d *digest) linked(e *eventv1.Event, text string) string {
	if d.r.opts.Browser && e != nil {
		return linksInBrowser(text)
	}
	return text
}
