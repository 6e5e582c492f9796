package render

import (
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

const (
	// maxCommits is how many commits a message shows.
	maxCommits = 10
	// maxSummary is the length of a commit's first line, in characters.
	maxSummary = 80
)

func pushHeadline(w wording, s scene, p *eventv1.Push) phrase {
	f := pushFacts{scene: s, branch: noun(ref, p.GetBranch(), p.GetBranchUrl())}
	if n := commitCount(p); n > 0 {
		f.commits = w.commits(n, commitsURL(p))
	}
	return w.push(f)
}

// commitsURL is the page of a push's commits: of the one, where it is one.
func commitsURL(p *eventv1.Push) string {
	if list := newestFirst(p); len(list) == 1 && commitCount(p) == 1 && target(list[0].GetUrl()) != "" {
		return list[0].GetUrl()
	}
	return p.GetCompareUrl()
}

// newestFirst returns the commits of a push as far as they are known. A branch that got no commits of its
// own has none, whatever it points at.
func newestFirst(p *eventv1.Push) []*eventv1.Commit {
	cs := p.GetCommits()
	list := make([]*eventv1.Commit, 0, len(cs)+1)
	if h := p.GetHeadCommit(); h != nil && (len(cs) > 0 || p.GetTotalCommits() > 0) {
		listed := false
		for _, c := range cs {
			listed = listed || c.GetId() == h.GetId()
		}
		if !listed {
			list = append(list, h)
		}
	}
	for i := len(cs) - 1; i >= 0; i-- {
		list = append(list, cs[i])
	}
	return list
}

func commitCount(p *eventv1.Push) int {
	return max(int(p.GetTotalCommits()), len(newestFirst(p)))
}

func pushDetails(w wording, e *eventv1.Event, p *eventv1.Push, d *draft) {
	switch e.GetAction() {
	case eventv1.Action_ACTION_DELETED:
		if before := hash(p.GetBefore(), ""); !before.isEmpty() {
			d.paragraph(w.wasAt(before).markup(asHead))
		}
		return
	case eventv1.Action_ACTION_MOVED:
		movedDetails(w, p.GetBefore(), p.GetAfter(), p.GetHeadCommit(), d)
	}
	list := newestFirst(p)
	if len(list) == 0 {
		// Nothing was listed, but what the branch points at tells what it is.
		if h := p.GetHeadCommit(); h != nil {
			d.paragraph("- " + commitLine(w, h, actor(e)))
		}
		return
	}
	commitList(w, e, p, maxCommits, d)
}

// commitList writes the newest commits of a push, at most that many, with a link to the rest.
func commitList(w wording, e *eventv1.Event, p *eventv1.Push, most int, d *draft) {
	list := newestFirst(p)
	rest := target(p.GetCompareUrl())
	if rest == "" {
		rest = p.GetBranchUrl()
	}
	total := commitCount(p)
	more := func(n int) string { return "- " + link(w.moreCommits(n), rest) }
	lines := make([]string, 0, maxCommits)
	for _, c := range list[:min(len(list), most)] {
		lines = append(lines, "- "+commitLine(w, c, actor(e)))
	}
	shown := d.lines(lines, d.room("- "+link(w.longestMore(total), rest)))
	switch {
	case shown < total:
		d.add(lineBreak, more(total-shown))
	case p.GetTruncated() && p.GetTotalCommits() == 0:
		d.add(lineBreak, more(0))
	}
}

// movedDetails says from where to where a branch or a tag went.
func movedDetails(w wording, before, after string, head *eventv1.Commit, d *draft) {
	url := ""
	if head.GetId() == after {
		url = head.GetUrl()
	}
	from, to := hash(before, ""), hash(after, url)
	if !from.isEmpty() && !to.isEmpty() {
		d.paragraph(w.moved(from, to).markup(asHead))
	}
}

// commitLine shows a commit: its hash, the first line of its message, and its author if that is somebody
// else than who pushed it.
func commitLine(w wording, c *eventv1.Commit, pusher *eventv1.User) string {
	line := hash(c.GetId(), c.GetUrl()).markup(asHead)
	if s := summary(c, maxSummary); s != "" {
		line += " " + escape(s)
	}
	if a := personOf(c.GetAuthor()); !a.isEmpty() && !same(c.GetAuthor(), pusher) {
		line += w.by(a).markup(asHead)
	}
	return line
}

// summary is the first line of a commit's message, at most max characters of it.
func summary(c *eventv1.Commit, max int) string { return clip(firstLine(c.GetMessage()), max) }

func tagDetails(w wording, e *eventv1.Event, t *eventv1.Tag, d *draft) {
	switch e.GetAction() {
	case eventv1.Action_ACTION_DELETED:
		if before := hash(t.GetBefore(), ""); !before.isEmpty() {
			d.paragraph(w.wasAt(before).markup(asHead))
		}
		return
	case eventv1.Action_ACTION_MOVED:
		movedDetails(w, t.GetBefore(), t.GetAfter(), t.GetCommit(), d)
	}
	if t.GetCommit() != nil {
		d.paragraph("- " + commitLine(w, t.GetCommit(), actor(e)))
	}
}
