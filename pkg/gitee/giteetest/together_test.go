package giteetest_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

func TestEventsAreWhatTheDeliveriesParseInto(t *testing.T) {
	deliveries, events := giteetest.All(now), giteetest.Events(now)
	if len(events) != len(deliveries) {
		t.Fatalf("%d events of %d deliveries", len(events), len(deliveries))
	}
	for i, d := range deliveries {
		want, err := send(t, secrets["signature"], d, now)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(events[i], want) {
			t.Errorf("%s: the event is\n%v, want\n%v", d.Name, events[i], want)
		}
	}
}

// sample returns the event of the delivery with the name, and the one of that after it.
func sample(t *testing.T, name string) (event, next *eventv1.Event) {
	t.Helper()
	events := giteetest.Events(now)
	for i, d := range giteetest.All(now) {
		if d.Name == name {
			return events[i], events[i+1]
		}
	}
	t.Fatalf("there is no delivery %s", name)
	return nil, nil
}

func TestAMergeBringsItsPushAndTheRemovalOfItsBranch(t *testing.T) {
	merge, push := sample(t, "pull_request_merged")
	_, removal := sample(t, "push_merge")
	pr := merge.GetPullRequest()
	head := push.GetPush().GetHeadCommit()
	if push.GetPush().GetBranch() != pr.GetTargetBranch() || push.GetPush().GetTruncated() {
		t.Errorf("the push is to %s and truncated: %t; the merge is into %s", push.GetPush().GetBranch(), push.GetPush().GetTruncated(), pr.GetTargetBranch())
	}
	want := "!128 " + pr.GetTitle() + "\nMerge pull request !128 from Анна Петрова/" + pr.GetSourceBranch()
	if strings.TrimSpace(head.GetMessage()) != want {
		t.Errorf("the commit says %q, want %q", head.GetMessage(), want)
	}
	commits := push.GetPush().GetCommits()
	if n := len(commits); n != int(pr.GetCommits())+1 || commits[n-2].GetId() != pr.GetHead() || commits[n-1].GetId() != head.GetId() {
		t.Errorf("the push does not bring the pull request's %d commits and the merge's: %v", pr.GetCommits(), commits)
	}
	if removal.GetAction() != eventv1.Action_ACTION_DELETED || removal.GetPush().GetBranch() != pr.GetSourceBranch() || removal.GetPush().GetBefore() != pr.GetHead() {
		t.Errorf("after the push comes %v, want the removal of %s", removal, pr.GetSourceBranch())
	}
	if took := removal.GetOccurTime().AsTime().Sub(merge.GetOccurTime().AsTime()); took.Seconds() > 3 {
		t.Errorf("the three took %v", took)
	}
}

func TestANewPullRequestHasCompanionsAndUpdatesComeTogether(t *testing.T) {
	opened, assign := sample(t, "pull_request_opened")
	_, test := sample(t, "pull_request_opened_assign")
	for detail, e := range map[string]*eventv1.Event{"assign": assign, "test": test} {
		if e.GetHostAction() != "open" || e.GetHostActionDetail() != detail || e.GetPullRequest().GetId() != opened.GetPullRequest().GetId() ||
			!e.GetOccurTime().AsTime().Equal(opened.GetOccurTime().AsTime()) {
			t.Errorf("the companion %s is %v", detail, e)
		}
	}
	if len(assign.GetPullRequest().GetAssignees()) == 0 || len(test.GetPullRequest().GetTesters()) == 0 {
		t.Error("nobody is asked to review or to test")
	}
	first, second := sample(t, "pull_request_target_branch_changed")
	if second.GetAction() != eventv1.Action_ACTION_UPDATED || second.GetOccurTime().AsTime().Sub(first.GetOccurTime().AsTime()).Seconds() != 1 {
		t.Errorf("a second after the update comes %v", second)
	}
}

func TestPeopleAreNamedInATitleABodyAndAComment(t *testing.T) {
	var title, body, comment bool
	for _, e := range giteetest.Events(now) {
		title = title || strings.Contains(e.GetIssue().GetTitle()+e.GetPullRequest().GetTitle(), "@anna-p")
		body = body || strings.Contains(e.GetPullRequest().GetBody(), "@lina")
		comment = comment || strings.Contains(e.GetComment().GetBody(), "@anna-p")
	}
	if !title || !body || !comment {
		t.Errorf("named in a title: %t, in a body: %t, in a comment: %t", title, body, comment)
	}
}
