package dingtalk

// Message is what a robot sends: content in one of the five shapes that the endpoint knows, and who is
// called by it. The zero value is not a message.
type Message struct {
	// Content is a Text, Markdown, Link, ActionCard or FeedCard, by value.
	Content Content
	// Mentions are those called. DingTalk looks at them in text and markdown messages, and for
	// "@userId" in the text of an action card; a literal "@target" has to stand in the text as well.
	Mentions Mentions
}

// Content is one of Text, Markdown, Link, ActionCard and FeedCard.
type Content interface{ msgtype() string }

// Text is plain text in which a line feed is a line break.
type Text struct {
	Content string
}

// Markdown is text in the subset of Markdown that DingTalk renders.
type Markdown struct {
	// Title is what the conversation list and the push notification show; the message does not.
	Title string
	Text  string
}

// Link is a card that opens MessageURL; no mentions.
type Link struct {
	Title, Text, MessageURL string
	// PicURL may be empty.
	PicURL string
}

// ActionCard is Markdown with buttons: one (SingleTitle and SingleURL) or several (Buttons). Where both
// are set DingTalk looks at the single one only.
type ActionCard struct {
	Title, Text            string
	SingleTitle, SingleURL string
	Buttons                []Button
	// Horizontal puts two buttons side by side; with any other number it is without effect.
	Horizontal bool
}

// Button is one of several buttons of an ActionCard.
type Button struct {
	Title, ActionURL string
}

// FeedCard is a list of links with pictures; no mentions.
type FeedCard struct {
	Links []FeedLink
}

// FeedLink is one entry of a FeedCard.
type FeedLink struct {
	Title, MessageURL, PicURL string
}

// Mentions are those whom a message calls, at most 50 in all.
type Mentions struct {
	// Mobiles are mobile numbers.
	Mobiles []string
	// UserIDs are DingTalk user ids; without effect in external groups.
	UserIDs []string
	// All calls everybody in the group.
	All bool
}

func (Text) msgtype() string       { return "text" }
func (Markdown) msgtype() string   { return "markdown" }
func (Link) msgtype() string       { return "link" }
func (ActionCard) msgtype() string { return "actionCard" }
func (FeedCard) msgtype() string   { return "feedCard" }
