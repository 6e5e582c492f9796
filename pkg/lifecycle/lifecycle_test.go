package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// untilStopped is a part that works as it should.
func untilStopped(ctx context.Context) error { <-ctx.Done(); return nil }

func TestPartsStopInTheReverseOrderEachWhenTheLaterOnesHave(t *testing.T) {
	p := New(zap.NewNop())
	events := make(chan string, 10)
	for _, name := range []string{"first", "second"} {
		p.Defer("closer of "+name, func(context.Context) error {
			events <- "closed " + name
			return nil
		})
		p.Go(name, func(ctx context.Context) error {
			<-ctx.Done()
			events <- "told " + name
			return nil
		})
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	close(events)
	got := slices.Collect(func(yield func(string) bool) {
		for e := range events {
			if !yield(e) {
				return
			}
		}
	})
	if diff := cmp.Diff([]string{"told second", "closed second", "told first", "closed first"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStopReturnsInTimeAndStopsTheOthersWhenPartsHang(t *testing.T) {
	for name, hang := range map[string]func(p *Process, name string, release chan struct{}){
		"goroutine": func(p *Process, name string, release chan struct{}) {
			p.Go(name, func(context.Context) error { <-release; return nil })
		},
		"closer": func(p *Process, name string, release chan struct{}) {
			p.Defer(name, func(context.Context) error { <-release; return nil })
		},
		"closer that heeds its context": func(p *Process, name string, _ chan struct{}) {
			p.Defer(name, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				p := New(zap.NewNop())
				closed := false
				p.Defer("well", func(ctx context.Context) error {
					if err := ctx.Err(); err != nil {
						return err
					}
					closed = true
					return nil
				})
				p.Go("goes well", untilStopped)
				for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r") {
					hang(p, name, release)
				}
				start := time.Now()
				err := p.Stop()
				if took := time.Since(start); took > StopTimeout {
					t.Errorf("it took %v", took)
				}
				if !closed {
					t.Error("the part before those that hang was not stopped")
				}
				if err == nil || strings.Count(err.Error(), "\n") != 17 || !strings.HasPrefix(err.Error(), "stopping r: it did not stop in time\n") ||
					strings.Contains(err.Error(), "well") {
					t.Errorf("error %v, want 18 lines, one for each that hangs", err)
				}
			})
		})
	}
}

func TestAPartThatNeedsMostOfTheTimeGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(zap.NewNop())
		for range 2 {
			p.Defer("slow", func(context.Context) error { time.Sleep(StopTimeout*2/5 + 100*time.Millisecond); return nil })
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWaitReturnsTheErrorOfThePartThatFails(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		returns error
		want    string
	}{
		"with an error": {broken, "door: broken"},
		"without one":   {nil, "door: ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(zap.NewNop())
			p.Go("well", untilStopped)
			p.Go("door", func(context.Context) error { return tc.returns })
			err := p.Wait(t.Context())
			if err == nil || err.Error() != tc.want || tc.returns != nil && !errors.Is(err, tc.returns) {
				t.Errorf("Wait: %v, want %q", err, tc.want)
			}
			if err := p.Stop(); err != nil {
				t.Errorf("Stop told it again: %v", err)
			}
		})
	}
}

func TestFailuresThatWaitDidNotTellAreToldByStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(zap.NewNop())
		p.Go("one", func(context.Context) error { return errors.New("broken") })
		synctest.Wait()
		p.Go("two", func(context.Context) error { return errors.New("broken too") })
		synctest.Wait()
		p.Defer("three", func(context.Context) error { return errors.New("stuck") })
		err := p.Stop()
		if want := "stopping three: stuck\nstopping two: broken too\none: broken"; err == nil || err.Error() != want {
			t.Errorf("Stop: %v, want\n%s", err, want)
		}
	})
}

func TestAFailureGoesBeforeASignal(t *testing.T) {
	// A select chooses at random, so once would not do.
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p := New(zap.NewNop())
			p.Go("door", func(context.Context) error { return errors.New("broken") })
			synctest.Wait()
			if err := p.Wait(ctx); err == nil {
				t.Error("Wait hid the failure")
			}
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWaitReturnsNilAtTheSignalAndStopsNothing(t *testing.T) {
	p := New(zap.NewNop())
	stopped := false
	p.Defer("part", func(context.Context) error { stopped = true; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); err != nil || stopped {
		t.Errorf("Wait: %v, stopped %v", err, stopped)
	}
	if err := p.Stop(); err != nil || !stopped {
		t.Errorf("Stop: %v, stopped %v", err, stopped)
	}
}

func TestStopTwiceStopsOnceAndStopBeforeAnythingDoesNothing(t *testing.T) {
	p := New(zap.NewNop())
	if err := p.Stop(); err != nil {
		t.Errorf("without parts: %v", err)
	}
	n := 0
	p.Defer("part", func(context.Context) error { n++; return errors.New("stuck") })
	if err := p.Stop(); err == nil || err.Error() != "stopping part: stuck" {
		t.Errorf("the first time: %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if n != 1 {
		t.Errorf("the part was stopped %d times", n)
	}
}

func TestWhatIsCutOffIsLoggedAndNoError(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	p := New(zap.New(core))
	p.Go("door", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.Join(errCutOff, nil)
	})
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	warned := logs.FilterLevelExact(zap.WarnLevel).All()
	if len(warned) != 1 || warned[0].ContextMap()["part"] != "door" {
		t.Errorf("warnings: %+v", warned)
	}
}
