package render

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// history returns n events of a small world, in which much belongs together, in any order.
func history(rng *rand.Rand, n int) []delivery.Notification {
	users := []*eventv1.User{alice(), bob(), carol(), dave()}
	some := func() []*eventv1.User { return users[rng.IntN(2) : 2+rng.IntN(3)] }
	var ns []delivery.Notification
	for i := range n {
		number := int64(12 + rng.IntN(2))
		pull := func(action eventv1.Action) *eventv1.Event {
			return pulled(action, func(e *eventv1.Event, p *eventv1.PullRequest) {
				p.Number, p.Assignees, p.Testers = number, some(), some()
				p.Body = fmt.Sprintf("@%s @all", users[rng.IntN(4)].Login)
				p.SourceBranch = fmt.Sprintf("feature/%d", number)
				e.HostActionDetail = []string{"update_label", "source_branch_changed"}[rng.IntN(2)]
			})
		}
		var e *eventv1.Event
		switch rng.IntN(12) {
		case 0:
			e = pull(eventv1.Action_ACTION_OPENED)
		case 1:
			e = pull(eventv1.Action_ACTION_ASSIGNED)
		case 2:
			e = pull(eventv1.Action_ACTION_TESTER_ASSIGNED)
		case 3, 4:
			e = pull(eventv1.Action_ACTION_MERGED)
		case 5, 6:
			e = pull(eventv1.Action_ACTION_UPDATED)
		case 7:
			e = pushWith(fmt.Sprintf("!%d 登录页支持扫码\nMerge pull request !%d from a/b", number, number))
		case 8:
			e = removal(fmt.Sprintf("feature/%d", number))
		case 9:
			e = issued(eventv1.Action_ACTION_OPENED, issueBy(users[rng.IntN(4)], users[rng.IntN(4)]))
		case 10:
			e = pinged()
		}
		at := foldTime.Add(time.Duration(rng.IntN(900)) * time.Second)
		n := delivery.Notification{Seq: uint64(i + 1), Robot: "team", Event: e, CreateTime: at, Urgent: rng.IntN(9) == 0}
		if e == nil {
			n.Message = textMessage(fmt.Sprintf("第 %d 条", i))
		} else {
			e.Id, e.Sender = fmt.Sprintf("evt-%d", rng.IntN(2*(i+1))), users[rng.IntN(2)]
			if rng.IntN(5) == 0 {
				e.Repository.Path = "other/demo"
			}
		}
		if rng.IntN(10) == 0 {
			n.RedeliveryOf = "robots/team/deliveries/1"
		}
		ns = append(ns, n)
	}
	return ns
}

func TestEveryNotificationIsShownOrFoldedIntoOneThatIs(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := calling()
		o.Keywords, o.Browser, o.ActionCard = []string{"Gitee"}, seed%3 == 0, seed%2 == 0
		if o.Folding = allFolding; seed%7 == 0 {
			o.Folding = Folding{MergePushes: rng.IntN(2) == 0, MergedBranches: rng.IntN(2) == 0, Companions: rng.IntN(2) == 0, Updates: rng.IntN(2) == 0}
		}
		r := rendererOf(o)
		var told []delivery.Told
		all := history(rng, 1+rng.IntN(40))
		shown := map[uint64]bool{} // of all that was told by now
		for rest := all; len(rest) > 0; {
			batch := rest[:1+rng.IntN(len(rest))]
			hold := r.Hold(batch, told)
			got, err := r.Render(batch, told)
			if err != nil || got.Used < 1 || got.Used > len(batch) {
				t.Fatalf("seed %d: used %d of %d, error %v", seed, got.Used, len(batch), err)
			}
			if hold != 0 && hold != o.Folding.Wait {
				t.Fatalf("seed %d: it waits %v", seed, hold)
			}
			folded := map[uint64]uint64{}
			for _, f := range got.Folded {
				if f.Seq == f.Into || folded[f.Seq] != 0 {
					t.Fatalf("seed %d: %v", seed, got.Folded)
				}
				folded[f.Seq] = f.Into
			}
			var alone []delivery.Notification
			for _, n := range batch[:got.Used] {
				if _, is := folded[n.Seq]; !is {
					alone = append(alone, n)
					shown[n.Seq] = true
				} else if n.Message != nil || n.RedeliveryOf != "" {
					t.Fatalf("seed %d: %d is folded away", seed, n.Seq)
				}
			}
			for from, into := range folded {
				if !shown[into] || slices.ContainsFunc(batch[got.Used:], func(n delivery.Notification) bool { return n.Seq == from || n.Seq == into }) {
					t.Fatalf("seed %d: %d is folded into %d, which isn't told", seed, from, into)
				}
			}
			checkShown(t, got, alone)
			for _, m := range got.Marks {
				if !shown[m.Seq] || folded[m.Seq] != 0 || len(m.Mark) > 80 {
					t.Fatalf("seed %d: mark %+v", seed, m)
				}
				told = append(told, delivery.Told{Mark: m, Time: batch[got.Used-1].CreateTime})
			}
			told = told[max(0, len(told)-64):]
			rest = rest[got.Used:]
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// checkShown holds a message against the notifications that it is to show.
func checkShown(t *testing.T, got delivery.Rendering, alone []delivery.Notification) {
	t.Helper()
	if len(alone) == 0 || got.Message.Content == nil {
		if got.Message.Content != nil || len(alone) > 0 || len(got.Marks) > 0 {
			t.Errorf("%d have a place of their own, and the message is %v", len(alone), got.Message.Content)
		}
		return
	}
	if body, err := dingtalk.Encode(got.Message, sampleUUID); err != nil || len(body) > maxBody {
		t.Errorf("%d bytes, error %v", len(body), err)
	}
	title := ""
	switch c := got.Message.Content.(type) {
	case dingtalk.Text:
		return
	case dingtalk.Markdown:
		title = c.Title
		items := strings.Count(c.Text, "\n- ") + strings.Count(c.Text, "\n第 ")
		if len(alone) > 1 && items != len(alone) {
			t.Errorf("%d lines for %d:\n%s", items, len(alone), c.Text)
		}
	case dingtalk.ActionCard:
		title = c.Title
	}
	if digest := strings.Contains(title, " 条动态"); digest != (len(alone) > 1) {
		t.Errorf("%d have a place of their own, and the title is %q", len(alone), title)
	}
	if at := atOf(t, got.Message); len(at) > dingtalk.MaxMentions {
		t.Errorf("%d are called", len(at))
	}
}
