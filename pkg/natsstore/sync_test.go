package natsstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const syncVariable = "NATSSTORE_TEST_SYNC"

// writeWhenTold is the child of TestAcknowledgementWaitsForTheSync: it makes the writes that it reads, and
// says when they were acknowledged.
func writeWhenTold(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir, Name: "child"})
	if err != nil {
		panic(err)
	}
	q, err := s.Queue(ctx, QueueOptions{Name: "q", MaxBytes: 1 << 20})
	if err != nil {
		panic(err)
	}
	kv, err := s.EnsureBucket(ctx, jetstream.KeyValueConfig{Bucket: "B", Storage: jetstream.FileStorage})
	if err != nil {
		panic(err)
	}
	_, err = s.EnsureStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage, AllowAtomicPublish: true})
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "append":
			err = q.Append(ctx, "lane", []byte("x"))
		case "put":
			_, err = kv.Put(ctx, "k", []byte("x"))
		case "batch":
			_, err = s.PublishBatch(ctx, []*nats.Msg{{Subject: "s", Data: []byte("1")}, {Subject: "s", Data: []byte("2")}})
		}
		if err != nil {
			panic(err)
		}
		fmt.Println("acked")
	}
	os.Exit(0)
}

// tracer runs a process and can hold its fsyncs of stream files back.
type tracer struct {
	pid     int
	hold    atomic.Bool
	held    chan string // the files whose sync begins to be held
	stopped chan error
}

// TestAcknowledgementWaitsForTheSync stops the server in its call of fsync and shows that nothing is
// acknowledged until that returns. What the disk makes of the fsync is between the kernel and the disk.
func TestAcknowledgementWaitsForTheSync(t *testing.T) {
	stdinRead, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, stdoutWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	tr := &tracer{held: make(chan string, 100), stopped: make(chan error, 1)}
	started := make(chan error, 1)
	dir := t.TempDir()
	go func() {
		// A process is traced by one thread, which then is of no use to others.
		runtime.LockOSThread()
		err := tr.start(dir, stdinRead, stdoutWrite)
		_, _ = stdinRead.Close(), stdoutWrite.Close() // they are the child's
		started <- err
		if err == nil {
			tr.stopped <- tr.follow()
		}
	}()
	if err := <-started; err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Logf("this machine lets nobody trace a process: what is left is TestServerSyncsBeforeItAcknowledges: %v", err)
			return
		}
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(tr.pid, syscall.SIGKILL)
		<-tr.stopped
	}()
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	say := func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if got != want {
				t.Fatalf("the child says %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("the child doesn't say %q", want)
		}
	}
	say("ready")
	for what, stream := range map[string]string{"append": "BELFRY_QUEUE_q", "put": "KV_B", "batch": "S"} {
		tr.hold.Store(true)
		if _, err := io.WriteString(stdin, what+"\n"); err != nil {
			t.Fatal(err)
		}
		for file := ""; !strings.Contains(file, "/streams/"+stream+"/"); {
			select {
			case file = <-tr.held:
			case got := <-lines:
				t.Fatalf("%s: %s before any sync of %s", what, got, stream)
			case <-time.After(time.Minute):
				t.Fatalf("%s: no sync of %s begins", what, stream)
			}
		}
		// The sync is held now, and nothing else.
		select {
		case got := <-lines:
			t.Errorf("%s: %s while the sync is held", what, got)
		case <-time.After(300 * time.Millisecond):
		}
		tr.release()
		say("acked")
	}
}

func (tr *tracer) start(dir string, stdin, stdout *os.File) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), syncVariable+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	tr.pid = cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(tr.pid, &status, 0, nil); err != nil {
		return err
	}
	const exitKill = 1 << 20 // PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(tr.pid, syscall.PTRACE_O_TRACECLONE|syscall.PTRACE_O_TRACESYSGOOD|exitKill); err != nil {
		return err
	}
	return syscall.PtraceSyscall(tr.pid, 0)
}

// release lets the syncs that are held go on. The signal, which the child's runtime ignores, wakes follow.
func (tr *tracer) release() {
	tr.hold.Store(false)
	_ = syscall.Kill(tr.pid, syscall.SIGURG)
}

// follow lets the process run from one system call to the next until it ends.
func (tr *tracer) follow() error {
	const (
		anyThread  = 0x40000000 // __WALL
		mine       = 0x20000000 // __WNOTHREAD
		systemCall = syscall.SIGTRAP | 0x80
	)
	var held []int
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, anyThread|mine, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ECHILD):
			return nil
		case err != nil:
			return err
		}
		if !tr.hold.Load() {
			for _, tid := range held {
				_ = syscall.PtraceSyscall(tid, 0) // it fails if the thread is gone
			}
			held = nil
		}
		if !status.Stopped() {
			continue
		}
		sig := status.StopSignal()
		switch sig {
		case systemCall:
			if file := syncedFile(tr.pid, tid); tr.hold.Load() && strings.HasSuffix(file, ".blk") {
				held = append(held, tid)
				select {
				case tr.held <- file:
				default:
				}
				continue
			}
			sig = 0
		case syscall.SIGTRAP, syscall.SIGSTOP:
			sig = 0 // a new thread
		}
		_ = syscall.PtraceSyscall(tid, int(sig))
	}
}

// syncedFile returns the file that the thread is about to sync; empty if it is about to do something else.
func syncedFile(pid, tid int) string {
	const (
		getSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO
		entry          = 1
	)
	var info [88]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info[0] != entry {
		return ""
	}
	switch binary.NativeEndian.Uint64(info[24:]) {
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
	default:
		return ""
	}
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, binary.NativeEndian.Uint64(info[32:])))
	if err != nil {
		return ""
	}
	return file
}
