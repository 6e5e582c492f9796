package dingtalk

import (
	"fmt"
	"unicode/utf8"
)

// field is a string of a message, by its name on the wire.
type field struct {
	name, value string
	required    bool
}

func errNoContent() *MessageError {
	return &MessageError{Field: "content", Problem: "is missing: give Text, Markdown, Link, ActionCard or FeedCard"}
}

func errPointer() *MessageError {
	return &MessageError{Field: "content", Problem: "is a pointer: give Text, Markdown, Link, ActionCard or FeedCard by value"}
}

// check returns a *MessageError for the first thing that DingTalk would refuse, ignore or show empty. The
// required fields are those of the DingTalk document robot-message-type; an empty string counts as missing,
// as DingTalk counts it.
func (m Message) check() error {
	if m.Content == nil {
		return errNoContent()
	}
	fault := func(field, problem string, args ...any) error {
		return &MessageError{Type: m.Content.msgtype(), Field: field, Problem: fmt.Sprintf(problem, args...)}
	}
	var fields []field
	mentions := true
	switch c := m.Content.(type) {
	case Text:
		fields = []field{{"text.content", c.Content, true}}
	case Markdown:
		fields = []field{{"markdown.title", c.Title, true}, {"markdown.text", c.Text, true}}
	case Link:
		mentions = false
		fields = []field{
			{"link.title", c.Title, true}, {"link.text", c.Text, true},
			{"link.messageUrl", c.MessageURL, true}, {"link.picUrl", c.PicURL, false},
		}
	case ActionCard:
		single := c.SingleTitle != "" || c.SingleURL != ""
		switch {
		case single && len(c.Buttons) > 0:
			return fault("actionCard.btns", "stand beside singleTitle or singleURL, and DingTalk would not show them: give one or the other")
		case !single && len(c.Buttons) == 0:
			return fault("actionCard.btns", "are missing: give buttons, or singleTitle and singleURL")
		}
		fields = c.fields(single)
	case FeedCard:
		mentions = false
		if len(c.Links) == 0 {
			return fault("feedCard.links", "are missing: give at least one")
		}
		for i, l := range c.Links {
			at := fmt.Sprintf("feedCard.links[%d].", i)
			fields = append(fields, field{at + "title", l.Title, true}, field{at + "messageURL", l.MessageURL, true}, field{at + "picURL", l.PicURL, true})
		}
	default:
		return errPointer()
	}
	at := m.Mentions
	people := len(at.Mobiles) + len(at.UserIDs)
	switch {
	case !mentions && (people > 0 || at.All):
		return fault("at", "mentions people, which DingTalk ignores in this type: send text, markdown or actionCard")
	case people > MaxMentions:
		return fault("at", "mentions %d people, DingTalk at most %d: mention fewer, or all", people, MaxMentions)
	}
	for _, v := range at.Mobiles {
		fields = append(fields, field{"at.atMobiles", v, true})
	}
	for _, v := range at.UserIDs {
		fields = append(fields, field{"at.atUserIds", v, true})
	}
	for _, f := range fields {
		switch {
		case f.required && f.value == "":
			return fault(f.name, "is empty: DingTalk requires it")
		case !utf8.ValidString(f.value):
			return fault(f.name, "is not UTF-8: mend or replace its bytes")
		}
	}
	return nil
}

func (c ActionCard) fields(single bool) []field {
	fields := []field{{"actionCard.title", c.Title, true}, {"actionCard.text", c.Text, true}}
	if single {
		return append(fields, field{"actionCard.singleTitle", c.SingleTitle, true}, field{"actionCard.singleURL", c.SingleURL, true})
	}
	for i, b := range c.Buttons {
		at := fmt.Sprintf("actionCard.btns[%d].", i)
		fields = append(fields, field{at + "title", b.Title, true}, field{at + "actionURL", b.ActionURL, true})
	}
	return fields
}
