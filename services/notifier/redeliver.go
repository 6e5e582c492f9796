package notifier

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// RedeliverDelivery implements NotifierService. What is sent again is checked as Notify checks it, by the
// configuration as it is now.
func (s *Service) RedeliverDelivery(ctx context.Context, req *notifierv1.RedeliverDeliveryRequest) (*notifierv1.RedeliverDeliveryResponse, error) {
	old, err := s.ended(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	n := delivery.Notification{
		Robot:        cmp.Or(req.GetRobot(), old.Robot),
		RequestID:    redeliveryID(req.GetName(), req.GetRequestId()),
		CreateTime:   time.Now(),
		Event:        old.Event,
		Message:      old.Message,
		Urgent:       old.Urgent,
		RedeliveryOf: req.GetName(),
	}
	if _, ok := s.dispatcher.Robot(n.Robot); !ok && req.GetRobot() == "" {
		return nil, fault.New(codes.NotFound, notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND,
			fmt.Sprintf("the robot of this delivery, %q, is not in the notifier's configuration: name another one in robot", n.Robot),
			"robot", n.Robot)
	}
	if _, err := s.inspect(n); err != nil {
		return nil, err
	}
	ns := []delivery.Notification{n}
	receipts, err := s.append(ctx, ns)
	if err != nil {
		return nil, err
	}
	return &notifierv1.RedeliverDeliveryResponse{Delivery: s.stored(ctx, ns, receipts)[0]}, nil
}

// ended returns the notification of that delivery if it has ended.
func (s *Service) ended(ctx context.Context, name string) (delivery.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	n, err := s.notification(ctx, name)
	if err != nil {
		return n, err
	}
	out, err := s.journal.Outcome(ctx, n.Robot, n.Seq)
	if err != nil {
		return n, s.unreadable(err)
	}
	if out == nil {
		return n, fault.New(codes.FailedPrecondition, notifierv1.ErrorReason_ERROR_REASON_DELIVERY_NOT_ENDED,
			"the delivery is still under way, and sent again it would be shown twice: wait until it has ended", "name", name)
	}
	return n, nil
}

// The id of a redelivery's request, as the journal knows it, has blanks in it, which no id of a Notify has:
// the same id in both must not make one a repeat of the other. It names the old delivery as well, so that
// an id which is used again for another one sends that one too.
const redeliveryPrefix = "redeliver "

func redeliveryID(name, requestID string) string {
	if requestID == "" {
		return ""
	}
	return redeliveryPrefix + name + " " + requestID
}

// requestID is the id that n's caller gave.
func requestID(n delivery.Notification) string {
	if rest, ok := strings.CutPrefix(n.RequestID, redeliveryPrefix); ok {
		_, id, _ := strings.Cut(rest, " ")
		return id
	}
	return n.RequestID
}
