package dingtalktest_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// The real client against the simulator, in every wording: each misfortune is told apart from the others.
func TestTheClientTellsAllRefusalsApartInAllWordings(t *testing.T) {
	markdown := dingtalk.Message{Content: dingtalk.Markdown{Title: "hello Gitee", Text: "[x](https://bad.example)"}}
	for _, test := range []struct {
		name   string
		change func(*dingtalktest.RobotConfig)
		opts   []dingtalktest.Option
		class  dingtalk.Class
		reason dingtalk.Reason
	}{
		{name: "keyword", change: func(c *dingtalktest.RobotConfig) { c.Keywords = []string{"Jenkins"} }, class: dingtalk.RobotFault, reason: dingtalk.ReasonKeywordMismatch},
		{name: "signature", change: func(c *dingtalktest.RobotConfig) { c.Secret = "SECother" }, class: dingtalk.RobotFault, reason: dingtalk.ReasonSignatureMismatch},
		{name: "clock", opts: []dingtalktest.Option{dingtalktest.WithClock(func() time.Time { return time.Now().Add(2 * time.Hour) })}, class: dingtalk.RobotFault, reason: dingtalk.ReasonClockSkew},
		{name: "address", change: func(c *dingtalktest.RobotConfig) { c.AllowedIPs = []string{"203.0.113.7"} }, class: dingtalk.RobotFault, reason: dingtalk.ReasonAddressNotAllowed},
		{name: "disabled", change: func(c *dingtalktest.RobotConfig) { c.State = dingtalktest.StateDisabled }, class: dingtalk.RobotFault, reason: dingtalk.ReasonRobotUnavailable},
		{name: "removed", change: func(c *dingtalktest.RobotConfig) { c.State = dingtalktest.StateRemoved }, class: dingtalk.RobotFault, reason: dingtalk.ReasonRobotUnavailable},
		{name: "dissolved", change: func(c *dingtalktest.RobotConfig) { c.State = dingtalktest.StateGroupDissolved }, class: dingtalk.RobotFault, reason: dingtalk.ReasonRobotUnavailable},
		{name: "quota", change: func(c *dingtalktest.RobotConfig) { c.State = dingtalktest.StateQuotaExhausted }, class: dingtalk.RobotFault, reason: dingtalk.ReasonQuotaExhausted},
		{name: "unknown token", change: func(c *dingtalktest.RobotConfig) { c.Token = "other" }, class: dingtalk.RobotFault, reason: dingtalk.ReasonTokenUnknown},
		{name: "unsafe link", opts: []dingtalktest.Option{dingtalktest.WithUnsafe(dingtalktest.Unsafe{Links: []*regexp.Regexp{regexp.MustCompile(`bad\.example`)}})}, class: dingtalk.MessageFault, reason: dingtalk.ReasonMessageRefused},
		{name: "improper text", opts: []dingtalktest.Option{dingtalktest.WithUnsafe(dingtalktest.Unsafe{Text: []*regexp.Regexp{regexp.MustCompile(`hello`)}})}, class: dingtalk.MessageFault, reason: dingtalk.ReasonMessageRefused},
		{name: "improper picture", opts: []dingtalktest.Option{dingtalktest.WithUnsafe(dingtalktest.Unsafe{Pictures: []*regexp.Regexp{regexp.MustCompile(`bad`)}})}, class: dingtalk.MessageFault, reason: dingtalk.ReasonMessageRefused},
		{name: "improper", opts: []dingtalktest.Option{dingtalktest.WithUnsafe(dingtalktest.Unsafe{Other: []*regexp.Regexp{regexp.MustCompile(`msgtype`)}})}, class: dingtalk.MessageFault, reason: dingtalk.ReasonMessageRefused},
		{name: "too fast", opts: []dingtalktest.Option{dingtalktest.WithRate(dingtalktest.Rate{Calls: -1})}, class: dingtalk.Throttled, reason: dingtalk.ReasonThrottled},
		{name: "nothing"},
	} {
		for _, wording := range []dingtalktest.Wording{dingtalktest.TextB, dingtalktest.TextC, dingtalktest.TextA, dingtalktest.Documented} {
			t.Run(test.name+"/"+wording.String(), func(t *testing.T) {
				s := dingtalktest.NewServer(test.opts...)
				t.Cleanup(s.Close)
				config := dingtalktest.RobotConfig{Token: token, Secret: secret, Keywords: []string{"Gitee"}, Wording: wording}
				if test.change != nil {
					test.change(&config)
				}
				s.AddRobot(config)
				c, r := client(t, s)
				err := c.Send(t.Context(), r, markdown, "u1")
				if test.class == 0 {
					if err != nil || len(s.Messages()) != 1 {
						t.Errorf("%v, %d messages", err, len(s.Messages()))
					}
					return
				}
				refusal, ok := errors.AsType[*dingtalk.Refusal](err)
				if !ok || refusal.Class != test.class || refusal.Reason != test.reason {
					t.Fatalf("%v, want %v, %s", err, test.class, test.reason)
				}
				if len(s.Refusals()) != 1 || s.Refusals()[0].Errcode != refusal.Errcode || len(s.Messages()) != 0 {
					t.Errorf("refusals %+v, %d messages", s.Refusals(), len(s.Messages()))
				}
				for _, gone := range []string{token, secret} {
					if strings.Contains(err.Error(), gone) {
						t.Errorf("%v holds %s", err, gone)
					}
				}
			})
		}
	}
}

func TestMissingFieldsAndSizesAreClassifiedInAllWordings(t *testing.T) {
	for _, wording := range []dingtalktest.Wording{dingtalktest.TextB, dingtalktest.TextC, dingtalktest.TextA, dingtalktest.Documented} {
		s := start(t, dingtalktest.RobotConfig{Wording: wording})
		field := call(t, s, request{body: `{"msgtype":"markdown","markdown":{"text":"x"}}`})
		size := call(t, s, request{body: strings.Repeat("x", dingtalk.MaxBody+1)})
		for _, test := range []struct {
			answer answer
			reason dingtalk.Reason
		}{{field, dingtalk.ReasonMessageRefused}, {size, dingtalk.ReasonMessageTooLarge}} {
			// The client sends no such message, so its answer is replayed for one that it sends.
			replay := start(t, dingtalktest.RobotConfig{Secret: secret})
			replay.Inject(dingtalktest.Errcode(int(test.answer.Errcode.(float64)), test.answer.Errmsg))
			c, r := client(t, replay)
			refusal, ok := errors.AsType[*dingtalk.Refusal](c.Send(t.Context(), r, hello, ""))
			if !ok || refusal.Class != dingtalk.MessageFault || refusal.Reason != test.reason || strings.Contains(refusal.Errmsg, "://") {
				t.Errorf("%v: %+v, want %s", wording, refusal, test.reason)
			}
		}
	}
}
