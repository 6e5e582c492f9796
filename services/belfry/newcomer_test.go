//go:build newcomer

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// TestNewcomer does what the README's first lines say: it starts the demo with go run, opens the printed
// address in a browser, waits for every trigger to arrive, pastes the printed curl line into a shell, and
// ends it with Ctrl-C. With BELFRY_SHOTS set to a folder, it leaves pictures of the page there.
func TestNewcomer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "./services/belfry", "demo", "--listen", "127.0.0.1:0")
	cmd.Dir = filepath.Join("..", "..")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches go run and the demo alike
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()

	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	page := regexp.MustCompile(`The group +(http://\S+)`)
	var address, curl string
	for curl == "" {
		line, ok := <-lines
		if !ok {
			t.Fatal("the demo ended before it printed its address and the curl line")
		}
		t.Log(line)
		if m := page.FindStringSubmatch(line); m != nil {
			address = m[1]
		}
		if strings.HasPrefix(line, "curl ") {
			curl = line
		}
	}

	browser := openPage(t, ctx, address)
	count := func() (n int) {
		n, err := chromedp.Run(browser, chromedp.Evaluate[int](`document.querySelectorAll("article.message").length`))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// What belongs to another event is told with it, so the demo says how many messages that makes.
	var told int
	for line := range lines {
		t.Log(line)
		if _, err := fmt.Sscanf(line, "That was every trigger: %d messages", &told); err == nil {
			break
		}
	}
	if kinds := len(giteetest.All(time.Now())); told < kinds/2 || told > kinds {
		t.Errorf("%d webhooks became %d messages", kinds, told)
	}
	waitFor := func(want int) {
		t.Helper()
		for count() < want {
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("the page shows %d messages, want %d", count(), want)
			}
		}
	}
	waitFor(told)
	shoot(t, browser, "demo.png")

	answer, err := exec.CommandContext(ctx, "sh", "-c", curl).CombinedOutput()
	if err != nil {
		t.Fatalf("the curl line: %v\n%s", err, answer)
	}
	t.Logf("%s", answer)
	waitFor(told + 1)
	shoot(t, browser, "after-curl.png")

	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		t.Log(line)
	}
	// go run ends with 1 when it is interrupted, whatever became of the program. Had that failed, go run
	// would say so, and so would the program.
	_ = cmd.Wait()
	if said := stderr.String(); strings.Contains(said, "exit status") || strings.Contains(said, "belfry:") {
		t.Errorf("the demo ended badly:\n%s", said)
	}
}

func openPage(t *testing.T, ctx context.Context, address string) context.Context {
	t.Helper()
	var chromium string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if at, err := exec.LookPath(name); err == nil {
			chromium = at
			break
		}
	}
	if chromium == "" {
		t.Fatal("no Chromium in PATH")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, stop := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS(`#live[data-state="live"]`))); err != nil {
		t.Fatal(fmt.Errorf("the page: %w", err))
	}
	return ctx
}

func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("BELFRY_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), png, 0o600); err != nil {
		t.Fatal(err)
	}
}
