package natsstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// faults are ways to make a folder unwritable under a store, and writable again. They run in a child.
var faults = map[string]struct {
	prepare            func(dir string) error
	begin, end         func(dir string) error
	wantsOwnNamespaces bool
	batchesAlone       bool
}{
	// Works everywhere: files can't grow beyond what the process allows itself.
	"files can't grow": {
		prepare: func(string) error { signal.Ignore(syscall.SIGXFSZ); return nil },
		begin:   func(string) error { return limitFiles(300 << 10) },
		end:     func(string) error { return limitFiles(1 << 62) },
	},
	// So that the server can't even stage a batch, which it doesn't take for a fault.
	"batches can't be staged": {
		prepare:      func(string) error { signal.Ignore(syscall.SIGXFSZ); return nil },
		begin:        func(string) error { return limitFiles(30 << 10) },
		end:          func(string) error { return limitFiles(1 << 62) },
		batchesAlone: true,
	},
	// Works everywhere: root, who may write anywhere, becomes somebody else.
	"folder can't be written": {
		prepare: func(dir string) error {
			if os.Getuid() != 0 {
				return nil
			}
			return errors.Join(os.Chown(dir, 65534, 65534), syscall.Setgid(65534), syscall.Setuid(65534))
		},
		begin: func(dir string) error { return chmodFolders(dir, 0o500) },
		end:   func(dir string) error { return chmodFolders(dir, 0o700) },
	},
	// Works where a process may have a mount namespace of its own.
	"disk is full": {
		prepare: func(dir string) error { return syscall.Mount("belfry", dir, "tmpfs", 0, "size=64m") },
		begin: func(dir string) error {
			f, err := os.Create(filepath.Join(dir, "ballast"))
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
				return fmt.Errorf("fill the disk: %w", err)
			}
			return nil
		},
		end:                func(dir string) error { return os.Remove(filepath.Join(dir, "ballast")) },
		wantsOwnNamespaces: true,
	},
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func limitFiles(bytes uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(bytes, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

func chmodFolders(dir string, mode fs.FileMode) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, mode)
	})
}

const faultVariable = "NATSSTORE_TEST_FAULT"

// appendThroughFaults is the child: it appends to a queue all the time and says what became of each item and
// how the store is, while its standard input tells it when to begin and end the fault. At "stop" it opens
// the store anew and says what is there.
func appendThroughFaults(name string) {
	fault, dir := faults[name], os.Getenv("NATSSTORE_TEST_DIR")
	if err := fault.prepare(dir); err != nil {
		fmt.Println("impossible", err)
		os.Exit(0)
	}
	dir = filepath.Join(dir, "store")
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	s, q := openQueueIn(dir)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		i := 0
		for range time.Tick(10 * time.Millisecond) {
			if ctx.Err() != nil {
				return
			}
			one, cancel := context.WithTimeout(ctx, time.Second)
			var err error
			if i%batchEvery == 0 || fault.batchesAlone {
				_, err = s.PublishBatch(one, batch(i))
			} else {
				err = q.Append(one, "lane", fmt.Appendf(nil, "%-32000d", i))
			}
			cancel()
			if err != nil {
				say("failed %v", err)
			} else {
				say("acked %d", i)
			}
			i++
		}
	})
	work.Go(func() {
		for range time.Tick(100 * time.Millisecond) {
			if ctx.Err() != nil {
				return
			}
			if err := s.Healthy(ctx); err != nil {
				say("unhealthy %v", err)
			} else {
				say("healthy")
			}
		}
	})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var err error
		switch lines.Text() {
		case "begin":
			err = fault.begin(filepath.Dir(dir))
		case "end":
			err = fault.end(filepath.Dir(dir))
		case "stop":
			cancel()
			work.Wait()
			s.Close()
			s, _ = openQueueIn(dir)
			for _, text := range allOf(s, "BELFRY_QUEUE_q") {
				say("stored %s", text)
			}
			for _, text := range allOf(s, "BATCHES") {
				say("batched %s", text)
			}
			s.Close()
			os.Exit(0)
		}
		if err != nil {
			panic(err)
		}
		say("did %s", lines.Text())
	}
	os.Exit(1)
}

func openQueueIn(dir string) (*Store, *Queue) {
	s, err := Open(context.Background(), Options{Dir: dir, Name: "child"})
	if err != nil {
		panic(err)
	}
	q, err := s.Queue(context.Background(), QueueOptions{Name: "q", MaxBytes: 40 << 20})
	if err != nil {
		panic(err)
	}
	_, err = s.EnsureStream(context.Background(), jetstream.StreamConfig{
		Name: "BATCHES", Subjects: []string{"batches"}, Storage: jetstream.FileStorage, AllowAtomicPublish: true, AllowDirect: true,
	})
	if err != nil {
		panic(err)
	}
	return s, q
}

// Every batchEvery-th write is a batch of batchSize messages.
const batchEvery, batchSize = 4, 5

func batch(i int) []*nats.Msg {
	var msgs []*nats.Msg
	for range batchSize {
		msgs = append(msgs, &nats.Msg{Subject: "batches", Data: fmt.Appendf(nil, "%-8000d", i)})
	}
	return msgs
}

// allOf returns what the stream holds, without the blanks at the ends.
func allOf(s *Store, stream string) []string {
	var texts []string
	for from := uint64(1); ; {
		msgs, _, err := s.Forward(context.Background(), stream, ">", from, 100, 1<<20)
		if err != nil {
			panic(err)
		}
		if len(msgs) == 0 {
			return texts
		}
		for _, m := range msgs {
			texts = append(texts, strings.TrimSpace(string(m.Data)))
		}
		from = msgs[len(msgs)-1].Seq + 1
	}
}

// child is a process that runs appendThroughFaults.
type child struct {
	t      *testing.T
	stdin  io.Writer
	lines  *bufio.Scanner
	ending bool
	// acked, stored and batched are what it said of that, in order.
	acked, stored, batched []string
}

// startChild starts a child for the fault. It returns nil where that fault is impossible.
func startChild(t *testing.T, name string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, exe)
	dir := t.TempDir()
	// Whoever the child becomes must get there: the folders below the temporary one are this test's own.
	for up := dir; strings.HasPrefix(up, filepath.Clean(os.TempDir())+string(filepath.Separator)); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Env = append(os.Environ(), faultVariable+"="+name, "NATSSTORE_TEST_DIR="+dir)
	if faults[name].wantsOwnNamespaces {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Logf("a process with a mount namespace of its own: %v", err)
		return nil
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		cancel()
	})
	c := &child{t: t, stdin: stdin, lines: bufio.NewScanner(out)}
	if kind, rest := c.next(); kind == "impossible" {
		t.Log(rest)
		return nil
	}
	return c
}

// next reads what the child says.
func (c *child) next() (kind, rest string) {
	c.t.Helper()
	if !c.lines.Scan() {
		if c.ending {
			return "", ""
		}
		c.t.Fatalf("the child ended: %v", c.lines.Err())
	}
	kind, rest, _ = strings.Cut(c.lines.Text(), " ")
	switch kind {
	case "acked":
		c.acked = append(c.acked, rest)
	case "stored":
		c.stored = append(c.stored, rest)
	case "batched":
		c.batched = append(c.batched, rest)
	}
	return kind, rest
}

func (c *child) tell(what string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.stdin, what); err != nil {
		c.t.Fatal(err)
	}
}

// until reads until the child says kind, and returns what it says there.
func (c *child) until(kind string) string {
	c.t.Helper()
	for {
		k, rest := c.next()
		if k == kind {
			return rest
		}
	}
}
