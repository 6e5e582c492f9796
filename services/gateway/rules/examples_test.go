package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheManualsExamplesTakeWhatItSays has the rules that the README shows, letter by letter.
func TestTheManualsExamplesTakeWhatItSays(t *testing.T) {
	for source, want := range map[string]string{
		// Pushes to release branches, and tags.
		`kind == "tag" || kind == "push" && glob(branch, "release/**")`: "push_merge tag_created tag_moved tag_deleted",
		// Merges into main and into releases, but for those of a robot account.
		`action == "merged" && glob(branch, "{main,release/*}") && sender != "deploy-bot"`: "pull_request_merged",
		// Whatever is about an issue or a pull request with one of two labels, comments on it included.
		`labels.exists(l, l in ["срочно", "ready to merge"]) && kind != "issue"`: "comment_issue comment_edited comment_deleted " +
			"pull_request_label_changed pull_request_target_branch_changed pull_request_issues_changed pull_request_updated " +
			"pull_request_approved pull_request_tested pull_request_merged",
		// Pushes that change the database's schema.
		`touches(event, "**/*.sql") && action != "deleted"`: "push_new_branch push_many_commits",
		// New issues and pull requests by anybody outside the team, and what asks for help.
		`action == "opened" && !(sender in ["zhangwei", "anna-p", "liam"]) || event.comment.body.matches("(?i)\\bplease\\b")`: "issue_opened comment_repository",
	} {
		if diff := cmp.Diff(strings.Fields(want), takers(t, source)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}
