package gateway

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/pkg/gitee"
)

// TestARobotThatTheTokenIsNotForKeepsTheOthersFromNothing has one robot of two denied for a while.
func TestARobotThatTheTokenIsNotForKeepsTheOthersFromNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denial := fault.New(codes.PermissionDenied, notifierv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, "not this robot", "robot", "ops")
		notifier := &fakeNotifier{fault: func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
			if slices.Contains(req.GetRobots(), "ops") {
				return false, denial
			}
			return true, nil
		}}
		core, logs := observer.New(zap.InfoLevel)
		g := newGateway(t, notifier, &fakeSpool{}, zap.New(core))
		defer run(t, g)()
		var ids []string
		for n := range 3 {
			got := send(t, g, webhook(t, "http://gateway", "signed", push(n)))
			if got.Status != 202 || !got.Spooled || len(got.Deliveries) != 1 {
				t.Fatalf("answer %d = %+v, want 202 with one delivery", n, got)
			}
			ids = append(ids, got.Event.ID)
		}
		if diff := cmp.Diff(ids, notifier.toldTo("team")); diff != "" {
			t.Errorf("told to team at once (-want +got):\n%s", diff)
		}
		if n := logs.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("notify.denied").Len(); n == 0 {
			t.Error("the log does not say that the token is at fault")
		}
		// Longer than an unknown robot's events would wait.
		time.Sleep(missingMost + time.Hour)
		if n := logs.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("spool.waiting").Len(); n != 1 {
			t.Errorf("that the spool waits is told as an error %d times", n)
		}
		notifier.setFault(nil)
		time.Sleep(pauseMost + time.Second)
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" || len(notifier.deadFor("ops")) != 0 {
			t.Errorf("told to ops once it may be (-want +got):\n%s", diff)
		}
	})
}

func TestWithoutAGoodTokenEverythingWaitsAndTheLogIsLoud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stranger := fault.New(codes.Unauthenticated, notifierv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED, "who are you")
		notifier := &fakeNotifier{fault: always(false, stranger)}
		core, logs := observer.New(zap.InfoLevel)
		g := newGateway(t, notifier, &fakeSpool{}, zap.New(core))
		defer run(t, g)()
		got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
		if got.Status != 202 || !got.Spooled {
			t.Fatalf("the answer is %+v, want 202", got)
		}
		denied := logs.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("notify.denied").All()
		if len(denied) != 2 || denied[0].ContextMap()["reason"] != "ERROR_REASON_UNAUTHENTICATED" {
			t.Errorf("logged: %v", denied)
		}
		time.Sleep(30 * time.Hour)
		notifier.setFault(nil)
		time.Sleep(pauseMost + time.Second)
		for _, robot := range []string{"team", "ops"} {
			if diff := cmp.Diff([]string{got.Event.ID}, notifier.toldTo(robot)); diff != "" || len(notifier.deadFor(robot)) != 0 {
				t.Errorf("told to %s (-want +got):\n%s", robot, diff)
			}
		}
	})
}

func TestAHookTakesTwoSecretsWhileOneGivesWayToTheOther(t *testing.T) {
	secrets := map[string]func(string) gitee.Secret{"signed": gitee.Signature, "plain": gitee.Password}
	old := map[string]string{"signed": testKey, "plain": testPassword}
	change := func(edit func(s *configv1.Secret)) *configv1.Gateway {
		next := testConfig()
		next.Hooks = next.Hooks[:2]
		edit(next.Hooks[0].GetSignature())
		edit(next.Hooks[1].GetPassword())
		return next
	}
	before := change(func(*configv1.Secret) {})
	during := change(func(s *configv1.Secret) { s.Previous, s.Secret = s.GetSecret(), "new "+s.GetSecret() })
	after := change(func(s *configv1.Secret) { s.Secret = "new " + s.GetSecret() })
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	n := 0
	for _, step := range []struct {
		name     string
		cfg      *configv1.Gateway
		old, new int
	}{{"before", before, 200, 401}, {"during", during, 200, 200}, {"after", after, 401, 200}} {
		reload(t, g, step.cfg)
		for hook, kind := range secrets {
			for prefix, want := range map[string]int{"": step.old, "new ": step.new, "wrong ": 401} {
				n++
				got := send(t, g, webhook(t, "http://gateway", hook, push(n), func(r *http.Request) {
					r.Header.Set("X-Gitee-Token", kind(prefix+old[hook]).Token(r.Header.Get("X-Gitee-Timestamp")))
				}))
				if got.Status != want {
					t.Errorf("%s: %s with %q before its secret: %d, want %d", step.name, hook, prefix, got.Status, want)
				}
			}
		}
	}
}
