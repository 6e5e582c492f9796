package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

func TestExplainSaysWhatEachConditionCameTo(t *testing.T) {
	push := &eventv1.Event{
		Action: eventv1.Action_ACTION_PUSHED, Sender: &eventv1.User{Login: "anna-p"},
		Subject: &eventv1.Event_Push{Push: &eventv1.Push{
			Branch: "feature/x",
			Commits: []*eventv1.Commit{
				{Id: "1", Added: []string{"a.go"}, Modified: []string{"b.go", "c.go"}},
				{Id: "2", Removed: []string{"d.go", "e.go", "f.go"}},
			},
		}},
	}
	cut := &eventv1.Event{Subject: &eventv1.Event_Push{Push: &eventv1.Push{Branch: strings.Repeat("б", 300), Truncated: true}}}
	issue := &eventv1.Event{Subject: &eventv1.Event_Issue{Issue: &eventv1.Issue{
		Title: "a \"b\"\nc", Labels: []*eventv1.Label{{Name: "bug"}, {Name: "支付"}},
	}}}
	for _, tt := range []struct {
		source string
		event  *eventv1.Event
		taken  bool
		why    []string
	}{
		{`kind == "tag"`, push, false, []string{`kind == "tag" is false: kind is "push"`}},
		{`kind == "push"`, push, true, []string{`kind == "push" is true: kind is "push"`}},
		{"kind == \"push\" && // which?\n   (glob(branch, \"release/*\") ||\n    branch  ==  \"main\") // these", push, false, []string{
			`kind == "push" is true: kind is "push"`,
			`(glob(branch, "release/*") || branch == "main") is false:`,
			`  glob(branch, "release/*") is false: branch is "feature/x"`,
			`  branch == "main" is false: branch is "feature/x"`,
		}},
		{`((kind == "tag" || (sender == "(" && sender != "liam")))`, push, false, []string{
			`kind == "tag" is false: kind is "push"`,
			`(sender == "(" && sender != "liam") is false:`,
			`  sender == "(" is false: sender is "anna-p"`,
			`  sender != "liam" is true: sender is "anna-p"`,
		}},
		{`(kind == "push" && kind != "tag") && (kind == 'push' && !(branch == r"feature/x"))`, push, false, []string{
			`kind == "push" is true: kind is "push"`,
			`kind != "tag" is true: kind is "push"`,
			`kind == 'push' is true: kind is "push"`,
			`!(branch == r"feature/x") is false: branch is "feature/x"`,
		}},
		{`touches(event, "docs/**")`, push, false, []string{
			`touches(event, "docs/**") is false: the push's paths are ["a.go", "b.go", "c.go", "d.go", "e.go", and 1 more]`,
		}},
		{`touches(event, "docs/**") && touches(event, "x")`, cut, true, []string{
			`touches(event, "docs/**") is true: the push's list of paths is not complete`,
			`touches(event, "x") is true: the push's list of paths is not complete`,
		}},
		{`touches(event, "docs/**")`, issue, false, []string{`touches(event, "docs/**") is false: the event is no push`}},
		{`labels.exists(l, l == "x" && kind != "tag") || event.issue.title + branch == ""`, issue, false, []string{
			`labels.exists(l, l == "x" && kind != "tag") is false: labels is ["bug", "支付"], kind is "issue"`,
			`event.issue.title + branch == "" is false: event.issue.title is "a \"b\"\nc", branch is ""`,
		}},
		{`event.push.commits.size() > 3 || has(event.issue) || event.push.commits[0].id == event.push.branch`, push, false, []string{
			`event.push.commits.size() > 3 is false: event.push.commits is a list of 2`,
			`has(event.issue) is false`,
			`event.push.commits[0].id == event.push.branch is false: event.push.commits is a list of 2, event.push.branch is "feature/x"`,
		}},
		{`branch == "main"`, cut, false, []string{`branch == "main" is false: branch is "` + strings.Repeat("б", 100) + `…"`}},
		{`kind == "push" && event.push.commits[7].id == ""`, push, true, []string{
			`kind == "push" is true: kind is "push"`,
			`event.push.commits[7].id == "" can't be decided (index out of bounds: 7): event.push.commits is a list of 2`,
		}},
		{`kind == "push" ? branch == "main" : true`, push, false, []string{`kind == "push" ? branch == "main" : true is false: kind is "push", branch is "feature/x"`}},
		{`branch in ["main", """a "b" && c"""] || true && false`, push, false, []string{
			`branch in ["main", """a "b" && c"""] is false: branch is "feature/x"`,
			`true && false is false:`, `  true is true`, `  false is false`,
		}},
	} {
		got := compile(t, tt.source).Explain(tt.event)
		if got.Taken != tt.taken {
			t.Errorf("%s: taken %t", tt.source, got.Taken)
		}
		if diff := cmp.Diff(tt.why, got.Why); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.source, diff)
		}
	}
}
