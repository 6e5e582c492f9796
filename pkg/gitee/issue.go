package gitee

import (
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// issue reads an issue hook.
func (d *delivery) issue() (*eventv1.Event, error) {
	if !d.Issue.got {
		return nil, malformed("the body has no issue")
	}
	w := &d.Issue.v
	issue := w.issue()
	// The top level repeats the issue's fields, and stands in where those are missing.
	if issue.Number == "" {
		issue.Number = line(d.IID, maxNumber)
	}
	if issue.Number == "" {
		return nil, malformed("the issue has no number")
	}
	if issue.Title == "" {
		issue.Title = line(d.Title, maxTitle)
	}
	if issue.Body == "" {
		issue.Body = prose(d.Description, maxBody)
	}
	if issue.Url == "" {
		issue.Url = link(d.URL)
	}
	if issue.State == "" {
		issue.State = line(d.State, maxWord)
	}
	if issue.Milestone == "" {
		issue.Milestone = line(text(d.Milestone), maxPath)
	}
	if issue.Assignee == nil {
		issue.Assignee = d.Assignee.v.user()
	}
	if issue.Author == nil {
		issue.Author = d.User.v.user()
	}

	repository := repositoryOf(d.Repository, d.Project)
	e := &eventv1.Event{
		Action:           issueAction(word(d.Action), word(text(issue.State)), issue.Assignee != nil),
		Repository:       repository.repository(),
		Sender:           firstUser(d.Sender, d.UpdatedBy),
		HostAction:       line(d.Action, maxWord),
		HostActionDetail: d.detail(),
		Subject:          &eventv1.Event_Issue{Issue: issue},
	}
	switch e.Action {
	case eventv1.Action_ACTION_OPENED:
		e.OccurTime = stamp(d.occurred(w.CreatedAt, w.UpdatedAt))
	case eventv1.Action_ACTION_DELETED: // does not change updated_at (seen in real deliveries)
		e.OccurTime = stamp(d.occurred("", w.UpdatedAt))
	default:
		e.OccurTime = stamp(d.occurred(w.UpdatedAt))
	}

	k := newKey("issue", hostOf(w.HTMLURL, d.URL, repository.HTMLURL))
	k.num(issue.Id)
	k.str(issue.Number, e.Action.String())
	if e.Action != eventv1.Action_ACTION_OPENED && e.Action != eventv1.Action_ACTION_DELETED {
		k.str(e.HostAction, e.HostActionDetail, issue.State, issue.StateName, issue.TypeName, issue.Milestone)
		k.text(first(w.Title, d.Title), first(w.Body, d.Description))
		k.people(issue.Assignee)
		k.people(issue.Collaborators...)
		k.people(e.Sender)
		k.labels(issue.Labels)
		k.moment(w.UpdatedAt, d.sent)
	}
	e.Id = k.id("issue")
	return e, nil
}

// issueAction finds what happened to an issue. Gitee closes and reopens with "state_change" and does not
// send the state before: closed is an issue that stands in one of the closed states after it, reopened
// one that stands in "open".
func issueAction(host, state string, assigned bool) eventv1.Action {
	closed := state == "closed" || state == "rejected"
	switch host {
	case "":
		if closed {
			return eventv1.Action_ACTION_CLOSED
		}
		return eventv1.Action_ACTION_OPENED
	case "open":
		return eventv1.Action_ACTION_OPENED
	case "close", "closed":
		return eventv1.Action_ACTION_CLOSED
	case "reopen", "reopened":
		return eventv1.Action_ACTION_REOPENED
	case "delete", "deleted":
		return eventv1.Action_ACTION_DELETED
	case "assign":
		if !assigned {
			return eventv1.Action_ACTION_UNASSIGNED
		}
		return eventv1.Action_ACTION_ASSIGNED
	case "unassign":
		return eventv1.Action_ACTION_UNASSIGNED
	case "state_change":
		switch {
		case closed:
			return eventv1.Action_ACTION_CLOSED
		case state == "open":
			return eventv1.Action_ACTION_REOPENED
		}
		return eventv1.Action_ACTION_STATE_CHANGED
	default:
		return eventv1.Action_ACTION_UPDATED
	}
}

// issue returns the issue for an event; its number may still be empty.
func (w *wireIssue) issue() *eventv1.Issue {
	return &eventv1.Issue{
		Id:            w.ID.id(),
		Number:        line(w.Number, maxNumber),
		Title:         line(w.Title, maxTitle),
		Body:          prose(w.Body, maxBody),
		Url:           link(w.HTMLURL),
		State:         line(w.State, maxWord),
		StateName:     line(w.StateName, maxName),
		TypeName:      line(w.TypeName, maxName),
		Author:        w.User.v.user(),
		Assignee:      w.Assignee.v.user(),
		Collaborators: union(w.Collaborators),
		Labels:        labels(w.Labels),
		Milestone:     line(text(w.Milestone), maxPath),
	}
}

// occurred returns the first of the host's times that there is; an empty one stands for the time of the
// delivery, which also comes last.
func (d *delivery) occurred(times ...text) time.Time {
	for _, s := range times {
		if s == "" && !d.sent.IsZero() {
			return d.sent
		}
		if t, ok := clock(s); ok {
			return t
		}
	}
	return d.sent
}

// detail returns Gitee's closer word for the action. It says something only of updates: other actions
// carry a stale "open" (seen in real deliveries), which is left out.
func (d *delivery) detail() string {
	if word(d.ActionDesc) == "open" && word(d.Action) != "update" {
		return ""
	}
	return line(d.ActionDesc, maxWord)
}
