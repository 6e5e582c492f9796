package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// sent is a Sender that tells of each call.
type sent chan struct{}

func (s sent) Send(context.Context, dingtalk.Robot, dingtalk.Message, string) error {
	s <- struct{}{}
	return nil
}

// BenchmarkIdleLane is the time from a notification's acceptance to the call to DingTalk where nothing else
// waits, without the journal's disk and the network: what the lane itself adds. Robots take turns, so that
// none runs out of its budget.
func BenchmarkIdleLane(b *testing.B) {
	calls, j := make(sent), journaltest.NewMemory()
	opts := delivery.Options{Journal: j, Sender: calls, Log: zap.NewNop()}
	for i := range 20_000 {
		opts.Robots = append(opts.Robots, robot(fmt.Sprintf("r%d", i), 1))
	}
	d, err := delivery.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	for i := 0; b.Loop(); i++ {
		name := opts.Robots[i%len(opts.Robots)].Name
		n := delivery.Notification{Robot: name, CreateTime: time.Now(), Message: &notifierv1.Message{}}
		if _, err := j.Append(ctx, []delivery.Notification{n}); err != nil {
			b.Fatal(err)
		}
		<-calls
	}
	cancel()
	<-done
}
