package notifier

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// The states of a robot, in the API's spelling; members have the first three.
const (
	stateActive    = "ACTIVE"
	stateMuted     = "MUTED"
	stateSuspended = "SUSPENDED"
	statePaused    = "PAUSED"
	stateQuiet     = "QUIET"
	stateRemoved   = "REMOVED"
)

// maxRobotName is the most characters that a robot's name has.
const maxRobotName = 63

// GetRobot implements RobotService.
func (s *Service) GetRobot(ctx context.Context, req *notifierv1.GetRobotRequest) (*notifierv1.GetRobotResponse, error) {
	name := strings.TrimPrefix(req.GetName(), "robots/")
	st, ok := s.dispatcher.Status(name)
	if !ok {
		_, err := s.robot(name)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r, err := s.robotOf(ctx, st)
	if err != nil {
		return nil, s.unreadable(err)
	}
	return &notifierv1.GetRobotResponse{Robot: r}, nil
}

// ListRobots implements RobotService. A page token is the last name of the page before.
func (s *Service) ListRobots(ctx context.Context, req *notifierv1.ListRobotsRequest) (*notifierv1.ListRobotsResponse, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil || len(after) > maxRobotName || strings.Trim(string(after), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, fault.Invalid("page_token", "it is not a token of an earlier answer")
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	names := append(s.dispatcher.Robots(), s.dispatcher.Removed()...)
	names = visible(ctx, names)
	slices.Sort(names)
	resp := &notifierv1.ListRobotsResponse{}
	for _, name := range names {
		if name <= string(after) {
			continue
		}
		if n := len(resp.GetRobots()); n == size {
			last := strings.TrimPrefix(resp.GetRobots()[n-1].GetName(), "robots/")
			resp.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		st, ok := s.dispatcher.Status(name)
		if !ok { // the last that waited for a removed robot has just ended
			continue
		}
		r, err := s.robotOf(ctx, st)
		if err != nil {
			return nil, s.unreadable(err)
		}
		resp.Robots = append(resp.Robots, r)
	}
	return resp, nil
}

// robotOf shows a robot that is as st. Its errors are the journal's.
func (s *Service) robotOf(ctx context.Context, st delivery.Status) (*notifierv1.Robot, error) {
	name, locale := st.Robot.Name, localeOf(st.Robot)
	if st.Cursor == 0 {
		// The dispatcher may not have been told of the record yet.
		rec, err := s.journal.Lane(ctx, name)
		if err != nil {
			return nil, err
		}
		st.Cursor, st.Ahead = rec.Cursor, rec.Ahead
	}
	backlog, oldest, err := s.backlog(ctx, st)
	if err != nil {
		return nil, err
	}
	r := &notifierv1.Robot{
		Name:        "robots/" + name,
		State:       stateOfRobot(st),
		Locale:      locale,
		Backlog:     int64(backlog),
		BudgetLimit: int32(st.BudgetLimit),
		BudgetLeft:  int32(st.BudgetLeft),
		Suspension:  suspension(locale, st.Suspension),
		Members:     members(st, time.Now()),
		Allowance:   allowance(st.Allowance),
	}
	if len(st.Robot.Members) > 0 {
		r.Signed = st.Robot.Members[0].Webhook.Signed()
	}
	if renderer := rendererOf(st.Robot); renderer != nil {
		o := renderer.Options()
		r.Keywords, r.MissingKeyword = o.Keywords, "APPEND"
		if o.RejectMissingKeyword {
			r.MissingKeyword = "REJECT"
		}
	}
	if backlog > 0 {
		r.OldestCreateTime = timestamppb.New(oldest)
	}
	r.MuteEndTime = timestamp(st.MutedUntil)
	r.QuietEndTime = timestamp(st.QuietUntil)
	r.NextSendTime = timestamp(st.NextSend)
	if !st.Control.PausedSince.IsZero() {
		r.Pause = &notifierv1.Pause{StartTime: timestamppb.New(st.Control.PausedSince), Note: st.Control.Note}
	}
	return r, nil
}

// backlog returns how many notifications wait for a robot that is as st, and when the oldest of them was
// accepted.
func (s *Service) backlog(ctx context.Context, st delivery.Status) (uint64, time.Time, error) {
	beyond, oldest, err := s.journal.Backlog(ctx, st.Robot.Name, st.Cursor)
	// What was let through ahead of what quiet hours hold is settled; the journal counts it all the same. It
	// may have forgotten some of it for its age.
	return beyond - min(beyond, uint64(len(st.Ahead))), oldest, err
}

// stateOfRobot names what keeps the robot from sending: what only a person can end comes first.
func stateOfRobot(st delivery.Status) string {
	switch {
	case st.Removed:
		return stateRemoved
	case !st.Control.PausedSince.IsZero():
		return statePaused
	case st.Suspension != nil:
		return stateSuspended
	case !st.MutedUntil.IsZero():
		return stateMuted
	case !st.QuietUntil.IsZero():
		return stateQuiet
	}
	return stateActive
}

func members(st delivery.Status, now time.Time) []*notifierv1.Member {
	var ms []*notifierv1.Member
	for _, m := range st.Members {
		p := &notifierv1.Member{
			Id:          m.ID,
			State:       stateOfMember(m),
			Signed:      m.Webhook.Signed(),
			BudgetLimit: int32(m.BudgetLimit),
			BudgetLeft:  int32(m.BudgetLeft),
			MuteEndTime: timestamp(m.MutedUntil),
			Suspension:  suspension(localeOf(st.Robot), m.Suspension),
		}
		switch p.GetState() {
		case stateSuspended:
			p.Message = render.Explain(localeOf(st.Robot), m.Suspension.Failure)
		case stateMuted:
			p.Message = render.MutedUntil(localeOf(st.Robot), clockOf(st.Robot), m.MutedUntil, now)
		}
		ms = append(ms, p)
	}
	return ms
}

func stateOfMember(m delivery.MemberStatus) string {
	switch {
	case m.Suspension != nil:
		return stateSuspended
	case !m.MutedUntil.IsZero():
		return stateMuted
	}
	return stateActive
}

func suspension(locale string, sus *delivery.Suspension) *notifierv1.Suspension {
	if sus == nil {
		return nil
	}
	return &notifierv1.Suspension{
		Failure:   failure(locale, &sus.Failure),
		StartTime: timestamppb.New(sus.Since),
		ProbeTime: timestamppb.New(sus.NextProbe),
	}
}

func allowance(a *delivery.AllowanceStatus) *notifierv1.Allowance {
	if a == nil {
		return nil
	}
	return &notifierv1.Allowance{
		Name:      a.Name,
		PerMonth:  int32(a.PerMonth),
		Used:      int32(a.Used),
		Left:      int32(a.Left),
		ResetTime: timestamppb.New(a.Reset),
		Gather:    durationpb.New(a.Gather),
		MaxWait:   durationpb.New(a.MaxWait),
	}
}

// timestamp is t, or absent for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
