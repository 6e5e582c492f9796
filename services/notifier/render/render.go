package render

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

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
	opts Options
}

var _ delivery.Renderer = (*Renderer)(nil)

// New returns the Renderer of a robot. It keeps what o holds, which nobody changes from then on.
func New(o Options) (*Renderer, error) {
	return &Renderer{opts: o}, nil
}

// Options returns what r was made of; it is not to be changed.
func (r *Renderer) Options() Options { return r.opts }

// Calls implements delivery.Renderer.
func (r *Renderer) Calls(n delivery.Notification) bool {
	at := n.Message.GetMentions()
	return at.GetAll() || len(at.GetMobiles()) > 0 || len(at.GetUserIds()) > 0
}

// Hold implements delivery.Renderer.
func (r *Renderer) Hold([]delivery.Notification, []delivery.Told) time.Duration { return 0 }

// Render makes one message of the longest prefix of batch that can be told together, and returns how many
// notifications that is, at least 1.
//
// One notification alone becomes what Inspect shows. Several become a digest: every one of them stands in
// it, an event as one line with its link, under its repository and in the order of batch, and a message in
// full; repositories stand in the order of their newest activity. Lines are short where many are to fit, and
// say more where there is room; where the batch came over ten minutes or more, each is told with its time.
// The prefix ends before the first notification that has to go alone, before the 201st, and where 19,500
// bytes are full. Alone go: link, actionCard and feedCard messages, messages with mentions or of more than
// 1,500 bytes, Markdown that could swallow what follows it (fences, HTML), and whatever could not be told at
// all. A digest always carries one of the robot's keywords, also where the robot refuses
// messages without: its notifications were accepted each with a keyword, and the digest is our own words.
//
// An error is about the first notification alone, with used 1: a *KeywordError, a *TooLargeError, a
// *dingtalk.MessageError, or that it holds nothing this version knows. An empty batch is an error too.
func (r *Renderer) Render(batch []delivery.Notification, _ []delivery.Told) (delivery.Rendering, error) {
	if len(batch) == 0 {
		return delivery.Rendering{}, errors.New("there is nothing to render: give at least one notification")
	}
	if n := r.foldable(batch); n > 1 {
		if m, used := r.digest(batch[:n]); used > 1 {
			return delivery.Rendering{Message: m, Used: used}, nil
		}
	}
	s, err := r.single(batch[0])
	if err != nil {
		return delivery.Rendering{Used: 1}, err
	}
	return delivery.Rendering{Message: s.Message, Used: 1}, nil
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
}

// Inspect shows what n would become if it went alone. The error is why Render would refuse it; with a
// *KeywordError and a *TooLargeError the Inspection is complete nevertheless, with other errors it is
// empty.
func (r *Renderer) Inspect(n delivery.Notification) (Inspection, error) {
	s, err := r.single(n)
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

// single makes the message of n alone: all of the Inspection but its Body.
func (r *Renderer) single(n delivery.Notification) (Inspection, error) {
	var m dingtalk.Message
	var err error
	switch {
	case n.Event != nil:
		m.Content, err = r.event(n)
	case n.Message != nil:
		m, err = direct(n.Message)
	default:
		err = errors.New("the notification is empty: give it an event or a message")
	}
	if err != nil {
		return Inspection{}, fmt.Errorf("robot %s: %w", r.opts.Robot, err)
	}
	in := Inspection{}
	in.Message, in.Verdict, in.Keyword = withKeyword(r.opts, m, !r.opts.RejectMissingKeyword)

	body, err := dingtalk.Encode(in.Message, sampleUUID)
	in.Size = len(body)
	if tooLarge, ok := errors.AsType[*dingtalk.SizeError](err); ok {
		in.Size = tooLarge.Bytes
		return in, &TooLargeError{Robot: r.opts.Robot, Bytes: tooLarge.Bytes}
	}
	if err != nil {
		return Inspection{}, fmt.Errorf("robot %s: %w", r.opts.Robot, err)
	}
	if in.Verdict == Missing {
		return in, &KeywordError{Robot: r.opts.Robot, Accepted: r.opts.Keywords}
	}
	return in, nil
}

// event makes the message of an event alone.
func (r *Renderer) event(n delivery.Notification) (dingtalk.Content, error) {
	w := wordingFor(r.opts.Locale)
	head, err := headline(w, n.Event, true)
	if err != nil {
		return nil, err
	}
	title := head.title()
	d := &draft{left: maxBody - envelope - jsonLen(title) - keywordRoom(r.opts)}
	d.paragraph("### " + head.markup(asHead))
	details(w, n.Event, d)
	return dingtalk.Markdown{Title: title, Text: d.b.String()}, nil
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
