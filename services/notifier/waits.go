package notifier

import (
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Waits returns for how long a robot of a configuration waits with e, since something that tells it as well may
// be about to come; 0 for what goes at once. cfg is one that package config has checked and completed; the
// error is that it has no such robot, or one that can't be made.
func Waits(cfg *configv1.Notifier, robot string, e *eventv1.Event) (time.Duration, error) {
	renderer, err := rendererIn(cfg, robot)
	if err != nil {
		return 0, err
	}
	n := delivery.Notification{Seq: 1, Robot: robot, RequestID: e.GetId(), CreateTime: time.Now(), Event: e}
	return renderer.Hold([]delivery.Notification{n}, nil), nil
}
