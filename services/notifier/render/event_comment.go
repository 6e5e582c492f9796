package render

import (
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

func commentHeadline(w wording, s scene, c *eventv1.Comment) phrase {
	f := commentFacts{scene: s, url: c.GetUrl()}
	switch t := c.GetTarget().(type) {
	case *eventv1.Comment_Issue:
		f.on, f.kind, f.what = onIssue, named(word, t.Issue.GetTypeName()), issueNoun(t.Issue)
	case *eventv1.Comment_PullRequest:
		f.on, f.what = onPull, pullNoun(t.PullRequest)
	case *eventv1.Comment_Commit:
		f.on, f.what = onCommit, hash(t.Commit.GetId(), "")
	}
	return w.comment(f)
}

func commentDetails(w wording, e *eventv1.Event, c *eventv1.Comment, d *draft) {
	if e.GetAction() != eventv1.Action_ACTION_CREATED && !same(c.GetAuthor(), actor(e)) {
		d.facts(w, []fact{{fieldAuthor, personOf(c.GetAuthor())}})
	}
	d.quote(w, c.GetBody(), c.GetUrl())
}
