package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
)

// reloaded is a reloader at work on belfry.yaml in a folder of its own.
type reloaded struct {
	t         *testing.T
	dir, file string
	r         *reloader
	hangups   chan os.Signal
	recheck   chan time.Time
	metrics   *prometheus.Registry
	// inForce gets each configuration that is put in force.
	inForce chan *configv1.Config
	log     *observer.ObservedLogs
}

// yamlOf is a configuration for the notifier with robots of these names; more is put into its part.
func yamlOf(more string, robots ...string) string {
	var y strings.Builder
	fmt.Fprintf(&y, "notifier:\n%s  robots:\n", more)
	for _, name := range robots {
		fmt.Fprintf(&y, "    - {name: %s, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=hush-hush-%[1]s'}\n", name)
	}
	return y.String()
}

// newReloaded has begin make the file, and starts to follow it.
func newReloaded(t *testing.T, begin func(f *reloaded)) *reloaded {
	t.Helper()
	f := idleReloaded(t, begin)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- f.r.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, e := range f.log.All() {
			if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), "hush") {
				t.Errorf("a secret is in the log: %v", e)
			}
		}
	})
	return f
}

// idleReloaded is newReloaded of one that does not run.
func idleReloaded(t *testing.T, begin func(f *reloaded)) *reloaded {
	t.Helper()
	dir := t.TempDir()
	f := &reloaded{
		t: t, dir: dir, file: filepath.Join(dir, "belfry.yaml"),
		hangups: make(chan os.Signal), recheck: make(chan time.Time), metrics: prometheus.NewRegistry(),
		inForce: make(chan *configv1.Config, 100),
	}
	begin(f)
	core, log := observer.New(zap.InfoLevel)
	f.log = log
	src, err := config.Read(f.file)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := newReloadMetrics(f.metrics)
	if err != nil {
		t.Fatal(err)
	}
	f.r = &reloader{
		path: f.file, parts: config.Parts{Notifier: true}, hangups: f.hangups, recheck: f.recheck, log: zap.New(core),
		metrics: metrics, seen: src.Sum(),
		prepare: func(cfg *configv1.Config) (func(), error) { return func() { f.inForce <- cfg }, nil },
	}
	if f.r.current, err = src.Config(f.r.parts); err != nil {
		t.Fatal(err)
	}
	return f
}

// write replaces a file of the folder in one step.
func (f *reloaded) write(name, text string) {
	f.t.Helper()
	if err := errors.Join(os.WriteFile(filepath.Join(f.dir, name+".new"), []byte(text), 0o600),
		os.Rename(filepath.Join(f.dir, name+".new"), filepath.Join(f.dir, name))); err != nil {
		f.t.Fatal(err)
	}
}

// link makes a symbolic link of the folder lead to target.
func (f *reloaded) link(name, target string) {
	f.t.Helper()
	if err := errors.Join(os.Symlink(target, filepath.Join(f.dir, name+".new")),
		os.Rename(filepath.Join(f.dir, name+".new"), filepath.Join(f.dir, name))); err != nil {
		f.t.Fatal(err)
	}
}

func (f *reloaded) folder(name string) {
	f.t.Helper()
	if err := os.Mkdir(filepath.Join(f.dir, name), 0o700); err != nil {
		f.t.Fatal(err)
	}
}

// awaitRobots waits until just those robots are in force.
func (f *reloaded) awaitRobots(names ...string) {
	f.t.Helper()
	for {
		select {
		case cfg := <-f.inForce:
			var got []string
			for _, r := range cfg.GetNotifier().GetRobots() {
				got = append(got, r.GetName())
			}
			if slices.Equal(got, names) {
				return
			}
		case <-time.After(patience):
			f.t.Fatalf("robots %q do not come into force; it logged %v", names, f.log.All())
		}
	}
}

// metric returns the value of a metric; label is that of its only label, if it has one.
func (f *reloaded) metric(name, label string) float64 {
	f.t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	f.t.Fatalf("there is no metric %s of %q", name, label)
	return 0
}

// awaitOutcomes waits until reloads have had these outcomes, and says how many there are of each.
func (f *reloaded) awaitOutcomes(taken, refused, unchanged float64) {
	f.t.Helper()
	count := func(outcome string) float64 { return f.metric("belfry_config_reloads_total", outcome) }
	for deadline := time.Now().Add(patience); count("taken") != taken || count("refused") != refused || count("unchanged") != unchanged; {
		if time.Now().After(deadline) {
			f.t.Fatalf("%v reloads were taken, %v refused, %v unchanged; want %v, %v and %v; it logged %v",
				count("taken"), count("refused"), count("unchanged"), taken, refused, unchanged, f.log.All())
		}
		<-time.After(time.Millisecond)
	}
}

func TestAChangeOfTheFileIsTakenHoweverItIsMade(t *testing.T) {
	plainFile := func(f *reloaded) { f.write("belfry.yaml", yamlOf("", "a")) }
	for name, tc := range map[string]struct{ begin, change func(f *reloaded) }{
		"replaced": {plainFile, func(f *reloaded) { f.write("belfry.yaml", yamlOf("", "b")) }},
		"written in place": {plainFile, func(f *reloaded) {
			if err := os.WriteFile(f.file, []byte(yamlOf("", "b")), 0o600); err != nil {
				f.t.Fatal(err)
			}
		}},
		"removed and made anew": {plainFile, func(f *reloaded) {
			if err := os.Remove(f.file); err != nil {
				f.t.Fatal(err)
			}
			f.write("belfry.yaml", yamlOf("", "b"))
		}},
		"written behind a link": {func(f *reloaded) {
			f.folder("real")
			f.write("real/b.yaml", yamlOf("", "a"))
			f.link("belfry.yaml", "real/b.yaml")
		}, func(f *reloaded) { f.write("real/b.yaml", yamlOf("", "b")) }},
		"as Kubernetes does": {func(f *reloaded) {
			f.folder("..2026_1")
			f.write("..2026_1/belfry.yaml", yamlOf("", "a"))
			f.link("..data", "..2026_1")
			f.link("belfry.yaml", "..data/belfry.yaml")
		}, func(f *reloaded) {
			f.folder("..2026_2")
			f.write("..2026_2/belfry.yaml", yamlOf("", "b"))
			f.link("..data", "..2026_2")
			if err := os.RemoveAll(filepath.Join(f.dir, "..2026_1")); err != nil {
				f.t.Fatal(err)
			}
		}},
		"a file that it names": {func(f *reloaded) {
			f.folder("names")
			f.write("names/name", "a\n")
			f.write("belfry.yaml", strings.Replace(yamlOf("", "x"), "name: x", "name: '${file:"+f.dir+"/names/name}'", 1))
		}, func(f *reloaded) { f.write("names/name", "b\n") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newReloaded(t, tc.begin)
			f.awaitOutcomes(0, 0, 0)
			tc.change(f)
			f.awaitRobots("b")
			// And again, since now other folders are watched.
			if name == "replaced" {
				f.write("belfry.yaml", yamlOf("", "c", "d"))
				f.awaitRobots("c", "d")
			}
			if got := f.metric("belfry_config_last_reload_successful", ""); got != 1 || f.r.note() != "" {
				t.Errorf("last_reload_successful is %v, the note %q", got, f.r.note())
			}
		})
	}
}

func TestAFaultyFileIsRefusedAndTheOldConfigurationStays(t *testing.T) {
	f := newReloaded(t, func(f *reloaded) { f.write("belfry.yaml", yamlOf("", "a")) })
	f.write("belfry.yaml", yamlOf("", "a", "B"))
	f.awaitOutcomes(0, 1, 0)
	want := ": " + f.file + ":4:14: notifier.robots[1].name: a name is 1 to 63 lower-case letters"
	if note := f.r.note(); !strings.HasPrefix(note, "configuration: not taken since 20") || !strings.Contains(note, want) {
		t.Errorf("health says %q, want %q", note, want)
	}
	if e := f.log.All(); len(e) != 1 || e[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(e[0].ContextMap()["faults"]), want[2:]) {
		t.Errorf("it logged %v", e)
	}
	since := f.r.note()[:50]
	if err := os.Remove(f.file); err != nil {
		t.Fatal(err)
	}
	f.awaitOutcomes(0, 2, 0)
	if note := f.r.note(); !strings.HasPrefix(note, since) || !strings.HasSuffix(note, "there is no such file") {
		t.Errorf("health says %q without the file, and said %q before", note, since)
	}
	if got := f.metric("belfry_config_last_reload_successful", ""); got != 0 {
		t.Errorf("last_reload_successful is %v", got)
	}
	f.write("belfry.yaml", yamlOf("", "a", "B", "C"))
	f.awaitOutcomes(0, 3, 0)
	if note := f.r.note(); !strings.Contains(note, want) || !strings.HasSuffix(note, " (and 1 more fault, see the log)") {
		t.Errorf("of two faults health says %q", note)
	}
	f.write("belfry.yaml", "# as it was\n"+yamlOf("", "a"))
	f.awaitOutcomes(0, 3, 1)
	if got := f.metric("belfry_config_last_reload_successful", ""); got != 1 || f.r.note() != "" {
		t.Errorf("with the old one back: last_reload_successful is %v, the note %q", got, f.r.note())
	}
	if len(f.inForce) > 0 {
		t.Error("something was put in force")
	}
}

func TestSIGHUPAndTheClockHaveTheFileLookedAt(t *testing.T) {
	f := newReloaded(t, func(f *reloaded) { f.write("belfry.yaml", yamlOf("", "a")) })
	f.hangups <- syscall.SIGHUP
	f.awaitOutcomes(0, 0, 1)
	f.recheck <- time.Now() // nothing has changed, and nobody wants to know
	f.hangups <- syscall.SIGHUP
	f.awaitOutcomes(0, 0, 2)

	// Without anybody who tells of changes.
	f = idleReloaded(t, func(f *reloaded) { f.write("belfry.yaml", yamlOf("", "a")) })
	deaf := &watcher{log: zap.NewNop()}
	if deaf.events() != nil || deaf.errors() != nil {
		t.Error("a watcher without a system tells something")
	}
	f.r.look(deaf, false)
	f.awaitOutcomes(0, 0, 0)
	f.write("belfry.yaml", yamlOf("", "b"))
	f.r.look(deaf, false)
	f.awaitOutcomes(1, 0, 0)
}

// TestWhatNeedsARestartIsRefusedByName changes each setting that is kept, and some that need not be.
func TestWhatNeedsARestartIsRefusedByName(t *testing.T) {
	t.Setenv("PAYMENTS_HOOK_SECRET", "h")
	t.Setenv("PAYMENTS_ROBOT_TOKEN", "t")
	t.Setenv("PAYMENTS_ROBOT_SECRET", "s")
	parse := func(yaml string, parts config.Parts) *configv1.Config {
		cfg, err := config.Parse("b.yaml", []byte(yaml), parts)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, yaml)
		}
		return cfg
	}
	run, alone := config.Parts{Gateway: true, Notifier: true}, config.Parts{Gateway: true, Remote: true}
	base := strings.Replace(string(initYAML), "# notifier: {address", "notifier: {address", 1)
	for name, tc := range map[string]struct {
		parts    config.Parts
		old, new string
		want     string
	}{
		"admin":              {run, "listen: 127.0.0.1:9092", "listen: 127.0.0.1:9099", "admin.listen"},
		"the door":           {run, "listen: 127.0.0.1:8080", "listen: 127.0.0.1:8088", "gateway.listen"},
		"the spool's folder": {run, "dir: data/gateway", "dir: data/other", "gateway.spool.dir"},
		"the spool's size":   {run, "# max_bytes: 4294967296", "max_bytes: 4294967296", "gateway.spool.max_bytes"},
		"a spool elsewhere":  {run, "dir: data/gateway", "{name: east, nats: {url: 'nats://a'}}", "gateway.spool.dir gateway.spool.max_bytes gateway.spool.nats gateway.spool.name"},
		"the notifier":       {alone, "notifier: {address: 127.0.0.1:9090}", "notifier: {address: 127.0.0.1:9999}", "gateway.notifier.address"},
		"gRPC":               {run, "grpc: {listen: 127.0.0.1:9090}", "grpc: {listen: 127.0.0.1:9999}", "notifier.grpc.listen"},
		"HTTP":               {run, "http: {listen: 127.0.0.1:9091}", "http: {listen: 127.0.0.1:9999}", "notifier.http.listen"},
		"the store":          {run, "dir: data/notifier", "dir: data/other", "notifier.store"},
		"the window":         {run, "# dedup_window: 48h", "dedup_window: 48h", "notifier.dedup_window"},
		"the age":            {run, "# max_age: 12h", "max_age: 12h", "notifier.max_age"},
		"the retention":      {run, "# retention: 2160h", "retention: 2160h", "notifier.retention"},

		"another notifier, which run ignores": {run, "notifier: {address: 127.0.0.1:9090}", "notifier: {address: 127.0.0.1:9999}", ""},
		"the spool's age":                     {run, "# max_age: 72h", "max_age: 72h", ""},
		"a host":                              {run, "# allowed_webhook_hosts", "allowed_webhook_hosts", ""},
		"an allowance":                        {run, "# allowances", "allowances", ""},
		"open doors":                          {run, "# insecure_no_auth", "insecure_no_auth", ""},
		"a default written out":               {run, "# max_age: 12h", "max_age: 24h", ""},
		"a robot":                             {run, "locale: zh-CN", "locale: en", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(base, tc.old) {
				t.Fatalf("the file has no %q", tc.old)
			}
			changed := strings.Replace(base, tc.old, tc.new, 1)
			if name == "a spool elsewhere" {
				changed = strings.Replace(base, "  spool:\n    dir: data/gateway", "  spool: "+tc.new, 1)
			}
			var got []string
			for _, p := range changedForGood(parse(base, tc.parts), parse(changed, tc.parts), tc.parts) {
				got = append(got, p.Path)
				if !strings.Contains(p.Message, "restart") {
					t.Errorf("%s says %q", p.Path, p.Message)
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("refused for %q, want %q", got, tc.want)
			}
		})
	}

	f := newReloaded(t, func(f *reloaded) { f.write("belfry.yaml", yamlOf("", "a")) })
	f.write("belfry.yaml", yamlOf("  max_age: 12h\n", "a", "b"))
	f.awaitOutcomes(0, 1, 0)
	if want := f.file + ":2:12: notifier.max_age: can't be changed while Belfry runs: restart it to have this taken, or put the old value back"; !strings.HasSuffix(f.r.note(), want) {
		t.Errorf("health says %q, want %q", f.r.note(), want)
	}
}

func TestAllServicesTakeAConfigurationOrNone(t *testing.T) {
	p := newProcess(zap.NewNop())
	var done []string
	ready := func(name string) prepare {
		return func(*configv1.Config) (func(), error) { return func() { done = append(done, name) }, nil }
	}
	p.prepares = []prepare{ready("notifier"), ready("gateway")}
	commit, err := p.prepare(&configv1.Config{})
	if err != nil || len(done) > 0 {
		t.Fatalf("%v was done before the commit, %v", done, err)
	}
	commit()
	if !slices.Equal(done, []string{"gateway", "notifier"}) {
		t.Errorf("they came in the order %q", done)
	}
	p.prepares = append(p.prepares, func(*configv1.Config) (func(), error) { return nil, errors.New("no") })
	if commit, err := p.prepare(&configv1.Config{}); err == nil || commit != nil {
		t.Errorf("one said no, and all of it came to %v", err)
	}
}

// TestAFileThatIsNeverLeftAloneIsReadAllTheSame has a change every 150 ms.
func TestAFileThatIsNeverLeftAloneIsReadAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := &watcher{log: zap.NewNop()}, time.Now()
		for range 100 {
			w.touch(time.Now())
			select {
			case <-w.settled:
				if took := time.Since(began); took < settleMost || took > settleMost+settleTime {
					t.Errorf("after %v", took)
				}
				return
			case <-time.After(150 * time.Millisecond):
			}
		}
		t.Error("never")
	})
}

func TestTheTrailOfAFileHasEveryLinkOnTheWay(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &reloaded{t: t, dir: dir}
	f.folder("a")
	f.folder("a/v1")
	f.write("a/v1/x", "")
	f.link("a/data", "v1")
	f.link("a/x", "data/x")
	f.link("b", dir+"/a")
	f.link("loop", "loop")
	for file, want := range map[string]string{
		"a/v1/x": "a/v1/x",
		"a/x":    "a/x a/data a/v1/x",
		"b/x":    "b a/x a/data a/v1/x",
		"a/none": "a/none",
		"c/d/e":  "c/d/e",
	} {
		var got []string
		for _, place := range trail(filepath.Join(dir, file)) {
			rel, err := filepath.Rel(dir, place)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(rel))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", file, got, want)
		}
	}
	if n := len(trail(filepath.Join(dir, "loop"))); n > maxLinks+1 {
		t.Errorf("a loop has %d places", n)
	}
}
