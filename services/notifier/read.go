package notifier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/access"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

const (
	defaultPageSize = 50
	// scanLimit is how many deliveries one ListDeliveries looks at in search of a state, or of those of the
	// caller's robots, scanStep of them at a time; a page may then hold few or none and still have a next one.
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
	if err == nil {
		err = s.noteFolds(ctx, ds)
	}
	if err != nil {
		return nil, s.unreadable(err)
	}
	return &notifierv1.GetDeliveryResponse{Delivery: ds[0]}, nil
}

// notification returns that of the delivery of that name, or the error for the caller.
func (s *Service) notification(ctx context.Context, name string) (delivery.Notification, error) {
	robot, seq, err := parseDeliveryName(name)
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
	caller := access.From(ctx)
	for scanned := 0; ; {
		want := size - len(resp.GetDeliveries())
		if req.GetState() != "" || robot == "" && !caller.All() {
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
			if req.GetState() != "" && d.GetState() != req.GetState() || !caller.Has(ns[i].Robot) {
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
	if err := s.noteFolds(ctx, resp.GetDeliveries()); err != nil {
		return nil, s.unreadable(err)
	}
	resp.NextPageToken = at.token()
	return resp, nil
}

func (s *Service) unreadable(err error) error {
	s.log.Error("journal can't be read", zap.Error(err))
	return fault.New(codes.Unavailable, notifierv1.ErrorReason_ERROR_REASON_JOURNAL_UNAVAILABLE, "the journal can't be read now; try again")
}
