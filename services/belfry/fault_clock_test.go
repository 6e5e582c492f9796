package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

// TestAClockThatJumpsStopsNothing has the clock jump while the process is down, by hours, both ways: what
// the lanes remember of times lies as far in the other direction then. One group of each pair is busy, one
// has a message on its way, one is muted and one has a robot that was disabled and isn't any more.
func TestAClockThatJumpsStopsNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, 0)
	fates := []string{"busy", "sending", "muted", "suspended"}
	jumps := map[string]time.Duration{"forward": 7 * time.Hour, "back": -7 * time.Hour}
	for _, fate := range fates {
		for way := range jumps {
			s.addGroup(fate+"-"+way, 1)
		}
	}
	each := func(fate string, do func(token string)) {
		for way := range jumps {
			for _, g := range s.groups {
				if g.name == fate+"-"+way {
					do(g.tokens[0])
				}
			}
		}
	}
	door := free(t)
	p := s.actor("run", s.gatewayYAML(door, ""), s.notifierYAML("127.0.0.1:0", s.front("run"), s.embedded()))
	p.start()
	s.load(6, time.Millisecond, door).finish()
	s.drain(patience)

	// Their next call, and all that follow, come to this.
	each("sending", func(token string) { s.sim.Inject(dingtalktest.ResetAfter().For(token).Times(2)) })
	each("muted", func(token string) { s.sim.Inject(dingtalktest.Errcode(130101, "send too fast").For(token)) })
	each("suspended", func(token string) { s.sim.SetRobotState(token, dingtalktest.StateDisabled) })
	s.load(3, time.Millisecond, door).finish()
	s.until("each has been called once more", func() bool {
		return !slices.ContainsFunc(s.groups, func(g *group) bool { return len(s.callsOf(g)) <= 6 })
	})
	s.wait(200 * time.Millisecond) // the lanes write down what came of it
	p.kill()
	s.jump(jumps)
	each("suspended", func(token string) { s.sim.SetRobotState(token, dingtalktest.StateActive) })
	p.start()

	// Gitee's clock did not jump along: what is signed hours from now is no webhook of today.
	g := s.groups[0]
	for _, jump := range jumps {
		d := giteetest.Push(time.Now(), "belltower/payments", "main", 1, "of another time")
		k, err := knockAt(t.Context(), "http://"+door+"/hooks/"+g.name, gitee.Signature(g.hookSecret), d, time.Now().Add(jump))
		if err != nil || k.status != http.StatusUnauthorized {
			t.Errorf("a webhook signed %v from now was answered with %d %+v, %v", jump, k.status, k.door, err)
		}
	}

	s.load(3, time.Millisecond, door).finish()
	i := slices.IndexFunc(s.groups, func(g *group) bool { return g.name == "muted-back" })
	muted := s.groups[i]
	s.groups = slices.Delete(slices.Clone(s.groups), i, i+1)
	s.drain(2 * time.Minute)
	s.check(p.ready.GRPC)
	client, ctx := s.client(p.ready.GRPC)
	if kept := muted.deliveries(ctx, s, client); len(kept) != muted.taken {
		t.Errorf("%s: %d were taken and %d are kept", muted.name, muted.taken, len(kept))
	}
	code, body := look(t, "http://"+p.ready.HTTP+"/v1/robots/"+muted.name)
	var robot struct {
		State        string
		NextSendTime time.Time
	}
	if err := json.Unmarshal([]byte(body), &robot); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if wait := time.Until(robot.NextSendTime); robot.State != "MUTED" || wait <= 0 || wait > 10*time.Minute {
		t.Errorf("the muted robot is %s and goes on in %v: %s", robot.State, wait, body)
	}
	if n := s.sim.Throttled(); n > 0 {
		t.Errorf("DingTalk said %d times that it was too fast", n)
	}
}

var instant = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^" ]*"`)

// jump shifts all times in the records of the groups' lanes, so that it is as if the clock had jumped by
// what jumps says for the end of the group's name. The process must be down.
func (s *stage) jump(jumps map[string]time.Duration) {
	s.t.Helper()
	ctx := s.t.Context()
	store, err := natsstore.Open(ctx, natsstore.Options{Dir: filepath.Join(s.dir, "notifier"), Name: "test", MaxBytes: 1 << 40})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	j, err := journal.Open(ctx, journal.Options{Store: store, MaxBytes: 10 << 30})
	if err != nil {
		s.t.Fatal(err)
	}
	defer j.Close()
	for _, g := range s.groups {
		rec, err := j.Lane(ctx, g.name)
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := json.Marshal(rec)
		if err != nil {
			s.t.Fatal(err)
		}
		shifted := instant.ReplaceAllFunc(text, func(found []byte) []byte {
			var then time.Time
			if err := json.Unmarshal(found, &then); err != nil {
				s.t.Fatal(err)
			}
			for way, by := range jumps {
				if strings.HasSuffix(g.name, way) {
					then = then.Add(-by)
				}
			}
			out, _ := json.Marshal(then)
			return out
		})
		if string(shifted) == string(text) {
			s.t.Fatalf("the record of %s holds no time: %s", g.name, text)
		}
		jumped := delivery.LaneRecord{Revision: rec.Revision}
		if err := json.Unmarshal(shifted, &jumped); err != nil {
			s.t.Fatal(err)
		}
		if _, err := j.SaveLane(ctx, jumped); err != nil {
			s.t.Fatal(err)
		}
	}
}
