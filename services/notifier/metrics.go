package notifier

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// sampleEvery is how often the backlogs are counted.
	sampleEvery = 15 * time.Second
	// sampleMax is how many backlogs are counted at a time, each a question to the journal. Where more robots
	// have one, they take turns.
	sampleMax = 500
)

// metrics are the service's counters and gauges. Labels are closed sets: robots and allowances of the
// configuration, states, classes of package dingtalk, verdicts. What is told of robots comes from the
// dispatcher's memory at the time of the scrape, without a question to the journal.
type metrics struct {
	s             *Service
	notifications *prometheus.CounterVec
	attempts      *prometheus.CounterVec
	items         prometheus.Histogram
	refusedCalls  *prometheus.CounterVec

	mu       sync.Mutex
	backlogs map[string]backlog
	// after is the robot at which the last round of counting stopped.
	after string
}

// backlog is what waited for a robot when it was counted.
type backlog struct {
	count  uint64
	oldest time.Time
}

var (
	robotStateDesc = prometheus.NewDesc("belfry_notifier_robot_state",
		"1 for the state that the robot is in, 0 for the others.", []string{"robot", "state"}, nil)
	robotMembersDesc = prometheus.NewDesc("belfry_notifier_robot_members",
		"How many of the group's robots are in the state.", []string{"robot", "state"}, nil)
	robotBudgetDesc = prometheus.NewDesc("belfry_notifier_robot_budget_left",
		"How many calls to DingTalk the robot may make right now.", []string{"robot"}, nil)
	robotBacklogDesc = prometheus.NewDesc("belfry_notifier_robot_backlog",
		"How many notifications wait, as last counted, some seconds ago.", []string{"robot"}, nil)
	robotOldestDesc = prometheus.NewDesc("belfry_notifier_robot_oldest_age_seconds",
		"How long ago the oldest of them was accepted.", []string{"robot"}, nil)
	removedDesc = prometheus.NewDesc("belfry_notifier_removed_robots",
		"For how many robots something waits although they are no longer in the configuration.", nil, nil)
	watchersDesc = prometheus.NewDesc("belfry_notifier_watchers",
		"How many streams of WatchDeliveries there are.", nil, nil)
	allowanceUsedDesc = prometheus.NewDesc("belfry_notifier_allowance_used_calls",
		"How many calls of this month count against the allowance.", []string{"allowance"}, nil)
	allowanceLeftDesc = prometheus.NewDesc("belfry_notifier_allowance_left_calls",
		"How many calls the allowance has left this month.", []string{"allowance"}, nil)
)

func newMetrics(s *Service) *metrics {
	return &metrics{
		s: s,
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notifier_notifications_total",
			Help: "Notifications that were taken, by robot (empty for one that is not configured) and by result: accepted or duplicate.",
		}, []string{"robot", "result"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notifier_attempts_total",
			Help: "Calls to DingTalk, by robot (empty for one that left the configuration during the call), by class of answer, and by verdict: what becomes of a message that was refused.",
		}, []string{"robot", "class", "verdict"}),
		items: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "belfry_notifier_message_items",
			Help:    "How many notifications a delivered message carried.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200},
		}),
		refusedCalls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notifier_refused_calls_total",
			Help: "Calls that the caller may not make, by why: unauthenticated (no token that is known) or denied.",
		}, []string{"why"}),
		backlogs: make(map[string]backlog),
	}
}

func (m *metrics) attempted(a delivery.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts.WithLabelValues(m.label(a.Robot), a.Class, string(a.Verdict)).Inc()
	if a.Class == "ok" {
		m.items.Observe(float64(a.Items))
	}
}

// accepted counts a notification.
func (m *metrics) accepted(robot string, duplicate bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	result := "accepted"
	if duplicate {
		result = "duplicate"
	}
	m.notifications.WithLabelValues(m.label(robot), result).Inc()
}

// label returns the robot's value of the label: empty for one that is not configured, or no longer. The caller
// holds mu until it has counted, so that forget finds what it counts.
func (m *metrics) label(robot string) string {
	if _, known := m.s.dispatcher.Robot(robot); !known {
		return ""
	}
	return robot
}

// forget drops what was counted for robots that have left the configuration.
func (m *metrics) forget(robots []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range robots {
		m.notifications.DeletePartialMatch(prometheus.Labels{"robot": name})
		m.attempts.DeletePartialMatch(prometheus.Labels{"robot": name})
		delete(m.backlogs, name)
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.notifications.Describe(ch)
	m.attempts.Describe(ch)
	m.items.Describe(ch)
	m.refusedCalls.Describe(ch)
	for _, d := range []*prometheus.Desc{
		robotStateDesc, robotMembersDesc, robotBudgetDesc, robotBacklogDesc, robotOldestDesc,
		removedDesc, watchersDesc, allowanceUsedDesc, allowanceLeftDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.notifications.Collect(ch)
	m.attempts.Collect(ch)
	m.items.Collect(ch)
	m.refusedCalls.Collect(ch)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	allowances := make(map[string]bool)
	now := time.Now()
	for _, name := range m.s.dispatcher.Robots() {
		st, ok := m.s.dispatcher.Status(name)
		if !ok {
			continue
		}
		current := stateOfRobot(st)
		for _, state := range []string{stateActive, stateQuiet, stateMuted, stateSuspended, statePaused} {
			v := 0.0
			if state == current {
				v = 1
			}
			gauge(robotStateDesc, v, name, state)
		}
		members := map[string]int{stateActive: 0, stateMuted: 0, stateSuspended: 0}
		for _, ms := range st.Members {
			members[stateOfMember(ms)]++
		}
		for state, n := range members {
			gauge(robotMembersDesc, float64(n), name, state)
		}
		gauge(robotBudgetDesc, float64(st.BudgetLeft), name)
		b := m.backlogOf(name)
		gauge(robotBacklogDesc, float64(b.count), name)
		age := 0.0
		if b.count > 0 {
			age = max(now.Sub(b.oldest).Seconds(), 0)
		}
		gauge(robotOldestDesc, age, name)
		if a := st.Allowance; a != nil && !allowances[a.Name] {
			allowances[a.Name] = true
			gauge(allowanceUsedDesc, float64(a.Used), a.Name)
			gauge(allowanceLeftDesc, float64(a.Left), a.Name)
		}
	}
	gauge(removedDesc, float64(len(m.s.dispatcher.Removed())))
	gauge(watchersDesc, float64(m.s.watchers.count()))
}

func (m *metrics) backlogOf(robot string) backlog {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.backlogs[robot]
}

// sample counts the backlogs now and then, until ctx ends.
func (m *metrics) sample(ctx context.Context) {
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		m.count(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// count counts the backlogs of robots for which something waits, as many as one round may, and forgets those
// of the others.
func (m *metrics) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	names := m.s.dispatcher.Robots()
	start := 0
	for i, name := range names {
		if name <= m.after {
			start = i + 1
		}
	}
	asked := 0
	for i := range names {
		name := names[(start+i)%len(names)]
		st, _ := m.s.dispatcher.Status(name)
		var b backlog
		if st.Newest > st.Cursor {
			if asked == sampleMax {
				continue
			}
			var err error
			if b.count, b.oldest, err = m.s.backlog(ctx, st); err != nil {
				if ctx.Err() == nil {
					m.s.log.Warn("backlogs can't be counted", zap.Error(err))
				}
				return
			}
			asked++
			m.after = name
		}
		m.mu.Lock()
		if b.count > 0 {
			m.backlogs[name] = b
		} else {
			delete(m.backlogs, name)
		}
		m.mu.Unlock()
	}
}
