package dingtalk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBody is how many bytes DingTalk takes as a request's body; seen as the refusal 460101, not
	// documented.
	MaxBody = 20000
	// MaxMentions is how many people one message can mention (DingTalk document
	// custom-robots-send-group-messages).
	MaxMentions = 50
	// MaxUUID is how many characters a msgUuid may have here. DingTalk states no limit; a UUID has 36.
	MaxUUID = 64
)

// SizeError says that a message, encoded, is larger than [MaxBody].
type SizeError struct {
	// Bytes is the size of the encoded body.
	Bytes int
}

// Error names both sizes and the way out.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the message has %d bytes, DingTalk takes at most %d: shorten or split it", e.Bytes, MaxBody)
}

// MessageError says that DingTalk would refuse a message, or show less than was meant.
type MessageError struct {
	// Type is the message's msgtype; empty where it has no content at all.
	Type string
	// Field is the field at fault, spelt as on DingTalk's wire, such as "markdown.title".
	Field string
	// Problem says what is wrong with it and what to change.
	Problem string
}

// Error names the field, its fault and what to change; it never holds what the message says.
func (e *MessageError) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("%s %s", e.Field, e.Problem)
	}
	return fmt.Sprintf("%s message: %s %s", e.Type, e.Field, e.Problem)
}

// Encode returns the exact body of a request: m with uuid as its msgUuid, or without one where uuid is
// empty. The same arguments give the same bytes. Text stands in raw UTF-8, without escapes for HTML.
//
// It returns a *MessageError where a field that DingTalk requires is missing, where fields contradict each
// other, or where text is not UTF-8; and a *SizeError where the body is over [MaxBody].
func Encode(m Message, uuid string) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := checkUUID(m, uuid); err != nil {
		return nil, err
	}
	body, err := m.encode(uuid)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, &SizeError{Bytes: len(body)}
	}
	return body, nil
}

// MarshalJSON writes m as DingTalk wants it, without a msgUuid. Only a message without content is an error;
// [Encode] is stricter. Text that is not UTF-8 is mended with U+FFFD. json.Marshal, and an outer struct
// that is marshalled, escape "<", ">" and "&" in the result; that changes its size, not its meaning.
func (m Message) MarshalJSON() ([]byte, error) { return m.encode("") }

// UnmarshalJSON reads what MarshalJSON and Encode write, and whatever else DingTalk would take for a
// message: unknown members, a msgUuid among them, are passed over; fields may be missing or empty. On an
// error m is unchanged.
func (m *Message) UnmarshalJSON(data []byte) error {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("dingtalk message: %w", err)
	}
	content, err := w.content()
	if err != nil {
		return err
	}
	*m = Message{Content: content}
	if w.At != nil {
		m.Mentions = Mentions{Mobiles: nonEmpty(w.At.Mobiles), UserIDs: nonEmpty(w.At.UserIDs), All: w.At.All}
	}
	return nil
}

// wire is the body of a request (DingTalk document robot-message-type). Mind the spelling: Url in a link,
// URL everywhere else.
type wire struct {
	Msgtype    string          `json:"msgtype"`
	Text       *wireText       `json:"text,omitempty"`
	Markdown   *wireMarkdown   `json:"markdown,omitempty"`
	Link       *wireLink       `json:"link,omitempty"`
	ActionCard *wireActionCard `json:"actionCard,omitempty"`
	FeedCard   *wireFeedCard   `json:"feedCard,omitempty"`
	At         *wireAt         `json:"at,omitempty"`
	UUID       string          `json:"msgUuid,omitempty"`
}

type wireText struct {
	Content string `json:"content"`
}

type wireMarkdown struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type wireLink struct {
	Title      string `json:"title"`
	Text       string `json:"text"`
	MessageURL string `json:"messageUrl"`
	PicURL     string `json:"picUrl,omitempty"`
}

type wireActionCard struct {
	Title       string       `json:"title"`
	Text        string       `json:"text"`
	SingleTitle string       `json:"singleTitle,omitempty"`
	SingleURL   string       `json:"singleURL,omitempty"`
	Buttons     []wireButton `json:"btns,omitempty"`
	Orientation orientation  `json:"btnOrientation,omitempty"`
}

type wireButton struct {
	Title     string `json:"title"`
	ActionURL string `json:"actionURL"`
}

type wireFeedCard struct {
	Links []wireFeedLink `json:"links"`
}

type wireFeedLink struct {
	Title      string `json:"title"`
	MessageURL string `json:"messageURL"`
	PicURL     string `json:"picURL"`
}

type wireAt struct {
	Mobiles []string `json:"atMobiles,omitempty"`
	UserIDs []string `json:"atUserIds,omitempty"`
	All     bool     `json:"isAtAll"`
}

// orientation is btnOrientation, a string: "0" is vertical, "1" horizontal. Others send it as a number at
// times, which is read as well.
type orientation string

func (o *orientation) UnmarshalJSON(data []byte) error {
	*o = orientation(strings.Trim(string(data), `"`))
	return nil
}

func (m Message) encode(uuid string) ([]byte, error) {
	if m.Content == nil {
		return nil, errNoContent()
	}
	w := wire{UUID: uuid}
	switch c := m.Content.(type) {
	case Text:
		w.Text = &wireText{c.Content}
	case Markdown:
		w.Markdown = &wireMarkdown{c.Title, c.Text}
	case Link:
		w.Link = &wireLink{c.Title, c.Text, c.MessageURL, c.PicURL}
	case ActionCard:
		w.ActionCard = c.wire()
	case FeedCard:
		w.FeedCard = &wireFeedCard{Links: make([]wireFeedLink, len(c.Links))}
		for i, l := range c.Links {
			w.FeedCard.Links[i] = wireFeedLink(l)
		}
	default:
		return nil, errPointer()
	}
	w.Msgtype = m.Content.msgtype()
	if at := m.Mentions; at.All || len(at.Mobiles) > 0 || len(at.UserIDs) > 0 {
		w.At = &wireAt{at.Mobiles, at.UserIDs, at.All}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(w); err != nil {
		return nil, fmt.Errorf("dingtalk message: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (c ActionCard) wire() *wireActionCard {
	w := &wireActionCard{Title: c.Title, Text: c.Text, SingleTitle: c.SingleTitle, SingleURL: c.SingleURL}
	for _, b := range c.Buttons {
		w.Buttons = append(w.Buttons, wireButton(b))
	}
	switch {
	case c.Horizontal:
		w.Orientation = "1"
	case len(c.Buttons) > 0:
		w.Orientation = "0"
	}
	return w
}

// content returns the content that w holds.
func (w wire) content() (Content, error) {
	switch w.Msgtype {
	case "text":
		if c := w.Text; c != nil {
			return Text{c.Content}, nil
		}
	case "markdown":
		if c := w.Markdown; c != nil {
			return Markdown{c.Title, c.Text}, nil
		}
	case "link":
		if c := w.Link; c != nil {
			return Link{c.Title, c.Text, c.MessageURL, c.PicURL}, nil
		}
	case "actionCard":
		if c := w.ActionCard; c != nil {
			card := ActionCard{
				Title: c.Title, Text: c.Text,
				SingleTitle: c.SingleTitle, SingleURL: c.SingleURL,
				Horizontal: c.Orientation == "1",
			}
			for _, b := range c.Buttons {
				card.Buttons = append(card.Buttons, Button(b))
			}
			return card, nil
		}
	case "feedCard":
		if c := w.FeedCard; c != nil {
			var card FeedCard
			for _, l := range c.Links {
				card.Links = append(card.Links, FeedLink(l))
			}
			return card, nil
		}
	default:
		return nil, &MessageError{Field: "msgtype", Problem: "is none of text, markdown, link, actionCard and feedCard"}
	}
	return nil, &MessageError{Type: w.Msgtype, Field: w.Msgtype, Problem: "is missing: it holds the message"}
}

// nonEmpty is list, and nil where it is empty, so that reading undoes writing.
func nonEmpty(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func checkUUID(m Message, uuid string) error {
	fault := func(problem string) error {
		return &MessageError{Type: m.Content.msgtype(), Field: "msgUuid", Problem: problem}
	}
	if len(uuid) > MaxUUID {
		return fault(fmt.Sprintf("has %d characters: give at most %d", len(uuid), MaxUUID))
	}
	for i := range len(uuid) {
		if uuid[i] <= ' ' || uuid[i] >= utf8.RuneSelf-1 {
			return fault("has characters other than visible ASCII: give a UUID")
		}
	}
	return nil
}
