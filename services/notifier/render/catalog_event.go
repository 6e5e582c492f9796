package render

import (
	"strconv"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// push, tag, issue, pull, comment and ping say who did what where, in one sentence without a full stop. An
// action that does not go with the subject is worded as some change of it.

func (w wording) push(p pushFacts) phrase {
	t := &w.words.Push
	switch p.action {
	case eventv1.Action_ACTION_CREATED:
		if p.commits.isEmpty() {
			return t.Created.say(p.who, p.branch, p.repo)
		}
		return t.CreatedWith.say(p.who, p.commits, p.branch, p.repo)
	case eventv1.Action_ACTION_MOVED:
		return t.Moved.say(p.who, p.branch, p.repo)
	case eventv1.Action_ACTION_DELETED:
		return t.Deleted.say(p.who, p.branch, p.repo)
	}
	if p.commits.isEmpty() {
		return t.PushedSome.say(p.who, p.branch, p.repo)
	}
	return t.Pushed.say(p.who, p.commits, p.branch, p.repo)
}

func (w wording) tag(f tagFacts) phrase {
	t := &w.words.Tag
	s := &t.Moved
	switch f.action {
	case eventv1.Action_ACTION_CREATED:
		s = &t.Created
	case eventv1.Action_ACTION_DELETED:
		s = &t.Deleted
	}
	return s.say(f.who, f.tag, f.repo)
}

func (w wording) issue(i issueFacts) phrase {
	t := &w.words.Issue
	s := &t.Updated
	switch i.action {
	case eventv1.Action_ACTION_OPENED:
		s = &t.Opened
	case eventv1.Action_ACTION_CLOSED:
		s = &t.Closed
	case eventv1.Action_ACTION_REOPENED:
		s = &t.Reopened
	case eventv1.Action_ACTION_DELETED:
		s = &t.Deleted
	case eventv1.Action_ACTION_UNASSIGNED:
		s = &t.Unassigned
	case eventv1.Action_ACTION_ASSIGNED:
		switch {
		case i.assignee.isEmpty():
			s = &t.Reassigned
		case i.self:
			s = &t.Taken
		default:
			return t.Assigned.say(i.who, i.assignee, i.kind, i.issue, i.repo)
		}
	case eventv1.Action_ACTION_STATE_CHANGED:
		if state := w.state(i); !state.isEmpty() {
			return t.StateChanged.say(i.who, state, i.kind, i.issue, i.repo)
		}
		s = &t.StateUnknown
	default:
		switch i.detail {
		case detailLabels:
			s = &t.Labels
		case detailLinks:
			s = &t.Links
		}
	}
	return s.say(i.who, i.kind, i.issue, i.repo)
}

// state is the host's word for the state of an issue, or else the catalogue's for its code.
func (w wording) state(i issueFacts) phrase {
	t := &w.words.Issue.States
	switch {
	case !i.state.isEmpty():
		return i.state
	case i.stateCode == "open":
		return lit(string(t.Open))
	case i.stateCode == "progressing":
		return lit(string(t.Progressing))
	case i.stateCode == "closed":
		return lit(string(t.Closed))
	case i.stateCode == "rejected":
		return lit(string(t.Rejected))
	}
	return named(word, i.stateCode)
}

// Gitee's words for what an update changed (action_desc).
const (
	detailCode   = "source_branch_changed"
	detailTarget = "target_branch_changed"
	detailLabels = "update_label"
	detailLinks  = "update_link_issue"
)

func (w wording) pull(p pullFacts) phrase {
	t := &w.words.Pull
	s := &t.Updated
	switch p.action {
	case eventv1.Action_ACTION_OPENED:
		s = &t.Opened
	case eventv1.Action_ACTION_CLOSED:
		s = &t.Closed
	case eventv1.Action_ACTION_REOPENED:
		s = &t.Reopened
	case eventv1.Action_ACTION_MERGED:
		s = &t.Merged
	case eventv1.Action_ACTION_APPROVED:
		s = &t.Approved
	case eventv1.Action_ACTION_TESTED:
		s = &t.Tested
	case eventv1.Action_ACTION_ASSIGNED:
		if !p.people.isEmpty() {
			return t.Assigned.say(p.who, p.people, p.pull, p.repo)
		}
		s = &t.Reassigned
	case eventv1.Action_ACTION_UNASSIGNED:
		s = &t.Unassigned
	case eventv1.Action_ACTION_TESTER_ASSIGNED:
		if !p.people.isEmpty() {
			return t.TesterAssigned.say(p.who, p.people, p.pull, p.repo)
		}
		s = &t.TesterReassigned
	case eventv1.Action_ACTION_TESTER_UNASSIGNED:
		s = &t.TesterUnassigned
	default:
		switch p.detail {
		case detailCode:
			s = &t.Code
		case detailTarget:
			if !p.target.isEmpty() {
				return t.Target.say(p.who, p.target, p.pull, p.repo)
			}
			s = &t.TargetUnknown
		case detailLabels:
			s = &t.Labels
		case detailLinks:
			s = &t.Links
		}
	}
	return s.say(p.who, p.pull, p.repo)
}

func (w wording) comment(c commentFacts) phrase {
	t := &w.words.Comment
	if c.action == eventv1.Action_ACTION_DELETED {
		switch c.on {
		case onIssue:
			return t.Deleted.Issue.say(c.who, c.kind, c.what, c.repo)
		case onPull:
			return t.Deleted.Pull.say(c.who, c.what, c.repo)
		case onCommit:
			return t.Deleted.Commit.say(c.who, c.what, c.repo)
		}
		return t.Deleted.Repository.say(c.who, c.repo)
	}
	r := &t.Created
	if c.action == eventv1.Action_ACTION_EDITED {
		r = &t.Edited
	}
	said := noun(remark, "", c.url)
	switch c.on {
	case onIssue:
		return r.Issue.say(c.who, said, c.kind, c.what, c.repo)
	case onPull:
		return r.Pull.say(c.who, said, c.what, c.repo)
	case onCommit:
		return r.Commit.say(c.who, said, c.what, c.repo)
	}
	return r.Repository.say(c.who, said, c.repo)
}

func (w wording) ping(hook phrase) phrase {
	if hook.isEmpty() {
		return lit(string(w.words.Ping.Unnamed))
	}
	return w.words.Ping.Named.say(hook)
}

// pinged says, below ping, who pressed the button and what comes next.
func (w wording) pinged(who, repo phrase) phrase { return w.words.Ping.Next.say(who, repo) }

// somebody stands for a person who is not known.
func (w wording) somebody() phrase { return lit(string(w.words.Nouns.Somebody)) }

// commits counts commits, as a link to them.
func (w wording) commits(n int, url string) phrase {
	return noun(commits, w.amount(&w.words.Nouns.Commits, n), url)
}

// list joins nouns; more is how many are left out at its end.
func (w wording) list(nouns []phrase, more int) phrase {
	t := &w.words.Lists.Words
	if len(nouns) > 0 && !nouns[0].isEmpty() && nouns[0][0].kind == person {
		t = &w.words.Lists.People
	}
	var p phrase
	for i, n := range nouns {
		switch {
		case i == 0:
		case i == len(nouns)-1 && more == 0:
			p = append(p, span{text: string(t.Last)})
		default:
			p = append(p, span{text: string(t.Separator)})
		}
		p = append(p, n...)
	}
	if more > 0 {
		p = append(p, span{text: t.More.with(w.figure(len(nouns)+more), w.figure(more))})
	}
	return p
}

// field is a line of facts.
func (w wording) field(f field, value phrase) phrase {
	t := &w.words.Facts
	return [...]*sentence{
		fieldState:         &t.State,
		fieldAssignee:      &t.Assignee,
		fieldCollaborators: &t.Collaborators,
		fieldReviewers:     &t.Reviewers,
		fieldTesters:       &t.Testers,
		fieldMilestone:     &t.Milestone,
		fieldLabels:        &t.Labels,
		fieldRoute:         &t.Route,
		fieldChanges:       &t.Changes,
		fieldMergeable:     &t.Mergeable,
		fieldAuthor:        &t.Author,
		fieldDetail:        &t.Detail,
	}[f].say(value)
}

// route says that a pull request goes from one branch to another; fork is the repository of the first,
// where that is another one.
func (w wording) route(fork, from, to phrase) phrase {
	return w.words.Details.FromTo.say(fork, from, to)
}

// changes says how much a pull request changes.
func (w wording) changes(commits, files, additions, deletions int) phrase {
	var text string
	if commits > 0 {
		text = w.amount(&w.words.Nouns.Commits, commits) + w.separator()
	}
	if files > 0 {
		text += w.amount(&w.words.Nouns.Files, files) + w.separator()
	}
	return lit(text + w.words.Nouns.Lines.with(w.figure(additions), w.figure(deletions)))
}

// conflict says that a pull request can't be merged as it is.
func (w wording) conflict() string { return string(w.words.Details.Conflict) }

// moved says from where to where a branch or a tag was moved.
func (w wording) moved(from, to phrase) phrase { return w.words.Details.Moved.say(from, to) }

// wasAt says where a branch or a tag was before it was deleted.
func (w wording) wasAt(commit phrase) phrase { return w.words.Details.WasAt.say(commit) }

// by adds the author to a commit.
func (w wording) by(author phrase) phrase { return w.words.Details.By.say(author) }

// moreCommits is the text of the link to n commits that are not shown; to some, where n is 0.
func (w wording) moreCommits(n int) string {
	if n == 0 {
		return string(w.words.Details.MoreChanges)
	}
	return w.amount(&w.words.Details.MoreCommits, n)
}

// longestMore is the longest that moreCommits returns for n commits or fewer: fewer may take more letters, as
// "21 коммит" and "20 коммитов".
func (w wording) longestMore(n int) string {
	return longest(w.most(&w.words.Details.MoreCommits, n), string(w.words.Details.MoreChanges))
}

// readOn is the text of the link to the rest of a text.
func (w wording) readOn() string { return string(w.words.Details.ReadOn) }

// image stands in a text for an image; it is plain text, still to be escaped.
func (w wording) image() string { return string(w.words.Details.Image) }

// button is the plain text on a button that opens a page.
func (w wording) button(p destination) string {
	t := &w.words.Buttons
	return string([...]plainTerm{
		pageCommit:     t.Commit,
		pageCommits:    t.Commits,
		pageBranch:     t.Branch,
		pageTag:        t.Tag,
		pageIssue:      t.Issue,
		pagePull:       t.Pull,
		pageComment:    t.Comment,
		pageRepository: t.Repository,
	}[p])
}

// separator stands between two short facts on a line, colon and then between a line's sentence and the
// texts that follow it.
func (w wording) separator() string { return string(w.words.Marks.Separator) }

func (w wording) colon() string { return string(w.words.Marks.Tail) }

func (w wording) then() string { return string(w.words.Marks.Then) }

// clock is the time of day at t in the wording's zone, with the date where that is another than now's.
func (w wording) clock(t, now time.Time) string {
	t, now = t.In(w.zone), now.In(w.zone)
	clock := t.Format(string(w.words.Times.Clock))
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return clock
	}
	return w.words.Times.Date.with(string(w.words.Times.Months[t.Month()-1]), strconv.Itoa(t.Day()), clock)
}
