package render

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// maxBody is what a message made of events takes at most, encoded, in bytes: DingTalk's 20,000 less
	// some, since nobody outside knows exactly what it counts.
	maxBody = 19500
	// envelope is what JSON, the names of fields and the msgUuid take of it, generously.
	envelope = 256
	// sampleUUID has the length of every msgUuid.
	sampleUUID = "00000000-0000-0000-0000-000000000000"

	defaultLocale = "zh-CN"
)

// Renderer is the delivery.Renderer of this module, for one robot. It keeps no state between calls, and its
// methods may be called from any goroutine.
type Renderer struct {
	opts      Options
	w         wording
	templates templates
}

var _ delivery.Renderer = (*Renderer)(nil)

// New returns the Renderer of a robot. It keeps what o holds, which nobody changes from then on. An error says
// what is wrong with o's mentions or templates: of these a *TemplateError for each fault.
func New(o Options) (*Renderer, error) {
	var err error
	if o.Mentions, err = o.Mentions.completed(); err != nil {
		return nil, err
	}
	compiled, faults := compileTemplates(o.Templates)
	if len(faults) > 0 {
		all := make([]error, 0, len(faults))
		for _, f := range faults {
			all = append(all, f)
		}
		return nil, errors.Join(all...)
	}
	return &Renderer{opts: o, w: wordingFor(o.Locale).in(o.Zone), templates: compiled}, nil
}

// Options returns what r was made of, with the defaults filled in; it is not to be changed.
func (r *Renderer) Options() Options { return r.opts }

// In returns a Renderer that tells the same in another language, one of those that Locales returns; times are
// in r's zone, or in that language's own where r has none.
func (r *Renderer) In(locale string) (*Renderer, error) {
	if !slices.Contains(Locales(), locale) {
		return nil, fmt.Errorf("there is no locale %q: give one of %s", locale, strings.Join(Locales(), ", "))
	}
	in := *r
	in.opts.Locale = locale
	in.w = wordingFor(locale).in(r.opts.Zone)
	return &in, nil
}

// Calls implements delivery.Renderer: whether n calls somebody if it goes alone.
func (r *Renderer) Calls(n delivery.Notification, told []delivery.Told) bool {
	if n.Event != nil {
		return !r.callsOf(n.Event, newLately(told)).isEmpty()
	}
	return callsSomebody(n.Message)
}

// Render makes one message of the longest prefix of batch that can be told together, and returns how many
// notifications that is, at least 1.
//
// What another tells as well, in this message or shortly before, has no place of its own (see Folding). Of the
// rest, one alone becomes what Inspect shows. Several become a digest: every one of them stands in it, an event
// as one line with its link, under its repository and in the order of batch, and a message in full;
// repositories stand in the order of their newest activity. Lines are short where many are to fit, and say
// more where there is room; where the batch came over ten minutes or more, each is told with its time. What a
// digest counts are its lines. Whoever is called stands behind the first line that calls them.
//
// The prefix ends before the first notification that has to go alone, before the 201st, before the one that
// would call a 51st person, and where 19,500 bytes are full. Alone go: link, actionCard and feedCard messages,
// messages with mentions or of more than 1,500 bytes, Markdown that could swallow what follows it (fences,
// HTML), and whatever could not be told at all. A digest always carries one of the robot's keywords, also
// where the robot refuses messages without: its notifications were accepted each with a keyword, and the
// digest is our own words.
//
// Nobody is called for what the group, going by told, saw them called for already.
//
// An error is about the first notification alone, with Used 1: a *KeywordError, a *TooLargeError, a
// *MentionError, a *dingtalk.MessageError, or that it holds nothing this version knows. An empty batch is an
// error too.
func (r *Renderer) Render(batch []delivery.Notification, told []delivery.Told) (delivery.Rendering, error) {
	if len(batch) == 0 {
		return delivery.Rendering{}, errors.New("there is nothing to render: give at least one notification")
	}
	lately := newLately(told)
	n := r.foldable(batch)
	if n == 0 {
		s, c, err := r.single(batch[0], lately, 1)
		if err != nil {
			return delivery.Rendering{Used: 1}, err
		}
		return delivery.Rendering{Message: s.Message, Used: 1, Marks: r.marks(nil, batch[0], c), Note: s.Note}, nil
	}
	d := r.digest(batch[:n], lately)
	if d.shown < 2 {
		return r.alone(batch, d, told)
	}
	out := delivery.Rendering{Message: d.message(), Used: len(d.items), Folded: d.folded()}
	for i, it := range d.items {
		if it.fate.isShown() {
			out.Marks = r.marks(out.Marks, batch[i], it.calls)
		}
	}
	return out, nil
}

// alone words what d has, where that is one notification or none, or where not even one has room in it.
func (r *Renderer) alone(batch []delivery.Notification, d *digest, told []delivery.Told) (delivery.Rendering, error) {
	one, times := 0, 1
	for i, it := range d.items {
		if it.fate.isShown() {
			one, times = i, it.times
		}
	}
	if d.shown == 0 && len(d.items) > 0 {
		return delivery.Rendering{Used: len(d.items), Folded: d.folded()}, nil
	}
	n := batch[one]
	if times > 1 {
		n.Event = d.items[one].event
	}
	s, c, err := r.single(n, d.told, times)
	switch {
	case err != nil && one > 0:
		return r.Render(batch[:1], told) // what can't be told doesn't tell the first
	case err != nil:
		return delivery.Rendering{Used: 1}, err
	}
	return delivery.Rendering{
		Message: s.Message, Used: max(len(d.items), 1), Folded: d.folded(), Marks: r.marks(nil, n, c), Note: s.Note,
	}, nil
}

// Inspection is a look at the message that one notification would become.
type Inspection struct {
	// Message is the message, keyword and literal mentions included; where the verdict is Missing, as it
	// would be sent if it were not refused.
	Message dingtalk.Message
	// Body is its exact JSON, without a msgUuid.
	Body []byte
	// Size is the number of bytes of the request's body, with a msgUuid of 36 characters.
	Size int
	// Keyword is the robot's keyword that stands in it; empty with NoneRequired and Missing.
	Keyword string
	// Verdict says how it stands with the robot's keywords.
	Verdict Verdict
	// Note says, in English, what went wrong with the robot's own template, so that the built-in wording
	// stands in; mostly empty.
	Note string
}

// Inspect shows what n would become if it went alone. The error is why Render would refuse it; with a
// *KeywordError, a *TooLargeError and a *MentionError the Inspection is complete nevertheless, with other
// errors it is empty.
func (r *Renderer) Inspect(n delivery.Notification) (Inspection, error) {
	s, _, err := r.single(n, nil, 1)
	if s.Message.Content == nil {
		return Inspection{}, err
	}
	body, jerr := s.Message.MarshalJSON()
	if jerr != nil {
		return Inspection{}, jerr
	}
	s.Body = body
	return s, err
}

// single makes the message of n alone, which tells of times alike: all of the Inspection but its Body, and
// whom an event calls.
func (r *Renderer) single(n delivery.Notification, told *lately, times int) (Inspection, calls, error) {
	var m dingtalk.Message
	var c calls
	var note string
	var err error
	switch {
	case n.Event != nil:
		c = r.callsOf(n.Event, told)
		m.Mentions = c.mentions()
		m.Content, note, err = r.event(n.Event, c, times)
	case n.Message != nil:
		m, err = direct(n.Message)
	default:
		err = errors.New("the notification is empty: give it an event or a message")
	}
	if err != nil {
		return Inspection{}, calls{}, fmt.Errorf("robot %s: %w", r.opts.Robot, err)
	}
	in := Inspection{Note: note}
	in.Message, in.Verdict, in.Keyword = withKeyword(r.opts, m, !r.opts.RejectMissingKeyword)

	body, err := dingtalk.Encode(in.Message, sampleUUID)
	in.Size = len(body)
	if tooLarge, ok := errors.AsType[*dingtalk.SizeError](err); ok {
		in.Size = tooLarge.Bytes
		return in, c, &TooLargeError{Robot: r.opts.Robot, Bytes: tooLarge.Bytes}
	}
	if err != nil {
		return Inspection{}, calls{}, fmt.Errorf("robot %s: %w", r.opts.Robot, err)
	}
	if n.Message.GetMentions().GetAll() && !r.opts.Mentions.All {
		return in, c, &MentionError{Robot: r.opts.Robot}
	}
	if in.Verdict == Missing {
		return in, c, &KeywordError{Robot: r.opts.Robot, Accepted: r.opts.Keywords}
	}
	return in, c, nil
}

// event makes the content of an event's message, which calls c and tells of times such events. The robot's
// own template comes first; where it fails, or leaves no room for what has to stand beside it, note says so.
// Those called stand in a last paragraph, where nobody has to look for them in the text.
func (r *Renderer) event(e *eventv1.Event, c calls, times int) (content dingtalk.Content, note string, err error) {
	head, err := headline(r.w, e, true)
	if err != nil {
		return nil, "", err
	}
	suffix := ""
	if times > 1 {
		suffix = r.w.times(times)
	}
	button, isCard := r.card(e, c)
	room := maxBody - envelope - keywordRoom(r.opts) - c.room() - jsonLen(paragraphBreak)
	if isCard {
		room -= button.room()
	}
	title, text, terr := r.templates.words(r.w, e)
	if terr != nil {
		title, text, note = "", "", terr.Error()
	}
	if title = withSuffix(cmp.Or(title, head.markup(asTitle)), suffix); text != "" {
		d := &draft{left: room - jsonLen(title), browser: r.opts.Browser}
		if d.paragraph(text) && d.paragraph(escape(strings.TrimSpace(suffix))) {
			text = d.b.String()
		} else {
			note = fmt.Sprintf("the template's message is too large: with what stands beside it, it has more than %d bytes", maxBody)
			title, text = withSuffix(head.markup(asTitle), suffix), ""
		}
	}
	if text == "" {
		d := &draft{left: room - jsonLen(title), browser: r.opts.Browser}
		d.paragraph("### " + head.markup(asHead) + escape(suffix))
		details(r.w, e, d)
		text = d.b.String()
	}
	text = withMentions(text, paragraphBreak, c.literals())
	if isCard {
		return dingtalk.ActionCard{Title: title, Text: text, SingleTitle: button.label, SingleURL: button.address}, note, nil
	}
	return dingtalk.Markdown{Title: title, Text: text}, note, nil
}

// withSuffix is a title of at most maxTitle characters that ends in suffix.
func withSuffix(title, suffix string) string {
	return clip(title, maxTitle-utf8.RuneCountInString(suffix)) + suffix
}

// maxSummaryRunes is the length of what Title returns.
const maxSummaryRunes = 100

// Title says in one line of plain text, at most 100 code points and in the language of locale, what n tells:
// for lists of deliveries. It is harmless in HTML and Markdown as far as tame makes it so, and empty for a notification
// without content.
func Title(locale string, n delivery.Notification) string {
	var s string
	if n.Event != nil {
		if head, err := headline(wordingFor(locale), n.Event, true); err == nil {
			s = head.markup(asTitle)
		} else {
			s = nounText(n.Event.GetId())
		}
	} else {
		s = directTitle(n.Message)
	}
	t := clip(s, maxSummaryRunes)
	for max := maxSummaryRunes; utf8.RuneCountInString(t) > maxSummaryRunes; {
		max -= 10
		t = clip(s, max)
	}
	return t
}
