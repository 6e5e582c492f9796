package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNothingIsLostOrDoubledWhenTheConfigurationChanges swaps the configuration file 20 times while webhooks come
// in: for good ones, for faulty ones, for one that would need a restart, and for one without a hook and its
// robot; and sends SIGHUP. What was taken for the robot that goes waits until it is back.
func TestNothingIsLostOrDoubledWhenTheConfigurationChanges(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string][]string{
		"one process":   {"run"},
		"two processes": {"notifier", "gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 3)
			door, grpc, front := free(t), free(t), s.front(name)
			yaml := func(groups int) string {
				all := s.groups
				defer func() { s.groups = all }()
				s.groups = all[:groups]
				return "admin: {listen: '127.0.0.1:0'}\n" + s.gatewayYAML(door, "address: '"+grpc+"'") + s.notifierYAML(grpc, front, s.embedded())
			}
			full := yaml(3)
			with := func(old, new string) string {
				if !strings.Contains(full, old) {
					t.Fatalf("there is no %q in:\n%s", old, full)
				}
				return strings.ReplaceAll(full, old, new)
			}
			file := write(t, full)
			var actors []*actor
			for _, command := range commands {
				a := &actor{s: s, args: []string{command, "-c", file}}
				a.start()
				actors = append(actors, a)
			}
			load := s.load(5000, 40*time.Millisecond, door)
			began := time.Now()
			for range 2 {
				for _, step := range []struct{ outcome, yaml string }{
					{"taken", with("keywords: [Gitee]", "keywords: [Gitee]\n      locale: en")},
					{"refused", with("signature:", "signatur:")},
					{"taken", with("robots: [group-1]", `robots: [group-1], when: 'kind == "push"'`)},
					{"unchanged", ""},
					{"taken", yaml(2)},
					{"refused", with("embedded: {dir:", "embedded: {max_bytes: 7, dir:")},
					{"unchanged", yaml(2)},
					{"taken", with("keywords: [Gitee]", "keywords: [Gitee]\n      quiet: {hours: [{from: '00:00', to: '00:01', days: [MON]}]}")},
					{"refused", "notifier: ["},
					{"taken", full},
				} {
					for _, a := range actors {
						a.reloaded(file, step.yaml, step.outcome)
					}
					s.pause(500 * time.Millisecond)
					s.faults++
				}
			}
			if code, body := look(t, "http://"+actors[0].ready.Admin+"/readyz"); code != 200 || body != "ok\n" {
				t.Errorf("in the end it answers %d %q when it is asked how it is", code, body)
			}
			load.stop()
			t.Logf("swapped in %v", time.Since(began).Round(time.Second))
			s.drain(2 * time.Minute)
			s.check(actors[0].ready.GRPC)
			if n := s.sim.Throttled(); n > 0 {
				t.Errorf("DingTalk said %d times that it was too fast", n)
			}
		})
	}
}

// reloaded gives the process that file, or a SIGHUP where yaml is empty, and waits until that has come to the
// outcome. A file that is as yaml says is left alone, since another process was given it: then the outcome may
// have come already.
func (a *actor) reloaded(file, yaml, outcome string) {
	a.s.t.Helper()
	if a.outcomes == nil {
		a.outcomes = make(map[string]int)
	}
	a.outcomes[outcome]++
	if yaml == "" {
		a.signal(syscall.SIGHUP)
	} else if data, err := os.ReadFile(file); err != nil || string(data) != yaml {
		if err := errors.Join(err, os.WriteFile(file+".new", []byte(yaml), 0o600), os.Rename(file+".new", file)); err != nil {
			a.s.t.Fatal(err)
		}
	}
	a.s.until(fmt.Sprintf("%d configurations are %s", a.outcomes[outcome], outcome), func() bool {
		_, body := look(a.s.t, "http://"+a.ready.Admin+"/metrics")
		_, count, _ := strings.Cut(body, fmt.Sprintf("belfry_config_reloads_total{outcome=%q} ", outcome))
		count, _, _ = strings.Cut(count, "\n")
		n, err := strconv.Atoi(count)
		if err != nil || n > a.outcomes[outcome] {
			a.s.t.Fatalf("%s configurations are %s, want %d", count, outcome, a.outcomes[outcome])
		}
		return n == a.outcomes[outcome]
	})
}

// TestSIGHUPDuringTheStartIsKeptForLater sends it as soon as the process is there to take it.
func TestSIGHUPDuringTheStartIsKeptForLater(t *testing.T) {
	t.Parallel()
	at := newPlace(t)
	c := spawn(t, at.secrets(), "run", "-c", write(t, at.yaml()))
	stop := make(chan struct{})
	go func() {
		// The first ones may find that the process is not yet one of Go's that waits for signals; see awaitHangups.
		defer close(stop)
		awaitHangups(c)
		for range 20 {
			_ = c.cmd.Process.Signal(syscall.SIGHUP)
			<-time.After(5 * time.Millisecond)
		}
	}()
	c.awaitLog("ready")
	<-stop
	c.awaitLog("config.unchanged")
	c.signal(syscall.SIGTERM)
	if code := c.wait().ExitCode(); code != 0 {
		t.Errorf("it exited with %d", code)
	}
}

// awaitHangups waits until the kernel knows that the process catches SIGHUP.
func awaitHangups(c *child) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
		if err != nil {
			return
		}
		_, caught, _ := strings.Cut(string(status), "SigCgt:\t")
		caught, _, _ = strings.Cut(caught, "\n")
		if mask, err := strconv.ParseUint(caught, 16, 64); err == nil && mask&1 != 0 {
			return
		}
	}
}
