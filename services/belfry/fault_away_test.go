package main

import (
	"testing"
	"time"
)

// TestWhatIsTakenWhileTheNotifierIsAwayArrivesLater kills the notifier under load and leaves it dead, while
// the gateway takes on into its spool and is itself killed half-way, more than once; and once more while it
// forwards what it has.
func TestWhatIsTakenWhileTheNotifierIsAwayArrivesLater(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3)
	door, grpc := free(t), free(t)
	nt := s.actor("notifier", s.notifierYAML(grpc, s.front("notifier"), s.embedded()))
	gw := s.actor("gateway", s.gatewayYAML(door, "address: '"+grpc+"'"))
	gw.start()
	nt.start()
	load := s.load(300, 15*time.Millisecond, door)
	s.pause(time.Second)
	nt.kill()
	for range 3 {
		s.pause(2 * time.Second)
		gw.kill()
		gw.start()
	}
	nt.start()
	s.pause(500 * time.Millisecond) // it is forwarding now
	gw.kill()
	gw.start()
	load.stop()
	s.drain(2 * time.Minute)
	s.check(grpc)
	if n := s.sim.Throttled(); n > 0 {
		t.Errorf("DingTalk said %d times that it was too fast", n)
	}
	for _, g := range s.groups {
		if g.spooled == 0 {
			t.Errorf("%s: nothing went through the spool", g.name)
		}
	}
}
