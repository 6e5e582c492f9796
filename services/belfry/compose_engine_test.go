//go:build compose

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// docker is a Docker engine. The slice is how compose is called: docker compose, or docker-compose as of 1.29.
type docker struct{ compose []string }

// engine finds the engine, and skips the test where none answers.
func engine(t *testing.T) docker {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("there is no docker in PATH: docker-compose.yml is not run")
	}
	if out, err := (docker{}).command(nil, "version", "--format", "{{.Server.Version}}"); err != nil {
		t.Skipf("no Docker engine answers, so docker-compose.yml is not run: %s", strings.TrimSpace(out))
	}
	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(compose[0], append(compose[1:], "version")...).Run() == nil {
			return docker{compose}
		}
	}
	t.Skip("there is neither docker compose nor docker-compose: docker-compose.yml is not run")
	return docker{}
}

// engineWithin bounds each call of the engine.
const engineWithin = 2 * time.Minute

// command runs docker and returns what it wrote. It does so after the test's end, too.
func (d docker) command(stdin io.Reader, args ...string) (string, error) {
	return runIn(nil, stdin, "docker", args...)
}

func runIn(env []string, stdin io.Reader, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), engineWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = root, env, stdin
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// project is docker-compose.yml at work.
type project struct {
	t      *testing.T
	docker docker
	name   string
	env    []string
	door   string // host:port of Gitee's door
	page   string // and of the simulator's page
	noEnv  string // a file without variables, in place of the .env of whoever runs the test
}

// newProject is docker-compose.yml with these profiles and the shipped configuration of that name, not yet started.
func newProject(t *testing.T, d docker, name, config string, profiles []string, vars []string) *project {
	t.Helper()
	p := &project{t: t, docker: d, name: name, door: composePort(t), page: composePort(t), noEnv: filepath.Join(t.TempDir(), "env")}
	if err := os.WriteFile(p.noEnv, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range os.Environ() {
		if key, _, _ := strings.Cut(v, "="); !strings.HasPrefix(key, "COMPOSE_") && !strings.HasPrefix(key, "BELFRY_") && key != "GOPROXY" {
			p.env = append(p.env, v)
		}
	}
	p.env = append(p.env, vars...)
	p.env = append(p.env, "BELFRY_CONFIG=./services/belfry/compose/"+config, "BELFRY_DOOR="+p.door, "BELFRY_PAGE="+p.page,
		"BELFRY_VERSION="+testedName, "COMPOSE_PROFILES="+strings.Join(profiles, ","))
	return p
}

// build makes the image.
func (p *project) build() {
	p.t.Helper()
	began := time.Now()
	if out, err := p.tryCompose("build", "gateway"); err != nil {
		p.t.Fatalf("compose build: %v\n%s", err, out)
	}
	p.t.Logf("the image took %v", time.Since(began).Round(time.Second))
}

// up starts it for t. All of it is removed with t, and none of the secrets may stand in what the containers wrote.
func (p *project) up(t *testing.T) {
	t.Helper()
	p.t = t
	t.Cleanup(func() {
		ids, _ := p.docker.command(nil, "ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name)
		for _, id := range strings.Fields(ids) {
			p.lookBack(id)
		}
		if out, err := p.tryCompose("down", "--volumes", "--timeout", "3"); err != nil {
			t.Errorf("the containers are not removed: %v\n%s", err, out)
		}
	})
	began := time.Now()
	if out, err := p.tryCompose("up", "--detach"); err != nil {
		t.Fatalf("compose up: %v\n%s", err, out)
	}
	t.Logf("compose up took %v", time.Since(began).Round(time.Second))
}

// lookBack looks at what a container wrote, and shows its end if the test has failed.
func (p *project) lookBack(id string) {
	service, _ := p.docker.command(nil, "inspect", "--format", `{{index .Config.Labels "com.docker.compose.service"}}`, id)
	out, _ := p.docker.command(nil, "logs", id)
	for _, secret := range []string{"demo-hook", "demo-robot"} {
		// The simulator shows its robot's address to those who start it.
		if strings.Contains(out, secret) && strings.TrimSpace(service) != "simulator" {
			p.t.Errorf("the secret %s is in the log of %s", secret, service)
		}
	}
	if p.t.Failed() {
		state, _ := p.docker.command(nil, "inspect", "--format", "{{json .State}}", id)
		lines := strings.Split(out, "\n")
		p.t.Logf("%s: %s\n%s", service, state, strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

func (p *project) tryCompose(args ...string) (string, error) {
	command := slices.Concat(p.docker.compose, []string{"--project-name", p.name, "--project-directory", ".", "--file", "docker-compose.yml", "--env-file", p.noEnv}, args)
	return runIn(p.env, nil, command[0], command[1:]...)
}

// engine runs docker, which must succeed.
func (p *project) engine(args ...string) string {
	p.t.Helper()
	out, err := p.docker.command(nil, args...)
	if err != nil {
		p.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// container returns the id of the service's container.
func (p *project) container(service string) string {
	p.t.Helper()
	ids := strings.Fields(p.engine("ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name, "--filter", "label=com.docker.compose.service="+service))
	if len(ids) != 1 {
		p.t.Fatalf("%s has the containers %q, want one", service, ids)
	}
	return ids[0]
}

// awaitHealthy waits until the engine calls the services' containers healthy.
func (p *project) awaitHealthy(services ...string) {
	p.t.Helper()
	for _, s := range services {
		id := p.container(s)
		p.until(s+" is healthy", func() bool { return p.engine("inspect", "--format", "{{.State.Health.Status}}", id) == "healthy" })
	}
}

// awaitReady asks a service itself, which is sooner than the engine comes to it.
func (p *project) awaitReady(services ...string) {
	p.t.Helper()
	for _, s := range services {
		id := p.container(s)
		p.until(s+" is ready", func() bool {
			_, err := p.docker.command(nil, "exec", id, "/belfry", "health")
			return err == nil
		})
	}
}

// kill ends a service's container as a power cut would, and starts it again after a while.
func (p *project) kill(service string, away time.Duration) {
	p.t.Helper()
	id := p.container(service)
	p.engine("kill", id)
	p.wait(away)
	p.engine("start", id)
}

// cut takes a service's container off all its networks; rejoin puts it back. Nobody is told: what was open
// stays silent.
func (p *project) cut(service string) (rejoin func()) {
	p.t.Helper()
	id := p.container(service)
	var networks map[string]any
	if err := json.Unmarshal([]byte(p.engine("inspect", "--format", "{{json .NetworkSettings.Networks}}", id)), &networks); err != nil {
		p.t.Fatal(err)
	}
	for name := range networks {
		p.engine("network", "disconnect", name, id)
	}
	return func() {
		p.t.Helper()
		for name := range networks {
			p.engine("network", "connect", "--alias", service, name, id)
		}
	}
}

func (p *project) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.t.Context().Done():
	}
}

// until waits until something is done, and fails the test where that takes too long.
func (p *project) until(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(3 * patience); !done(); p.wait(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// composePort returns an address of this machine at which nobody listens. Its port lies below those that the
// system gives to connections, so that a container that was killed finds it free again.
func composePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rand.IntN(20000)))
		if ln, err := net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			return addr
		}
	}
	t.Fatal("there is no free port")
	return ""
}

// shownGroup is what the page knows of the group.
type shownGroup struct {
	Reset    bool // always true in what the page says
	Status   struct{ TooFast int }
	Messages []struct {
		Text       string
		Duplicates int
	}
}

// group reads the simulator's page; nothing where it does not answer.
func (p *project) group() (g shownGroup) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.page+"/api/messages", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return g
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return g
	}
	if err := json.Unmarshal(body.Bytes(), &g); err != nil {
		p.t.Fatalf("the page says %.200s: %v", body.String(), err)
	}
	return g
}

// seen returns the marks in the group's messages, in their order; one message counts each once.
func (g shownGroup) seen() (all []int) {
	for _, m := range g.Messages {
		in := map[int]bool{}
		for _, found := range mark.FindAllStringSubmatch(m.Text, -1) {
			if n, _ := strconv.Atoi(found[1]); !in[n] {
				in[n] = true
				all = append(all, n)
			}
		}
	}
	return all
}

// removeStages removes what the classic builder has left of the stage that was built upon image.
func (d docker) removeStages(t *testing.T, image string) {
	t.Cleanup(func() {
		const layer = "{{.ID}} {{if .RootFS.Layers}}{{index .RootFS.Layers 0}}{{end}}"
		base, err := d.command(nil, "image", "inspect", "--format", layer, image)
		if err != nil {
			return
		}
		left, _ := d.command(nil, "image", "ls", "-q", "--no-trunc", "--filter", "dangling=true")
		for _, id := range strings.Fields(left) {
			of, err := d.command(nil, "image", "inspect", "--format", layer, id)
			if err == nil && strings.Fields(of)[1] == strings.Fields(base)[1] {
				_, _ = d.command(nil, "image", "rm", id) // another one may have it as its parent
			}
		}
	})
}
