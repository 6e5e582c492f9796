package main

import (
	"fmt"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

// pair is two notifiers that share a cluster, and a gateway that calls both.
type pair struct {
	*stage
	cluster   *natstest.Cluster
	notifiers map[string]*actor // by the name of their front
	gateway   *actor
	door      string
}

// newPair starts a pair on that many servers, with three groups and a slow DingTalk.
func newPair(t *testing.T, servers int) *pair {
	p := &pair{stage: newStage(t, 3), cluster: natstest.NewCluster(t, servers), notifiers: map[string]*actor{}, door: free(t)}
	p.sim.Inject(dingtalktest.ResetAfter().When(p.chance(0.06)))
	p.sim.Inject(dingtalktest.DelayAfterAccept(400 * time.Millisecond).When(p.chance(0.8)))
	store := fmt.Sprintf("nats: {url: %q, replicas: %d, max_bytes: 104857600}", p.cluster.URL(), servers)
	first, second := free(t), free(t)
	for name, grpc := range map[string]string{"first": first, "second": second} {
		p.notifiers[name] = p.actor("notifier", p.notifierYAML(grpc, p.front(name), store))
		p.notifiers[name].start()
	}
	p.gateway = p.actor("gateway", p.gatewayYAML(p.door, fmt.Sprintf("addresses: ['%s', '%s']", first, second)))
	p.gateway.start()
	return p
}

// owner returns the notifier that delivers to the group, which is the one that called last.
func (p *pair) owner(g *group) string {
	p.t.Helper()
	p.until("somebody calls for "+g.name, func() bool { return len(p.callsOf(g)) > 0 })
	calls := p.callsOf(g)
	return calls[len(calls)-1].caller
}

// awaitOtherOwner waits until another notifier than that one delivers to the group.
func (p *pair) awaitOtherOwner(g *group, than string) {
	p.t.Helper()
	began := time.Now()
	p.until("another one takes "+g.name+" over", func() bool { return p.owner(g) != than })
	p.t.Logf("%s moved within %v", g.name, time.Since(began).Round(100*time.Millisecond))
}

// count returns how often DingTalk was called for any group.
func (p *pair) count() (n int) {
	for _, g := range p.groups {
		n += len(p.callsOf(g))
	}
	return n
}

func (p *pair) finish(load *traffic) {
	p.t.Helper()
	load.stop()
	p.drain(2 * time.Minute)
	p.check(p.notifiers["first"].ready.GRPC)
	if n := p.sim.Throttled(); n > 0 {
		p.t.Errorf("DingTalk said %d times that it was too fast", n)
	}
}

// TestAClusterLosesNothingWhenOwnersAndLeadersAreKilled kills, in a loop under load, the notifier that
// delivers to a group, and the server that leads the stream of notifications.
func TestAClusterLosesNothingWhenOwnersAndLeadersAreKilled(t *testing.T) {
	t.Parallel()
	p := newPair(t, 3)
	load := p.load(400, 60*time.Millisecond, p.door)
	for i := range 3 {
		g := p.groups[i%len(p.groups)]
		p.pause(time.Second)
		victim := p.owner(g)
		p.notifiers[victim].kill()
		p.awaitOtherOwner(g, victim)
		p.notifiers[victim].start()

		leader := p.cluster.StreamLeader("BELFRY_NOTIFICATIONS")
		p.cluster.Kill(leader)
		p.faults++
		p.pause(2 * time.Second)
		p.cluster.Start(leader)
		p.cluster.WaitReady()
	}
	p.finish(load)
}

// TestANotifierThatWakesUpTooLateSendsNothingTwice freezes the notifier that delivers to a group for longer
// than its lease, under load, and then wakes it.
func TestANotifierThatWakesUpTooLateSendsNothingTwice(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	load := p.load(400, 60*time.Millisecond, p.door)
	for _, g := range p.groups {
		p.pause(2 * time.Second)
		sleeper := p.owner(g)
		wake := p.freeze(sleeper)
		p.awaitOtherOwner(g, sleeper)
		p.pause(time.Second)
		wake()
	}
	p.finish(load)
}

// TestAClusterWithoutAMajorityLosesNothing takes two of three servers away, under load, for longer than a
// lease: nothing can be written down then, so that nobody may deliver, and the gateway's spool takes what
// comes.
func TestAClusterWithoutAMajorityLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t, 3)
	load := p.load(400, 60*time.Millisecond, p.door)
	p.pause(2 * time.Second)
	leader := p.cluster.StreamLeader("BELFRY_NOTIFICATIONS")
	away := []int{leader, (leader + 1) % 3}
	for _, i := range away {
		p.cluster.Kill(i)
		p.faults++
	}
	p.wait(7 * time.Second)
	before := p.count()
	p.wait(3 * time.Second)
	if more := p.count() - before; more > 0 {
		t.Errorf("DingTalk was called %d times while nothing could be written down", more)
	}
	for _, i := range away {
		p.cluster.Start(i)
	}
	p.cluster.WaitReady()
	p.finish(load)
	for _, g := range p.groups {
		if g.spooled == 0 {
			t.Errorf("%s: nothing went through the spool", g.name)
		}
	}
}
