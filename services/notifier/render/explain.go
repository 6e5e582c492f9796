package render

import (
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Explain says in the language of locale, as one or two sentences of plain text, what is wrong and the one
// thing to change, with DingTalk's errcode and with what kept an expired notification from being delivered.
// It holds no secrets, if f holds none. A locale that is not spoken is answered in zh-CN.
func Explain(locale string, f delivery.Failure) string {
	w := wordingFor(locale)
	s := w.failure(f.Reason, f.Errcode)
	if s == "" {
		// A reason of a later version, read back from the journal.
		s = w.failure(notifierv1.ErrorReason_ERROR_REASON_UNKNOWN_REFUSAL, f.Errcode)
	}
	switch f.Reason {
	case notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE:
		// What exactly, only the checker knows.
		if f.Message != "" {
			s += w.detail(clip(oneLine(f.Message), maxDetail))
		}
	case notifierv1.ErrorReason_ERROR_REASON_EXPIRED:
		if f.Last != nil && f.Last.Reason != notifierv1.ErrorReason_ERROR_REASON_EXPIRED {
			s += w.because(Explain(locale, *f.Last))
			if f.Last.Reason == notifierv1.ErrorReason_ERROR_REASON_DINGTALK_UNAVAILABLE {
				s += w.perhapsShown()
			}
		}
		return s
	}
	if f.Errcode != 0 {
		s += w.errcode(f.Errcode)
	}
	return s
}

// maxDetail bounds a checker's words in an explanation, in characters.
const maxDetail = 300

// MutedUntil says in the language of locale that a robot is left alone until a time, by the clock of zone
// (nil: the language's own); with the date where that is another than now's.
func MutedUntil(locale string, zone *time.Location, until, now time.Time) string {
	return wordingFor(locale).in(zone).mutedUntil(until, now)
}

// FoldedNote says in the language of locale, as plain text, that a notification is told by another, of which
// title is what Title returns.
func FoldedNote(locale, title string) string {
	return wordingFor(locale).words.Notes.Folded.with(clip(oneLine(title), maxSummaryRunes))
}

// TemplateNote says in the language of locale, as plain text, that the robot's own template failed, so that
// the built-in wording stands in. detail is what went wrong, in English.
func TemplateNote(locale, detail string) string {
	return wordingFor(locale).words.Notes.Template.with(clip(oneLine(detail), maxDetail))
}
