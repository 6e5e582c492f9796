package notifier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
	"gitee.com/belfry/belfry/services/notifier/render"
)

const (
	// appendTimeout bounds how long a caller waits for the disk.
	appendTimeout = 5 * time.Second
	// previewBody is the longest body that Preview shows, in bytes. It is above what DingTalk takes, and
	// keeps an answer for a hundred robots within the 4 MiB that a gRPC client takes.
	previewBody = 32 << 10
)

// Notify implements NotifierService. Every robot is checked before anything is stored for any of them.
func (s *Service) Notify(ctx context.Context, req *notifierv1.NotifyRequest) (*notifierv1.NotifyResponse, error) {
	accepted, err := acceptTime(req.GetAcceptTime(), time.Now())
	if err != nil {
		return nil, err
	}
	ns := make([]delivery.Notification, len(req.GetRobots()))
	for i, name := range req.GetRobots() {
		ns[i] = delivery.Notification{
			Robot: name, RequestID: req.GetRequestId(), CreateTime: accepted,
			Event: req.GetEvent(), Message: req.GetMessage(), Urgent: req.GetUrgent(),
		}
		refused, err := s.inspect(ns[i])
		if err != nil && (refused == nil || !req.GetKeepRefused()) {
			return nil, err
		}
		ns[i].Refusal = refused
	}
	receipts, err := s.append(ctx, ns)
	if err != nil {
		return nil, err
	}
	resp := &notifierv1.NotifyResponse{Duplicate: true}
	for _, r := range receipts {
		resp.Duplicate = resp.Duplicate && r.Duplicate
	}
	if wait := req.GetWait().AsDuration(); wait > 0 {
		wctx, cancel := context.WithTimeout(ctx, wait)
		stop := context.AfterFunc(s.waits, cancel)
		for _, n := range ns {
			s.dispatcher.Wait(wctx, n.Robot, n.Seq)
		}
		stop()
		cancel()
	}
	resp.Deliveries = s.stored(ctx, ns, receipts)
	return resp, nil
}

// acceptTime is when a notification counts as accepted that comes at now.
func acceptTime(t *timestamppb.Timestamp, now time.Time) (time.Time, error) {
	if t == nil {
		return now, nil
	}
	if err := t.CheckValid(); err != nil {
		return now, fault.Invalid("accept_time", "it is no time between the years 1 and 9999")
	}
	if at := t.AsTime(); at.Before(now) {
		return at, nil
	}
	return now, nil
}

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

// append makes ns durable, all or none, and sets their Seq. Its errors are for the caller.
func (s *Service) append(ctx context.Context, ns []delivery.Notification) ([]delivery.Receipt, error) {
	actx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	receipts, err := s.journal.Append(actx, ns)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("journal refused a notification", zap.String("request_id", ns[0].RequestID), zap.Error(err))
		}
		return nil, journalFault(err)
	}
	for i, r := range receipts {
		ns[i].Seq = r.Seq
		_, known := s.dispatcher.Robot(ns[i].Robot)
		s.metrics.accepted(ns[i].Robot, known, r.Duplicate)
	}
	return receipts, nil
}

// stored tells how ns are that were appended. It never fails: they are durable, and an error would say
// otherwise.
func (s *Service) stored(ctx context.Context, ns []delivery.Notification, receipts []delivery.Receipt) []*notifierv1.Delivery {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for i, r := range receipts {
		if r.Duplicate {
			// What the first request asked for is what is on its way, whatever this one says.
			if first, err := s.journal.Get(ctx, ns[i].Robot, r.Seq); err == nil {
				ns[i] = first
			}
		}
	}
	ds, err := s.deliveries(ctx, ns)
	if err != nil {
		s.log.Warn("state of accepted deliveries can't be read", zap.String("request_id", ns[0].RequestID), zap.Error(err))
		for _, n := range ns {
			ds = append(ds, deliveryOf(n, delivery.Status{}, nil))
		}
	}
	return ds
}

// Preview implements NotifierService.
func (s *Service) Preview(_ context.Context, req *notifierv1.PreviewRequest) (*notifierv1.PreviewResponse, error) {
	resp := &notifierv1.PreviewResponse{}
	for _, name := range req.GetRobots() {
		robot, err := s.robot(name)
		if err != nil {
			return nil, err
		}
		p, err := s.preview(robot, req.GetEvent(), req.GetMessage())
		if err != nil {
			return nil, err
		}
		resp.Previews = append(resp.Previews, p)
	}
	return resp, nil
}

func (s *Service) preview(robot delivery.Robot, event *eventv1.Event, message *notifierv1.Message) (*notifierv1.Preview, error) {
	got, err := rendererOf(robot).Inspect(delivery.Notification{
		Robot: robot.Name, CreateTime: time.Now(), Event: event, Message: message,
	})
	p := &notifierv1.Preview{
		Robot:     "robots/" + robot.Name,
		Body:      string(got.Body),
		SizeBytes: int32(len(got.Body)),
		Keyword: &notifierv1.KeywordVerdict{
			Verdict:  string(got.Verdict),
			Keyword:  got.Keyword,
			Accepted: rendererOf(robot).Options().Keywords,
		},
	}
	if len(got.Body) > previewBody {
		p.Body = ""
	}
	if err != nil {
		reason, message := explain(robot.Name, err)
		p.Failure = failure(localeOf(robot), &delivery.Failure{Reason: reason, Message: message, Verdict: delivery.MendMessage})
	}
	return p, nil
}

func (s *Service) robot(name string) (delivery.Robot, error) {
	robot, ok := s.dispatcher.Robot(name)
	if !ok {
		return robot, fault.New(codes.NotFound, notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND,
			fmt.Sprintf("there is no robot %q in the notifier's configuration", name), "robot", name)
	}
	return robot, nil
}

// explain puts into words why a robot can't tell something.
func explain(robot string, err error) (notifierv1.ErrorReason, string) {
	var keyword *render.KeywordError
	var size *render.TooLargeError
	switch {
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
	switch {
	case errors.As(err, &keyword):
		return fault.New(codes.FailedPrecondition, reason, message, "robot", robot, "keywords", strings.Join(keyword.Accepted, ","))
	case errors.As(err, &size):
		return fault.New(codes.InvalidArgument, reason, message, "robot", robot, "bytes", fmt.Sprint(size.Bytes))
	}
	return fault.Invalid(field, message)
}

func journalFault(err error) error {
	message := "the journal could not make it durable; repeat with the same request_id"
	if errors.Is(err, journal.ErrTooLarge) {
		return fault.New(codes.InvalidArgument, notifierv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
			"the event or message is larger than the journal takes: leave out some of it")
	}
	if errors.Is(err, journal.ErrFull) {
		message = "the journal is full and takes nothing new until older notifications have aged out or it is given more room (notifier.store.embedded.max_bytes); repeat later with the same request_id"
	}
	return fault.New(codes.Unavailable, notifierv1.ErrorReason_ERROR_REASON_JOURNAL_UNAVAILABLE, message)
}
