package notifier

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// events are one of each subject, as the API's JSON.
var events = map[string]string{
	"push": `{"id":"e-push","action":"ACTION_PUSHED","occurTime":"2026-11-22T08:00:00Z","sender":{"login":"zhang_san","name":"张三"},
		"repository":{"id":"7","path":"acme/shop","name":"shop","url":"https://gitee.com/acme/shop"},
		"push":{"branch":"main","branchUrl":"https://gitee.com/acme/shop/tree/main","before":"aaaaaaaaaa","after":"bbbbbbbbbb","totalCommits":1,
			"commits":[{"id":"bbbbbbbbbb","message":"Ring the bell","url":"https://gitee.com/acme/shop/commit/bbbbbbbbbb","author":{"name":"张三"}}]}}`,
	"tag":          `{"id":"e-tag","action":"ACTION_CREATED","repository":{"path":"acme/shop"},"tag":{"name":"v2.0"}}`,
	"issue":        `{"id":"e-issue","action":"ACTION_OPENED","repository":{"path":"acme/shop"},"issue":{"number":"I4CYEO","title":"It does not ring"}}`,
	"pull_request": `{"id":"e-pull","action":"ACTION_MERGED","repository":{"path":"acme/shop"},"pullRequest":{"number":"17","title":"Let it ring"}}`,
	"comment":      `{"id":"e-comment","action":"ACTION_CREATED","repository":{"path":"acme/shop"},"comment":{"body":"It rings"}}`,
	"ping":         `{"id":"e-ping","action":"ACTION_PINGED","hook":"shop","ping":{}}`,
}

func TestEventsArriveAsPreviewShowsThem(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			s := start(t, plan{})
			n := 0
			for kind, event := range events {
				n++
				req := fmt.Appendf(nil, `{"robots":["plain","lax"],"requestId":"%s","event":%s,"wait":"30s"}`, kind, event)
				var shown struct {
					Previews []struct {
						Robot, Body string
						SizeBytes   int
						Failure     any
					}
				}
				d.call(t, s, "Preview", req).into(t, &shown)
				var got struct {
					Deliveries []struct{ State, Title string }
				}
				d.call(t, s, "Notify", req).into(t, &got)
				if len(shown.Previews) != 2 || len(got.Deliveries) != 2 {
					t.Fatalf("%s: %d previews and %d deliveries, want 2 of each", kind, len(shown.Previews), len(got.Deliveries))
				}
				for i, p := range shown.Previews {
					robot := strings.TrimPrefix(p.Robot, "robots/")
					if del := got.Deliveries[i]; del.State != "DELIVERED" || del.Title == "" || p.Failure != nil {
						t.Errorf("%s to %s: %v, preview's failure %v", kind, robot, del, p.Failure)
					}
					received := s.sim.MessagesOf(tokenOf(robot))
					if len(received) != n {
						t.Fatalf("after %d events the group of %s has %d messages", n, robot, len(received))
					}
					last := received[n-1]
					var want, body map[string]any
					if err := json.Unmarshal([]byte(p.Body), &want); err != nil {
						t.Fatal(err)
					}
					if err := json.Unmarshal(last.Body, &body); err != nil {
						t.Fatal(err)
					}
					if body["msgUuid"] == nil {
						t.Errorf("%s to %s: there is no msgUuid", kind, robot)
					}
					delete(body, "msgUuid")
					if diff := cmp.Diff(want, body); diff != "" {
						t.Errorf("%s to %s: (-preview +group)\n%s", kind, robot, diff)
					}
					if size := len(last.Body) - msgUUIDBytes; p.SizeBytes != size {
						t.Errorf("%s to %s: preview says %d bytes, DingTalk got %d without its msgUuid", kind, robot, p.SizeBytes, size)
					}
				}
			}
			if n := s.sim.Throttled(); n != 0 {
				t.Errorf("DingTalk said %d times that it is too fast", n)
			}
		})
	}
}

// msgUUIDBytes is what a msgUuid takes in a message.
const msgUUIDBytes = len(`,"msgUuid":"01234567-89ab-cdef-0123-456789abcdef"`)
