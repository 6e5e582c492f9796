package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

// TestAJournalMovesToAClusterAndBack migrates a journal with a backlog, twice, and lets `belfry run` go on
// where it was each time. What must be refused is tried beside.
func TestAJournalMovesToAClusterAndBack(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2)
	cluster := natstest.NewCluster(t, 1)
	door, front := free(t), s.front("run")
	home := filepath.Join(s.dir, "home")
	var files []string
	var actors []*actor
	for _, store := range []string{
		s.embedded(),
		fmt.Sprintf("nats: {url: %q, replicas: 1, max_bytes: 104857600}", cluster.URL()),
		fmt.Sprintf("embedded: {dir: %q}", home),
	} {
		a := s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", front, store))
		actors, files = append(actors, a), append(files, a.args[2])
	}
	migrate := func(from, to int) called {
		return call(t.Context(), "migrate", "--from", files[from], "--to", files[to])
	}
	refused := func(got called, want string) {
		t.Helper()
		if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%+v, want code 1 and %q", got, want)
		}
	}
	stop := func(a *actor) {
		t.Helper()
		a.signal(syscall.SIGTERM)
		if code := a.wait().ExitCode(); code != 0 {
			t.Errorf("it exited with %d", code)
		}
	}
	backlog := func(a *actor) {
		t.Helper()
		a.start()
		s.drain(patience)
		for _, g := range s.groups {
			s.sim.SetRobotState(g.tokens[0], dingtalktest.StateDisabled)
		}
		s.load(4, time.Millisecond, door).finish()
	}
	recovered := func() {
		for _, g := range s.groups {
			s.sim.SetRobotState(g.tokens[0], dingtalktest.StateActive)
		}
	}

	refused(migrate(0, 1), "there is no folder")
	refused(migrate(0, 0), "name the same store")
	backlog(actors[0])
	refused(migrate(0, 1), "in use by another Belfry process")
	stop(actors[0])
	first := migrate(0, 1)
	if first.code != 0 || !strings.Contains(first.stdout, "copied and compared: 8 notifications, 0 outcomes, 2 lane records, 0 controls; SHA-256") {
		t.Fatalf("%+v", first)
	}
	refused(migrate(0, 1), "a journal is copied only to where none is")

	recovered()
	backlog(actors[1])
	refused(migrate(1, 2), "stop them first")
	stop(actors[1])
	second := migrate(1, 2)
	if second.code != 0 || !strings.Contains(second.stdout, "copied and compared: 16 notifications, 8 outcomes, 2 lane records, 0 controls; SHA-256") {
		t.Fatalf("%+v", second)
	}
	refused(migrate(1, 0), "a journal is copied only to where none is")

	recovered()
	actors[2].start()
	s.drain(2 * time.Minute)
	s.check(actors[2].ready.GRPC)
	for _, secret := range s.secrets() {
		if strings.Contains(fmt.Sprint(first, second), secret) {
			t.Error("a secret is in the output")
		}
	}
}
