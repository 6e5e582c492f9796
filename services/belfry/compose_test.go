//go:build compose

package main

import (
	"fmt"
	"testing"
	"time"
)

// TestCompose runs docker-compose.yml, built by the Dockerfile, on the machine's Docker engine: with its profiles,
// its shipped configuration and its networks, while webhooks come in, containers are killed, and some are cut off.
// What the door took the group has seen in the end, once, in order.
//
// It is not part of the ordinary tests, since it needs an engine: go test -tags compose -run Compose ./services/belfry
func TestCompose(t *testing.T) {
	if testing.Short() {
		t.Skip("docker-compose.yml is not run in -short")
	}
	d := engine(t)
	began := time.Now()
	name := "belfry-test-" + random()[:8]
	vars := append(standIns(t, d, name), "BELFRY_IMAGE="+name+":test")
	d.removeLater(t, name+":test")
	d.removeStages(t, name+"-golang:test")
	single := newProject(t, d, name+"-single", "single", []string{"demo"}, vars)
	single.build()
	cluster := newProject(t, d, name+"-cluster", "cluster", []string{"demo", "cluster"}, vars)
	t.Run("both", func(t *testing.T) { // which mostly wait, so side by side
		t.Run("one of each", func(t *testing.T) { testOneOfEach(t, single) })
		t.Run("cluster", func(t *testing.T) { testComposeCluster(t, cluster) })
	})
	t.Logf("all of it took %v", time.Since(began).Round(time.Second))
}

// demoHook is the hook of the shipped configuration.
func demoHook() *group { return &group{name: "demo", hookSecret: "demo-hook"} }

func testOneOfEach(t *testing.T, p *project) {
	t.Parallel()
	p.up(t)
	p.awaitReady("gateway", "notifier")
	p.looksAsPromised()

	g := demoHook()
	load := (&stage{t: t, groups: []*group{g}}).load(1000, 150*time.Millisecond, p.door)
	p.until("the group sees the first", func() bool { return len(p.group().seen()) > 0 })
	p.kill("gateway", time.Second)
	p.awaitReady("gateway")
	p.kill("notifier", 3*time.Second)
	p.awaitReady("notifier")
	load.stop()
	p.awaitHealthy("gateway", "notifier", "simulator")
	p.holds(g)
	if g.spooled == 0 {
		t.Error("nothing went through the spool, although the notifier was away")
	}

	// The simulator comes back with its certificate, and without its memory.
	p.kill("simulator", 0)
	p.until("the page is there again, and empty", func() bool { g := p.group(); return g.Reset && len(g.Messages) == 0 })
	again := demoHook()
	again.taken = g.taken
	load = (&stage{t: t, groups: []*group{again}}).load(1, 0, p.door)
	load.finish()
	p.until("the group sees another one", func() bool { return fmt.Sprint(p.group().seen()) == fmt.Sprint([]int{g.taken}) })

	p.endedByThemselves("gateway", "notifier", "simulator")
	for _, s := range []string{"gateway", "notifier", "simulator"} {
		id := p.container(s)
		p.engine("stop", id)
		if code := p.engine("inspect", "--format", "{{.State.ExitCode}}", id); code != "0" {
			t.Errorf("%s, told to stop, ends with %s", s, code)
		}
	}
}

// endedByThemselves finds fault with services that the engine had to start again.
func (p *project) endedByThemselves(services ...string) {
	p.t.Helper()
	for _, s := range services {
		if n := p.engine("inspect", "--format", "{{.RestartCount}}", p.container(s)); n != "0" {
			p.t.Errorf("%s ended by itself, and was started again %s times", s, n)
		}
	}
}

// looksAsPromised looks at the image and the containers.
func (p *project) looksAsPromised() {
	p.t.Helper()
	for _, s := range []string{"gateway", "notifier", "simulator"} {
		id := p.container(s)
		for _, want := range []struct{ what, format, want string }{
			{"user", "{{.Config.User}}", "65532:65532"},
			{"read-only root", "{{.HostConfig.ReadonlyRootfs}}", "true"},
			{"capabilities", "{{.HostConfig.CapDrop}}", "[ALL]"},
		} {
			if got := p.engine("inspect", "--format", want.format, id); got != want.want {
				p.t.Errorf("%s: %s is %s, want %s", s, want.what, got, want.want)
			}
		}
		if out, err := p.docker.command(nil, "exec", id, "sh", "-c", "true"); err == nil {
			p.t.Errorf("%s has a shell: %s", s, out)
		}
		if got, want := p.engine("exec", id, "/belfry", "--version"), "belfry "+testedName; got != want {
			p.t.Errorf("%s is %q, want %q", s, got, want)
		}
	}
	// What the gateway and the notifier have open to the machine is the door alone.
	if got := p.engine("port", p.container("gateway")); got != "8080/tcp -> "+p.door {
		p.t.Errorf("the gateway's ports: %s", got)
	}
	if got := p.engine("port", p.container("notifier")); got != "" {
		p.t.Errorf("the notifier's ports: %s", got)
	}
	var size int
	if _, err := fmt.Sscan(p.engine("inspect", "--format", "{{.Size}}", p.engine("inspect", "--format", "{{.Image}}", p.container("gateway"))), &size); err != nil || size > 60e6 {
		p.t.Errorf("the image has %d bytes, %v", size, err)
	}
	p.t.Logf("the image has %.1f MB", float64(size)/1e6)
}

// holds holds what the group sees, once it has seen as much, against what was taken.
func (p *project) holds(g *group) {
	p.t.Helper()
	began := time.Now()
	p.until(fmt.Sprintf("the group sees all %d", g.taken), func() bool { return len(p.group().seen()) >= g.taken })
	p.wait(2 * time.Second) // for what would come once more
	seen := p.group()
	if err := inOrder(seen.seen(), g.taken); err != nil {
		p.t.Error(err)
	}
	if seen.Status.TooFast > 0 {
		p.t.Errorf("DingTalk was called too fast %d times", seen.Status.TooFast)
	}
	repeats := 0
	for _, m := range seen.Messages {
		repeats += m.Duplicates
	}
	p.t.Logf("%d accepted / %d shown in %d messages; %d through the spool, %d sent again, %d repeats hidden by msgUuid; %v after the last",
		g.taken, len(seen.seen()), len(seen.Messages), g.spooled, g.repeated, repeats, time.Since(began).Round(time.Second))
}

func testComposeCluster(t *testing.T, p *project) {
	t.Parallel()
	p.up(t)
	p.awaitReady("gateway", "notifier", "notifier-2")
	g := demoHook()
	load := (&stage{t: t, groups: []*group{g}}).load(2000, 150*time.Millisecond, p.door)
	p.until("the group sees the first", func() bool { return len(p.group().seen()) > 0 })
	// advances waits until the group sees what comes from now on.
	advances := func(when string) {
		t.Helper()
		began, now := time.Now(), g.count()+1 // one may be taken and not counted yet
		p.until("the group sees more "+when, func() bool { return len(p.group().seen()) > now })
		t.Logf("%s the group sees what comes within %v", when, time.Since(began).Round(100*time.Millisecond))
	}
	for _, s := range []string{"nats-1", "notifier", "notifier-2"} {
		p.kill(s, time.Second)
		advances("after the kill of " + s)
	}
	for _, s := range []string{"nats-2", "notifier", "notifier-2"} {
		began := time.Now()
		rejoin := p.cut(s)
		advances("while " + s + " is cut off")
		// The one that nothing depends on is away as long as the one that others must take over from.
		p.wait(time.Until(began.Add(8 * time.Second)))
		rejoin()
		advances("after " + s + " is back")
	}
	p.kill("nats-3", 0)
	advances("after the kill of nats-3")
	p.awaitReady("gateway", "notifier", "notifier-2")
	load.stop()
	p.holds(g)
	p.endedByThemselves("gateway", "notifier", "notifier-2", "nats-1", "nats-2", "nats-3")
}
