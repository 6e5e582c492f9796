package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

// openSpool opens the spool in dir as the gateway's command does, and returns how to close it.
func openSpool(t *testing.T, dir string, maxBytes int64) (*natsstore.Queue, func()) {
	t.Helper()
	store, err := natsstore.Open(t.Context(), natsstore.Options{Dir: dir, Name: "gateway spool", Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := store.Queue(t.Context(), natsstore.QueueOptions{Name: "spool", MaxBytes: maxBytes})
	if err != nil {
		store.Close()
		t.Fatal(err)
	}
	return queue, store.Close
}

// spooled sends a webhook until it is answered 202, and returns the event's id. A disk that is busy for longer
// than a webhook's budget makes a 503, after which the sender is free to try again.
func spooled(t *testing.T, g *Gateway, hook, body string) string {
	t.Helper()
	for {
		got := send(t, g, webhook(t, "http://gateway", hook, body))
		switch got.Status {
		case http.StatusAccepted:
			return got.Event.ID
		case http.StatusServiceUnavailable:
			t.Logf("sending again after: %s", got.Error.Message)
		default:
			t.Fatalf("answer = %+v, want 202", got)
		}
	}
}

// TestTheSpoolOnDiskSurvivesARestart spools while the notifier is away, starts anew on the same folder, and
// wants everything in order.
func TestTheSpoolOnDiskSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	notifier := &fakeNotifier{fault: always(false, errAway)}
	var ids []string
	for life := range 3 {
		queue, closeStore := openSpool(t, dir, 64<<20)
		g := newGateway(t, notifier, queue, nil)
		stop := run(t, g)
		for n := range 10 {
			ids = append(ids, spooled(t, g, "signed", push(10*life+n)))
		}
		stop()
		closeStore()
	}
	queue, closeStore := openSpool(t, dir, 64<<20)
	defer closeStore()
	told := &tellingNotifier{fakeNotifier: notifier, told: make(chan struct{}, 1)}
	notifier.setFault(nil)
	g := newGateway(t, told, queue, nil)
	last := spooled(t, g, "solo", push(99)) // although the notifier is back: older events go first
	defer run(t, g)()
	deadline := time.After(3 * time.Minute)
	for len(notifier.toldTo("team")) < len(ids) || len(notifier.toldTo("ops")) < len(ids)+1 {
		select {
		case <-told.told:
		case <-deadline:
			t.Fatalf("only %d and %d events arrived", len(notifier.toldTo("team")), len(notifier.toldTo("ops")))
		}
	}
	if diff := cmp.Diff(ids, notifier.toldTo("team")); diff != "" {
		t.Errorf("told to team (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(ids, last), notifier.toldTo("ops")); diff != "" {
		t.Errorf("told to ops (-want +got):\n%s", diff)
	}
}

func TestAFullSpoolRefusesAndLosesNothing(t *testing.T) {
	queue, closeStore := openSpool(t, t.TempDir(), 64<<10)
	defer closeStore()
	g := newGateway(t, &fakeNotifier{fault: always(false, errAway)}, queue, nil)
	var spooled []string
	full := false
	for n := range 1000 {
		got := send(t, g, webhook(t, "http://gateway", "solo", push(n)))
		if got.Status == http.StatusAccepted {
			spooled = append(spooled, got.Event.ID)
			continue
		}
		if got.Status != http.StatusServiceUnavailable {
			t.Fatalf("answer = %+v", got)
		}
		// Otherwise the disk was busy for longer than a webhook's budget.
		if full = errors.Is(g.health.err(), natsstore.ErrQueueFull); full {
			break
		}
	}
	if len(spooled) == 0 || !full {
		t.Fatalf("%d events fitted; full: %t", len(spooled), full)
	}
	items, err := queue.Next(t.Context(), "ops", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for _, item := range items {
		var req notifierv1.NotifyRequest
		if err := proto.Unmarshal(item.Data, &req); err != nil {
			t.Fatal(err)
		}
		held = append(held, req.GetRequestId())
	}
	// What was answered 503 may be there as well.
	held = slices.DeleteFunc(held, func(id string) bool { return !slices.Contains(spooled, id) })
	if diff := cmp.Diff(spooled, held); diff != "" {
		t.Errorf("in the spool (-want +got):\n%s", diff)
	}
}

func TestEveryDeliveryOfGiteesIsTaken(t *testing.T) {
	now := time.Now()
	notifier := &fakeNotifier{}
	g := newGateway(t, notifier, &fakeSpool{}, nil)
	for i, d := range giteetest.All(now) {
		for _, hookName := range []string{"signed", "plain"} {
			secret := gitee.Signature(testKey)
			if hookName == "plain" {
				secret = gitee.Password(testPassword)
			}
			r, err := giteetest.NewRequest(t.Context(), "http://gateway/hooks/"+hookName, secret, d, now.Add(time.Duration(i)*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			got := send(t, g, r)
			if got.Status != http.StatusOK || got.Event.Kind != d.Kind || got.Event.Action != d.Action || len(got.Deliveries) == 0 {
				t.Errorf("%s through %s was answered %+v, want %s %s", d.Name, hookName, got, d.Kind, d.Action)
			}
			if got.Event.Kind != "ping" && hookName == "plain" && (got.Duplicate == nil || !*got.Duplicate) {
				t.Errorf("%s through a second hook is no duplicate", d.Name)
			}
		}
	}
	told := notifier.toldTo("team")
	if slices.Sort(told); len(slices.Compact(told)) != len(notifier.toldTo("team")) {
		t.Error("an event was told twice")
	}
}

func BenchmarkDoor(b *testing.B) {
	g, err := New(b.Context(), Options{Config: testConfig(), Notifier: &forgetful{}, Spool: &fakeSpool{}, Log: nopLog})
	if err != nil {
		b.Fatal(err)
	}
	body := string(giteetest.Push(time.Now(), "belltower/payments", "main", 3, "bench").Body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := &discard{header: make(http.Header)}
			g.Handler().ServeHTTP(w, webhook(b, "http://gateway", "plain", body))
			if w.status != http.StatusOK {
				panic(fmt.Sprintf("status %d", w.status))
			}
		}
	})
}
