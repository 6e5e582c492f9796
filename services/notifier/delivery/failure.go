package delivery

import (
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// Failure is why something was refused, in the words of the API.
type Failure struct {
	Reason notifierv1.ErrorReason `json:"reason"`
	// Message is the sentence for logs, in English; the API words Reason in the robot's language.
	Message string `json:"message"`
	Errcode int    `json:"errcode,omitempty"`
	// Verdict is what becomes of it.
	Verdict Verdict `json:"verdict,omitempty"`
	// Last is what kept something that became too old from being delivered, if that is known.
	Last *Failure `json:"last,omitempty"`
}

// Verdict says what becomes of what was refused, in the API's spelling.
type Verdict string

// The verdicts.
const (
	Retrying          Verdict = "RETRYING"
	Waiting           Verdict = "WAITING"
	MendMessage       Verdict = "MEND_MESSAGE"
	MendConfiguration Verdict = "MEND_CONFIGURATION"
	GivenUp           Verdict = "GIVEN_UP"
)

// failureOf puts a refusal that is treated as one of class into the words of the API.
func failureOf(r *dingtalk.Refusal, class dingtalk.Class) Failure {
	reason, ok := notifierv1.ErrorReason_value["ERROR_REASON_"+string(r.Reason)]
	if !ok {
		reason = int32(notifierv1.ErrorReason_ERROR_REASON_UNKNOWN_REFUSAL)
	}
	f := Failure{Reason: notifierv1.ErrorReason(reason), Message: r.Advice, Errcode: r.Errcode, Verdict: Retrying}
	switch {
	case class == dingtalk.MessageFault:
		f.Verdict = MendMessage
	case class == dingtalk.Throttled, r.Reason == dingtalk.ReasonQuotaExhausted:
		// A quota comes back with the month, whether or not somebody raises it.
		f.Verdict = Waiting
	case class == dingtalk.RobotFault:
		f.Verdict = MendConfiguration
	}
	return f
}

// expired is the failure of what became too old; last is what kept it from being delivered, if known.
func expired(maxAge time.Duration, last *Failure, uncertain bool) Failure {
	f := Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_EXPIRED,
		Message: "it could not be delivered within its maximum age of " + maxAge.String(),
		Verdict: GivenUp,
		Last:    last,
	}
	if last != nil {
		f.Message += "; last: " + last.Message
		f.Errcode = last.Errcode
	}
	if uncertain {
		f.Message += "; an attempt may have reached the group all the same"
	}
	return f
}

// unwordable is the failure of what the renderer can't word.
func unwordable(err error) Failure {
	return Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE,
		Message: err.Error(),
		Verdict: MendMessage,
	}
}

// The failures that Belfry itself is the source of.
var (
	robotPaused = Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED,
		Message: "the robot is paused: resume it (ResumeRobot) when it is to send again",
		Verdict: Waiting,
	}
	robotRemoved = Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED,
		Message: "the robot is no longer in the configuration: put it back there, or redeliver through another robot",
		Verdict: MendConfiguration,
	}
	robotQuiet = Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_ROBOT_QUIET,
		Message: "the robot's quiet hours are on: what they hold is sent when they end",
		Verdict: Waiting,
	}
	outcomeUnknown = Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN,
		Message: "it may have reached the group: an attempt had no answer, and the robot that made it is refused or gone since; look in the group, and redeliver it if it is not there",
		Verdict: GivenUp,
	}
	robotMuted = Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_THROTTLED,
		Message: "DingTalk throttles the robot: wait, and let nothing else send through it",
		Verdict: Waiting,
	}
)
