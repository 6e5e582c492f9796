package notifier

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/access"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// controlTries is how often a change of what operators want is tried when somebody else changes it meanwhile.
const controlTries = 5

// PauseRobot implements RobotService.
func (s *Service) PauseRobot(ctx context.Context, req *notifierv1.PauseRobotRequest) (*notifierv1.PauseRobotResponse, error) {
	r, err := s.control(ctx, req.GetName(), func(c *delivery.Control) bool {
		if !c.PausedSince.IsZero() && c.Note == req.GetNote() {
			return false
		}
		if c.PausedSince.IsZero() {
			c.PausedSince = time.Now()
		}
		c.Note = req.GetNote()
		return true
	})
	if err != nil {
		return nil, err
	}
	return &notifierv1.PauseRobotResponse{Robot: r}, nil
}

// ResumeRobot implements RobotService.
func (s *Service) ResumeRobot(ctx context.Context, req *notifierv1.ResumeRobotRequest) (*notifierv1.ResumeRobotResponse, error) {
	r, err := s.control(ctx, req.GetName(), func(c *delivery.Control) bool {
		// Also where nothing is paused: that the robot is suspended may not be known here yet.
		*c = delivery.Control{Robot: c.Robot, Revision: c.Revision, Resumed: time.Now()}
		return true
	})
	if err != nil {
		return nil, err
	}
	return &notifierv1.ResumeRobotResponse{Robot: r}, nil
}

// control changes what operators want of a configured robot and returns the robot as it is then. change
// returns false where there is nothing to change.
func (s *Service) control(ctx context.Context, name string, change func(*delivery.Control) bool) (*notifierv1.Robot, error) {
	name = strings.TrimPrefix(name, "robots/")
	if _, err := s.robot(name); err != nil {
		return nil, err
	}
	wctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	c, err := s.changeControl(wctx, name, change)
	if err != nil {
		s.log.Error("journal refused what an operator wants", zap.String("robot", name), zap.Error(err))
		return nil, journalFault(err)
	}
	s.log.Info("robot.controlled", zap.String("robot", name), zap.String("caller", access.From(ctx).Name()), zap.Bool("paused", !c.PausedSince.IsZero()), zap.String("note", c.Note))
	rctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	st, _ := s.dispatcher.Status(name)
	// The dispatcher may take a moment to hear of it.
	st.Control = c
	r, err := s.robotOf(rctx, st)
	if err != nil {
		return nil, s.unreadable(err)
	}
	return r, nil
}

func (s *Service) changeControl(ctx context.Context, name string, change func(*delivery.Control) bool) (delivery.Control, error) {
	for try := 1; ; try++ {
		c, err := s.journal.Control(ctx, name)
		if err != nil || !change(&c) {
			return c, err
		}
		saved, err := s.journal.SaveControl(ctx, c)
		if err == nil || !errors.Is(err, delivery.ErrFenced) || try == controlTries {
			return saved, err
		}
	}
}
