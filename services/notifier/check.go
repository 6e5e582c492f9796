package notifier

import (
	"fmt"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// Check returns the config.Check that compiles every robot's templates and tries each on the events that samples
// gives, at least one of each kind. samples is called only where there are templates.
func Check(samples func() []*eventv1.Event) config.Check {
	return func(cfg *configv1.Config) []config.Problem {
		var problems []config.Problem
		var events []*eventv1.Event
		for i, r := range cfg.GetNotifier().GetRobots() {
			if len(r.GetTemplates()) == 0 {
				continue
			}
			if events == nil {
				events = samples()
			}
			for _, f := range render.TryTemplates(r.GetLocale(), templatesOf(r), events) {
				problems = append(problems, config.Problem{
					Path:    fmt.Sprintf("notifier.robots[%d].templates[%d].%s", i, f.Index, f.Field),
					Line:    f.Line,
					Column:  f.Column,
					Message: f.Message,
				})
			}
		}
		return problems
	}
}
