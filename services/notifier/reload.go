package notifier

import (
	"slices"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/services/notifier/access"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Prepare makes ready what a new configuration says of robots, people, allowances and tokens: cfg is one that package
// config has checked and completed, and everything else in it stays as New had it. Nothing changes before
// commit is called, which can't fail; it is called once, or never. The error is what is wrong with cfg.
//
// Commit may come while everything runs. Requests under way are answered by the one configuration or the
// other; what they have accepted is delivered by the new one, and what was accepted for a robot that is gone
// waits as after a restart without it. See delivery.Dispatcher.Update for what becomes of messages under way.
// Of several configurations that were prepared, the last to be committed counts.
func (s *Service) Prepare(cfg *configv1.Notifier) (commit func(), err error) {
	robots, err := robotsOf(cfg)
	if err != nil {
		return nil, err
	}
	allowances := allowancesOf(cfg)
	if err := delivery.Check(robots, allowances); err != nil {
		return nil, err
	}
	tokens, err := access.New(cfg)
	if err != nil {
		return nil, err
	}
	return func() {
		s.tokens.Store(tokens)
		before := s.dispatcher.Robots()
		if err := s.dispatcher.Update(robots, allowances); err != nil {
			// Check has said that it can't be.
			s.log.Error("a checked configuration was refused: the one before stays", zap.Error(err))
			return
		}
		s.metrics.forget(slices.DeleteFunc(before, func(name string) bool {
			_, there := s.dispatcher.Robot(name)
			return there
		}))
	}, nil
}
