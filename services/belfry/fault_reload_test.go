package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
			with := func(yaml, old, new string) string {
				if !strings.Contains(yaml, old) {
					t.Fatalf("there is no %q in:\n%s", old, yaml)
				}
				return strings.ReplaceAll(yaml, old, new)
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
				// What each command says, in the order run, notifier, gateway: it sees changes of its own part alone.
				for _, step := range []struct{ run, notifier, gateway, yaml string }{
					{"taken", "taken", "unchanged", with(full, "keywords: [Gitee]", "keywords: [Gitee]\n      locale: en")},
					{"refused", "refused", "refused", with(full, "signature:", "signatur:")},
					{"taken", "taken", "taken", with(full, "robots: [group-1]", `robots: [group-1], when: 'kind == "push"'`)},
					{"unchanged", "unchanged", "unchanged", ""},
					{"taken", "taken", "taken", yaml(2)},
					{"refused", "refused", "unchanged", with(yaml(2), "embedded: {dir:", "embedded: {max_bytes: 7, dir:")},
					{"unchanged", "unchanged", "unchanged", yaml(2)},
					{"taken", "taken", "taken", with(full, "keywords: [Gitee]", "keywords: [Gitee]\n      quiet: {hours: [{from: '00:00', to: '00:01', days: [MON]}]}")},
					{"refused", "refused", "refused", "notifier: ["},
					{"taken", "taken", "unchanged", full},
				} {
					outcome := map[string]string{"run": step.run, "notifier": step.notifier, "gateway": step.gateway}
					for _, a := range actors {
						a.reloaded(file, step.yaml, outcome[a.args[0]])
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
		code, body := look(a.s.t, "http://"+a.ready.Admin+"/metrics")
		_, count, _ := strings.Cut(body, fmt.Sprintf("belfry_config_reloads_total{outcome=%q} ", outcome))
		count, _, _ = strings.Cut(count, "\n")
		n, err := strconv.Atoi(count)
		if err != nil {
			a.s.t.Fatalf("the metrics are %d, %.1000s", code, body)
		}
		if n > a.outcomes[outcome] {
			a.s.t.Fatalf("%d configurations are %s, want %d", n, outcome, a.outcomes[outcome])
		}
		return n == a.outcomes[outcome]
	})
}

// TestSIGHUPDuringTheStartIsKeptForLater has the process wait for its configuration, which is a pipe, and sends
// the signal meanwhile.
func TestSIGHUPDuringTheStartIsKeptForLater(t *testing.T) {
	t.Parallel()
	at := newPlace(t)
	file, ready := filepath.Join(t.TempDir(), "belfry.yaml"), write(t, at.yaml())
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	c := spawn(t, at.secrets(), "run", "-c", file)
	pipe, err := os.OpenFile(file, os.O_WRONLY, 0) // once the process reads
	if err != nil {
		t.Fatal(err)
	}
	c.signal(syscall.SIGHUP)
	_, err = pipe.WriteString(at.yaml())
	if err := errors.Join(err, os.Rename(ready, file), pipe.Close()); err != nil {
		t.Fatal(err)
	}
	c.awaitLog("ready")
	c.awaitLog("config.unchanged")
	c.signal(syscall.SIGTERM)
	if code := c.wait().ExitCode(); code != 0 {
		t.Errorf("it exited with %d", code)
	}
}
