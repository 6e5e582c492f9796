package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// ownDisk, set in the environment of a test binary that is the command, gives it a disk of its own, as a
// mount that nobody else sees: the folder, and the size in bytes.
const ownDisk = "BELFRY_TEST_OWN_DISK"

// mountOwnDisk does what ownDisk says.
func mountOwnDisk() {
	dir, size, ok := strings.Cut(os.Getenv(ownDisk), " ")
	if !ok {
		return
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		fmt.Fprintln(os.Stderr, "mount:", err)
		os.Exit(3)
	}
}

// diskFault is a way in which a process's disk stops taking writes, and takes them again.
type diskFault struct {
	prepare func(s *stage) func(*exec.Cmd)
	spoil   func(s *stage, p *actor) error
	mend    func(s *stage, p *actor) error
}

// fileSizes has every write fail that goes beyond the first bytes of a file.
var fileSizes = diskFault{
	prepare: func(*stage) func(*exec.Cmd) { return nil },
	spoil:   func(_ *stage, p *actor) error { return limitFiles(p.cmd.Process.Pid, 512) },
	mend:    func(_ *stage, p *actor) error { return limitFiles(p.cmd.Process.Pid, ^uint64(0)) },
}

// limitFiles sets the most that a file of the process may grow to, in bytes.
func limitFiles(pid int, size uint64) error {
	limit := syscall.Rlimit{Cur: size, Max: ^uint64(0)}
	_, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("prlimit: %w", errno)
	}
	return nil
}

// fullDisk has the process on a small disk, which somebody else fills up.
var fullDisk = diskFault{
	prepare: func(s *stage) func(*exec.Cmd) {
		return func(cmd *exec.Cmd) {
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s %d", ownDisk, s.dir, 64<<20))
			cmd.SysProcAttr = ownMounts()
		}
	},
	spoil: func(s *stage, p *actor) error {
		ballast, err := os.Create(p.onDisk(s.dir, "ballast"))
		if err != nil {
			return err
		}
		defer ballast.Close()
		if _, err = io.CopyN(ballast, zeros{}, 1<<30); !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("the disk does not fill up: %w", err)
		}
		return nil
	},
	mend: func(s *stage, p *actor) error { return os.Remove(p.onDisk(s.dir, "ballast")) },
}

// onDisk is the path of a file as the process sees it.
func (a *actor) onDisk(elem ...string) string {
	return fmt.Sprintf("/proc/%d/root%s", a.cmd.Process.Pid, filepath.Join(elem...))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// ownMounts has a process see mounts of its own, also where the test isn't root.
func ownMounts() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

// mayMount says whether a process may have mounts of its own here.
func mayMount() bool {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), asCommand+"=1", ownDisk+"=/tmp 1048576")
	cmd.Args = append(cmd.Args[:1], "--help")
	cmd.SysProcAttr = ownMounts()
	return cmd.Run() == nil
}

// TestADiskThatTakesNothingLosesNothing has writes fail under load, more than once. While they do, the door
// refuses with 503 and says why, and so does readiness; afterwards the same process goes on.
func TestADiskThatTakesNothingLosesNothing(t *testing.T) {
	t.Parallel()
	faults := map[string]diskFault{"files may not grow": fileSizes}
	if mayMount() {
		faults["no space left"] = fullDisk
	} else {
		t.Log("nobody may mount anything here, so there is no disk to fill up; files that may not grow do the same")
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 2)
			door := free(t)
			p := s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", s.front("run"), s.embedded()))
			p.prepare = fault.prepare(s)
			p.start()
			load := s.load(2500, 100*time.Millisecond, door)
			for range 2 {
				s.wait(time.Second)
				if err := fault.spoil(s, p); err != nil {
					t.Fatal(err)
				}
				s.faults++
				p.awaitReadiness(http.StatusServiceUnavailable, "notifier: journal: ")
				for _, g := range s.groups {
					g.awaitRefusal(s)
				}
				if err := fault.mend(s, p); err != nil {
					t.Fatal(err)
				}
				p.awaitReadiness(http.StatusOK, "ok")
			}
			load.stop()
			s.drain(2 * time.Minute)
			s.check(p.ready.GRPC)
			if n := s.sim.Throttled(); n > 0 {
				t.Errorf("DingTalk said %d times that it was too fast", n)
			}
		})
	}
}

// awaitRefusal waits until the door has refused one of the group's webhooks, anew.
func (g *group) awaitRefusal(s *stage) {
	s.t.Helper()
	take := func() (words string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		words, g.refusal = g.refusal, ""
		return words
	}
	take()
	s.until("the door refuses for "+g.name, func() bool {
		words := take()
		if words == "" {
			return false
		}
		if reason, message, _ := strings.Cut(words, ": "); !strings.HasPrefix(reason, "ERROR_REASON_") || message == "" {
			s.t.Errorf("%s: the door refused with %q", g.name, words)
		}
		return true
	})
}
