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
}
