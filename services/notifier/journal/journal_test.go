package journal

import (
	"context"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestMain(m *testing.M) {
	natstest.MaybeServe()
	appendForParent()
	natstest.VerifyTestMain(m)
}

// unhurried is a context for tests that move many megabytes: the journal's own deadline of 5 s is short for
// them on a busy machine.
func unhurried(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// openIn opens a journal in a store of its own in dir; shut ends both, and may be called twice.
func openIn(t testing.TB, dir string, opts Options) (j *Journal, shut func()) {
	t.Helper()
	s, err := natsstore.Open(t.Context(), natsstore.Options{Dir: dir, Name: "test journal"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	opts.Store = s
	j, err = Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	shut = func() {
		j.Close()
		s.Close()
	}
	t.Cleanup(shut)
	return j, shut
}

func TestJournalOnEmbeddedJetStream(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T) (delivery.Journal, func() delivery.Journal) {
		dir := t.TempDir()
		j, shut := openIn(t, dir, Options{})
		return j, func() delivery.Journal {
			shut()
			j, shut = openIn(t, dir, Options{})
			return j
		}
	})
}
