package natstest

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one server, running or not.
type process struct {
	node

	mu     sync.Mutex
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
	frozen bool
}

// launch starts the process.
func (p *process) launch(t testing.TB) {
	t.Helper()
	if os.Getenv(serveVariable) != "" {
		t.Fatal("this process is to be a server: call natstest.MaybeServe first in TestMain")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		t.Fatalf("server %s runs already", p.Name)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(p.node)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serveVariable+"="+string(told))
	cmd.Stderr = t.Output()
	// A group of its own: should the test die while the server is frozen, the system wakes the orphaned
	// group and hangs it up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.cmd, p.stdin, p.stdout, p.frozen = cmd, stdin, stdout, false
}

// awaitStart waits until the process says that it is ready. It fails the test when it does not.
func (p *process) awaitStart(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	proc, stdout := p.cmd.Process, p.stdout
	p.mu.Unlock()
	timer := time.AfterFunc(startTimeout+5*time.Second, func() { _ = proc.Kill() })
	defer timer.Stop()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != ready {
		t.Fatalf("server %s did not start (%q, %v): does TestMain call natstest.MaybeServe first? its log ends:\n%s",
			p.Name, line, err, p.logTail())
	}
}

// kill ends the process, if there is one, and waits for it.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	// It may have ended by itself; either way Wait tells when it is gone.
	_ = p.cmd.Process.Kill()
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
	p.cmd = nil
}

func (p *process) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		t.Fatalf("server %s doesn't run", p.Name)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("server %s: %v: %v", p.Name, sig, err)
	}
	p.frozen = sig == syscall.SIGSTOP
}

// answers reports whether the process runs and is not frozen.
func (p *process) answers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && !p.frozen
}

// logTail returns the end of the server's log.
func (p *process) logTail() string {
	const most = 4 << 10
	data, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-most):])
}
