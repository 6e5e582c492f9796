package gitee

import (
	"slices"
	"strings"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"google.golang.org/protobuf/proto"
)

// What the commits of one push may take together, in bytes, whatever Gitee sends.
const (
	messageBudget = 256 << 10 // beyond it, messages are cut to their first briefMessage characters
	pathBudget    = 64 << 10  // beyond it, paths are left out
	commitBudget  = 768 << 10 // beyond it, the older commits are left out
	briefMessage  = 200
)

// ref reads a push and a tag push, which have the same body; which it is, its ref says.
func (d *delivery) ref() (*eventv1.Event, error) {
	repository := repositoryOf(d.Repository, d.Project)
	e := &eventv1.Event{
		Repository: repository.repository(),
		Sender:     firstUser(d.Sender, d.Pusher, d.User, maybe[wireUser]{v: wireUser{Name: d.UserName}}),
		HostAction: line(d.Action, maxWord),
		OccurTime:  stamp(d.pushTime(repository)),
	}
	if e.Repository == nil {
		return nil, malformed("the push names no repository: repository.path_with_namespace is missing")
	}
	before, after := commitHash(d.Before), commitHash(d.After)
	// The hashes say more than the flags, which a query of the hook's address may have overwritten.
	created := zeros(d.Before) || bool(d.Created) && !zeros(d.After)
	deleted := zeros(d.After) || bool(d.Deleted) && !zeros(d.Before)
	switch {
	case created && deleted:
		return nil, malformed("the push both makes and removes its ref")
	case created && after == "":
		return nil, malformed("the push makes a ref, but says not on which commit: after is missing")
	case !created && !deleted && (before == "" || after == ""):
		return nil, malformed("the push lacks before or after")
	case created:
		e.Action, before = eventv1.Action_ACTION_CREATED, ""
	case deleted:
		e.Action, after = eventv1.Action_ACTION_DELETED, ""
	}

	kind, prefix := "push", "refs/heads/"
	if strings.HasPrefix(string(d.Ref), "refs/tags/") {
		kind, prefix = "tag", "refs/tags/"
	}
	name, ok := strings.CutPrefix(string(d.Ref), prefix)
	if !ok && strings.HasPrefix(string(d.Ref), "refs/") {
		return nil, ignored("the push is of a ref that is neither a branch nor a tag")
	}
	name = line(text(name), maxPath)
	if !ok || name == "" {
		return nil, malformed("the push names no branch or tag: ref is missing, or does not start with refs/heads/ or refs/tags/")
	}
	page := ""
	if !deleted {
		page = treeLink(e.Repository.Url, name)
	}

	k := newKey(kind, hostOf(repository.HTMLURL, repository.URL))
	k.num(e.Repository.Id)
	if e.Repository.Id == 0 {
		k.str(e.Repository.Path)
	}
	k.text(d.Ref)
	k.str(before, after)
	k.moment(repository.PushedAt, d.sent)
	e.Id = k.id(kind)

	if kind == "tag" {
		if e.Action == eventv1.Action_ACTION_UNSPECIFIED {
			e.Action = eventv1.Action_ACTION_MOVED
		}
		tag := &eventv1.Tag{Name: name, Url: page, Before: before, After: after}
		if !deleted {
			tag.Commit = newSpace().commit(&d.HeadCommit.v)
		}
		e.Subject = &eventv1.Event_Tag{Tag: tag}
		return e, nil
	}

	push := &eventv1.Push{Branch: name, BranchUrl: page, Before: before, After: after}
	if e.Action == eventv1.Action_ACTION_UNSPECIFIED {
		e.Action = eventv1.Action_ACTION_PUSHED
		if d.rewritten(before, after) {
			e.Action = eventv1.Action_ACTION_MOVED
		}
		push.CompareUrl = link(d.Compare)
	}
	if !deleted {
		d.fillCommits(push)
	}
	e.Subject = &eventv1.Event_Push{Push: push}
	return e, nil
}

// commitHash returns a commit's hash, "" for one of zeros only: those stand for no commit. Gitee writes 40 of
// them, and once wrote 8.
func commitHash(s text) string {
	if zeros(s) {
		return ""
	}
	return line(s, maxHash)
}

func zeros(s text) bool { return s != "" && strings.Trim(string(s), "0") == "" }

// pushTime returns when the push happened: the repository's pushed_at where it fits the delivery, else
// the time of the delivery. The time of the newest commit only serves where there is nothing better:
// commits may be much older than their push.
func (d *delivery) pushTime(r *wireRepository) time.Time {
	pushed, ok := clock(r.PushedAt)
	switch {
	case ok && (d.sent.IsZero() || d.sent.Sub(pushed).Abs() <= staleAfter):
		return pushed
	case !d.sent.IsZero():
		return d.sent
	}
	t, _ := clock(d.HeadCommit.v.Timestamp)
	return t
}

// rewritten reports whether the branch was moved to where its old commit is not an ancestor of the new
// one. Gitee does not say it: where the list of commits is known to be complete, none of them having the
// old commit as a parent gives it away. Where the list is not complete, it can't be told.
func (d *delivery) rewritten(before, after string) bool {
	n := int64(len(d.Commits.items))
	if !d.Commits.got || d.Commits.more || bool(d.CommitsMoreThanTen) || before == after ||
		!d.TotalCommitsCount.known || d.TotalCommitsCount.n != n {
		return false
	}
	for _, c := range d.Commits.items {
		if !c.v.ParentIDs.got || c.v.ParentIDs.more {
			return false
		}
		for _, parent := range c.v.ParentIDs.items {
			// One that can't be read may be any commit.
			if commitHash(parent) == "" || parent == text(before) {
				return false
			}
		}
	}
	return true
}

// fillCommits sets the commits of a push, their number, and whether some are missing.
func (d *delivery) fillCommits(push *eventv1.Push) {
	space := newSpace()
	push.HeadCommit = space.commit(&d.HeadCommit.v)
	commits := slices.Clone(d.Commits.items)
	commits = slices.DeleteFunc(commits, func(c maybe[wireCommit]) bool { return line(c.v.ID, maxHash) == "" })
	if newestFirst(commits, d.After) {
		slices.Reverse(commits)
	}
	whole := true
	for _, c := range slices.Backward(commits) {
		commit := space.commit(&c.v)
		if commit == nil {
			whole = false
			break
		}
		push.Commits = append(push.Commits, commit)
	}
	slices.Reverse(push.Commits)
	push.TotalCommits = max(d.TotalCommitsCount.count(), int32(len(commits)))
	push.Truncated = !whole || space.left || d.Commits.more || bool(d.CommitsMoreThanTen) ||
		push.TotalCommits > int32(len(push.Commits))
}

// newestFirst reports whether the commits stand newest first: by their parents, else by which of them is
// the head, else by their times.
func newestFirst(commits []maybe[wireCommit], head text) bool {
	if len(commits) < 2 {
		return false
	}
	place := make(map[text]int, len(commits))
	for i, c := range commits {
		place[c.v.ID] = i
	}
	down, up := 0, 0
	for i, c := range commits {
		for _, parent := range c.v.ParentIDs.items {
			if j, ok := place[parent]; ok && j > i {
				down++
			} else if ok && j < i {
				up++
			}
		}
	}
	if down != up {
		return down > up
	}
	firstID, lastID := commits[0].v.ID, commits[len(commits)-1].v.ID
	if firstID != lastID && (firstID == head || lastID == head) {
		return firstID == head
	}
	a, okA := clock(commits[0].v.Timestamp)
	b, okB := clock(commits[len(commits)-1].v.Timestamp)
	return okA && okB && a.After(b)
}

// space is what is left for the commits of one event.
type space struct {
	messages, paths, all int
	left                 bool // whether paths were left out
}

func newSpace() *space { return &space{messageBudget, pathBudget, commitBudget, false} }

// commit returns c for an event, nil where it has no id, or where there is no space left.
func (s *space) commit(c *wireCommit) *eventv1.Commit {
	id := line(c.ID, maxHash)
	if id == "" {
		return nil
	}
	commit := &eventv1.Commit{
		Id:      id,
		Message: prose(c.Message, maxMessage),
		Url:     link(c.URL),
		Author:  c.Author.v.user(),
	}
	if t, ok := clock(c.Timestamp); ok {
		commit.CreateTime = stamp(t)
	}
	if s.messages -= len(commit.Message); s.messages < 0 {
		commit.Message = tidy(commit.Message, briefMessage, true)
	}
	commit.Added = s.files(c.Added)
	commit.Removed = s.files(c.Removed)
	commit.Modified = s.files(c.Modified)
	if s.all -= proto.Size(commit); s.all < 0 {
		return nil
	}
	return commit
}

// files returns the paths for which there is space.
func (s *space) files(l list[text]) []string {
	if l.more {
		s.left = true
	}
	var files []string
	for _, f := range l.items {
		name := line(f, maxFile)
		if name == "" {
			continue
		}
		if s.paths -= len(name); s.paths < 0 {
			s.left = true
			break
		}
		files = append(files, name)
	}
	return files
}
