package gateway

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// verdict is what an error of the notifier means for the event.
type verdict int

const (
	// notNow: the same call may well succeed later. The event goes into the spool.
	notNow verdict = iota
	// noRobot: the notifier does not know the robot. The two configurations differ, which an operator can
	// mend, so the event waits in the spool for that.
	noRobot
	// never: the notifier will say the same again.
	never
	// denied: the notifier does not let the gateway in, or not to the robot that it names. An operator can mend
	// the token, so the event waits in the spool for that.
	denied
)

// refusal is an error of the notifier, understood.
type refusal struct {
	verdict verdict
	// unreachable says, with notNow, that the notifier did not get to say anything about the call.
	unreachable bool
	// reason is a name of notifierv1.ErrorReason, message a sentence for people.
	reason  string
	message string
	// robot is the one at fault; empty where the notifier names none.
	robot string
}

// refusalOf understands an error of a call to the notifier. Permanent are only INVALID_ARGUMENT and
// FAILED_PRECONDITION, with which the notifier refuses the event as such. All others are taken for
// something that passes or can be mended, also those that would not by themselves, such as UNAUTHENTICATED
// for a wrong token, of which the log speaks louder: an event is rather kept too long than lost.
func refusalOf(err error) *refusal {
	st, _ := status.FromError(err)
	r := &refusal{
		reason:  notifierv1.ErrorReason_ERROR_REASON_INTERNAL.String(),
		message: shortened(st.Message()),
	}
	switch st.Code() {
	case codes.InvalidArgument, codes.FailedPrecondition:
		r.verdict = never
		r.reason = notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST.String()
	case codes.NotFound:
		r.verdict = noRobot
		r.reason = notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND.String()
	case codes.Unauthenticated:
		r.verdict = denied
		r.reason = notifierv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED.String()
	case codes.PermissionDenied:
		r.verdict = denied
		r.reason = notifierv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED.String()
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		r.unreachable = true
		r.reason = notifierv1.ErrorReason_ERROR_REASON_NOT_ACCEPTED.String()
	}
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != fault.Domain {
			continue
		}
		if _, known := notifierv1.ErrorReason_value[info.GetReason()]; known {
			r.reason = info.GetReason()
		}
		r.robot = info.GetMetadata()["robot"]
	}
	return r
}

// shortened cuts s to a length that suits an answer and a line of a log.
func shortened(s string) string {
	const limit = 1000
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	cut := limit
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
