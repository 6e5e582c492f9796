package render

import (
	"strconv"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

func pullNoun(p *eventv1.PullRequest) phrase {
	return titled("!", strconv.FormatInt(p.GetNumber(), 10), p.GetTitle(), p.GetUrl())
}

// maxHeadPeople is how many people a headline names one by one.
const maxHeadPeople = 3

func pullHeadline(w wording, s scene, e *eventv1.Event, p *eventv1.PullRequest) phrase {
	f := pullFacts{
		scene:  s,
		pull:   pullNoun(p),
		target: named(ref, p.GetTargetBranch()),
		detail: e.GetHostActionDetail(),
	}
	switch e.GetAction() {
	case eventv1.Action_ACTION_ASSIGNED:
		f.people = people(w, p.GetAssignees(), maxHeadPeople)
	case eventv1.Action_ACTION_TESTER_ASSIGNED:
		f.people = people(w, p.GetTesters(), maxHeadPeople)
	}
	return w.pull(f)
}

func pullDetails(w wording, e *eventv1.Event, p *eventv1.PullRequest, d *draft) {
	a := e.GetAction()
	var conflict, reviewers, testers phrase
	if p.GetMergeStatus() == "cannot_be_merged" {
		conflict = lit(w.conflict())
	}
	// People that the headline names are not named again.
	if a != eventv1.Action_ACTION_ASSIGNED || len(p.GetAssignees()) > maxHeadPeople {
		reviewers = people(w, p.GetAssignees(), maxListed)
	}
	if a != eventv1.Action_ACTION_TESTER_ASSIGNED || len(p.GetTesters()) > maxHeadPeople {
		testers = people(w, p.GetTesters(), maxListed)
	}
	d.facts(w,
		[]fact{{fieldRoute, routeOf(w, e, p)}},
		[]fact{{fieldChanges, changesOf(w, p)}},
		[]fact{{fieldMergeable, conflict}},
		[]fact{{fieldReviewers, reviewers}, {fieldTesters, testers}},
		[]fact{{fieldLabels, labels(w, p.GetLabels())}, {fieldMilestone, named(subject, p.GetMilestone())}},
		[]fact{{fieldDetail, unknownDetail(e)}},
	)
	if a == eventv1.Action_ACTION_OPENED || a == eventv1.Action_ACTION_REOPENED {
		d.quote(w, p.GetBody(), p.GetUrl())
	}
}

// routeOf is the way of a pull request; a fork is named by its path.
func routeOf(w wording, e *eventv1.Event, p *eventv1.PullRequest) phrase {
	to := named(ref, p.GetTargetBranch())
	from := named(ref, p.GetSourceBranch())
	if to.isEmpty() || from.isEmpty() {
		return append(from, to...)
	}
	var fork phrase
	if p.GetSourceRepository() != e.GetRepository().GetPath() {
		fork = named(repository, p.GetSourceRepository())
	}
	return w.route(fork, from, to)
}

func changesOf(w wording, p *eventv1.PullRequest) phrase {
	if p.GetCommits() == 0 && p.GetChangedFiles() == 0 && p.GetAdditions() == 0 && p.GetDeletions() == 0 {
		return nil
	}
	return w.changes(int(p.GetCommits()), int(p.GetChangedFiles()), int(p.GetAdditions()), int(p.GetDeletions()))
}
