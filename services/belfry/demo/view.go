package demo

import (
	"strings"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// update is what the page is told: everything when Reset is set, else what has changed. The page's
// scripts read exactly these names.
type update struct {
	Reset    bool          `json:"reset"`
	Group    *groupView    `json:"group,omitempty"` // with Reset only
	Status   *statusView   `json:"status,omitempty"`
	Webhooks []webhookView `json:"webhooks,omitempty"`
	Messages []messageView `json:"messages,omitempty"`
}

type groupView struct {
	Name    string `json:"name"`
	Robot   string `json:"robot"`
	Members int    `json:"members"`
	// Alone says that webhooks are not seen from here, Looks that bodies can be looked at.
	Alone bool `json:"alone"`
	Looks bool `json:"looks"`
	// KeepMessages and KeepWebhooks are how many the page should hold on to.
	KeepMessages int `json:"keepMessages"`
	KeepWebhooks int `json:"keepWebhooks"`
}

type statusView struct {
	// Left of Budget calls are left in the robot's minute.
	Left   int `json:"left"`
	Budget int `json:"budget"`
	// TooFast is how often DingTalk refused for speed.
	TooFast int `json:"tooFast"`
	// Curl is the command that the page offers.
	Curl string `json:"curl"`
}

type webhookView struct {
	ID         uint64    `json:"id"`
	Time       time.Time `json:"time"`
	Millis     int64     `json:"millis"`
	Hook       string    `json:"hook"`
	Event      string    `json:"event"`
	Ping       bool      `json:"ping"`
	Kind       string    `json:"kind"`
	Action     string    `json:"action"`
	EventID    string    `json:"eventId"`
	Size       int64     `json:"size"`
	Status     int       `json:"status"`
	Deliveries []string  `json:"deliveries"`
	Duplicate  bool      `json:"duplicate"`
	Spooled    bool      `json:"spooled"`
	Ignored    string    `json:"ignored"`
	Reason     string    `json:"reason"`
	Message    string    `json:"message"`
}

// messageView is one message in the group. Type tells which of the optional members are there.
type messageView struct {
	N    int       `json:"n"`
	Time time.Time `json:"time"`
	// Type is text, markdown, link, actionCard or feedCard.
	Type       string     `json:"type"`
	Title      string     `json:"title,omitempty"`
	Text       string     `json:"text,omitempty"`
	URL        string     `json:"url,omitempty"`
	Picture    string     `json:"picture,omitempty"`
	Links      []linkView `json:"links,omitempty"`
	Buttons    []linkView `json:"buttons,omitempty"`
	Horizontal bool       `json:"horizontal,omitempty"`

	Mentions    []mentionView `json:"mentions,omitempty"`
	MentionsAll bool          `json:"mentionsAll,omitempty"`

	Bytes      int      `json:"bytes"`
	UUID       string   `json:"uuid,omitempty"`
	Duplicates int      `json:"duplicates,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`

	// Causes are the webhooks it tells of, oldest first, by their ID. Looking says that they are still
	// being looked for; a message with neither came through the notifier's API.
	Causes  []uint64 `json:"causes,omitempty"`
	Looking bool     `json:"looking,omitempty"`
	// Items is how many deliveries of those webhooks it carries; above 1 it is a digest. Folded is how many
	// others it tells along with them.
	Items  int `json:"items,omitempty"`
	Folded int `json:"folded,omitempty"`
}

type linkView struct {
	Title   string `json:"title"`
	URL     string `json:"url"`
	Picture string `json:"picture,omitempty"`
}

type mentionView struct {
	Target string `json:"target"`
	// Name is what DingTalk shows in its place, where that is known.
	Name      string `json:"name,omitempty"`
	UserID    bool   `json:"userId"`
	Effective bool   `json:"effective"`
	Why       string `json:"why,omitempty"`
	// Masked says that DingTalk hides the middle of the number, since it belongs to nobody in the group.
	Masked bool `json:"masked,omitempty"`
}

func viewWebhook(wh Webhook) webhookView {
	return webhookView{
		ID: wh.ID, Time: wh.Time, Millis: wh.Elapsed.Milliseconds(),
		Hook: wh.Hook, Event: wh.EventHeader, Ping: wh.Ping,
		Kind: wh.Kind, Action: wh.Action, EventID: wh.EventID,
		Size: wh.Size, Status: wh.Status,
		Deliveries: wh.Deliveries, Duplicate: wh.Duplicate, Spooled: wh.Spooled,
		Ignored: wh.Ignored, Reason: wh.Reason, Message: wh.Message,
	}
}

// viewMessage shows what the group received, without its causes. names are Options.Names.
func viewMessage(r dingtalktest.Received, names map[string]string) messageView {
	v := viewContent(r.Message.Content)
	v.N, v.Time, v.Bytes, v.UUID = r.N, r.Time, len(r.Body), r.UUID
	v.Duplicates, v.Warnings, v.MentionsAll = r.Duplicates, r.Warnings, r.MentionsAll
	for _, m := range r.Mentions {
		// Shown has the masks in it, but their stars would read as Markdown, so the page sets them itself.
		masked := r.Shown != "" && !m.UserID && !strings.Contains(r.Shown, "@"+m.Target)
		v.Mentions = append(v.Mentions, mentionView{
			Target: m.Target, Name: names[m.Target], UserID: m.UserID, Effective: m.Effective, Why: m.Why, Masked: masked,
		})
	}
	return v
}

// viewContent shows a message's type and what that type has.
func viewContent(content dingtalk.Content) messageView {
	var v messageView
	switch c := content.(type) {
	case dingtalk.Text:
		v.Type, v.Text = "text", c.Content
	case dingtalk.Markdown:
		v.Type, v.Title, v.Text = "markdown", c.Title, c.Text
	case dingtalk.Link:
		v.Type, v.Title, v.Text, v.URL, v.Picture = "link", c.Title, c.Text, c.MessageURL, c.PicURL
	case dingtalk.ActionCard:
		v.Type, v.Title, v.Text, v.Horizontal = "actionCard", c.Title, c.Text, c.Horizontal
		// Where there is a single button DingTalk does not look at the others.
		if c.SingleTitle != "" && c.SingleURL != "" {
			v.Buttons = []linkView{{Title: c.SingleTitle, URL: c.SingleURL}}
			break
		}
		for _, b := range c.Buttons {
			v.Buttons = append(v.Buttons, linkView{Title: b.Title, URL: b.ActionURL})
		}
	case dingtalk.FeedCard:
		v.Type = "feedCard"
		for _, l := range c.Links {
			v.Links = append(v.Links, linkView{Title: l.Title, URL: l.MessageURL, Picture: l.PicURL})
		}
	}
	return v
}
