package gitee

import (
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// comment reads a note hook.
func (d *delivery) comment() (*eventv1.Event, error) {
	if !d.Comment.got {
		return nil, malformed("the body has no comment")
	}
	w := &d.Comment.v
	comment := &eventv1.Comment{
		Id:     w.ID.id(),
		Body:   prose(first(w.Body, d.Note), maxBody),
		Url:    link(w.HTMLURL, d.URL),
		Author: firstUser(w.User, d.Author),
	}
	d.setTarget(comment)

	repository := repositoryOf(d.Repository, d.Project)
	e := &eventv1.Event{
		Repository:       repository.repository(),
		Sender:           firstUser(d.Sender, d.Author),
		HostAction:       line(d.Action, maxWord),
		HostActionDetail: d.detail(),
		Subject:          &eventv1.Event_Comment{Comment: comment},
	}
	switch word(d.Action) {
	case "comment", "":
		e.Action = eventv1.Action_ACTION_CREATED
		e.OccurTime = stamp(d.occurred(first(w.CreatedAt, w.UpdatedAt)))
	case "edited":
		e.Action = eventv1.Action_ACTION_EDITED
		e.OccurTime = stamp(d.occurred(w.UpdatedAt))
	case "deleted": // does not change updated_at (seen in real deliveries)
		e.Action = eventv1.Action_ACTION_DELETED
		e.OccurTime = stamp(d.occurred("", w.UpdatedAt))
	default:
		return nil, ignored("Belfry has no words for the action %q on a comment; it knows new, edited and deleted ones", e.HostAction)
	}

	k := newKey("comment", hostOf(w.HTMLURL, d.URL, repository.HTMLURL))
	k.num(comment.Id)
	k.str(e.Action.String())
	if comment.Id == 0 || e.Action == eventv1.Action_ACTION_EDITED {
		k.str(comment.Url)
		k.text(first(w.Body, d.Note))
		k.people(e.Sender)
		k.moment(first(w.UpdatedAt, w.CreatedAt), d.sent)
	}
	e.Id = k.id("comment")
	return e, nil
}

// setTarget sets what the comment is about. It stays unset for the repository itself, and where the body
// says that it is about an issue or a pull request, but not which.
func (d *delivery) setTarget(c *eventv1.Comment) {
	switch d.noteable() {
	case "issue":
		issue := d.Issue.v.issue()
		if issue.Number == "" {
			issue.Number = line(text(strings.TrimPrefix(string(d.PerIID), "#")), maxNumber)
		}
		if issue.Id == 0 {
			issue.Id = d.NoteableID.id()
		}
		if issue.Title == "" {
			issue.Title = line(d.Title, maxTitle)
		}
		if issue.Url == "" {
			issue.Url = pageOf(c.Url)
		}
		if issue.Number != "" {
			c.Target = &eventv1.Comment_Issue{Issue: issue}
		}
	case "pullrequest":
		pr := d.PullRequest.v.pull()
		if pr.Number == 0 {
			pr.Number = positive(text(strings.TrimPrefix(string(d.PerIID), "!")))
		}
		if pr.Id == 0 {
			pr.Id = d.NoteableID.id()
		}
		if pr.Title == "" {
			pr.Title = line(d.Title, maxTitle)
		}
		if pr.Url == "" {
			pr.Url = pageOf(c.Url)
		}
		if pr.Number != 0 {
			c.Target = &eventv1.Comment_PullRequest{PullRequest: pr}
		}
	case "commit":
		c.Target = &eventv1.Comment_Commit{Commit: &eventv1.CommitTarget{
			Id:       line(first(d.Comment.v.CommitID, d.ShortCommitID), maxHash),
			Position: line(d.Comment.v.Position, maxName),
		}}
	}
}

// noteable returns what the comment is about, by Gitee's word for it in lower case; where that is
// missing, by what the body holds.
func (d *delivery) noteable() string {
	if s := word(d.NoteableType); s != "" {
		return s
	}
	switch {
	case d.Issue.got:
		return "issue"
	case d.PullRequest.got:
		return "pullrequest"
	case first(d.Comment.v.CommitID, d.ShortCommitID) != "":
		return "commit"
	default:
		return "comment"
	}
}

// pageOf returns the page that a comment's address points into.
func pageOf(comment string) string {
	page, _, _ := strings.Cut(comment, "#")
	return page
}
