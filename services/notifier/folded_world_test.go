package notifier

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// lifeOfAPull is all that happens to one pull request in a moment, as the API's JSON.
func lifeOfAPull() []string {
	const head = "2222222222222222222222222222222222222222"
	const in = `"sender":{"login":"li"},"repository":{"path":"acme/shop","defaultBranch":"main","url":"https://gitee.com/acme/shop"}`
	pull := func(id, action, detail string) string {
		return fmt.Sprintf(`{"id":%q,"action":"ACTION_%s","hostActionDetail":%q,%s,"pullRequest":{"number":"17","title":"Let it ring",
			"url":"https://gitee.com/acme/shop/pulls/17","targetBranch":"main","sourceBranch":"feat","sourceRepository":"acme/shop",
			"author":{"login":"li"},"assignees":[{"login":"wang"}],"testers":[{"login":"zhao"}]}}`, id, action, detail, in)
	}
	commit := fmt.Sprintf(`{"id":%q,"message":"!17 Let it ring\n\nMerge pull request !17 from li/feat"}`, head)
	return []string{
		pull("open", "OPENED", ""), pull("assign", "ASSIGNED", ""), pull("test", "TESTER_ASSIGNED", ""),
		pull("update-1", "UPDATED", "update_label"), pull("update-2", "UPDATED", "source_branch_changed"), pull("update-3", "UPDATED", ""),
		pull("merge", "MERGED", ""),
		fmt.Sprintf(`{"id":"push","action":"ACTION_PUSHED",%s,"push":{"branch":"main","after":%q,"headCommit":%s,"commits":[%s]}}`, in, head, commit, commit),
		fmt.Sprintf(`{"id":"removal","action":"ACTION_DELETED",%s,"push":{"branch":"feat","before":%q}}`, in, head),
	}
}

// TestWhateverTheOrderAllIsShownOrToldByWhatIs has folding turned off and on again under way.
func TestWhateverTheOrderAllIsShownOrToldByWhatIs(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			robot := func(folds bool) plan {
				return plan{alter: func(cfg *configv1.Notifier) {
					cfg.People = []*configv1.Person{{Gitee: "wang", Mobile: "13800000001"}, {Gitee: "zhao", UserId: "zhao"}}
					robotIn(cfg, "plain").Folding = &configv1.Folding{
						MergePushes: &folds, MergedBranches: &folds, Companions: &folds, Updates: &folds, Wait: durationpb.New(300 * time.Millisecond),
					}
				}}
			}
			s := start(t, robot(true))
			life := lifeOfAPull()
			if seed > 0 {
				rng.Shuffle(len(life), func(i, j int) { life[i], life[j] = life[j], life[i] })
			}
			held := seed%3 == 1
			if held {
				callGRPC(t, s, "PauseRobot", []byte(`{"name":"robots/plain"}`))
			}
			for i, event := range life {
				req := fmt.Appendf(nil, `{"robots":["plain"],"urgent":%v,"event":%s}`, rng.IntN(6) == 0, event)
				if got := callGRPC(t, s, "Notify", req); got.Code != "OK" {
					t.Fatalf("Notify = %+v", got)
				}
				if seed%2 == 1 && i%3 == 2 {
					s.prepare(t, robot(i != 2))()
				}
			}
			if held {
				callGRPC(t, s, "ResumeRobot", []byte(`{"name":"robots/plain"}`))
			}
			s.await(t, "plain", func(st delivery.Status) bool { return st.Cursor >= uint64(len(life)) })

			type ended struct {
				Name, State, Title, FoldedInto string
				Message                        struct{ Uuid string }
			}
			var list struct{ Deliveries []ended }
			callGRPC(t, s, "ListDeliveries", []byte(`{"parent":"robots/plain"}`)).into(t, &list)
			all := map[string]ended{}
			for _, d := range list.Deliveries {
				all[d.Name] = d
			}
			folded := 0
			for _, d := range list.Deliveries {
				if d.State != "DELIVERED" {
					t.Errorf("%s is %s", d.Title, d.State)
				}
				if d.FoldedInto == "" {
					continue
				}
				folded++
				if teller, ok := all[d.FoldedInto]; !ok || teller.FoldedInto != "" || teller.Message.Uuid == "" {
					t.Errorf("%s is told by %+v", d.Title, teller)
				}
			}
			if len(list.Deliveries) != len(life) || seed == 0 && folded < 4 {
				t.Errorf("%d of %d are folded away", folded, len(list.Deliveries))
			}
			for _, m := range s.sim.MessagesOf(tokenOf("plain")) {
				if m.Shown == "" {
					t.Error("a message shows nothing")
				}
			}
		})
	}
}
