// Package render words notifications: it makes of events and of callers' messages what DingTalk is to
// show, in the robot's language, for a phone's screen.
//
// Everything in an event is untrusted. It comes into a message in one way only: as a noun of a phrase or
// through tame, cut and escape, which leave it no way to make a link, a heading, an image, HTML or a
// mention. What is Markdown in a message to which an event led is what this package wrote, or the robot's
// template. A message in a caller's own words is sent as it is. Whom an event's message calls is decided by the
// robot's rules and its table of people; a text can only name those who stand there.
//
// The words are not in the code: folder locales has a catalogue for each language, which zh-CN.yaml explains to
// translators. Catalogues are read once, strictly, when the program starts.
//
// Each message fits: what is made of events takes at most 19,500 bytes, encoded and with its msgUuid, and
// where an event would take more, less of it is shown, with a link to the rest.
package render
