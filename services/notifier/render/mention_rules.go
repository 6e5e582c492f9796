package render

import (
	"slices"
	"strconv"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// This file says who is called for an event. Only persons of the table are, so that no text can call anybody
// else, and only through the robot's rules, so that it can't choose the occasion either.

// everyone stands for all in a group where otherwise one of the table's people does. Nobody's user id has blanks.
const everyone = "all in the group"

// callsOf returns whom e calls: those who have one of the occasion's roles, then those whom its text names,
// each once, at most 50, and never who did it. Those whom the group saw called for the same already are left out.
//
// A text names people when it is new: the title and text of an issue or a pull request that was opened, and a
// comment. An edited one does not call them again, and commit messages call nobody.
func (r *Renderer) callsOf(e *eventv1.Event, told *lately) calls {
	var c calls
	roles, names := r.occasion(e)
	if len(roles) == 0 && !names {
		return c
	}
	about := ""
	if !told.isEmpty() {
		about = callAbout(e)
	}
	if slices.Contains(roles, Everybody) && !told.has(markCalled, about, everyone) {
		c.everybody, c.about = true, []string{everyone}
	}
	if r.opts.People.isEmpty() {
		return c
	}
	self, _ := r.opts.People.find(actor(e).GetLogin())
	call := func(login string) {
		p, known := r.opts.People.find(login)
		if !known || p.who == self.who || slices.Contains(c.about, p.who) || len(c.people) == dingtalk.MaxMentions {
			return
		}
		if to, ok := r.callee(p.Person); ok && !slices.Contains(c.people, to) && !told.has(markCalled, about, p.who) {
			c.people, c.about = append(c.people, to), append(c.about, p.who)
		}
	}
	for _, role := range roles {
		for _, u := range holders(e, role) {
			call(u.GetLogin())
		}
	}
	if names && r.opts.Mentions.Names {
		for _, text := range newTexts(e) {
			for login := range namedIn(text, r.opts.People) {
				call(login)
			}
		}
	}
	return c
}

// occasion returns which of the robot's rules e falls under, and whether its text is new.
func (r *Renderer) occasion(e *eventv1.Event) (roles []Role, names bool) {
	m := &r.opts.Mentions
	switch e.GetSubject().(type) {
	case *eventv1.Event_Comment:
		if e.GetAction() == eventv1.Action_ACTION_CREATED {
			return m.Commented, true
		}
	case *eventv1.Event_Issue, *eventv1.Event_PullRequest:
		switch e.GetAction() {
		case eventv1.Action_ACTION_OPENED:
			return r.openingRoles(e.GetPullRequest()), true
		case eventv1.Action_ACTION_REOPENED:
			return m.Opened, false
		case eventv1.Action_ACTION_ASSIGNED:
			return slices.DeleteFunc(slices.Clone(m.Assigned), func(r Role) bool { return r == Testers }), false
		case eventv1.Action_ACTION_TESTER_ASSIGNED:
			return slices.DeleteFunc(slices.Clone(m.Assigned), func(r Role) bool { return r == Reviewers }), false
		case eventv1.Action_ACTION_APPROVED, eventv1.Action_ACTION_TESTED:
			return m.Approved, false
		case eventv1.Action_ACTION_MERGED:
			return m.Merged, false
		case eventv1.Action_ACTION_CLOSED:
			return m.Closed, false
		}
	}
	return nil, false
}

// openingRoles returns who is called by an opening; p is nil for an issue's. The assignments that come along
// with a pull request are told with its opening, so it calls whom they would: otherwise it would be the order
// in which Gitee's deliveries arrive that decides whether a tester hears of it.
func (r *Renderer) openingRoles(p *eventv1.PullRequest) []Role {
	roles := r.opts.Mentions.Opened
	if !r.opts.Folding.Companions || len(p.GetAssignees())+len(p.GetTesters()) == 0 {
		return roles
	}
	roles = slices.Clone(roles)
	for _, role := range r.opts.Mentions.Assigned {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// holders are those who have a role in what e is about.
func holders(e *eventv1.Event, role Role) []*eventv1.User {
	issue, pull := subjectsOf(e)
	switch role {
	case Assignee:
		return []*eventv1.User{issue.GetAssignee()}
	case Collaborators:
		return issue.GetCollaborators()
	case Reviewers:
		return pull.GetAssignees()
	case Testers:
		return pull.GetTesters()
	case Author:
		return []*eventv1.User{issue.GetAuthor(), pull.GetAuthor()}
	}
	return nil
}

// subjectsOf returns the issue or the pull request that e is about, or that its comment is; nil for neither.
func subjectsOf(e *eventv1.Event) (*eventv1.Issue, *eventv1.PullRequest) {
	if c := e.GetComment(); c != nil {
		return c.GetIssue(), c.GetPullRequest()
	}
	return e.GetIssue(), e.GetPullRequest()
}

// newTexts are the texts of e in which people may be named, in full.
func newTexts(e *eventv1.Event) []string {
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Issue:
		return []string{x.Issue.GetTitle(), x.Issue.GetBody()}
	case *eventv1.Event_PullRequest:
		return []string{x.PullRequest.GetTitle(), x.PullRequest.GetBody()}
	case *eventv1.Event_Comment:
		return []string{x.Comment.GetBody()}
	}
	return nil
}

// callAbout is what the calls of e are about: two events with the same call nobody twice. The opening of an
// issue or a pull request and the assignments that follow it are about the same; anything else is only about
// itself, also where a second hook tells of it again.
func callAbout(e *eventv1.Event) string {
	var number string
	switch x := e.GetSubject().(type) {
	case *eventv1.Event_Issue:
		number = "#" + x.Issue.GetNumber()
	case *eventv1.Event_PullRequest:
		number = "!" + strconv.FormatInt(x.PullRequest.GetNumber(), 10)
	}
	switch e.GetAction() {
	case eventv1.Action_ACTION_OPENED, eventv1.Action_ACTION_ASSIGNED, eventv1.Action_ACTION_TESTER_ASSIGNED:
		if number != "" {
			return markKey("people", e.GetRepository().GetPath(), number)
		}
	}
	return markKey("event", e.GetId())
}
