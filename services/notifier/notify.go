package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

// appendTimeout bounds how long a caller waits for the disk.
const appendTimeout = 5 * time.Second

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
		s.metrics.accepted(ns[i].Robot, r.Duplicate)
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
	} else if err := s.noteFolds(ctx, ds); err != nil {
		s.log.Warn("what accepted deliveries were folded into can't be read", zap.String("request_id", ns[0].RequestID), zap.Error(err))
	}
	return ds
}

func (s *Service) robot(name string) (delivery.Robot, error) {
	robot, ok := s.dispatcher.Robot(name)
	if !ok {
		return robot, fault.New(codes.NotFound, notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND,
			fmt.Sprintf("there is no robot %q in the notifier's configuration", name), "robot", name)
	}
	return robot, nil
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
