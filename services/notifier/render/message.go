package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// TooLargeError says that a caller's message is over DingTalk's limit, what Belfry adds to it (mentions,
// keyword, msgUuid) included.
type TooLargeError struct {
	// Robot is the name of the robot it was for.
	Robot string
	// Bytes is its size, encoded.
	Bytes int
}

// Error names both sizes and the way out.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("robot %s: the message has %d bytes, encoded, and DingTalk takes at most %d: shorten it, or send it in parts",
		e.Robot, e.Bytes, dingtalk.MaxBody)
}

// direct turns a caller's message into DingTalk's, with the literal mentions that its text lacks.
func direct(m *notifierv1.Message) (dingtalk.Message, error) {
	var out dingtalk.Message
	if at := m.GetMentions(); at != nil {
		out.Mentions = dingtalk.Mentions{
			Mobiles: slices.Clone(at.GetMobiles()),
			UserIDs: slices.Clone(at.GetUserIds()),
			All:     at.GetAll(),
		}
	}
	everybody := slices.Concat(out.Mentions.Mobiles, out.Mentions.UserIDs)
	switch c := m.GetContent().(type) {
	case *notifierv1.Message_Text:
		out.Content = dingtalk.Text{Content: withMentions(c.Text.GetContent(), "\n", everybody)}
	case *notifierv1.Message_Markdown:
		out.Content = dingtalk.Markdown{
			Title: c.Markdown.GetTitle(),
			Text:  withMentions(c.Markdown.GetText(), paragraphBreak, everybody),
		}
	case *notifierv1.Message_Link:
		out.Content = dingtalk.Link{
			Title:      c.Link.GetTitle(),
			Text:       c.Link.GetText(),
			MessageURL: c.Link.GetMessageUrl(),
			PicURL:     c.Link.GetPicUrl(),
		}
	case *notifierv1.Message_ActionCard:
		card := dingtalk.ActionCard{
			Title: c.ActionCard.GetTitle(),
			// A card calls by user id only (DingTalk document robot-message-type), so that mobile numbers
			// would be shown to the group for nothing.
			Text:        withMentions(c.ActionCard.GetText(), paragraphBreak, out.Mentions.UserIDs),
			SingleTitle: c.ActionCard.GetSingleTitle(),
			SingleURL:   c.ActionCard.GetSingleUrl(),
			Horizontal:  c.ActionCard.GetButtonLayout() == "HORIZONTAL",
		}
		for _, b := range c.ActionCard.GetButtons() {
			card.Buttons = append(card.Buttons, dingtalk.Button{Title: b.GetTitle(), ActionURL: b.GetActionUrl()})
		}
		out.Content = card
	case *notifierv1.Message_FeedCard:
		var card dingtalk.FeedCard
		for _, l := range c.FeedCard.GetLinks() {
			card.Links = append(card.Links, dingtalk.FeedLink{Title: l.GetTitle(), MessageURL: l.GetMessageUrl(), PicURL: l.GetPicUrl()})
		}
		out.Content = card
	default:
		return dingtalk.Message{}, errors.New("the message has no content that this version knows: give it text, markdown, link, action_card or feed_card")
	}
	return out, nil
}

// callsSomebody tells whether a caller's message has mentions.
func callsSomebody(m *notifierv1.Message) bool {
	at := m.GetMentions()
	return at.GetAll() || len(at.GetMobiles()) > 0 || len(at.GetUserIds()) > 0
}

// withMentions adds to text, after sep, an "@target" for each of targets that it does not have yet, with
// blanks around: without the literal DingTalk calls nobody.
func withMentions(text, sep string, targets []string) string {
	added := ""
	for _, t := range targets {
		if !mentions(text, t) {
			added += "@" + t + " "
		}
	}
	if added == "" {
		return text
	}
	return text + sep + " " + added
}

// mentions tells whether "@target" stands in text: neither as part of a longer one or of an address, nor in code or
// the target of a link, where it may go unread. Text that is no Markdown may have such places too; there a
// literal is added that wouldn't be needed.
func mentions(text, target string) bool {
	literal := "@" + target
	if !strings.Contains(text, literal) {
		return false
	}
	for part := range prose(text) {
		for end := 0; ; {
			i := strings.Index(part[end:], literal)
			if i < 0 {
				break
			}
			at := end + i
			end = at + len(literal)
			before, _ := utf8.DecodeLastRuneInString(part[:at])
			if (at == 0 || !gluesLogin(before)) && !goesOn(part[end:]) {
				return true
			}
		}
	}
	return false
}

// goesOn tells whether rest, which stands behind a user id or a number, is more of it. The full stop at the end of
// a sentence is not.
func goesOn(rest string) bool {
	word := strings.TrimLeft(rest, ".")
	return word != "" && (isLetter(word[0]) || isDigit(word[0]) || strings.IndexByte("_-@", word[0]) >= 0)
}

// directTitle is what a caller's message is about.
func directTitle(m *notifierv1.Message) string {
	switch c := m.GetContent().(type) {
	case *notifierv1.Message_Text:
		return firstLine(c.Text.GetContent())
	case *notifierv1.Message_Markdown:
		return nounText(c.Markdown.GetTitle())
	case *notifierv1.Message_Link:
		return nounText(c.Link.GetTitle())
	case *notifierv1.Message_ActionCard:
		return nounText(c.ActionCard.GetTitle())
	case *notifierv1.Message_FeedCard:
		if links := c.FeedCard.GetLinks(); len(links) > 0 {
			return nounText(links[0].GetTitle())
		}
	}
	return ""
}
