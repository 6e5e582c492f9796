package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

// asCommand, set in the environment, makes the test binary the command, so that tests start the command
// as a process of its own without building it.
const asCommand = "BELFRY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		mountOwnDisk()
		main()
		return
	}
	natstest.MaybeServe()
	// The fault runs mostly wait for robots' budgets, so more of them than there are cores go side by side.
	// What the command line says counts more.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// patience bounds every wait for a child. It is far beyond what is promised, for slow machines.
const patience = time.Minute

// child is the command as a process of its own.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	// ended is closed when it has ended and all it wrote was read.
	ended chan struct{}

	mu      sync.Mutex
	lines   []string
	changed chan struct{}
}

// logged is a line of the log.
type logged struct {
	Level, Msg               string
	Hooks, GRPC, HTTP, Admin string
}

// spawn starts the command. When the test ends it is killed, should it still run, and none of the secrets
// may stand in what it wrote.
func spawn(t *testing.T, secrets []string, args ...string) *child {
	t.Helper()
	return spawnWith(t, func(*exec.Cmd) {}, secrets, args...)
}

// spawnWith is spawn of a command that prepare has changed.
func spawnWith(t *testing.T, prepare func(*exec.Cmd), secrets []string, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(self, args...), ended: make(chan struct{}), changed: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), asCommand+"=1")
	c.cmd.Dir = t.TempDir()
	prepare(c.cmd)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout, c.cmd.Stderr = in, in
	err = c.cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		defer out.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			c.mu.Lock()
			c.lines = append(c.lines, s.Text())
			close(c.changed)
			c.changed = make(chan struct{})
			c.mu.Unlock()
		}
		_ = c.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.ended
		for _, secret := range secrets {
			if strings.Contains(c.output(), secret) {
				t.Error("a secret is in the output")
			}
		}
		if t.Failed() {
			lines := strings.Split(c.output(), "\n")
			t.Logf("belfry %s wrote %d lines, the last of them:\n%s", strings.Join(args, " "), len(lines), strings.Join(lines[max(0, len(lines)-150):], "\n"))
		}
	})
	return c
}

func (c *child) output() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

// awaitLog waits for the line of the log with that message.
func (c *child) awaitLog(msg string) logged {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for read := 0; ; {
		c.mu.Lock()
		lines, changed := c.lines[read:], c.changed
		c.mu.Unlock()
		for _, line := range lines {
			var l logged
			if json.Unmarshal([]byte(line), &l) == nil && strings.HasPrefix(l.Msg, msg) {
				return l
			}
		}
		read += len(lines)
		select {
		case <-changed:
		case <-c.ended:
			c.t.Fatalf("it ended without having logged %q", msg)
		case <-ctx.Done():
			c.t.Fatalf("it has not logged %q", msg)
		}
	}
}

func (c *child) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// wait waits for its end.
func (c *child) wait() *os.ProcessState {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatal("it does not end")
	}
	return c.cmd.ProcessState
}
