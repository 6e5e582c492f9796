package main

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// TestADingTalkThatIsSlowCutsOffAndLiesGetsEverythingOnce has DingTalk do at random, under load, all that
// leaves open whether a message arrived, and then be well again. Meanwhile two groups with two robots lose
// one of them, which the other makes up for, and one is throttled for a minute and has no other.
func TestADingTalkThatIsSlowCutsOffAndLiesGetsEverythingOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, 5)
	var ill atomic.Bool
	ill.Store(true)
	for _, g := range s.groups {
		for _, fault := range []dingtalktest.Fault{
			dingtalktest.Busy(), dingtalktest.Busy().Late(),
			dingtalktest.ResetBefore(), dingtalktest.ResetAfter(),
			dingtalktest.DelayBefore(2 * time.Second), dingtalktest.DelayAfterAccept(2 * time.Second),
			dingtalktest.HTML5xx(http.StatusBadGateway), dingtalktest.HTML5xx(http.StatusServiceUnavailable).Late(),
			dingtalktest.TruncatedJSON(), dingtalktest.NoErrcode(), dingtalktest.StringErrcode(),
			dingtalktest.Errcode(90018, "the organisation calls too often"),
		} {
			often := s.chance(0.05)
			s.sim.Inject(fault.For(g.tokens[0]).When(func(n int) bool { return ill.Load() && often(n) }))
		}
	}
	s.sim.Inject(dingtalktest.Errcode(130101, "send too fast").For(s.addGroup("throttled", 1).tokens[0]))
	s.sim.Inject(dingtalktest.Errcode(130101, "send too fast").For(s.addGroup("half-throttled", 2).tokens[0]))
	s.sim.SetRobotState(s.addGroup("half-disabled", 2).tokens[0], dingtalktest.StateDisabled)

	door := free(t)
	p := s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", s.front("run"), s.embedded()))
	p.start()
	load := s.load(200, 80*time.Millisecond, door)
	s.wait(15 * time.Second)
	ill.Store(false)
	load.finish()
	s.faults = len(s.sim.Refusals())
	s.drain(2 * time.Minute)
	s.check(p.ready.GRPC)
	if n := s.sim.Throttled(); n > 0 {
		t.Errorf("DingTalk said %d times that it was too fast", n)
	}
}

// TestAGateThatTurnsCallsAwayIsLeftAlone has the gate before DingTalk answer with a redirect, and with a
// body that speaks of punishment, both of which stand for this machine's address: the group's other robot is
// not called either, for minutes, whatever happens to the process, and what waits says why. Other groups go
// on.
func TestAGateThatTurnsCallsAwayIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t, 1)
	turnedAway := []*group{s.addGroup("redirected", 2), s.addGroup("punished", 2)}
	s.sim.Inject(dingtalktest.Redirect302().For(turnedAway[0].tokens[0]))
	s.sim.Inject(dingtalktest.Punish(5).For(turnedAway[1].tokens[0]))
	door := free(t)
	p := s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", s.front("run"), s.embedded()))
	all := s.groups
	p.start()
	for range 2 {
		s.load(3, time.Millisecond, door).finish()
		s.groups = all[:1]
		s.drain(patience)
		s.groups = all
		for _, g := range turnedAway {
			s.until("DingTalk is called for "+g.name, func() bool { return len(s.callsOf(g)) > 0 })
		}
		s.wait(500 * time.Millisecond) // the lanes write down what came of it
		p.kill()
		p.start()
	}
	s.wait(2 * time.Second)
	if seen, _, _ := s.seen(all[0]); inOrder(seen, all[0].taken) != nil {
		t.Errorf("the group beside them saw %v of %d", seen, all[0].taken)
	}
	client, ctx := s.client(p.ready.GRPC)
	for _, g := range turnedAway {
		if n := len(s.callsOf(g)); n != 1 {
			t.Errorf("%s: DingTalk was called %d times, want once", g.name, n)
		}
		kept := g.deliveries(ctx, s, client)
		if len(kept) != g.taken {
			t.Errorf("%s: %d were taken and %d are kept", g.name, g.taken, len(kept))
		}
		for _, d := range kept {
			if f := d.GetFailure(); d.GetEndTime() != nil || f.GetReason() != "ERROR_REASON_THROTTLED" || f.GetVerdict() != "WAITING" {
				t.Errorf("%s: a delivery is %s: %v", g.name, d.GetState(), f)
			}
		}
	}
}
