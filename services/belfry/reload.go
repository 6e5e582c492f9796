package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
)

const (
	// recheckEvery is how often the file is looked at although nobody told of a change: some file systems,
	// those of other machines above all, tell nothing.
	recheckEvery = 30 * time.Second
	// maxLoggedFaults bounds how many faults of a configuration one line of the log has.
	maxLoggedFaults = 20
)

// prepare makes everything that cfg needs and changes nothing. commit puts it in force, and can't fail; it is
// called at once or never. An error says why cfg can't be put in force.
type prepare func(cfg *configv1.Config) (commit func(), err error)

// reloader takes up changes of the configuration file while the process runs: all of a new configuration or
// nothing. Until one is taken the old one stays in force.
type reloader struct {
	path   string
	parts  config.Parts
	checks []config.Check
	// hangups brings SIGHUP, recheck the times to look without having been told.
	hangups <-chan os.Signal
	recheck <-chan time.Time
	prepare prepare
	log     *zap.Logger
	metrics reloadMetrics

	// current is what is in force, seen the sum of what was last looked at. Both are run's.
	current *configv1.Config
	seen    [sha256.Size]byte

	mu sync.Mutex
	// since is when the file stopped being what is in force, fault why it was not taken; zero while it is.
	since time.Time
	fault string
}

// run looks at the file until ctx ends: when it or a file that it names was changed, when SIGHUP comes, and now
// and then.
func (r *reloader) run(ctx context.Context) error {
	w := newWatcher(r.log)
	defer w.close()
	r.look(w, false) // at what has happened while the process started
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangups:
			r.look(w, true)
		case <-r.recheck:
			r.look(w, false)
		case <-w.settled:
			r.look(w, false)
		case ev := <-w.events():
			w.told(ev)
		case err := <-w.errors():
			w.lost(err)
		}
	}
}

// look reads the file, and takes what it says where that was not seen before, or somebody has asked.
func (r *reloader) look(w *watcher, asked bool) {
	w.taken()
	w.follow([]string{r.path}) // before it is read, so that no later change is missed
	src, err := config.Read(r.path)
	if err != nil {
		if sum := sha256.Sum256([]byte(err.Error())); asked || sum != r.seen {
			r.seen = sum
			r.refuse(err)
		}
		return
	}
	w.follow(append(src.Named(), r.path))
	sum := src.Sum()
	if sum == r.seen && !asked {
		return
	}
	r.seen = sum
	if err := r.take(src); err != nil {
		r.refuse(err)
	}
}

// take puts what src says in force, unless an error says why it is not.
func (r *reloader) take(src *config.Source) error {
	cfg, err := src.Config(r.parts, r.checks...)
	if err != nil {
		return err
	}
	if proto.Equal(cfg, r.current) {
		r.settle("unchanged")
		r.log.Info("config.unchanged", zap.String("file", r.path))
		return nil
	}
	if changed := changedForGood(r.current, cfg, r.parts); len(changed) > 0 {
		return src.Place(changed)
	}
	commit, err := r.prepare(cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	commit()
	r.current = cfg
	r.metrics.loaded.SetToCurrentTime()
	r.settle("taken")
	r.log.Info("config.taken", zap.String("file", r.path),
		zap.Int("hooks", len(cfg.GetGateway().GetHooks())), zap.Int("robots", len(cfg.GetNotifier().GetRobots())))
	return nil
}

// settle notes that what the file says is in force.
func (r *reloader) settle(outcome string) {
	r.metrics.reloads.WithLabelValues(outcome).Inc()
	r.metrics.successful.Set(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.fault = time.Time{}, ""
}

// refuse notes that what the file says is not taken.
func (r *reloader) refuse(err error) {
	r.metrics.reloads.WithLabelValues("refused").Inc()
	r.metrics.successful.Set(0)
	faults := strings.Split(err.Error(), "\n")
	r.log.Error("config.refused: the old configuration stays in force", zap.Int("count", len(faults)),
		zap.Strings("faults", faults[:min(len(faults), maxLoggedFaults)]))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		r.since = time.Now()
	}
	switch more := len(faults) - 1; more {
	case 0:
		r.fault = faults[0]
	case 1:
		r.fault = faults[0] + " (and 1 more fault, see the log)"
	default:
		r.fault = fmt.Sprintf("%s (and %d more faults, see the log)", faults[0], more)
	}
}

// note says, for those who look at the process's health, why the file is not what is in force; empty while it
// is.
func (r *reloader) note() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		return ""
	}
	return fmt.Sprintf("configuration: not taken since %s: %s", r.since.UTC().Format(time.RFC3339), r.fault)
}

// fixed are the settings that a running process keeps: where it listens, where it stores, whom it calls, and
// the times that the store and what is already in it were opened with.
var fixed = []string{
	"admin.listen", "admin.tls",
	"gateway.listen", "gateway.tls", "gateway.notifier.address", "gateway.notifier.addresses", "gateway.notifier.tls", "gateway.spool.dir", "gateway.spool.max_bytes", "gateway.spool.nats", "gateway.spool.name",
	"notifier.grpc.listen", "notifier.grpc.tls", "notifier.http.listen", "notifier.http.tls", "notifier.store", "notifier.dedup_window", "notifier.max_age", "notifier.retention",
}

// changedForGood returns the settings that differ although they are fixed.
func changedForGood(from, to *configv1.Config, parts config.Parts) []config.Problem {
	var problems []config.Problem
	for _, path := range fixed {
		if strings.HasPrefix(path, "gateway.notifier.") && parts.Notifier {
			continue // it has its own
		}
		if !lookup(from, path).Equal(lookup(to, path)) {
			problems = append(problems, config.Problem{Path: path,
				Message: "can't be changed while Belfry runs: restart it to have this taken, or put the old value back"})
		}
	}
	return problems
}

// lookup returns the value at path, of which only the last part may be a list; that of an absent one is its
// default.
func lookup(cfg *configv1.Config, path string) protoreflect.Value {
	m, v := cfg.ProtoReflect(), protoreflect.Value{}
	for name := range strings.SplitSeq(path, ".") {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if v = m.Get(fd); fd.Message() != nil && !fd.IsList() {
			m = v.Message()
		}
	}
	return v
}

// reloadMetrics tell how configurations fare.
type reloadMetrics struct {
	reloads            *prometheus.CounterVec
	successful, loaded prometheus.Gauge
}

// newReloadMetrics registers them; the configuration of the start was just loaded.
func newReloadMetrics(reg prometheus.Registerer) (reloadMetrics, error) {
	m := reloadMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_config_reloads_total",
			Help: "Times that a changed configuration file was read, or SIGHUP came, by outcome: taken, refused or unchanged.",
		}, []string{"outcome"}),
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_config_last_reload_successful",
			Help: "1 while what the configuration file says is in force, 0 after it was refused.",
		}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_config_loaded_timestamp_seconds",
			Help: "When the configuration that is in force was loaded.",
		}),
	}
	for _, outcome := range []string{"taken", "refused", "unchanged"} {
		m.reloads.WithLabelValues(outcome)
	}
	m.successful.Set(1)
	m.loaded.SetToCurrentTime()
	return m, errors.Join(reg.Register(m.reloads), reg.Register(m.successful), reg.Register(m.loaded))
}
