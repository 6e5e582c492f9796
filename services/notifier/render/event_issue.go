package render

import (
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

const (
	// maxExcerpt and maxExcerptLines bound what a message shows of a text, in characters and lines.
	maxExcerpt      = 200
	maxExcerptLines = 8
)

func issueNoun(i *eventv1.Issue) phrase {
	return titled("#", i.GetNumber(), i.GetTitle(), i.GetUrl())
}

func issueHeadline(w wording, s scene, e *eventv1.Event, i *eventv1.Issue) phrase {
	return w.issue(issueFacts{
		scene:     s,
		kind:      named(word, i.GetTypeName()),
		issue:     issueNoun(i),
		assignee:  personOf(i.GetAssignee()),
		self:      same(i.GetAssignee(), actor(e)),
		state:     named(word, i.GetStateName()),
		stateCode: i.GetState(),
		detail:    e.GetHostActionDetail(),
	})
}

func issueDetails(w wording, e *eventv1.Event, i *eventv1.Issue, d *draft) {
	a := e.GetAction()
	var state, assignee phrase
	if a != eventv1.Action_ACTION_STATE_CHANGED && a != eventv1.Action_ACTION_DELETED {
		state = named(word, i.GetStateName())
	}
	if a != eventv1.Action_ACTION_ASSIGNED {
		assignee = personOf(i.GetAssignee())
	}
	d.facts(w,
		[]fact{{fieldState, state}, {fieldAssignee, assignee}},
		[]fact{{fieldCollaborators, people(w, i.GetCollaborators(), maxListed)}},
		[]fact{{fieldLabels, labels(w, i.GetLabels())}, {fieldMilestone, named(subject, i.GetMilestone())}},
		[]fact{{fieldDetail, unknownDetail(e)}},
	)
	if a == eventv1.Action_ACTION_OPENED || a == eventv1.Action_ACTION_REOPENED {
		d.quote(w, i.GetBody(), i.GetUrl())
	}
}

// unknownDetail is the host's own word for an update that the catalogue has none for.
func unknownDetail(e *eventv1.Event) phrase {
	if e.GetAction() != eventv1.Action_ACTION_UPDATED {
		return nil
	}
	switch s := e.GetHostActionDetail(); s {
	case detailCode, detailTarget, detailLabels, detailLinks:
		return nil
	default:
		return named(word, s)
	}
}
