package notifier

import (
	"fmt"
	"strings"
	"testing"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

func TestAPreviewOfManyRobotsFitsAnAnswer(t *testing.T) {
	sim := newSimulator(t)
	names := make([]string, 100)
	s := start(t, plan{sim: sim, idle: true, alter: func(cfg *configv1.Notifier) {
		for i := range names {
			names[i] = fmt.Sprintf("team-%d", i)
			sim.AddRobot(dingtalktest.RobotConfig{Token: tokenOf(names[i])})
			cfg.Robots = append(cfg.Robots, &configv1.Robot{Name: names[i], Webhook: sim.Webhook(tokenOf(names[i])), Locale: "ru"})
		}
	}})
	request := func(n int, more string) []byte {
		return fmt.Appendf(nil, `{"robots":["%s"],"message":{"text":{"content":"%s"}}%s}`,
			strings.Join(names[:n], `","`), strings.Repeat("x", 19_900), more)
	}
	for _, d := range doors {
		for _, c := range []struct {
			robots int
			more   string
			want   int
		}{{100, ``, 100}, {33, `,"allLocales":true`, 99}} {
			var got struct {
				Previews []struct{ Body, Locale string }
			}
			d.call(t, s, "Preview", request(c.robots, c.more)).into(t, &got)
			if len(got.Previews) != c.want || got.Previews[0].Body == "" || got.Previews[0].Locale != "ru" {
				t.Errorf("%s: %d robots%s: %d previews", d.name, c.robots, c.more, len(got.Previews))
			}
		}
		if got := d.call(t, s, "Preview", request(34, `,"allLocales":true`)); got.Reason != "INVALID_REQUEST" || !strings.Contains(got.Message, "33 robots") {
			t.Errorf("%s: 34 robots in all languages: %+v", d.name, got)
		}
	}
}
