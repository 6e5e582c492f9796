package render

import "time"

// Options are one robot's way of telling things.
type Options struct {
	// Robot is the robot's name, for errors.
	Robot string
	// Locale is the language, a BCP 47 tag of those that Locales returns; another, or none, means zh-CN.
	Locale string
	// Zone is where the times in messages are; nil means the locale's own.
	Zone *time.Location
	// Keywords are those of which DingTalk wants one in each message, at most 10.
	Keywords []string
	// RejectMissingKeyword says that a message without a keyword is refused rather than mended.
	RejectMissingKeyword bool
	// ActionCard says that what tells of one event is a card with a button that opens its page.
	ActionCard bool
	// Browser says that the links of what tells of events open in a computer's browser rather than in
	// DingTalk. Links in callers' messages stay as they are.
	Browser bool
	// External says that the group is an external one, where DingTalk calls people by their mobile numbers
	// only.
	External bool
	// People finds those who are called for events; nil: nobody is.
	People *People
	// Mentions says who is called for what. The zero value has the roles that are usual, but calls neither
	// everybody nor those whom a text names.
	Mentions Mentions
	// Folding says which events are told as part of others; the zero value: none.
	Folding Folding
	// Templates are the robot's own wordings, at most one for each kind of event.
	Templates []Template
}
