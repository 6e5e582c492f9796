package render

import (
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// wording is a language. A new one is a new type with these methods and a line in wordings; the
// compiler tells what it lacks. Nouns come as phrases, to be put where the language wants them; an empty phrase is
// a noun that is not known or not to be said. What a wording writes itself has no Markdown in it.
type wording interface {
	// push, tag, issue, pull, comment and ping say who did what where, in one sentence without a full
	// stop. An action that does not go with the subject is worded as some change of it.
	push(p pushFacts) phrase
	tag(t tagFacts) phrase
	issue(i issueFacts) phrase
	pull(p pullFacts) phrase
	comment(c commentFacts) phrase
	ping(hook phrase) phrase
	// pinged says, below ping, who pressed the button and what comes next.
	pinged(who, repo phrase) phrase

	// somebody stands for a person who is not known.
	somebody() phrase
	// commits counts commits, as a link to them.
	commits(n int, url string) phrase
	// list joins nouns; more is how many are left out at its end.
	list(nouns []phrase, more int) phrase
	// field is a line of facts.
	field(f field, value phrase) phrase
	// route says that a pull request goes from one branch to another; fork is the repository of the first,
	// where that is another one.
	route(fork, from, to phrase) phrase
	// changes says how much a pull request changes.
	changes(commits, files, additions, deletions int) phrase
	// conflict says that a pull request can't be merged as it is.
	conflict() string
	// moved says from where to where a branch or a tag was moved, wasAt where it was before it was deleted.
	moved(from, to phrase) phrase
	wasAt(commit phrase) phrase
	// by adds the author to a commit.
	by(author phrase) phrase

	// moreCommits is the text of the link to n commits that are not shown; to some, where n is 0.
	moreCommits(n int) string
	// readOn is the text of the link to the rest of a text.
	readOn() string
	// image stands in a text for an image.
	image() string

	// pushed says in as few words as can be who pushed n commits to a branch.
	pushed(who, branch phrase, n int) phrase
	// latest says when the first and the last notification of a digest were accepted, and, as Markdown,
	// what the last is. The times may be zero, for not known.
	latest(from, to time.Time, what string) string
	// clock is the time of day at t in the language's own time zone, with the date where that is another
	// than now's.
	clock(t, now time.Time) string
	// digest is the title of a digest of n notifications: of repo, or of several repositories.
	digest(n, repositories int, repo phrase) phrase
	// count says how many of a kind a digest has.
	count(k counted, n int) string
	// separator stands between two short facts on a line, colon and then between a line's sentence and the
	// texts that follow it.
	separator() string
	colon() string
	then() string
	// failure says why something was refused and the one thing to change, without a full stop; errcode is
	// DingTalk's, for where one reason has several remedies. It is empty for reasons that no delivery and no
	// robot has.
	failure(reason notifierv1.ErrorReason, errcode int) string
	// errcode, detail (in English) and because are added to a failure; because says what kept an expired
	// notification from being delivered.
	errcode(n int) string
	detail(english string) string
	because(why string) string
	// perhapsShown is added where the group may have got the notification all the same.
	perhapsShown() string
	// mutedUntil says until when a robot is left alone.
	mutedUntil(until, now time.Time) string

	// elsewhere heads what belongs to no repository, messages what other services sent.
	elsewhere() string
	messages() string
}

// field names a line of facts.
type field int

const (
	fieldState field = iota
	fieldAssignee
	fieldCollaborators
	fieldReviewers
	fieldTesters
	fieldMilestone
	fieldLabels
	fieldRoute
	fieldChanges
	fieldMergeable
	fieldAuthor
	fieldDetail
)

// counted is what a digest counts.
type counted int

const (
	countPush counted = iota
	countTag
	countIssue
	countPull
	countComment
	countPing
	countMessage
	countedKinds
)

// scene is what all events have: what happened, who did it and where. In a digest the repository is not
// said again.
type scene struct {
	action    eventv1.Action
	who, repo phrase
}

type pushFacts struct {
	scene
	branch phrase
	// commits is how many came; empty where not known or none.
	commits phrase
}

type tagFacts struct {
	scene
	tag phrase
}

type issueFacts struct {
	scene
	// kind is the host's word for the type of issue; may be empty.
	kind, issue phrase
	// assignee is who is to do it now; self says that it is the one who acted.
	assignee phrase
	self     bool
	// state is the host's word for the state it is in; stateCode the host's code, for where it has no word.
	state     phrase
	stateCode string
	detail    string
}

type pullFacts struct {
	scene
	pull phrase
	// people are the reviewers or testers, as the action wants; may be empty.
	people phrase
	target phrase
	detail string
}

type commentFacts struct {
	scene
	url string
	on  commentTarget
	// kind is that of the issue; what is what the comment is about; both empty for the repository itself.
	kind, what phrase
}

// commentTarget is what a comment is about.
type commentTarget int

const (
	onRepository commentTarget = iota
	onIssue
	onPull
	onCommit
)
