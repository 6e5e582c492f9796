package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

// place is where a process of the tests works: its addresses and folders, all of them free.
type place struct {
	admin, door, grpc, http string
	spool, journal          string
	// token and robotSecret are the robot's, secret is the hook's.
	token, robotSecret, secret string
	// webhook is where its robot's messages go.
	webhook string
}

func newPlace(t *testing.T) place {
	dir := t.TempDir()
	return place{
		admin: "127.0.0.1:0", door: "127.0.0.1:0", grpc: "127.0.0.1:0", http: "127.0.0.1:0",
		spool: filepath.Join(dir, "spool"), journal: filepath.Join(dir, "journal"),
		token: random(), robotSecret: "SEC" + random(), secret: random(),
		webhook: "http://127.0.0.1:1/robot/send?access_token=none",
	}
}

// secrets are what must be in no output.
func (p place) secrets() []string { return []string{p.token, p.robotSecret, p.secret} }

func (p place) yaml() string {
	return fmt.Sprintf(`
admin: {listen: %q}
gateway:
  listen: %q
  notifier: {address: %q}
  spool: {dir: %q}
  hooks: [{name: payments, signature: {secret: %q}, routes: [{robots: [team]}]}]
notifier:
  grpc: {listen: %q}
  http: {listen: %q}
  store: {embedded: {dir: %q}}
  allowed_webhook_hosts: [127.0.0.1]
  robots: [{name: team, webhook: %q, secret: %q, keywords: [Gitee]}]
`, p.admin, p.door, p.grpc, p.spool, p.secret, p.grpc, p.http, p.journal, p.webhook, p.robotSecret)
}

// free returns an address that is free just now.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestAStartThatFailsSaysWhyInOneLineAndReleasesAll lets the start fail at each thing that it needs, all
// that comes before being in use already, and then opens what was in use again, within the same process.
func TestAStartThatFailsSaysWhyInOneLineAndReleasesAll(t *testing.T) {
	take := func(t *testing.T, addr string) func() {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = ln.Close() }
	}
	hold := func(t *testing.T, dir string) func() {
		s, err := natsstore.Open(t.Context(), natsstore.Options{Dir: dir, Name: "holder", MaxBytes: 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		return s.Close
	}
	inUse := func(addr string) string {
		return addr + " is in use already: stop what listens there, or choose another port"
	}
	held := func(dir string) string {
		return "the folder " + dir + " is in use by another Belfry process: stop that one, or give this one a folder of its own"
	}
	for name, tc := range map[string]struct {
		take func(*testing.T, place) func()
		want func(place) string
	}{
		"admin.listen":         {func(t *testing.T, p place) func() { return take(t, p.admin) }, func(p place) string { return "admin.listen: " + inUse(p.admin) }},
		"notifier.grpc.listen": {func(t *testing.T, p place) func() { return take(t, p.grpc) }, func(p place) string { return "notifier.grpc.listen: " + inUse(p.grpc) }},
		"notifier.http.listen": {func(t *testing.T, p place) func() { return take(t, p.http) }, func(p place) string { return "notifier.http.listen: " + inUse(p.http) }},
		"notifier.store":       {func(t *testing.T, p place) func() { return hold(t, p.journal) }, func(p place) string { return "notifier.store: " + held(p.journal) }},
		"gateway.listen":       {func(t *testing.T, p place) func() { return take(t, p.door) }, func(p place) string { return "gateway.listen: " + inUse(p.door) }},
		"gateway.spool":        {func(t *testing.T, p place) func() { return hold(t, p.spool) }, func(p place) string { return "gateway.spool: " + held(p.spool) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.admin, p.door, p.grpc, p.http = free(t), free(t), free(t), free(t)
			file := write(t, p.yaml())
			release := tc.take(t, p)
			got := call(t.Context(), "run", "-c", file)
			release()
			if want := "belfry: " + tc.want(p) + "\n"; got != (called{1, "", want}) {
				t.Errorf("%+v, want code 1 and %q", got, want)
			}
			for _, addr := range []string{p.admin, p.door, p.grpc, p.http} {
				take(t, addr)()
			}
			for _, dir := range []string{p.journal, p.spool} {
				hold(t, dir)()
			}
		})
	}
}

func TestAFolderThatCannotBeUsedIsToldInOneLine(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants := map[string]string{
		file:                      "belfry: notifier.store: " + file + " is a file: name a folder instead\n",
		filepath.Join(file, "in"): "belfry: notifier.store: the folder " + filepath.Join(file, "in") + " can't be made: mkdir " + file + ": not a directory\n",
	}
	if closed := t.TempDir(); os.Geteuid() != 0 { // root may write anywhere
		if err := os.Chmod(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(closed, "in")
		wants[dir] = "belfry: notifier.store: the folder " + dir + " can't be made: mkdir " + dir + ": permission denied\n"
	}
	for dir, want := range wants {
		p.journal = dir
		if got := call(t.Context(), "notifier", "-c", write(t, p.yaml())); got != (called{1, "", want}) {
			t.Errorf("%+v, want code 1 and %q", got, want)
		}
	}
}

func TestAClusterThatCannotBeReachedIsToldInOneLineWithoutCredentials(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	password := random()
	there := fmt.Sprintf("nats: {url: 'nats://%s', user: belfry, password: %s}", free(t), password)
	for name, yaml := range map[string]string{
		"notifier.store": strings.Replace(p.yaml(), fmt.Sprintf("embedded: {dir: %q}", p.journal), there, 1),
		"gateway.spool":  strings.Replace(p.yaml(), fmt.Sprintf("dir: %q", p.spool), "name: east, "+there, 1),
	} {
		got := call(t.Context(), "run", "-c", write(t, yaml))
		want := "belfry: " + name + " at nats://127.0.0.1:"
		said := got.stderr[strings.LastIndex(got.stderr, "belfry: "):]
		if got.code != 1 || !strings.HasPrefix(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("code %d, it said %q; want 1 and %q", got.code, said, want)
		}
		if strings.Contains(got.stderr, password) {
			t.Errorf("%s: the password is in the output", name)
		}
	}
}

func TestAProcessThatCannotStartExitsWith1AndAWrongCallWith2(t *testing.T) {
	p := newPlace(t)
	ln, err := net.Listen("tcp", p.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p.admin = ln.Addr().String()
	c := spawn(t, p.secrets(), "run", "-c", write(t, p.yaml()))
	code, want := c.wait().ExitCode(), "belfry: admin.listen: "+p.admin+" is in use already: stop what listens there, or choose another port"
	if got := c.output(); code != 1 || got != want {
		t.Errorf("code %d, output %q; want 1 and %q", code, got, want)
	}
	if code := spawn(t, nil, "frob").wait().ExitCode(); code != 2 {
		t.Errorf("a wrong call exited with %d", code)
	}
}

// TestAPartThatFailsStopsTheProcess adds a part to a whole process and lets it fail.
func TestAPartThatFailsStopsTheProcess(t *testing.T) {
	for name, parts := range map[string]config.Parts{
		"run":      {Gateway: true, Notifier: true},
		"gateway":  {Gateway: true, Remote: true},
		"notifier": {Notifier: true},
	} {
		t.Run(name, func(t *testing.T) {
			at := newPlace(t)
			at.grpc = free(t)
			p := started(t, at.yaml(), parts)
			var log bytes.Buffer
			e := &env{ctx: t.Context(), log: newLogger(&log, "info")}
			p.Go("bell", func(context.Context) error { return errors.New("it cracked") })
			err := attend(e, p)
			if err == nil || err.Error() != "bell: it cracked" {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(log.String(), `"msg":"stopping, because a part failed","error":"bell: it cracked"`) {
				t.Errorf("it logged:\n%s", log.String())
			}
			for _, addr := range []string{p.admin, p.door, p.http, p.grpc} {
				if addr == "" {
					continue
				}
				if conn, err := net.Dial("tcp", addr); err == nil {
					_ = conn.Close()
					t.Errorf("%s still listens", addr)
				}
			}
		})
	}
}

func TestASignalDuringTheStartIsNoFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := call(ctx, "run", "-c", write(t, newPlace(t).yaml())); got.code != 0 || strings.Contains(got.stderr, "belfry:") {
		t.Errorf("%+v", got)
	}
}

func TestEveryCommandServesItsAdminDoor(t *testing.T) {
	for name, tc := range map[string]struct {
		parts  config.Parts
		metric string
	}{
		"run":      {config.Parts{Gateway: true, Notifier: true}, "belfry_gateway_spool_events 0"},
		"gateway":  {config.Parts{Gateway: true, Remote: true}, "belfry_gateway_spool_events 0"},
		"notifier": {config.Parts{Notifier: true}, "belfry_notifier_message_items_count 0"},
	} {
		t.Run(name, func(t *testing.T) {
			at := newPlace(t)
			at.grpc = free(t)
			p := started(t, at.yaml(), tc.parts)
			for path, want := range map[string]string{"/livez": "ok\n", "/metrics": tc.metric} {
				if code, body := look(t, "http://"+p.admin+path); code != http.StatusOK || !strings.Contains(body, want) {
					t.Errorf("%s: %d, lacks %q:\n%s", path, code, want, body)
				}
			}
			awaitReady(t, p.admin)
			p.addCheck("weather", func(context.Context) error { return errors.New("it rains") })
			if code, body := look(t, "http://"+p.admin+"/readyz"); code != http.StatusServiceUnavailable || body != "weather: it rains\n" {
				t.Errorf("/readyz with a fault: %d %q", code, body)
			}
		})
	}
}

func TestReadinessComesLast(t *testing.T) {
	at := newPlace(t)
	cfg, err := config.Parse("test.yaml", []byte(at.yaml()), config.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(zap.NewNop())
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := p.startAdmin(cfg.GetAdmin()); err != nil {
		t.Fatal(err)
	}
	if code, body := look(t, "http://"+p.admin+"/readyz"); code != http.StatusServiceUnavailable || body != "the process is starting\n" {
		t.Errorf("before the other parts are started: %d %q", code, body)
	}
}

func TestLogsAreJSONWhereNobodyLooks(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, "warn")
	log.Info("too little")
	log.Warn("enough", zap.String("key", "value"))
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, `{"level":"warn","time":"20`) || !strings.HasSuffix(got, `"msg":"enough","key":"value"}`+"\n") {
		t.Errorf("it logged %q", got)
	}
}
