package render

import (
	"strconv"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// failureWords say what is wrong and the one thing to change. The advice is that of package dingtalk's table
// of answers, where the refusal was DingTalk's.
type failureWords struct {
	InvalidRequest    plainTerm `key:"invalid_request"`
	RobotNotFound     plainTerm `key:"robot_not_found"`
	KeywordMissing    plainTerm `key:"keyword_missing"`
	MessageTooLarge   plainTerm `key:"message_too_large"`
	MentionNotAllowed plainTerm `key:"mention_not_allowed"`
	MessageRefused    struct {
		Link        plainTerm `key:"link"`
		Words       plainTerm `key:"words"`
		Picture     plainTerm `key:"picture"`
		Content     plainTerm `key:"content"`
		NotJSON     plainTerm `key:"not_json"`
		NotPost     plainTerm `key:"not_post"`
		ContentType plainTerm `key:"content_type"`
		Parameters  plainTerm `key:"parameters"`
		MessageType plainTerm `key:"message_type"`
		Field       plainTerm `key:"field"`
		Otherwise   plainTerm `key:"otherwise"`
	} `key:"message_refused"`
	RobotTokenUnknown struct {
		Lost      plainTerm `key:"lost"`
		Otherwise plainTerm `key:"otherwise"`
	} `key:"robot_token_unknown"`
	RobotKeywordMismatch   plainTerm `key:"robot_keyword_mismatch"`
	RobotSignatureMismatch plainTerm `key:"robot_signature_mismatch"`
	RobotClockSkew         plainTerm `key:"robot_clock_skew"`
	RobotAddressNotAllowed plainTerm `key:"robot_address_not_allowed"`
	RobotUnavailable       struct {
		Setting   plainTerm `key:"setting"`
		Group     plainTerm `key:"group"`
		Gone      plainTerm `key:"gone"`
		Otherwise plainTerm `key:"otherwise"`
	} `key:"robot_unavailable"`
	RobotQuotaExhausted plainTerm `key:"robot_quota_exhausted"`
	Throttled           struct {
		Gateway      plainTerm `key:"gateway"`
		Organisation plainTerm `key:"organisation"`
		Blocked      plainTerm `key:"blocked"`
		Robot        plainTerm `key:"robot"`
	} `key:"throttled"`
	DingTalkUnavailable plainTerm `key:"dingtalk_unavailable"`
	Expired             plainTerm `key:"expired"`
	NotRenderable       plainTerm `key:"not_renderable"`
	UnknownRefusal      plainTerm `key:"unknown_refusal"`
	RobotRemoved        plainTerm `key:"robot_removed"`
	RobotPaused         plainTerm `key:"robot_paused"`
	RobotQuiet          plainTerm `key:"robot_quiet"`
	OutcomeUnknown      plainTerm `key:"outcome_unknown"`

	Errcode      plainSentence `key:"errcode" nouns:"code"`
	Detail       plainSentence `key:"detail" nouns:"text"`
	Because      plainSentence `key:"because" nouns:"why"`
	PerhapsShown plainTerm     `key:"perhaps_shown"`
}

// failure says why something was refused and the one thing to change, without a full stop; errcode is
// DingTalk's, for where one reason has several remedies. It is empty for reasons that no delivery and no
// robot has.
func (w wording) failure(reason notifierv1.ErrorReason, errcode int) string {
	return string(w.words.Failures.of(reason, errcode))
}

func (t *failureWords) of(reason notifierv1.ErrorReason, errcode int) plainTerm {
	switch reason {
	case notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST:
		return t.InvalidRequest
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND:
		return t.RobotNotFound
	case notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING:
		return t.KeywordMissing
	case notifierv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE:
		return t.MessageTooLarge
	case notifierv1.ErrorReason_ERROR_REASON_MENTION_NOT_ALLOWED:
		return t.MentionNotAllowed
	case notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED:
		return t.messageRefused(errcode)
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN:
		if errcode == 40035 {
			return t.RobotTokenUnknown.Lost
		}
		return t.RobotTokenUnknown.Otherwise
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_KEYWORD_MISMATCH:
		return t.RobotKeywordMismatch
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_SIGNATURE_MISMATCH:
		return t.RobotSignatureMismatch
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_CLOCK_SKEW:
		return t.RobotClockSkew
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_ADDRESS_NOT_ALLOWED:
		return t.RobotAddressNotAllowed
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_UNAVAILABLE:
		return t.robotUnavailable(errcode)
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_QUOTA_EXHAUSTED:
		return t.RobotQuotaExhausted
	case notifierv1.ErrorReason_ERROR_REASON_THROTTLED:
		return t.throttled(errcode)
	case notifierv1.ErrorReason_ERROR_REASON_DINGTALK_UNAVAILABLE:
		return t.DingTalkUnavailable
	case notifierv1.ErrorReason_ERROR_REASON_EXPIRED:
		return t.Expired
	case notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE:
		return t.NotRenderable
	case notifierv1.ErrorReason_ERROR_REASON_UNKNOWN_REFUSAL:
		return t.UnknownRefusal
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED:
		return t.RobotRemoved
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED:
		return t.RobotPaused
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_QUIET:
		return t.RobotQuiet
	case notifierv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN:
		return t.OutcomeUnknown
	}
	return ""
}

func (t *failureWords) messageRefused(errcode int) plainTerm {
	r := &t.MessageRefused
	switch {
	case errcode == 430101:
		return r.Link
	case errcode == 430102:
		return r.Words
	case errcode == 430103:
		return r.Picture
	case errcode == 430104:
		return r.Content
	case errcode == 40035:
		return r.NotJSON
	case errcode == 43002, errcode == 43003:
		return r.NotPost
	case errcode == 43004:
		return r.ContentType
	case errcode == 300001:
		return r.Parameters
	case errcode == 400105:
		return r.MessageType
	case 400200 <= errcode && errcode <= 400699, errcode == 401104:
		return r.Field
	}
	return r.Otherwise
}

func (t *failureWords) robotUnavailable(errcode int) plainTerm {
	switch errcode {
	case 310000:
		return t.RobotUnavailable.Setting
	case 400013:
		return t.RobotUnavailable.Group
	case 400106:
		return t.RobotUnavailable.Gone
	}
	return t.RobotUnavailable.Otherwise
}

func (t *failureWords) throttled(errcode int) plainTerm {
	switch errcode {
	case 90002:
		return t.Throttled.Gateway
	case 90018:
		return t.Throttled.Organisation
	case 0:
		return t.Throttled.Blocked
	}
	return t.Throttled.Robot
}

// errcode, detail (in English) and because are added to a failure; because says what kept an expired
// notification from being delivered.
func (w wording) errcode(n int) string { return w.words.Failures.Errcode.with(strconv.Itoa(n)) }

func (w wording) detail(english string) string { return w.words.Failures.Detail.with(english) }

func (w wording) because(why string) string { return w.words.Failures.Because.with(why) }

// perhapsShown is added where the group may have got the notification all the same.
func (w wording) perhapsShown() string { return string(w.words.Failures.PerhapsShown) }

// mutedUntil says until when a robot is left alone.
func (w wording) mutedUntil(until, now time.Time) string {
	return w.words.Notes.MutedUntil.with(w.clock(until, now))
}
