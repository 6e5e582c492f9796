package gitee

import (
	"strconv"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// pull reads a merge request hook.
func (d *delivery) pull() (*eventv1.Event, error) {
	if !d.PullRequest.got {
		return nil, malformed("the body has no pull_request")
	}
	w := &d.PullRequest.v
	pr := w.pull()
	// The top level repeats the pull request's fields, and stands in where those are missing.
	if pr.Number == 0 {
		pr.Number = positive(first(d.Number, d.IID))
	}
	if pr.Number == 0 {
		return nil, malformed("the pull request has no number")
	}
	if pr.Title == "" {
		pr.Title = line(d.Title, maxTitle)
	}
	if pr.Body == "" {
		pr.Body = prose(d.Body, maxBody)
	}
	if pr.Url == "" {
		pr.Url = link(d.URL)
	}
	if pr.State == "" {
		pr.State = line(d.State, maxWord)
	}
	if pr.MergeStatus == "" {
		pr.MergeStatus = line(d.MergeStatus, maxWord)
	}
	if pr.SourceBranch == "" {
		pr.SourceBranch = line(d.SourceBranch, maxPath)
	}
	if pr.SourceRepository == "" {
		pr.SourceRepository = repositoryOf(d.SourceRepo.v.Repository, d.SourceRepo.v.Project).path()
	}
	if pr.TargetBranch == "" {
		pr.TargetBranch = line(d.TargetBranch, maxPath)
	}
	if pr.Author == nil {
		pr.Author = d.Author.v.user()
	}

	repository := repositoryOf(d.Repository, d.Project, d.TargetRepo.v.Repository, d.TargetRepo.v.Project, w.Base.v.Repo)
	e := &eventv1.Event{
		Action:           pullAction(word(d.Action), word(d.ActionDesc), pr.State),
		Repository:       repository.repository(),
		Sender:           firstUser(d.Sender, d.UpdatedBy, w.UpdatedBy),
		HostAction:       line(d.Action, maxWord),
		HostActionDetail: d.detail(),
		Subject:          &eventv1.Event_PullRequest{PullRequest: pr},
	}
	if e.Repository == nil {
		return nil, malformed("the pull request names no repository: repository.path_with_namespace is missing")
	}
	switch e.Action {
	case eventv1.Action_ACTION_OPENED:
		e.OccurTime = stamp(d.occurred(first(w.CreatedAt, w.UpdatedAt)))
	case eventv1.Action_ACTION_MERGED:
		e.OccurTime = stamp(d.occurred(first(w.MergedAt, w.UpdatedAt)))
	case eventv1.Action_ACTION_CLOSED:
		e.OccurTime = stamp(d.occurred(first(w.ClosedAt, w.UpdatedAt)))
	default:
		e.OccurTime = stamp(d.occurred(w.UpdatedAt))
	}

	k := newKey("pull_request", hostOf(w.HTMLURL, d.URL, repository.HTMLURL))
	k.num(pr.Id)
	if pr.Id == 0 {
		k.str(e.Repository.Path)
	}
	k.num(pr.Number)
	k.str(e.Action.String())
	if e.Action != eventv1.Action_ACTION_OPENED && e.Action != eventv1.Action_ACTION_MERGED {
		k.str(e.HostAction, e.HostActionDetail, pr.State, pr.Head, pr.SourceBranch, pr.TargetBranch, pr.Milestone)
		k.text(first(w.Title, d.Title), first(w.Body, d.Body))
		k.people(pr.Assignees...)
		k.people(pr.Testers...)
		k.people(e.Sender)
		k.labels(pr.Labels)
		k.moment(w.UpdatedAt, d.sent)
	}
	e.Id = k.id("pull_request")
	return e, nil
}

// pullAction finds what happened to a pull request. Real deliveries always name an action; Gitee's
// manual shows one that does not, and there the state tells. With a new pull request that has reviewers or
// testers Gitee sends two more deliveries with the action "open", which only the detail tells apart (known
// from the code of bkdevops-projects/devops-scm).
func pullAction(host, detail, state string) eventv1.Action {
	switch {
	case host == "":
		host = map[string]string{"merged": "merge", "closed": "close"}[state]
	case host == "open" && (detail == "assign" || detail == "test"):
		host = detail
	}
	switch host {
	case "open", "":
		return eventv1.Action_ACTION_OPENED
	case "merge", "merged":
		return eventv1.Action_ACTION_MERGED
	case "close", "closed":
		return eventv1.Action_ACTION_CLOSED
	case "reopen", "reopened":
		return eventv1.Action_ACTION_REOPENED
	case "assign":
		return eventv1.Action_ACTION_ASSIGNED
	case "unassign":
		return eventv1.Action_ACTION_UNASSIGNED
	case "approved", "approve":
		return eventv1.Action_ACTION_APPROVED
	case "tested":
		return eventv1.Action_ACTION_TESTED
	case "test":
		return eventv1.Action_ACTION_TESTER_ASSIGNED
	case "untest":
		return eventv1.Action_ACTION_TESTER_UNASSIGNED
	default:
		return eventv1.Action_ACTION_UPDATED
	}
}

// pull returns the pull request for an event; its number may still be 0.
func (w *wirePull) pull() *eventv1.PullRequest {
	state := line(w.State, maxWord)
	if w.Merged {
		state = "merged"
	}
	return &eventv1.PullRequest{
		Id:               w.ID.id(),
		Number:           w.Number.id(),
		Title:            line(w.Title, maxTitle),
		Body:             prose(w.Body, maxBody),
		Url:              link(w.HTMLURL),
		State:            state,
		SourceBranch:     line(w.Head.v.Ref, maxPath),
		SourceRepository: w.Head.v.Repo.v.path(),
		TargetBranch:     line(w.Base.v.Ref, maxPath),
		Head:             line(w.Head.v.SHA, maxHash),
		Author:           w.User.v.user(),
		Assignees:        union(w.Assignees, w.Assignee),
		Testers:          union(w.Testers, w.Tester),
		Labels:           labels(w.Labels),
		Milestone:        line(text(w.Milestone), maxPath),
		Commits:          w.Commits.count(),
		Additions:        w.Additions.count(),
		Deletions:        w.Deletions.count(),
		ChangedFiles:     w.ChangedFiles.count(),
		MergeStatus:      line(w.MergeStatus, maxWord),
	}
}

// positive reads a positive integer, 0 where there is none.
func positive(s text) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(s)), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
