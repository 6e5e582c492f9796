package dingtalktest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// client returns the real client, and a robot of s.
func client(t *testing.T, s *dingtalktest.Server, opts ...dingtalk.Option) (*dingtalk.Client, dingtalk.Robot) {
	t.Helper()
	r, err := dingtalk.NewRobot(s.Webhook(token), secret)
	if err != nil {
		t.Fatal(err)
	}
	c := dingtalk.NewClient(opts...)
	t.Cleanup(c.Close)
	return c, r
}

var hello = dingtalk.Message{Content: dingtalk.Text{Content: "hello Gitee"}}

func TestTheClientSeesEachFaultAndEachMessageArrivesOnce(t *testing.T) {
	for _, test := range []struct {
		name    string
		fault   dingtalktest.Fault
		class   dingtalk.Class // 0: none
		after   time.Duration
		arrived bool // before the client tried again
	}{
		{"busy", dingtalktest.Busy(), dingtalk.Unknown, 0, false},
		{"busy after accepting", dingtalktest.Busy().Late(), dingtalk.Unknown, 0, true},
		{"internal error", dingtalktest.Errcode(500100, "description:系统异常，请稍后再试;"), dingtalk.Unknown, 0, false},
		{"unsafe", dingtalktest.Errcode(430101, "含有不安全的外链"), dingtalk.MessageFault, 0, false},
		{"reset before", dingtalktest.ResetBefore(), dingtalk.Unknown, 0, false},
		{"reset after", dingtalktest.ResetAfter(), dingtalk.Unknown, 0, true},
		{"HTML", dingtalktest.HTML5xx(502), dingtalk.Unknown, 0, false},
		{"HTML after accepting", dingtalktest.HTML5xx(504).Late(), dingtalk.Unknown, 0, true},
		{"truncated", dingtalktest.TruncatedJSON(), dingtalk.Unknown, 0, true},
		{"no errcode", dingtalktest.NoErrcode(), dingtalk.Unknown, 0, true},
		{"redirect", dingtalktest.Redirect302(), dingtalk.Throttled, 10 * time.Minute, false},
		{"punish", dingtalktest.Punish(5), dingtalk.Throttled, 5 * time.Minute, false},
		{"string errcode", dingtalktest.StringErrcode(), 0, 0, true},
		{"short delay", dingtalktest.DelayBefore(time.Millisecond), 0, 0, true},
		{"short delay after", dingtalktest.DelayAfterAccept(time.Millisecond), 0, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, dingtalktest.RobotConfig{Secret: secret})
			c, r := client(t, s)
			s.Inject(test.fault)
			err := c.Send(t.Context(), r, hello, "u1")
			if test.class == 0 {
				if err != nil {
					t.Fatal(err)
				}
			} else if refusal, ok := errors.AsType[*dingtalk.Refusal](err); !ok || refusal.Class != test.class || refusal.RetryAfter != test.after {
				t.Fatalf("%v, want %v and %v", err, test.class, test.after)
			}
			if arrived := len(s.Messages()) == 1; arrived != test.arrived {
				t.Errorf("arrived: %t, want %t", arrived, test.arrived)
			}
			if refused := len(s.Refusals()) == 1; refused == test.arrived {
				t.Errorf("refusals %+v, although arrived is %t", s.Refusals(), test.arrived)
			}
			if err := c.Send(t.Context(), r, hello, "u1"); err != nil {
				t.Errorf("again: %v", err)
			}
			if n := len(s.Messages()); n != 1 {
				t.Errorf("%d messages in the group, want 1", n)
			}
		})
	}
}

func TestAStringErrcodeIsReadInRefusalsToo(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{Secret: secret, Keywords: []string{"Jenkins"}})
	c, r := client(t, s)
	s.Inject(dingtalktest.StringErrcode().Times(-1))
	for range 2 {
		refusal, ok := errors.AsType[*dingtalk.Refusal](c.Send(t.Context(), r, hello, ""))
		if !ok || refusal.Reason != dingtalk.ReasonKeywordMismatch {
			t.Errorf("%v, want a keyword mismatch", refusal)
		}
	}
	if a := call(t, s, request{query: signed(time.Now(), secret)}); a.Errcode != "310000" {
		t.Errorf("errcode %v, want a string", a.Errcode)
	}
}

func TestALateAnswerLeavesTheMessageInTheGroup(t *testing.T) {
	for name, fault := range map[string]dingtalktest.Fault{
		"before": dingtalktest.DelayBefore(200 * time.Millisecond), // looked at after the client has gone
		"after":  dingtalktest.DelayAfterAccept(time.Hour),         // ends because the client has gone
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, dingtalktest.RobotConfig{Secret: secret})
			c, r := client(t, s, dingtalk.WithTimeout(50*time.Millisecond))
			changed := s.Changed()
			s.Inject(fault)
			err := c.Send(t.Context(), r, hello, "u1")
			refusal, ok := errors.AsType[*dingtalk.Refusal](err)
			if !ok || refusal.Class != dingtalk.Unknown || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want an unknown outcome", err)
			}
			<-changed
			if n := len(s.Messages()); n != 1 {
				t.Errorf("%d messages, want 1", n)
			}
		})
	}
}

func TestFaultsAreScripted(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithRate(dingtalktest.Rate{Calls: 1000}))
	s.AddRobot(dingtalktest.RobotConfig{Token: "other"})
	s.Inject(dingtalktest.Errcode(1, "").For("other"))
	s.Inject(dingtalktest.Errcode(2, "").Times(2))
	s.Inject(dingtalktest.Errcode(3, "").For(token).When(func(n int) bool { return n%2 == 0 }))
	s.Inject(dingtalktest.Errcode(4, "").When(func(n int) bool { return true }).Times(1))
	for i, want := range []int{2, 2, 4, 3, 0, 3, 0} {
		t.Logf("call %d", i+1)
		call(t, s, request{}).want(t, want, "")
	}
	call(t, s, request{query: "access_token=other"}).want(t, 1, "")
	call(t, s, request{query: "access_token=other"}).want(t, 0, "")
	s.Reset()
	call(t, s, request{}).want(t, 0, "")
	call(t, s, request{}).want(t, 0, "")
}

func TestFaultsInDingTalksNameCountForThePace(t *testing.T) {
	s := start(t, dingtalktest.RobotConfig{})
	s.Inject(dingtalktest.Busy())
	call(t, s, request{}).want(t, -1, "系统繁忙")
	s.Inject(dingtalktest.HTML5xx(503))
	if a := call(t, s, request{}); a.status != 503 || !strings.Contains(a.raw, "Service Unavailable") {
		t.Errorf("HTTP %d %s", a.status, a.raw)
	}
	if left := s.BudgetLeft(token); left != 19 {
		t.Errorf("%d calls left, want 19", left)
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	for name, fault := range map[string]dingtalktest.Fault{
		"before": dingtalktest.DelayBefore(time.Hour),
		"after":  dingtalktest.DelayAfterAccept(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			met := make(chan struct{})
			s := dingtalktest.NewServer()
			s.AddRobot(dingtalktest.RobotConfig{Token: token})
			s.Inject(fault.When(func(int) bool { close(met); return true }))
			done := make(chan error)
			go func() {
				_, err := try(t, s, request{})
				done <- err
			}()
			<-met
			s.Close()
			s.Close()
			if err := <-done; err == nil {
				t.Error("the call was answered")
			}
			if _, err := try(t, s, request{}); err == nil {
				t.Error("a call after Close was answered")
			}
		})
	}
}

func TestDelaysTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dingtalktest.NewUnstarted()
		defer s.Close()
		s.AddRobot(dingtalktest.RobotConfig{Token: token})
		for _, fault := range []dingtalktest.Fault{dingtalktest.DelayBefore(time.Minute), dingtalktest.DelayAfterAccept(time.Minute)} {
			s.Inject(fault)
			before := time.Now()
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.Webhook(token), strings.NewReader(goodBody))
			r.Header.Set("Content-Type", "application/json")
			s.ServeHTTP(w, r)
			if took := time.Since(before); took != time.Minute || !strings.Contains(w.Body.String(), `"errcode":0`) {
				t.Errorf("after %v: %s", took, w.Body)
			}
		}
	})
}

func TestStartOnAGivenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := dingtalktest.NewUnstarted()
	s.AddRobot(dingtalktest.RobotConfig{Token: "a b+c"})
	s.Start(l)
	t.Cleanup(s.Close)
	if want := "http://" + l.Addr().String() + "/robot/send?access_token=a+b%2Bc"; s.Webhook("a b+c") != want {
		t.Errorf("webhook %s, want %s", s.Webhook("a b+c"), want)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Webhook("a b+c"), strings.NewReader(goodBody))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != `{"errcode":0,"errmsg":"ok"}` || resp.Header.Get("Content-Type") != "application/json" || resp.ContentLength != int64(len(body)) {
		t.Errorf("%s, %v, %v", body, resp.Header, err)
	}
}
