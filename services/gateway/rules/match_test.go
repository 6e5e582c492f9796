package rules

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

var now = time.Date(2026, 5, 20, 9, 41, 7, 0, time.UTC)

func compile(t testing.TB, source string) *Rule {
	t.Helper()
	rule, err := Compile(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return rule
}

var (
	deliveries = sync.OnceValue(func() []giteetest.Delivery { return giteetest.All(now) })
	samples    = sync.OnceValue(func() []*eventv1.Event { return giteetest.Events(now) })
)

// takers returns the names of the samples that the rule takes, in their order.
func takers(t *testing.T, source string) (taken []string) {
	t.Helper()
	rule := compile(t, source)
	events := samples()
	for i, d := range deliveries() {
		match, err := rule.Match(events[i])
		if err != nil {
			t.Errorf("%s: %s: %v", source, d.Name, err)
		}
		if verdict := rule.Explain(events[i]); verdict.Taken != match || verdict.Err != nil {
			t.Errorf("%s: %s: Explain says %+v, Match %t", source, d.Name, verdict, match)
		}
		if match {
			taken = append(taken, d.Name)
		}
	}
	return taken
}

func TestARuleTakesWhatItSays(t *testing.T) {
	for source, want := range map[string]string{
		`kind == "ping"`:                                                                 "ping",
		`kind == "push" && action == "deleted"`:                                          "push_branch_deleted",
		`branch == "feature/refunds"`:                                                    "push_new_branch push_commits push_moved push_branch_deleted",
		`branch == "main" && kind == "comment"`:                                          "comment_pull_request",
		`glob(branch, "release/*") && kind != "pull_request"`:                            "push_merge",
		`glob(tag, "v*") && !glob(tag, "*-rc.*")`:                                        "tag_created tag_moved",
		`tag.matches("-rc[.][0-9]+$")`:                                                   "tag_deleted",
		`"срочно" in labels && kind == "comment"`:                                        "comment_issue comment_edited comment_deleted",
		`labels.exists(l, l == "ready to merge") && action == "merged"`:                  "pull_request_merged",
		`sender == "lina" && kind in ["tag", "comment"]`:                                 "comment_deleted tag_deleted",
		`repository != "belltower/payments" || hook != "payments"`:                       "ping",
		`touches(event, "internal/refund/**")`:                                           "push_new_branch push_commits push_moved push_many_commits push_merge",
		`touches(event, "**/*_timer.go") && !event.push.truncated`:                       "push_commits",
		`touches(event, "nowhere/**")`:                                                   "push_new_branch push_many_commits", // nobody can know
		`event.push.commits.exists(c, c.author.login == "liam")`:                         "push_commits push_many_commits push_merge",
		`event.host_action_detail == "update_label"`:                                     "pull_request_label_changed",
		`event.host_action == "open" && action != "opened"`:                              "pull_request_opened_assign pull_request_opened_test",
		`has(event.comment.commit) || kind == "comment" && branch == "" && labels == []`: "comment_commit comment_repository",
		`event.issue.title.lowerAscii().contains("@anna-p") && action == "opened"`:       "issue_opened",
		`event.sender.remark != "" && action == "closed"`:                                "",
	} {
		taken := takers(t, source)
		if diff := cmp.Diff(strings.Fields(want), taken); diff != "" && want+strings.Join(taken, "") != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

func TestEveryKindAndActionIsAWordThatRulesKnow(t *testing.T) {
	for i, e := range samples() {
		d := deliveries()[i]
		if Kind(e) != d.Kind || Action(e) != d.Action {
			t.Errorf("%s is %s %s, want %s %s", d.Name, Kind(e), Action(e), d.Kind, d.Action)
		}
		rule := compile(t, fmt.Sprintf("kind == %q && action in [%q]", d.Kind, d.Action))
		if match, err := rule.Match(e); !match || err != nil {
			t.Errorf("%s does not take %s: %v", rule, d.Name, err)
		}
	}
}

func TestARuleThatCannotDecideTakesTheEvent(t *testing.T) {
	many := &eventv1.Issue{}
	for range 5000 { // more than the schema allows
		many.Labels = append(many.Labels, &eventv1.Label{Name: "l"})
	}
	for source, e := range map[string]*eventv1.Event{
		`event.push.commits[3].id == "x"`:                             {},
		`int(branch) > 3`:                                             {},
		`1 / event.push.total_commits > 0`:                            {},
		`labels.exists(a, labels.exists(b, a != b))`:                  {Subject: &eventv1.Event_Issue{Issue: many}},
		`event.push.commits[0].id == "x" && event.issue.number != ""`: {Subject: &eventv1.Event_Issue{Issue: &eventv1.Issue{Number: "I1"}}},
	} {
		rule := compile(t, source)
		if match, err := rule.Match(e); !match || err == nil {
			t.Errorf("%s: got %t and %v, want true and an error", source, match, err)
		}
		if v := rule.Explain(e); !v.Taken || v.Err == nil {
			t.Errorf("%s: Explain says %+v", source, v)
		}
	}
	// What need not be asked can't be at fault.
	for _, source := range []string{`kind == "push" && event.push.commits[3].id == "x"`, `event.push.commits[3].id == "x" && kind == "push"`} {
		if match, err := compile(t, source).Match(&eventv1.Event{}); match || err != nil {
			t.Errorf("%s: got %t and %v, want false", source, match, err)
		}
	}
}

func TestAnEventThatLacksEverythingIsNoFault(t *testing.T) {
	const all = `kind == action && repository + branch + tag + sender + hook == "" && labels == [] && event.push.commits == [] && !touches(event, "**")`
	for _, e := range []*eventv1.Event{nil, {}, {Subject: &eventv1.Event_Push{}}, {Subject: &eventv1.Event_Comment{Comment: &eventv1.Comment{}}}} {
		if match, err := compile(t, "!("+all+") || true").Match(e); !match || err != nil {
			t.Errorf("%v: got %t and %v", e, match, err)
		}
	}
}

// largest returns a push, and an issue, as large as they can get.
func largest() (push, issue *eventv1.Event) {
	p := &eventv1.Push{Branch: strings.Repeat("b", 500)}
	for range 500 {
		c := &eventv1.Commit{Id: strings.Repeat("c", 64), Message: strings.Repeat("[ski", messageShare/4)}
		for range pathShare / 3 {
			c.Added, c.Removed, c.Modified = append(c.Added, "d"), append(c.Removed, "d"), append(c.Modified, "d")
		}
		p.Commits = append(p.Commits, c)
	}
	i := &eventv1.Issue{Title: strings.Repeat("т", 1000), Body: strings.Repeat("т", 20000)}
	for range 100 {
		i.Labels = append(i.Labels, &eventv1.Label{Name: strings.Repeat("L", 200)})
	}
	return &eventv1.Event{Subject: &eventv1.Event_Push{Push: p}}, &eventv1.Event{Subject: &eventv1.Event_Issue{Issue: i}}
}

func TestUsefulRulesAreNotTooCostlyAndTheLargestEventIsDecided(t *testing.T) {
	push, issue := largest()
	for _, source := range []string{
		`event.push.commits.all(c, (c.added + c.removed + c.modified).all(f, glob(f, "{docs/**,d}")))`,
		`event.push.commits.exists(c, c.message.matches(r"(?i)\[(skip|no) ci\]"))`,
		`event.push.commits.exists(c, c.message.contains("[skip ci]") || c.message.startsWith("WIP"))`,
		`event.push.commits.exists(c, c.modified.exists(f, f.endsWith(".md")))`,
		`touches(event, "**/*.{go,mod,sum}") || touches(event, "web/**") || touches(event, "proto/**/*.proto")`,
		`labels.exists(l, l.lowerAscii() in ["bug", "security"]) || event.issue.body.matches("(?i)security|安全|безопасность")`,
		`event.issue.title.lowerAscii().contains("crash") && string(event.issue.id).endsWith("7")`,
		`event.pull_request.assignees.exists(u, u.login == sender) && event.pull_request.testers.all(u, labels.exists(l, l == u.login))`,
		`event.occur_time.getHours("Asia/Shanghai") >= 9 && size(event.push.commits) > 3`,
	} {
		rule := compile(t, source)
		for _, e := range []*eventv1.Event{push, issue} {
			if _, err := rule.Match(e); err != nil {
				t.Errorf("%s (cost %d): %v", source, rule.Cost(), err)
			}
		}
	}
}

func TestNoDetourHidesWhatARuleCosts(t *testing.T) {
	plain := compile(t, `event.issue.body.matches("(a|b)*c")`).Cost()
	if plain < 20_000/10 || plain > MaxCost/10 {
		t.Fatalf("costs %d", plain)
	}
	for _, source := range []string{
		`string(event.issue.body).matches("(a|b)*c")`, `(event.issue.body + "x").matches("(a|b)*c")`, `event.issue.body.lowerAscii().matches("(a|b)*c")`,
		`(kind == "push" ? event.issue.body : branch).matches("(a|b)*c")`, `[event.issue.body].exists(b, b.matches("(a|b)*c"))`,
		`matches(event.comment.issue.body, "(a|b)*c")`, `event.issue.body.split("\n").join("").matches("(a|b)*c")`,
		`{"k": event.issue.body}["k"].matches("(a|b)*c")`, `event.issue.labels.map(l, event.issue.body)[0].matches("(a|b)*c")`,
	} {
		rule, err := Compile(source)
		if err == nil && rule.Cost() < plain {
			t.Errorf("%s costs %d, less than %d", source, rule.Cost(), plain)
		}
		if err != nil && !strings.Contains(err.Error(), "steps for a large event") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestRulesAreSharedByGoroutines(t *testing.T) {
	rule := compile(t, `kind == "push" && touches(event, "internal/**") && branch.matches("^(main|release)") || "bug" in labels`)
	events := samples()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, e := range events {
				match, _ := rule.Match(e)
				if v := rule.Explain(e); v.Taken != match {
					t.Errorf("%v: %+v and %t", e, v, match)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkMatch(b *testing.B) {
	push, _ := largest()
	common := samples()[2]
	for _, bb := range []struct {
		name, source string
		event        *eventv1.Event
	}{
		{"words", `kind == "push" && action == "pushed"`, common},
		{"glob", `kind == "push" && glob(branch, "{main,feature/**}")`, common},
		{"touches", `touches(event, "docs/**")`, common},
		{"largest", `touches(event, "docs/**")`, push},
	} {
		b.Run(bb.name, func(b *testing.B) {
			rule := compile(b, bb.source)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rule.Match(bb.event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compile(b, `kind == "push" && (glob(branch, "release/*") || branch == "main") && !touches(event, "docs/**")`)
	}
}
