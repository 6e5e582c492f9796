package main

import (
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

// TestNothingIsLostOrDoubledWhenProcessesAreKilled kills with SIGKILL, at random moments, while webhooks
// come in and while the backlog is delivered: `belfry run` as a whole, and the notifier alone, beside a
// gateway that lives on. DingTalk answers slowly, cuts connections after it accepted, and says "system
// busy" at times. A webhook that got no 2xx is sent again, as the same event.
func TestNothingIsLostOrDoubledWhenProcessesAreKilled(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(s *stage) (victim, other *actor, door string){
		"the whole process": func(s *stage) (*actor, *actor, string) {
			door := free(s.t)
			return s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", s.front("run"), s.embedded())), nil, door
		},
		"the notifier alone": func(s *stage) (*actor, *actor, string) {
			door, grpc := free(s.t), free(s.t)
			return s.actor("notifier", s.notifierYAML(grpc, s.front("notifier"), s.embedded())),
				s.actor("gateway", s.gatewayYAML(door, "address: '"+grpc+"'")), door
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 3)
			s.sim.Inject(dingtalktest.ResetAfter().When(s.chance(0.12)))
			s.sim.Inject(dingtalktest.Busy().When(s.chance(0.06)))
			s.sim.Inject(dingtalktest.Busy().Late().When(s.chance(0.06)))
			s.sim.Inject(dingtalktest.DelayAfterAccept(300 * time.Millisecond).When(s.chance(0.8)))
			victim, other, door := build(s)
			victim.start()
			if other != nil {
				other.start()
			}
			load := s.load(250, 40*time.Millisecond, door)
			for range 6 {
				s.pause(2 * time.Second)
				victim.kill()
				victim.start()
			}
			load.stop()
			// And some more while the backlog is delivered.
			for range 2 {
				changed := s.sim.Changed()
				select {
				case <-changed:
				case <-time.After(5 * time.Second):
				}
				victim.kill()
				victim.start()
			}
			s.drain(2 * time.Minute)
			s.check(victim.ready.GRPC)
			if n := s.sim.Throttled(); n > 0 {
				t.Errorf("DingTalk said %d times that it was too fast", n)
			}
		})
	}
}
