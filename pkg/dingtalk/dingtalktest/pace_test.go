package dingtalktest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// burst makes n calls that must all be answered with yes.
func burst(t *testing.T, s *dingtalktest.Server, n int) {
	t.Helper()
	for range n {
		call(t, s, request{}).want(t, 0, "ok")
	}
}

const tooFast = "send too fast, exceed 20 times per minute"

func TestTwentyCallsAMinuteThenTenMinutesOfPenalty(t *testing.T) {
	clock := newClock()
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithClock(clock.Now))
	burst(t, s, 5)
	clock.advance(30 * time.Second)
	burst(t, s, 15)
	if left := s.BudgetLeft(token); left != 0 {
		t.Errorf("%d calls left, want 0", left)
	}
	clock.advance(30 * time.Second) // the first five are a minute old
	if left := s.BudgetLeft(token); left != 5 {
		t.Errorf("%d calls left, want 5", left)
	}
	burst(t, s, 5)
	call(t, s, request{}).want(t, 130101, tooFast)
	clock.advance(10*time.Minute - time.Nanosecond)
	call(t, s, request{}).want(t, 130101, tooFast)
	if left := s.BudgetLeft(token); left != 0 {
		t.Errorf("%d calls left during the penalty, want 0", left)
	}
	clock.advance(time.Nanosecond)
	burst(t, s, 20)
	if n := s.Throttled(); n != 2 {
		t.Errorf("%d calls were too fast, want 2", n)
	}
	if left := s.BudgetLeft("another"); left != 20 {
		t.Errorf("%d calls left to another, want 20", left)
	}
}

func TestThePaceIsKeptBeforeTheTokenIsLookedUp(t *testing.T) {
	clock := newClock()
	s := start(t, dingtalktest.RobotConfig{}, dingtalktest.WithClock(clock.Now))
	for range 20 {
		call(t, s, request{query: "access_token=unknown"}).want(t, 300005, "")
	}
	call(t, s, request{query: "access_token=unknown"}).want(t, 130101, tooFast)
	burst(t, s, 20) // each token has its own
	for range 2 {
		call(t, s, request{method: http.MethodGet}).want(t, 43002, "") // and the method comes first
	}
}

func TestPaceVariants(t *testing.T) {
	clock := newClock()
	with := func(r dingtalktest.Rate) *dingtalktest.Server {
		r.Calls = 2
		return start(t, dingtalktest.RobotConfig{}, dingtalktest.WithClock(clock.Now), dingtalktest.WithRate(r))
	}
	t.Run("fixed windows", func(t *testing.T) {
		s := with(dingtalktest.Rate{Fixed: true, Penalty: -1}) // the clock is at half a minute
		burst(t, s, 2)
		call(t, s, request{}).want(t, 130101, "exceed 2 times")
		clock.advance(30 * time.Second)
		burst(t, s, 2)
		clock.advance(30 * time.Second)
		call(t, s, request{}).want(t, 130101, "exceed 2 times")
	})
	t.Run("no penalty", func(t *testing.T) {
		s := with(dingtalktest.Rate{Penalty: -1})
		burst(t, s, 2)
		call(t, s, request{}).want(t, 130101, "")
		clock.advance(time.Minute)
		burst(t, s, 2)
	})
	t.Run("refused calls count", func(t *testing.T) {
		s := with(dingtalktest.Rate{Penalty: -1, CountRefused: true})
		burst(t, s, 2)
		for range 3 {
			clock.advance(20 * time.Second)
			call(t, s, request{}).want(t, 130101, "")
		}
		clock.advance(time.Minute)
		burst(t, s, 2)
	})
	t.Run("refused calls extend the penalty", func(t *testing.T) {
		s := with(dingtalktest.Rate{ExtendPenalty: true})
		burst(t, s, 2)
		for range 3 {
			call(t, s, request{}).want(t, 130101, "")
			clock.advance(9 * time.Minute)
		}
		clock.advance(time.Minute)
		burst(t, s, 2)
	})
	t.Run("only delivered messages count", func(t *testing.T) {
		s := with(dingtalktest.Rate{DeliveredOnly: true})
		for range 5 {
			call(t, s, request{body: "x"}).want(t, 40035, "")
		}
		burst(t, s, 2)
		call(t, s, request{}).want(t, 130101, "")
	})
	t.Run("other words", func(t *testing.T) {
		for errcode, errmsg := range map[int]string{660026: "sending too many messages per minute", 410100: "发送速度太快而限流"} {
			s := with(dingtalktest.Rate{Errcode: errcode})
			burst(t, s, 2)
			call(t, s, request{}).want(t, errcode, errmsg)
		}
	})
	t.Run("escalation", func(t *testing.T) {
		s := with(dingtalktest.Rate{EscalateAfter: 1})
		burst(t, s, 2)
		call(t, s, request{}).want(t, 130101, "")
		if a := call(t, s, request{}); a.status != http.StatusFound || a.raw != "" {
			t.Errorf("HTTP %d %s, want 302", a.status, a.raw)
		}
		s = with(dingtalktest.Rate{EscalateAfter: 1, Escalation: dingtalktest.PunishAnswer})
		burst(t, s, 2)
		call(t, s, request{}).want(t, 130101, "")
		if a := call(t, s, request{}); a.Errcode != nil || !strings.Contains(a.raw, `"punish":"deny"`) {
			t.Errorf("HTTP %d %s, want a punishment", a.status, a.raw)
		}
		if n := s.Throttled(); n != 2 {
			t.Errorf("%d calls were too fast, want 2", n)
		}
	})
}
