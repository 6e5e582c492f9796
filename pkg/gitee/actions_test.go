package gitee_test

import (
	"testing"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

func TestActionsOfIssues(t *testing.T) {
	assigned := `,"assignee":{"username":"anna-p"}`
	for _, tt := range []struct {
		action, state, more string
		want                eventv1.Action
	}{
		{`"open"`, "open", "", eventv1.Action_ACTION_OPENED},
		{`null`, "open", "", eventv1.Action_ACTION_OPENED},
		{`null`, "closed", "", eventv1.Action_ACTION_CLOSED},
		{`""`, "", "", eventv1.Action_ACTION_OPENED},
		{`"OPEN"`, "open", "", eventv1.Action_ACTION_OPENED},
		{`"state_change"`, "closed", "", eventv1.Action_ACTION_CLOSED},
		{`"state_change"`, "rejected", "", eventv1.Action_ACTION_CLOSED},
		{`"state_change"`, "open", "", eventv1.Action_ACTION_REOPENED},
		{`"state_change"`, "progressing", "", eventv1.Action_ACTION_STATE_CHANGED},
		{`"state_change"`, "на проверке", "", eventv1.Action_ACTION_STATE_CHANGED},
		{`"state_change"`, "", `,"state":"closed"`, eventv1.Action_ACTION_CLOSED},
		{`"state_change"`, "rejected", `,"state":"closed"`, eventv1.Action_ACTION_CLOSED},
		{`"state_change"`, "progressing", `,"state":"closed"`, eventv1.Action_ACTION_STATE_CHANGED},
		{`"close"`, "closed", "", eventv1.Action_ACTION_CLOSED},
		{`"reopen"`, "open", "", eventv1.Action_ACTION_REOPENED},
		{`"delete"`, "open", "", eventv1.Action_ACTION_DELETED},
		{`"assign"`, "open", assigned, eventv1.Action_ACTION_ASSIGNED},
		{`"assign"`, "open", "", eventv1.Action_ACTION_UNASSIGNED},
		{`"unassign"`, "open", assigned, eventv1.Action_ACTION_UNASSIGNED},
		{`"label"`, "open", "", eventv1.Action_ACTION_UPDATED},
		{`7`, "open", "", eventv1.Action_ACTION_UPDATED},
	} {
		e := mustParse(t, headers(issueHook), `{"action":`+tt.action+`,"issue":{"id":1,"number":"IX","state":"`+tt.state+`"}`+tt.more+`,`+repo+`}`)
		if e.GetAction() != tt.want {
			t.Errorf("%s in state %q%s: got %v, want %v", tt.action, tt.state, tt.more, e.GetAction(), tt.want)
		}
	}
}

func TestActionsOfPullRequests(t *testing.T) {
	for _, tt := range []struct {
		action, desc, state string
		want                eventv1.Action
		detail              string
	}{
		{`"open"`, `null`, "open", eventv1.Action_ACTION_OPENED, ""},
		{`"open"`, `"open"`, "open", eventv1.Action_ACTION_OPENED, ""},
		{`"open"`, `"assign"`, "open", eventv1.Action_ACTION_ASSIGNED, "assign"},
		{`"Open"`, `"Test"`, "open", eventv1.Action_ACTION_TESTER_ASSIGNED, "Test"},
		{`"open"`, `"label"`, "open", eventv1.Action_ACTION_OPENED, "label"},
		{`null`, `null`, "open", eventv1.Action_ACTION_OPENED, ""},
		{`null`, `null`, "merged", eventv1.Action_ACTION_MERGED, ""},
		{`null`, `null`, "closed", eventv1.Action_ACTION_CLOSED, ""},
		{`"update"`, `"source_branch_changed"`, "open", eventv1.Action_ACTION_UPDATED, "source_branch_changed"},
		{`"update"`, `"target_branch_changed"`, "open", eventv1.Action_ACTION_UPDATED, "target_branch_changed"},
		{`"update"`, `"update_label"`, "open", eventv1.Action_ACTION_UPDATED, "update_label"},
		{`"update"`, `"update_link_issue"`, "open", eventv1.Action_ACTION_UPDATED, "update_link_issue"},
		{`"update"`, `null`, "merged", eventv1.Action_ACTION_UPDATED, ""},
		{`"update"`, `"open"`, "open", eventv1.Action_ACTION_UPDATED, "open"},
		{`"merge"`, `"open"`, "merged", eventv1.Action_ACTION_MERGED, ""},
		{`"close"`, `"open"`, "closed", eventv1.Action_ACTION_CLOSED, ""},
		{`"reopen"`, `""`, "open", eventv1.Action_ACTION_REOPENED, ""},
		{`"assign"`, `null`, "open", eventv1.Action_ACTION_ASSIGNED, ""},
		{`"unassign"`, `null`, "open", eventv1.Action_ACTION_UNASSIGNED, ""},
		{`"approved"`, `null`, "open", eventv1.Action_ACTION_APPROVED, ""},
		{`"tested"`, `null`, "open", eventv1.Action_ACTION_TESTED, ""},
		{`"test"`, `null`, "open", eventv1.Action_ACTION_TESTER_ASSIGNED, ""},
		{`"untest"`, `null`, "open", eventv1.Action_ACTION_TESTER_UNASSIGNED, ""},
		{`"draft"`, `"on"`, "open", eventv1.Action_ACTION_UPDATED, "on"},
	} {
		e := mustParse(t, headers(pullHook), `{"action":`+tt.action+`,"action_desc":`+tt.desc+`,"pull_request":{"number":1,"state":"`+tt.state+`"},`+repo+`}`)
		if e.GetAction() != tt.want || e.GetHostActionDetail() != tt.detail {
			t.Errorf("%s %s in state %s: got %v %q, want %v %q", tt.action, tt.desc, tt.state, e.GetAction(), e.GetHostActionDetail(), tt.want, tt.detail)
		}
	}
}

func TestActionsAndTargetsOfComments(t *testing.T) {
	const issue, pull = `,"issue":{"id":5,"number":"I5"}`, `,"pull_request":{"id":6,"number":9}`
	for _, tt := range []struct {
		action, noteable, more string
		want                   eventv1.Action
		target                 string
	}{
		{`"comment"`, `"Issue"`, issue, eventv1.Action_ACTION_CREATED, "issue I5"},
		{`null`, `"Issue"`, issue, eventv1.Action_ACTION_CREATED, "issue I5"},
		{`"edited"`, `"PullRequest"`, pull, eventv1.Action_ACTION_EDITED, "pull request 9"},
		{`"deleted"`, `"Commit"`, `,"short_commit_id":"a1b2c3d"`, eventv1.Action_ACTION_DELETED, "commit a1b2c3d"},
		{`"comment"`, `"Commit"`, `,"short_commit_id":null`, eventv1.Action_ACTION_CREATED, "commit "},
		{`"comment"`, `"Comment"`, `,"issue":null,"pull_request":null`, eventv1.Action_ACTION_CREATED, "repository"},
		{`"comment"`, `null`, issue, eventv1.Action_ACTION_CREATED, "issue I5"},
		{`"comment"`, `null`, pull, eventv1.Action_ACTION_CREATED, "pull request 9"},
		{`"comment"`, `null`, `,"short_commit_id":"a1b2c3d"`, eventv1.Action_ACTION_CREATED, "commit a1b2c3d"},
		{`"comment"`, `null`, `,"short_commit_id":""`, eventv1.Action_ACTION_CREATED, "repository"},
		{`"comment"`, `"Issue"`, `,"issue":null,"per_iid":"#I4CF12"`, eventv1.Action_ACTION_CREATED, "issue I4CF12"},
		{`"comment"`, `"PullRequest"`, `,"per_iid":"!7"`, eventv1.Action_ACTION_CREATED, "pull request 7"},
		{`"comment"`, `"PullRequest"`, `,"per_iid":7`, eventv1.Action_ACTION_CREATED, "pull request 7"},
		{`"comment"`, `"PullRequest"`, ``, eventv1.Action_ACTION_CREATED, "repository"},
		{`"comment"`, `"Wiki"`, ``, eventv1.Action_ACTION_CREATED, "repository"},
	} {
		e := mustParse(t, headers(noteHook), `{"action":`+tt.action+`,"noteable_type":`+tt.noteable+`,"comment":{"id":7,"body":"好"}`+tt.more+`,`+repo+`}`)
		if got := target(e.GetComment()); e.GetAction() != tt.want || got != tt.target {
			t.Errorf("%s on %s%s: got %v on %s, want %v on %s", tt.action, tt.noteable, tt.more, e.GetAction(), got, tt.want, tt.target)
		}
	}
}

func target(c *eventv1.Comment) string {
	switch {
	case c.GetIssue() != nil:
		return "issue " + c.GetIssue().GetNumber()
	case c.GetPullRequest() != nil:
		return "pull request " + string(rune('0'+c.GetPullRequest().GetNumber()))
	case c.GetCommit() != nil:
		return "commit " + c.GetCommit().GetId()
	default:
		return "repository"
	}
}

func TestActionsOfBranchesAndTags(t *testing.T) {
	commit := func(id, parents string) string { return `{"id":"` + id + `","parent_ids":` + parents + `}` }
	linear := `"commits":[` + commit("b1", `["a1"]`) + `,` + commit("b2", `["b1"]`) + `]`
	foreign := `"commits":[` + commit("b1", `["c9"]`) + `,` + commit("b2", `["b1"]`) + `]`
	for _, tt := range []struct {
		name, ref, before, after, more string
		want                           eventv1.Action
	}{
		{"forward", "refs/heads/x", "a1", "b2", linear + `,"total_commits_count":2,"commits_more_than_ten":false`, eventv1.Action_ACTION_PUSHED},
		{"rewritten", "refs/heads/x", "a1", "b2", foreign + `,"total_commits_count":2,"commits_more_than_ten":false`, eventv1.Action_ACTION_MOVED},
		{"rewritten, flag null", "refs/heads/x", "a1", "b2", foreign + `,"total_commits_count":"2","commits_more_than_ten":null`, eventv1.Action_ACTION_MOVED},
		{"set back", "refs/heads/x", "a1", "b2", `"commits":[],"total_commits_count":0`, eventv1.Action_ACTION_MOVED},
		{"list cut by Gitee", "refs/heads/x", "a1", "b2", foreign + `,"total_commits_count":3`, eventv1.Action_ACTION_PUSHED},
		{"more than ten", "refs/heads/x", "a1", "b2", foreign + `,"total_commits_count":2,"commits_more_than_ten":true`, eventv1.Action_ACTION_PUSHED},
		{"more than ten, as a number", "refs/heads/x", "a1", "b2", foreign + `,"total_commits_count":2,"commits_more_than_ten":10`, eventv1.Action_ACTION_PUSHED},
		{"total unknown", "refs/heads/x", "a1", "b2", foreign + `,"total_commits_count":null`, eventv1.Action_ACTION_PUSHED},
		{"no list", "refs/heads/x", "a1", "b2", `"commits":null,"total_commits_count":0`, eventv1.Action_ACTION_PUSHED},
		{"no parents", "refs/heads/x", "a1", "b2", `"commits":[{"id":"b2"}],"total_commits_count":1`, eventv1.Action_ACTION_PUSHED},
		{"parents that can't be read", "refs/heads/x", "a1", "b2", `"commits":[` + commit("b2", `[null]`) + `],"total_commits_count":1`, eventv1.Action_ACTION_PUSHED},
		{"merge", "refs/heads/x", "a1", "b2", `"commits":[` + commit("b1", `["c9"]`) + `,` + commit("b2", `["a1","b1"]`) + `],"total_commits_count":2`, eventv1.Action_ACTION_PUSHED},
		{"new by flag", "refs/heads/x", "a1", "b2", `"created":true`, eventv1.Action_ACTION_CREATED},
		{"new by zeros", "refs/heads/x", "0000000000000000000000000000000000000000", "b2", `"created":null`, eventv1.Action_ACTION_CREATED},
		{"removed by flag", "refs/heads/x", "a1", "b2", `"deleted":true`, eventv1.Action_ACTION_DELETED},
		{"removed by zeros", "refs/heads/x", "a1", "00000000", `"deleted":"false"`, eventv1.Action_ACTION_DELETED},
		{"new tag", "refs/tags/x", "00000000", "b2", `"created":true`, eventv1.Action_ACTION_CREATED},
		{"moved tag", "refs/tags/x", "a1", "b2", linear + `,"total_commits_count":2`, eventv1.Action_ACTION_MOVED},
		{"removed tag", "refs/tags/x", "a1", "0", `"deleted":1`, eventv1.Action_ACTION_DELETED},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := `{"ref":"` + tt.ref + `","before":"` + tt.before + `","after":"` + tt.after + `",` + tt.more + `,` + repo + `}`
			for _, event := range []string{pushHook, tagHook} { // the ref tells which it is
				e := mustParse(t, headers(event), body)
				if e.GetAction() != tt.want {
					t.Errorf("got %v, want %v", e.GetAction(), tt.want)
				}
				before, after, page := e.GetPush().GetBefore(), e.GetPush().GetAfter(), e.GetPush().GetBranchUrl()
				if tag := e.GetTag(); tag != nil {
					before, after, page = tag.GetBefore(), tag.GetAfter(), tag.GetUrl()
				}
				created, deleted := tt.want == eventv1.Action_ACTION_CREATED, tt.want == eventv1.Action_ACTION_DELETED
				if (before == "") != created || (after == "") != deleted || (page == "") != deleted {
					t.Errorf("before %q, after %q, page %q", before, after, page)
				}
			}
		})
	}
}
