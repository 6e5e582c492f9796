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

// TestCheckWarnsOfWhatIsOdd has the whole of what is printed below the first line.
func TestCheckWarnsOfWhatIsOdd(t *testing.T) {
	const (
		robot  = "notifier: {store: {embedded: {dir: /nowhere/at/all}}, robots: [{name: team, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=hush', keywords: [ship]"
		hook   = "gateway: {notifier: {address: 'n:1'}, hooks: [{name: a, password: {secret: hush}, routes: [{robots: [team]"
		reject = " has a keyword (ship), and missing_keyword is REJECT: they would be refused; use APPEND, or a template with a keyword\n"
	)
	for name, tc := range map[string]struct{ yaml, want string }{
		"nothing":                         {robot + "}]}\n" + hook + "}]}]}\n", ""},
		"messages that would be refused":  {robot + ", missing_keyword: REJECT}]}\n" + hook + ", when: kind == 'tag'}]}]}\n", "note: no route of hook a takes a sample of these: push, issue, comment, pull_request; `belfry explain` shows why one is not taken\nwarning: robot team: none of its messages about ping, tag" + reject},
		"a template with a keyword":       {robot + ", missing_keyword: REJECT, templates: [{kind: tag, text: 'ship {{.tag}}'}, {kind: ping, text: ship}]}]}\n" + hook + ", when: kind == 'tag'}]}]}\n", "note: no route of hook a takes a sample of these: push, issue, comment, pull_request; `belfry explain` shows why one is not taken\n"},
		"a template without a keyword":    {robot + ", templates: [{kind: tag, text: '{{.tag}}'}, {kind: push, title: ship, text: ship}]}]}\n" + hook + "}]}]}\n", "warning: robot team: its templates for tag never have a keyword (ship) in both title and text: one is appended each time\n"},
		"a robot that is told nothing":    {robot + ", missing_keyword: REJECT}, {name: idle, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=x'}]}\n" + strings.Replace(hook, "[team]", "[idle]", 1) + "}]}]}\n", ""},
		"without a gateway":               {robot + ", missing_keyword: REJECT}]}\n", "warning: robot team: none of its messages about ping, push, issue, comment, pull_request, tag" + reject},
		"some actions that are told":      {robot + "}]}\n" + hook + ", when: kind != 'push' || action == 'moved'}]}]}\n", "note: no route of hook a takes a sample of these: push (created, pushed, deleted); `belfry explain` shows why one is not taken\n"},
		"two routes that take all of it":  {robot + "}]}\n" + hook + ", when: kind == 'push'}, {robots: [team], when: kind != 'push'}]}]}\n", ""},
		"hooks with one secret":           {robot + "}]}\n" + hook + "}]}, {name: c, signature: {secret: hush}, routes: [{robots: [team]}]}, {name: b, signature: {secret: x}, routes: [{robots: [team]}]}]}\n", "warning: hooks a, c have the same secret, so that whoever knows it can write in the name of each: give each its own\n"},
		"somebody out of reach of robots": {robot + ", external: true}], people: [{gitee: anna, user_id: a}]}\n", "warning: FILE:1:172: notifier.robots[0].external: in an external group people are called by their mobile numbers only, and 1 person is without one in notifier.people: anna\n"},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, tc.yaml)
			got := call(t.Context(), "check", "-c", file)
			first, rest, _ := strings.Cut(got.stdout, "\n")
			if rest = strings.ReplaceAll(rest, file, "FILE"); got.code != 0 || got.stderr != "" || rest != tc.want {
				t.Errorf("code %d, %s\ngot:\n%swant:\n%s%s", got.code, first, rest, tc.want, got.stderr)
			}
			if strings.Contains(got.stdout+got.stderr, "hush") {
				t.Error("a secret is in the output")
			}
		})
	}
}

func TestManyWarningsOfASortAreCut(t *testing.T) {
	var ws warnings
	for range maxWarnings + 5 {
		ws.add("a line")
	}
	var out strings.Builder
	ws.write(&out)
	if got := out.String(); strings.Count(got, "a line\n") != maxWarnings || !strings.HasSuffix(got, "\nand 5 more like the last one\n") {
		t.Errorf("it wrote:\n%s", got)
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
