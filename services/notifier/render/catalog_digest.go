package render

import (
	"strings"
	"time"
)

// pushed says in as few words as can be who pushed n commits to a branch.
func (w wording) pushed(who, branch phrase, n int) phrase {
	t := &w.words.Digest
	if n > 1 {
		return t.PushedSeveral.say(who, branch, lit(w.amount(&w.words.Nouns.Commits, n)))
	}
	return t.Pushed.say(who, branch)
}

// latest says when the first and the last notification of a digest were accepted, and, as Markdown, what the
// last is. The times may be zero, for not known.
func (w wording) latest(from, to time.Time, what string) string {
	t := &w.words.Digest.Latest
	switch {
	case from.IsZero() || to.IsZero():
		return t.Untimed.with(what)
	case to.Sub(from) < time.Minute:
		return t.At.with(w.clock(to, to), what)
	}
	return t.Between.with(w.clock(from, to), w.clock(to, to), what)
}

// digest is the title of a digest of n notifications: of repo, or of several repositories.
func (w wording) digest(n, repositories int, repo phrase) phrase {
	t := &w.words.Digest
	events := lit(w.amount(&t.Events, n))
	switch {
	case !repo.isEmpty():
		return t.InOne.say(repo, events)
	case repositories > 1:
		return t.InSeveral.say(lit(w.amount(&t.Repositories, repositories)), events)
	}
	return events
}

// count says how many of a kind a digest has.
func (w wording) count(k counted, n int) string {
	t := &w.words.Digest.Counts
	return w.amount([...]*amount{
		countPush:    &t.Push,
		countTag:     &t.Tag,
		countIssue:   &t.Issue,
		countPull:    &t.Pull,
		countComment: &t.Comment,
		countPing:    &t.Ping,
		countMessage: &t.Message,
	}[k], n)
}

// times follows a sentence that tells of n events at once.
func (w wording) times(n int) string { return w.words.Digest.Times.with(w.figure(n)) }

// elsewhere heads what belongs to no repository, messages what other services sent.
func (w wording) elsewhere() string { return string(w.words.Digest.Elsewhere) }

func (w wording) messages() string { return string(w.words.Digest.Messages) }

// roomInDigest returns how many bytes, encoded, a digest's heading, its counts and the line with the newest
// take at most, but for the repository in the first, and what is said of the newest in the last.
func (l *language) roomInDigest() int {
	t := &l.words.Digest
	most := func(a *amount) string { return l.most(a, maxItems) }
	const noun = "x"
	events := most(&t.Events)
	head := longest(events, t.InOne.with(noun, events), t.InSeveral.with(most(&t.Repositories), events))
	c := &t.Counts
	var counts []string
	for _, a := range []*amount{&c.Push, &c.Tag, &c.Issue, &c.Pull, &c.Comment, &c.Ping, &c.Message} {
		counts = append(counts, most(a))
	}
	var date string
	for _, month := range l.words.Times.Months {
		clock := time.Date(2026, 12, 30, 22, 0, 0, 0, time.UTC).Format(string(l.words.Times.Clock))
		date = longest(date, l.words.Times.Date.with(string(month), "30", clock))
	}
	latest := longest(t.Latest.Untimed.with(noun), t.Latest.At.with(date, noun), t.Latest.Between.with(date, date, noun))
	return jsonLen("### ") + jsonLen(head) + jsonLen(paragraphBreak) + jsonLen(strings.Join(counts, string(l.words.Marks.Separator))) +
		jsonLen(lineBreak) + jsonLen(latest)
}
