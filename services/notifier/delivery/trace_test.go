package delivery_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// A trace is what the processes of a history did lately, for whoever reads of a failure: which of two came
// first is the scheduler's choice, so that a history alone doesn't tell. A nil one keeps nothing.
type trace struct {
	start time.Time

	mu    sync.Mutex
	lines []string
	ended bool
}

// traceMax is how many lines a trace keeps.
const traceMax = 200

// note notes what a process does.
func (tr *trace) note(process int, format string, args ...any) {
	if tr == nil {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.ended {
		return
	}
	if len(tr.lines) == traceMax {
		tr.lines = tr.lines[1:]
	}
	tr.lines = append(tr.lines, fmt.Sprintf("%10.3fs %d ", time.Since(tr.start).Seconds(), process)+fmt.Sprintf(format, args...))
}

// end notes what was wrong; what comes after isn't kept.
func (tr *trace) end(why string) {
	if tr == nil {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !tr.ended {
		tr.lines, tr.ended = append(tr.lines, why), true
	}
}

func (tr *trace) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.lines, "\n")
}

// brief is what matters of a record in a trace.
func brief(rec delivery.LaneRecord) string {
	s := fmt.Sprintf("record %d with cursor %d", rec.Revision, rec.Cursor)
	if in := rec.Intent; in != nil {
		s += fmt.Sprintf(", %.4s of %d to %d through %s, uncertain: %t", in.UUID, in.First, in.Last, in.Member, in.Uncertain)
	}
	for id, m := range rec.Members {
		s += fmt.Sprintf(", %s with %d calls", id, len(m.Calls))
		if !m.MutedUntil.IsZero() {
			s += m.MutedUntil.Format(" muted until 15:04:05.000")
		}
	}
	return s
}
