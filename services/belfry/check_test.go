package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCheckWarnsOfAnAllowanceThatBoundsNobody(t *testing.T) {
	got := call(t.Context(), "check", "-c", write(t, `
notifier:
  store: {embedded: {dir: /nowhere/at/all}}
  allowances: [{name: used, per_month: 10}, {name: idle, per_month: 10}]
  robots: [{name: team, allowance: used, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=t'}]
`))
	want := "warning: no robot has `allowance: idle`, so that this allowance bounds nothing\n"
	if got.code != 0 || got.stderr != "" || !strings.HasSuffix(got.stdout, "1 robot\n"+want) {
		t.Errorf("%+v, want %q", got, want)
	}
}

func TestCheckLooksForNoJournalOnACluster(t *testing.T) {
	got := call(t.Context(), "check", "-c", write(t, `
notifier:
  store: {nats: {url: 'nats://127.0.0.1:1'}}
  http: {listen: '127.0.0.1:7'}
  robots: [{name: team, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=t'}]
`))
	want := "note: the journal on the cluster was not looked at; GET http://127.0.0.1:7/v1/robots of a running notifier shows"
	if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "1 robot\n"+want) {
		t.Errorf("%+v, want %q", got, want)
	}
}

// TestCheckNamesRobotsThatWereRemovedWithABacklog has notifications wait for a robot that is out of reach,
// and then takes it out of the configuration: check makes no journal, says whom to ask while one is in use,
// and afterwards tells what waits, without a change to the journal.
func TestCheckNamesRobotsThatWereRemovedWithABacklog(t *testing.T) {
	at := newPlace(t)
	with, without := write(t, at.yaml()), write(t, strings.ReplaceAll(at.yaml(), "team", "others"))
	if got := call(t.Context(), "check", "-c", with); got.code != 0 || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("without a journal: %+v", got)
	}
	if _, err := os.Stat(at.journal); !os.IsNotExist(err) {
		t.Errorf("check made the journal's folder: %v", err)
	}
	c := spawn(t, at.secrets(), "run", "-c", with)
	ready := c.awaitLog("ready")
	const size = 3
	for i := range size {
		if a := <-notifyFor(t.Context(), ready.HTTP, fmt.Sprint(i), 0); a.err != nil || len(a.resp.Deliveries) != 1 {
			t.Fatalf("a notification came to %+v", a)
		}
	}
	if got := call(t.Context(), "check", "-c", without); got.code != 0 || !strings.Contains(got.stdout, "\nnote: the journal could not be looked at: ") ||
		!strings.Contains(got.stdout, "/v1/robots of a running notifier shows robots that were removed") {
		t.Errorf("beside a running notifier: %+v", got)
	}
	c.signal(syscall.SIGTERM)
	c.wait()
	for range 2 { // looking changes nothing
		got := call(t.Context(), "check", "-c", without)
		want := "\nwarning: robot team is not in the configuration any more, and 3 notifications wait for it, the oldest since " + time.Now().UTC().Format("2006-")
		if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, want) || strings.Count(got.stdout, "\n") != 2 {
			t.Errorf("after it was removed: %+v", got)
		}
		if got := call(t.Context(), "check", "-c", with); got.code != 0 || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("with the robot in place: %+v", got)
		}
	}
	// So does a start.
	c = spawn(t, at.secrets(), "run", "-c", without)
	c.awaitLog("something waits for a robot that is no longer in the configuration")
}
