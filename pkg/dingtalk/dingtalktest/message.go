package dingtalktest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// object is a JSON object. It is read member by member rather than into structs: names are exact here, and
// it matters whether a member is there and of which type.
type object map[string]json.RawMessage

// str returns a member that is a string, else "".
func (o object) str(name string) string {
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return ""
	}
	return s
}

// is says whether a member is there and of the type that its first byte shows.
func (o object) is(name string, first byte) bool { return len(o[name]) > 0 && o[name][0] == first }

func (o object) object(name string) object {
	var sub object
	if json.Unmarshal(o[name], &sub) != nil {
		return nil
	}
	return sub
}

// list returns the objects of a member that is an array; what is no object in it stands as an empty one.
func (o object) list(name string) []object {
	var raw []json.RawMessage
	if json.Unmarshal(o[name], &raw) != nil {
		return nil
	}
	list := make([]object, len(raw))
	for i := range raw {
		list[i] = object{"": raw[i]}.object("")
	}
	return list
}

// strs returns the strings of a member that is an array.
func (o object) strs(name string) []string {
	var raw []json.RawMessage
	if json.Unmarshal(o[name], &raw) != nil {
		return nil
	}
	var list []string
	for i := range raw {
		if s := (object{"": raw[i]}).str(""); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// message is a body being read.
type message struct {
	members  object
	uuid     string
	content  dingtalk.Content
	mentions dingtalk.Mentions
	text     string   // in which "@" counts
	titles   []string // visible beside text
	links    []string
	pictures []string
	warnings []string
}

// missing is a field that a message lacks.
type missing struct {
	errcode int
	object  string
	field   string // empty: the object itself
}

// kind is a msgtype.
type kind struct {
	base     int // errcode of a missing object
	required []required
	read     func(*message, object)
}

type required struct {
	errcode int
	field   string
	first   byte // of the JSON type
}

// kinds are the types of messages, with the fields without which DingTalk was seen to refuse them, and its
// codes for that; the codes for a missing object, but for markdown's, are inferred from that one.
var kinds = map[string]kind{
	"text":     {400201, []required{{400202, "content", '"'}}, (*message).readText},
	"link":     {400301, []required{{400302, "text", '"'}, {400303, "title", '"'}, {400304, "messageUrl", '"'}}, (*message).readLink},
	"markdown": {400401, []required{{400402, "title", '"'}, {400403, "text", '"'}}, (*message).readMarkdown},
	"actionCard": {400501, []required{{400503, "text", '"'}},
		(*message).readActionCard},
	"feedCard": {400601, []required{{400602, "links", '['}}, (*message).readFeedCard},
}

// read takes the body apart. It returns what is missing, or nil.
func (m *message) read() *missing {
	name := m.members.str("msgtype")
	kind, ok := kinds[name]
	if !ok {
		return &missing{errcode: 400105}
	}
	if !m.members.is(name, '{') {
		return &missing{kind.base, name, ""}
	}
	content := m.members.object(name)
	for _, r := range kind.required {
		empty := content.str(r.field) == ""
		if r.first == '[' {
			empty = len(content.list(r.field)) == 0
		}
		if empty || !content.is(r.field, r.first) {
			return &missing{r.errcode, name, r.field}
		}
	}
	m.uuid = m.members.str("msgUuid")
	if raw, ok := m.members["msgUuid"]; ok && m.uuid == "" && string(raw) != `""` {
		m.warn("msgUuid is not a string: it has no effect")
	}
	at := m.members.object("at")
	m.mentions = dingtalk.Mentions{
		Mobiles: at.strs("atMobiles"),
		UserIDs: at.strs("atUserIds"),
		All:     string(at["isAtAll"]) == "true",
	}
	kind.read(m, content)
	return nil
}

func (m *message) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

func (m *message) readText(o object) {
	m.text = o.str("content")
	m.content = dingtalk.Text{Content: m.text}
}

func (m *message) readMarkdown(o object) {
	m.text = o.str("text")
	m.titles = []string{o.str("title")}
	m.content = dingtalk.Markdown{Title: o.str("title"), Text: m.text}
}

func (m *message) readLink(o object) {
	m.text = o.str("text")
	m.titles = []string{o.str("title")}
	m.links = []string{o.str("messageUrl")}
	m.pictures = []string{o.str("picUrl")}
	m.content = dingtalk.Link{Title: o.str("title"), Text: m.text, MessageURL: o.str("messageUrl"), PicURL: o.str("picUrl")}
}

func (m *message) readActionCard(o object) {
	m.text = o.str("text")
	m.titles = []string{o.str("title")}
	card := dingtalk.ActionCard{
		Title: o.str("title"), Text: m.text,
		SingleTitle: o.str("singleTitle"), SingleURL: o.str("singleURL"),
		Horizontal: strings.Trim(string(o["btnOrientation"]), `"`) == "1",
	}
	m.links = []string{card.SingleURL}
	for _, b := range o.list("btns") {
		button := dingtalk.Button{Title: b.str("title"), ActionURL: b.str("actionURL")}
		card.Buttons = append(card.Buttons, button)
		m.links = append(m.links, button.ActionURL)
		if button.Title == "" || button.ActionURL == "" {
			m.warn("actionCard.btns[%d] lacks its title or actionURL", len(card.Buttons)-1)
		}
	}
	m.content = card

	single := card.SingleTitle != "" && card.SingleURL != ""
	if card.Title == "" {
		m.warn("actionCard has no title: the conversation list and the push notification show none")
	}
	if !single && len(card.Buttons) == 0 {
		m.warn("actionCard has no button: give singleTitle and singleURL, or btns")
	}
	if single && len(card.Buttons) > 0 {
		m.warn("actionCard has singleTitle and singleURL beside btns: the btns are not shown")
	}
	if card.Horizontal && len(card.Buttons) != 2 {
		m.warn("actionCard has btnOrientation 1 with %d btns: it takes effect with exactly two", len(card.Buttons))
	}
	for _, name := range []string{"btnOrientation", "hideAvatar"} {
		if _, ok := o[name]; ok && !o.is(name, '"') {
			m.warn("actionCard.%s is not a string: it should be \"0\" or \"1\"", name)
		}
	}
}

func (m *message) readFeedCard(o object) {
	var card dingtalk.FeedCard
	for i, l := range o.list("links") {
		link := dingtalk.FeedLink{Title: l.str("title"), MessageURL: l.str("messageURL"), PicURL: l.str("picURL")}
		card.Links = append(card.Links, link)
		m.titles = append(m.titles, link.Title)
		m.links = append(m.links, link.MessageURL)
		m.pictures = append(m.pictures, link.PicURL)
		if link.Title == "" || link.MessageURL == "" || link.PicURL == "" {
			m.warn("feedCard.links[%d] lacks its title, messageURL or picURL", i)
		}
	}
	m.content = card
}

// visible is the text in which keywords count: titles and text. That button titles and addresses don't
// count is a choice.
func (m *message) visible() string {
	return strings.Join(slices.Concat(m.titles, []string{m.text}), "\n")
}

// received is the message as the group of c's robot sees it.
func (m *message) received(c *call) *Received {
	r := &Received{
		N:        c.accepted,
		Time:     c.now,
		Group:    c.robot.Group,
		Token:    c.token,
		Message:  dingtalk.Message{Content: m.content, Mentions: m.mentions},
		Body:     c.body,
		UUID:     m.uuid,
		Mentions: m.mention(c.robot),
		Shown:    m.shown(c.robot),
	}
	switch m.content.(type) {
	case dingtalk.Text, dingtalk.Markdown:
		r.MentionsAll = m.mentions.All
	default:
		if m.mentions.All {
			m.warn("isAtAll has an effect in text and markdown only")
		}
	}
	r.Warnings = m.warnings
	return r
}

func matches(patterns []*regexp.Regexp, texts ...string) bool {
	for _, p := range patterns {
		if slices.ContainsFunc(texts, p.MatchString) {
			return true
		}
	}
	return false
}
