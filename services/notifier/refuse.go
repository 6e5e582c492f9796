package notifier

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// inspect returns why n can't be told, as the error for the caller. Where keep_refused may make a dead letter
// of it, refused is what that says.
func (s *Service) inspect(n delivery.Notification) (refused *delivery.Failure, err error) {
	robot, err := s.robot(n.Robot)
	if err != nil {
		return &delivery.Failure{
			Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND, Verdict: delivery.MendConfiguration,
			Message: status.Convert(err).Message(),
		}, err
	}
	if _, err = rendererOf(robot).Inspect(n); err == nil {
		return nil, nil
	}
	if reason, message := explain(n.Robot, err); reason != notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST {
		refused = &delivery.Failure{Reason: reason, Message: message, Verdict: delivery.MendMessage}
	}
	return refused, refusal(n.Robot, content(n.Event), err)
}

// explain puts into words why a robot can't tell something.
func explain(robot string, err error) (notifierv1.ErrorReason, string) {
	var keyword *render.KeywordError
	var size *render.TooLargeError
	var mention *render.MentionError
	switch {
	case errors.As(err, &mention):
		return notifierv1.ErrorReason_ERROR_REASON_MENTION_NOT_ALLOWED,
			fmt.Sprintf("robot %s may not call everybody: leave out mentions.all, or allow it in belfry.yaml with mentions: {all: true} for this robot", robot)
	case errors.As(err, &keyword):
		return notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING,
			fmt.Sprintf("robot %s takes only messages with one of its keywords, and this one has none: %s",
				robot, strings.Join(keyword.Accepted, ", "))
	case errors.As(err, &size):
		return notifierv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
			fmt.Sprintf("for robot %s the message is %d bytes once encoded, and DingTalk takes 20000: shorten it", robot, size.Bytes)
	}
	return notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, err.Error()
}

// content names the field that holds what is to be told.
func content(event *eventv1.Event) string {
	if event != nil {
		return "event"
	}
	return "message"
}

// refusal is the error for a request whose field holds what the robot can't tell.
func refusal(robot, field string, err error) error {
	reason, message := explain(robot, err)
	var keyword *render.KeywordError
	var size *render.TooLargeError
	var mention *render.MentionError
	switch {
	case errors.As(err, &mention):
		return fault.New(codes.FailedPrecondition, reason, message, "robot", robot)
	case errors.As(err, &keyword):
		return fault.New(codes.FailedPrecondition, reason, message, "robot", robot, "keywords", strings.Join(keyword.Accepted, ","))
	case errors.As(err, &size):
		return fault.New(codes.InvalidArgument, reason, message, "robot", robot, "bytes", fmt.Sprint(size.Bytes))
	}
	return fault.Invalid(field, message)
}
