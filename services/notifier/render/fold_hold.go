package render

import (
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Hold implements delivery.Renderer: it returns the robot's Wait for what may belong to another that has not
// come, and 0 for everything else. What may is a push whose message looks like a merge's, the removal of a
// branch other than the default one, an assignment to a pull request, and, as long as Wait is not over, an
// update of one. What was marked urgent and what is delivered again does not wait.
func (r *Renderer) Hold(batch []delivery.Notification, told []delivery.Told) time.Duration {
	first := batch[0]
	if r.opts.Folding.Wait <= 0 || first.Urgent || len(batch) >= maxItems {
		return 0
	}
	f := r.folder(batch, newLately(told))
	if !f.folds(first) || !f.expects(first.Event) {
		return 0
	}
	is := f.fate(0)
	switch {
	case !is.isShown():
		return 0
	case first.Event.GetAction() == eventv1.Action_ACTION_UPDATED:
		return r.opts.Folding.Wait
	}
	// Of the others only those matter that would take in the first: what tells others is never folded away itself.
	f.place(0, is)
	for i := 1; i < len(batch); i++ {
		if len(f.wholes(batch[i].Event)) > 0 && len(f.fate(i).takes) > 0 {
			return 0
		}
	}
	return r.opts.Folding.Wait
}

// expects tells whether something that tells e as well is likely to come.
func (f *folder) expects(e *eventv1.Event) bool {
	ties := f.parts(e)
	if len(ties) == 0 {
		return false
	}
	switch ties[0].sort {
	case ofMergePush:
		return len(mergeMessageSigns(e.GetPush())) > 0
	case ofMergedBranch:
		return e.GetPush().GetBranch() != e.GetRepository().GetDefaultBranch()
	}
	return true
}
