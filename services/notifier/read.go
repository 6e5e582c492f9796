package notifier

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// The states of a delivery, in the API's spelling.
const (
	statePending   = "PENDING"
	stateSending   = "SENDING"
	stateDelivered = "DELIVERED"
	stateDead      = "DEAD"
)

const (
	defaultPageSize = 50
	// scanLimit is how many deliveries one ListDeliveries looks at in search of a state, scanStep of them at
	// a time; a page may then hold few or none and still have a next one.
	scanLimit = 2000
	scanStep  = 200
	// readTimeout bounds how long a question to the journal may take.
	readTimeout = 10 * time.Second
)

// GetDelivery implements NotifierService.
func (s *Service) GetDelivery(ctx context.Context, req *notifierv1.GetDeliveryRequest) (*notifierv1.GetDeliveryResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	n, err := s.notification(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	ds, err := s.deliveries(ctx, []delivery.Notification{n})
	if err != nil {
		return nil, s.unreadable(err)
	}
	return &notifierv1.GetDeliveryResponse{Delivery: ds[0]}, nil
}

// notification returns that of the delivery of that name, or the error for the caller.
func (s *Service) notification(ctx context.Context, name string) (delivery.Notification, error) {
	robot, number, _ := strings.Cut(strings.TrimPrefix(name, "robots/"), "/deliveries/")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return delivery.Notification{}, fault.Invalid("name", "it is to end in a delivery's number")
	}
	n, err := s.journal.Get(ctx, robot, seq)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		if err := s.known(ctx, robot); err != nil {
			return n, err
		}
		return n, fault.New(codes.NotFound, notifierv1.ErrorReason_ERROR_REASON_DELIVERY_NOT_FOUND,
			"there is no such delivery, or it is older than the journal keeps", "name", name)
	case err != nil:
		return n, s.unreadable(err)
	}
	return n, nil
}

// known returns nil for a robot that is configured, or of which the journal still holds something, and
// otherwise the error for the caller.
func (s *Service) known(ctx context.Context, robot string) error {
	_, err := s.robot(robot)
	if err == nil {
		return nil
	}
	ns, _, lerr := s.journal.List(ctx, robot, 0, 1)
	switch {
	case lerr != nil:
		return s.unreadable(lerr)
	case len(ns) == 0:
		return err
	}
	return nil
}

// cursor is what a page token holds: where to go on, and what the first page asked for.
type cursor struct {
	Before uint64 `json:"b"`
	Parent string `json:"p"`
	State  string `json:"s,omitempty"`
}

func (c cursor) token() string {
	if c.Before == 0 {
		return ""
	}
	data, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseCursor(token, parent, state string) (cursor, error) {
	c := cursor{Parent: parent, State: state}
	if token == "" {
		return c, nil
	}
	var got cursor
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil || got.Before == 0 || got.Parent != parent || got.State != state {
		return c, fault.Invalid("page_token", "it is not a token of an earlier answer to the same parent and state")
	}
	return got, nil
}

// ListDeliveries implements NotifierService.
func (s *Service) ListDeliveries(ctx context.Context, req *notifierv1.ListDeliveriesRequest) (*notifierv1.ListDeliveriesResponse, error) {
	at, err := parseCursor(req.GetPageToken(), req.GetParent(), req.GetState())
	if err != nil {
		return nil, err
	}
	robot := strings.TrimPrefix(req.GetParent(), "robots/")
	if robot == "-" {
		robot = ""
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp := &notifierv1.ListDeliveriesResponse{}
	for scanned := 0; ; {
		want := size - len(resp.GetDeliveries())
		if req.GetState() != "" {
			want = max(want, scanStep)
		}
		ns, next, err := s.journal.List(ctx, robot, at.Before, want)
		if err != nil {
			return nil, s.unreadable(err)
		}
		ds, err := s.deliveries(ctx, ns)
		if err != nil {
			return nil, s.unreadable(err)
		}
		at.Before = next
		for i, d := range ds {
			if req.GetState() != "" && d.GetState() != req.GetState() {
				continue
			}
			if resp.Deliveries = append(resp.Deliveries, d); len(resp.GetDeliveries()) == size && i < len(ds)-1 {
				at.Before = ns[i].Seq
				break
			}
		}
		// Nothing found still costs something, so it counts as well.
		scanned += max(len(ns), 1)
		if at.Before == 0 || len(resp.GetDeliveries()) >= size || scanned >= scanLimit {
			break
		}
	}
	if len(resp.GetDeliveries()) == 0 && req.GetPageToken() == "" && robot != "" && at.Before == 0 {
		if err := s.known(ctx, robot); err != nil {
			return nil, err
		}
	}
	resp.NextPageToken = at.token()
	return resp, nil
}

// deliveries tells how each of ns is. The lanes are asked first and the journal then: a lane moves its
// cursor only after the outcome is written, so what is behind the cursor has one.
func (s *Service) deliveries(ctx context.Context, ns []delivery.Notification) ([]*notifierv1.Delivery, error) {
	lanes := make(map[string]delivery.Status)
	for _, n := range ns {
		if _, ok := lanes[n.Robot]; !ok {
			lanes[n.Robot], _ = s.dispatcher.Status(n.Robot)
		}
	}
	outcomes, err := s.journal.Outcomes(ctx, ns)
	if err != nil {
		return nil, err
	}
	ds := make([]*notifierv1.Delivery, len(ns))
	for i, n := range ns {
		ds[i] = deliveryOf(n, lanes[n.Robot], outcomes[i])
	}
	return ds, nil
}

// deliveryOf tells how n is, whose robot is as st, and which ended with out, or has not.
func deliveryOf(n delivery.Notification, st delivery.Status, out *delivery.Outcome) *notifierv1.Delivery {
	d := &notifierv1.Delivery{
		Name:         deliveryName(n.Robot, n.Seq),
		State:        statePending,
		RequestId:    requestID(n),
		CreateTime:   timestamppb.New(n.CreateTime),
		Title:        render.Title(localeOf(st.Robot), n),
		RedeliveryOf: n.RedeliveryOf,
		Urgent:       n.Urgent,
	}
	if out != nil {
		d.State = stateDelivered
		if !out.Delivered {
			d.State = stateDead
			d.Failure = failure(localeOf(st.Robot), out.Failure)
		}
		d.EndTime = timestamppb.New(out.Time)
		d.Attempts = int32(out.Attempts)
		if out.UUID != "" {
			d.Message = &notifierv1.SentMessage{Uuid: out.UUID, Items: int32(out.Items)}
		}
		return d
	}
	d.Failure = failure(localeOf(st.Robot), cmp.Or(n.Refusal, st.Waiting))
	if in := st.Sending; in != nil && in.First <= n.Seq && n.Seq <= in.Last {
		d.State = stateSending
		d.Attempts = int32(in.Attempts)
		d.Message = &notifierv1.SentMessage{Uuid: in.UUID, Items: int32(in.Items)}
	}
	return d
}

func deliveryName(robot string, seq uint64) string {
	return fmt.Sprintf("robots/%s/deliveries/%d", robot, seq)
}

// failure says f in the language of locale; nil for nil.
func failure(locale string, f *delivery.Failure) *notifierv1.Failure {
	if f == nil {
		return nil
	}
	return &notifierv1.Failure{
		Reason: f.Reason.String(), Message: render.Explain(locale, *f), Errcode: int32(f.Errcode), Verdict: string(f.Verdict),
	}
}

func (s *Service) unreadable(err error) error {
	s.log.Error("journal can't be read", zap.Error(err))
	return fault.New(codes.Unavailable, notifierv1.ErrorReason_ERROR_REASON_JOURNAL_UNAVAILABLE, "the journal can't be read now; try again")
}
