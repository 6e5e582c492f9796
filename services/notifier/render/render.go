package render

import (
	"errors"
	"fmt"
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

// Renderer is the delivery.Renderer of this module. It keeps no state between calls, and its methods may be
// called from any goroutine.
type Renderer struct{}

var _ delivery.Renderer = (*Renderer)(nil)

// New returns a Renderer that speaks zh-CN. Robots with another locale are answered in zh-CN as well.
func New() *Renderer { return &Renderer{} }

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
func (r *Renderer) Render(robot delivery.Robot, batch []delivery.Notification) (m dingtalk.Message, used int, err error) {
	if len(batch) == 0 {
		return dingtalk.Message{}, 0, errors.New("there is nothing to render: give at least one notification")
	}
	if n := r.foldable(robot, batch); n > 1 {
		if m, used = r.digest(robot, batch[:n]); used > 1 {
			return m, used, nil
		}
	}
	s, err := r.single(robot, batch[0])
	if err != nil {
		return dingtalk.Message{}, 1, err
	}
	return s.Message, 1, nil
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
func (r *Renderer) Inspect(robot delivery.Robot, n delivery.Notification) (Inspection, error) {
	s, err := r.single(robot, n)
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
func (r *Renderer) single(robot delivery.Robot, n delivery.Notification) (Inspection, error) {
	var m dingtalk.Message
	var err error
	switch {
	case n.Event != nil:
		m.Content, err = r.event(robot, n)
	case n.Message != nil:
		m, err = direct(n.Message)
	default:
		err = errors.New("the notification is empty: give it an event or a message")
	}
	if err != nil {
		return Inspection{}, fmt.Errorf("robot %s: %w", robot.Name, err)
	}
	in := Inspection{}
	in.Message, in.Verdict, in.Keyword = withKeyword(robot, m, !robot.RejectMissingKeyword)

	body, err := dingtalk.Encode(in.Message, sampleUUID)
	in.Size = len(body)
	if tooLarge, ok := errors.AsType[*dingtalk.SizeError](err); ok {
		in.Size = tooLarge.Bytes
		return in, &TooLargeError{Robot: robot.Name, Bytes: tooLarge.Bytes}
	}
	if err != nil {
		return Inspection{}, fmt.Errorf("robot %s: %w", robot.Name, err)
	}
	if in.Verdict == Missing {
		return in, &KeywordError{Robot: robot.Name, Accepted: robot.Keywords}
	}
	return in, nil
}

// event makes the message of an event alone.
func (r *Renderer) event(robot delivery.Robot, n delivery.Notification) (dingtalk.Content, error) {
	w := wordingFor(robot.Locale)
	head, err := headline(w, n.Event, true)
	if err != nil {
		return nil, err
	}
	title := head.title()
	d := &draft{left: maxBody - envelope - jsonLen(title) - keywordRoom(robot)}
	d.paragraph("### " + head.markup(asHead))
	details(w, n.Event, d)
	return dingtalk.Markdown{Title: title, Text: d.b.String()}, nil
}

// maxSummaryRunes is the length of what Title returns.
const maxSummaryRunes = 100

// Title says in one line of plain text, at most 100 code points and in Chinese, what n tells: for lists of
// deliveries. It is harmless in HTML and Markdown as far as tame makes it so, and empty for a notification
// without content.
func Title(n delivery.Notification) string {
	var s string
	if n.Event != nil {
		if head, err := headline(zh{}, n.Event, true); err == nil {
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
