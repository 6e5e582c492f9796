package dingtalk

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class says what a failed attempt means for what comes next.
type Class int

const (
	// MessageFault: this message will never be accepted as it is; the next one may be.
	MessageFault Class = iota + 1
	// RobotFault: no message will be accepted until somebody changes the robot, its group or its settings.
	RobotFault
	// Throttled: the robot or this machine calls too fast. Wait for RetryAfter; nothing was delivered.
	Throttled
	// Transient: nothing was sent, since there was no connection to send it on. Try again.
	Transient
	// Unknown: the message may have been delivered. Try again with the same uuid.
	Unknown
)

// String names the class in lower-case words.
func (c Class) String() string {
	switch c {
	case MessageFault:
		return "message at fault"
	case RobotFault:
		return "robot at fault"
	case Throttled:
		return "throttled"
	case Transient:
		return "transient"
	case Unknown:
		return "unknown outcome"
	default:
		return fmt.Sprintf("Class(%d)", int(c))
	}
}

// Reason names a fault for programs; the names are stable.
type Reason string

const (
	// ReasonMessageRefused: the message lacks a field, has content that DingTalk forbids, or is malformed.
	ReasonMessageRefused Reason = "MESSAGE_REFUSED"
	// ReasonMessageTooLarge: the body is over [MaxBody].
	ReasonMessageTooLarge Reason = "MESSAGE_TOO_LARGE"
	// ReasonTokenUnknown: DingTalk doesn't know the robot's token.
	ReasonTokenUnknown Reason = "ROBOT_TOKEN_UNKNOWN"
	// ReasonKeywordMismatch: none of the robot's keywords is in the message.
	ReasonKeywordMismatch Reason = "ROBOT_KEYWORD_MISMATCH"
	// ReasonSignatureMismatch: the signature is wrong or missing.
	ReasonSignatureMismatch Reason = "ROBOT_SIGNATURE_MISMATCH"
	// ReasonClockSkew: the signature's time is too far from DingTalk's.
	ReasonClockSkew Reason = "ROBOT_CLOCK_SKEW"
	// ReasonAddressNotAllowed: the robot's list of IP addresses lacks the caller's.
	ReasonAddressNotAllowed Reason = "ROBOT_ADDRESS_NOT_ALLOWED"
	// ReasonRobotUnavailable: the robot is disabled, removed or forbidden to send, its group is gone, or
	// one of its security settings is not met and DingTalk's words don't say which.
	ReasonRobotUnavailable Reason = "ROBOT_UNAVAILABLE"
	// ReasonQuotaExhausted: the month's allowance of webhook calls is used up.
	ReasonQuotaExhausted Reason = "ROBOT_QUOTA_EXHAUSTED"
	// ReasonThrottled: too many calls.
	ReasonThrottled Reason = "THROTTLED"
	// ReasonUnavailable: DingTalk is busy, out of reach, or gave no answer that can be read.
	ReasonUnavailable Reason = "DINGTALK_UNAVAILABLE"
	// ReasonUnknownRefusal: DingTalk refused with a code that is in no list.
	ReasonUnknownRefusal Reason = "UNKNOWN_REFUSAL"
)

// Refusal is why an attempt did not end in DingTalk's yes. Nothing in it holds a token, a secret, a
// signature or a URL, however it is printed.
type Refusal struct {
	// Class says what to do next, Reason names the fault.
	Class  Class
	Reason Reason
	// Errcode is DingTalk's code; 0 where there was none.
	Errcode int
	// Errmsg is DingTalk's text for people, on one line and at most 300 characters; empty where there was
	// none.
	Errmsg string
	// Advice is one English sentence: what is wrong and what to change.
	Advice string
	// RetryAfter is how long to leave the robot alone, set in the class Throttled only.
	RetryAfter time.Duration

	cause error
}

// Error is the advice, with DingTalk's own code and words or the error beneath where there are any.
func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString("dingtalk: ")
	b.WriteString(r.Advice)
	switch {
	case r.Errcode != 0:
		fmt.Fprintf(&b, " (errcode %d: %s)", r.Errcode, r.Errmsg)
	case r.cause != nil:
		fmt.Fprintf(&b, " (%v)", r.cause)
	}
	return b.String()
}

// Unwrap returns the error beneath, if there is one: a *SizeError or *MessageError for a message that was
// never sent; for a broken or late connection one that matches context.Canceled and its like by errors.Is.
func (r *Refusal) Unwrap() error { return r.cause }

// Format writes what Error returns, whatever the verb, so that %+v and %#v show no more than %v.
func (r *Refusal) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(r.Error())) }

// cause is an error of the transport with its text redacted. The error itself stays within: its text may
// hold an address, and so may that of the errors in it.
type cause struct {
	text string
	err  error
}

// Error is the redacted text.
func (c *cause) Error() string { return c.text }

// Is lets errors.Is see through the redaction.
func (c *cause) Is(target error) bool { return errors.Is(c.err, target) }

// Format writes what Error returns, whatever the verb.
func (c *cause) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(c.text)) }
