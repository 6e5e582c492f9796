package giteetest

import (
	"fmt"
	"time"
)

// issue is an issue as it stands.
type issue struct {
	id                         int64
	number, title, body        string
	state, stateName, typeName string
	author, assignee           *person
	collaborators              []*person
	labels                     []object
	milestone                  string
	created, updated           time.Time
}

func (i *issue) page(r *repository) string { return r.page() + "/issues/" + i.number }

func label(id int, name, color string) object {
	return object{{"id", id}, {"name", name}, {"color", color}}
}

// milestone is a milestone as an object, null where there is none.
func milestone(r *repository, title string, at time.Time) any {
	if title == "" {
		return nil
	}
	return object{
		{"html_url", r.page() + "/milestones/208815"},
		{"id", 208815},
		{"number", 208815},
		{"title", title},
		{"description", nil},
		{"open_issues", 9},
		{"started_issues", 2},
		{"closed_issues", 4},
		{"approved_issues", 0},
		{"state", "open"},
		{"created_at", "2026-01-05T09:00:00+08:00"},
		{"updated_at", clock(at)},
		{"due_on", nil},
	}
}

func (i *issue) full(r *repository) object {
	labels := i.labels
	if labels == nil {
		labels = []object{}
	}
	return object{
		{"html_url", i.page(r)},
		{"id", i.id},
		{"number", i.number},
		{"title", i.title},
		{"user", i.author.full()},
		{"labels", labels},
		{"state", i.state},
		{"state_name", i.stateName},
		{"type_name", i.typeName},
		{"assignee", i.assignee.orNull()},
		{"collaborators", all(i.collaborators)},
		{"milestone", milestone(r, i.milestone, i.updated)},
		{"comments", 1},
		{"created_at", clock(i.created)},
		{"updated_at", clock(i.updated)},
		{"body", i.body},
	}
}

// delivery is the body of an issue hook.
func (i *issue) delivery(r *repository, action string, by *person, pushed time.Time) []byte {
	var title any
	if i.milestone != "" {
		title = i.milestone
	}
	o := object{
		{"action", action},
		{"issue", i.full(r)},
		{"repository", r.full(pushed)},
		{"project", r.full(pushed)},
		{"sender", by.full()},
		{"target_user", nil},
		{"user", i.author.full()},
		{"assignee", i.assignee.orNull()},
		{"updated_by", by.full()},
		{"iid", i.number},
		{"title", i.title},
		{"description", i.body},
		{"state", i.state},
		{"milestone", title},
		{"url", i.page(r)},
	}
	return append(o, r.envelope("issue_hooks")...).append(nil)
}

// pull is a pull request as it stands.
type pull struct {
	id                                         int64
	number                                     int
	title, body                                string
	state, mergeStatus                         string
	source, target                             string
	head, base                                 string
	from                                       *repository
	author                                     *person
	assignees, testers                         []*person
	labels                                     []object
	milestone                                  string
	commits, additions, deletions, changedFile int
	created, updated, closed, merged           time.Time
}

func (p *pull) page(r *repository) string { return fmt.Sprintf("%s/pulls/%d", r.page(), p.number) }

// mergeCommit is the hash of the commit that merges it.
func (p *pull) mergeCommit() string { return hash("merge", p.head) }

// when is a time, null for the zero time.
func when(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return clock(t)
}

func side(r *repository, ref, sha string, owner *person, at time.Time) object {
	return object{
		{"label", owner.name + ":" + ref},
		{"ref", ref},
		{"sha", sha},
		{"user", owner.full()},
		{"repo", r.full(at)},
	}
}

func (p *pull) full(r *repository, by *person) object {
	var mergeCommit any
	if p.state == "merged" {
		mergeCommit = p.mergeCommit()
	}
	labels := p.labels
	if labels == nil {
		labels = []object{}
	}
	return object{
		{"id", p.id},
		{"number", p.number},
		{"state", p.state},
		{"html_url", p.page(r)},
		{"diff_url", p.page(r) + ".diff"},
		{"patch_url", p.page(r) + ".patch"},
		{"title", p.title},
		{"body", p.body},
		{"labels", labels},
		{"languages", []string{"Go"}},
		{"created_at", clock(p.created)},
		{"updated_at", clock(p.updated)},
		{"closed_at", when(p.closed)},
		{"merged_at", when(p.merged)},
		{"merge_commit_sha", mergeCommit},
		{"merge_reference_name", fmt.Sprintf("refs/pull/%d/MERGE", p.number)},
		{"user", p.author.full()},
		{"assignee", nil},
		{"assignees", all(p.assignees)},
		{"tester", nil},
		{"testers", all(p.testers)},
		{"need_test", len(p.testers) > 0},
		{"need_review", len(p.assignees) > 0},
		{"milestone", milestone(r, p.milestone, p.updated)},
		{"head", side(p.from, p.source, p.head, p.author, p.created)},
		{"base", side(r, p.target, p.base, r.owner, p.created)},
		{"merged", p.state == "merged"},
		{"mergeable", true},
		{"merge_status", p.mergeStatus},
		{"updated_by", by.full()},
		{"comments", 2},
		{"commits", p.commits},
		{"additions", p.additions},
		{"deletions", p.deletions},
		{"changed_files", p.changedFile},
	}
}

// delivery is the body of a merge request hook.
func (p *pull) delivery(r *repository, action, desc string, by *person, pushed time.Time) []byte {
	full := p.full(r, by)
	var mergeCommit, actionDesc any
	if desc != "" {
		actionDesc = desc
	}
	for _, m := range full {
		if m.key == "merge_commit_sha" {
			mergeCommit = m.value
		}
	}
	pair := func(r *repository) object {
		return object{{"project", r.full(pushed)}, {"repository", r.full(pushed)}}
	}
	o := object{
		{"action", action},
		{"action_desc", actionDesc},
		{"pull_request", full},
		{"number", p.number},
		{"iid", p.number},
		{"title", p.title},
		{"body", p.body},
		{"languages", []string{"Go"}},
		{"state", p.state},
		{"merge_status", p.mergeStatus},
		{"merge_commit_sha", mergeCommit},
		{"url", p.page(r)},
		{"source_branch", p.source},
		{"source_repo", pair(p.from)},
		{"target_branch", p.target},
		{"target_repo", pair(r)},
		{"project", r.full(pushed)},
		{"repository", r.full(pushed)},
		{"author", p.author.full()},
		{"updated_by", by.full()},
		{"sender", by.full()},
		{"target_user", nil},
	}
	return append(o, r.envelope("merge_request_hooks")...).append(nil)
}

// note is a comment.
type note struct {
	id               int64
	body             string
	author           *person
	created, updated time.Time

	issue    *issue // what it is about, if anything but the repository
	pull     *pull
	commit   string
	position string
}

// delivery is the body of a note hook.
func (n *note) delivery(r *repository, action string, pushed time.Time) []byte {
	noteable, page := "Comment", r.page()
	var id, title, perIID, short, about, request any
	switch {
	case n.issue != nil:
		noteable, page, id, title = "Issue", n.issue.page(r), n.issue.id, n.issue.title
		perIID, about = "#"+n.issue.number, n.issue.full(r)
	case n.pull != nil:
		noteable, page, id, title = "PullRequest", n.pull.page(r), n.pull.id, n.pull.title
		perIID, request = fmt.Sprintf("!%d", n.pull.number), n.pull.full(r, n.author)
	case n.commit != "":
		noteable, page, short = "Commit", r.page()+"/commit/"+n.commit, n.commit[:7]
	}
	page = fmt.Sprintf("%s#note_%d", page, n.id)
	comment := object{
		{"id", n.id},
		{"body", n.body},
		{"user", n.author.full()},
		{"created_at", clock(n.created)},
		{"updated_at", clock(n.updated)},
		{"html_url", page},
	}
	if n.commit != "" {
		comment = append(comment, object{{"position", n.position}, {"commit_id", n.commit}}...)
	}
	o := object{
		{"action", action},
		{"comment", comment},
		{"repository", r.full(pushed)},
		{"project", r.full(pushed)},
		{"author", n.author.full()},
		{"sender", n.author.full()},
		{"url", page},
		{"note", n.body},
		{"noteable_type", noteable},
		{"noteable_id", id},
		{"title", title},
		{"per_iid", perIID},
		{"short_commit_id", short},
		{"issue", about},
		{"pull_request", request},
	}
	return append(o, r.envelope("note_hooks")...).append(nil)
}
