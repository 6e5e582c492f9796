package render

import (
	"slices"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Folding says which events are told as part of others, so that one thing that somebody did is one message.
// What is folded away is so only where this robot tells the other, in the same message or shortly before.
type Folding struct {
	// MergePushes: the push that a merge makes is told with the merge.
	MergePushes bool
	// MergedBranches: the removal of a branch that was merged in the last ten minutes is told with the merge.
	MergedBranches bool
	// Companions: the assignments that come along with the opening of a pull request are told with it.
	Companions bool
	// Updates: several updates of one pull request by one person, in one message, are one line of it.
	Updates bool
	// Wait is how long an event that may belong to another waits for that one, and an update for further ones.
	Wait time.Duration
}

const (
	// mergedSpan is how far from a merge its push and the removal of its branch belong to it.
	mergedSpan = 10 * time.Minute
	// companionSpan is the same of an opening and what comes along with it: Gitee sends them at once, and what
	// goes through spools may take a little longer.
	companionSpan = time.Minute
)

// tie is what two events have in common of which one may tell the other as well.
type tie struct {
	sort       foldSort
	repository string
	// branch, who and number are those that matter to the sort; sign is what a merge's push shows of it.
	branch, who string
	number      int64
	sign        string
}

type foldSort int

const (
	ofMergePush foldSort = iota + 1
	ofMergedBranch
	ofCompanion
	ofUpdate
)

// folder finds what of a batch is told as part of something else. It is asked for one notification after the
// other, and told which of them came into the message.
type folder struct {
	opts  Folding
	told  *lately
	batch []delivery.Notification
	// telling are those of the message that tell others as well, by what ties those to them; waiting are those
	// that such a one would take in if it came later.
	telling map[tie]int
	waiting map[tie][]int
	// taken are those of waiting that were taken in.
	taken map[int]bool
}

func (r *Renderer) folder(batch []delivery.Notification, told *lately) *folder {
	return &folder{
		opts: r.opts.Folding, told: told, batch: batch,
		telling: map[tie]int{}, waiting: map[tie][]int{}, taken: map[int]bool{},
	}
}

// fate is what becomes of a notification.
type fate struct {
	// told is the place of the one that told it before; 0 for others.
	told uint64
	// folded says that the one at index into tells it.
	folded bool
	into   int
	// takes are the indexes of those that it tells as well and that had a place of their own until now.
	takes []int
}

// isShown says that the notification has a place of its own.
func (f fate) isShown() bool { return f.told == 0 && !f.folded }

// fate finds what becomes of the notification at index i of the batch.
func (f *folder) fate(i int) fate {
	n := f.batch[i]
	if !f.folds(n) {
		return fate{}
	}
	for _, t := range f.parts(n.Event) {
		if t.sort == ofUpdate {
			continue
		}
		if seq := f.toldBefore(n, t); seq != 0 {
			return fate{told: seq}
		}
		if j, ok := f.telling[t]; ok && fit(t, n, f.batch[j]) {
			return fate{folded: true, into: j}
		}
	}
	var takes []int
	for _, t := range f.wholes(n.Event) {
		for _, j := range f.waiting[t] {
			if !f.taken[j] && !slices.Contains(takes, j) && fit(t, f.batch[j], n) {
				takes = append(takes, j)
			}
		}
	}
	return fate{takes: takes}
}

// folds tells whether n may be folded away at all: who has something delivered again wants to see it.
func (f *folder) folds(n delivery.Notification) bool { return n.Event != nil && n.RedeliveryOf == "" }

// place says that the notification at index i has that fate.
func (f *folder) place(i int, is fate) {
	n := f.batch[i]
	if n.Event == nil || !is.isShown() {
		return
	}
	for _, j := range is.takes {
		f.taken[j] = true
	}
	for _, t := range f.wholes(n.Event) {
		f.telling[t] = i
	}
	if f.folds(n) {
		for _, t := range f.parts(n.Event) {
			f.waiting[t] = append(f.waiting[t], i)
		}
	}
}

// wholes are the ties of what e tells as well.
func (f *folder) wholes(e *eventv1.Event) []tie {
	p := e.GetPullRequest()
	if p == nil {
		return nil
	}
	repository := e.GetRepository().GetPath()
	var ties []tie
	switch e.GetAction() {
	case eventv1.Action_ACTION_MERGED:
		if f.opts.MergePushes {
			for _, sign := range mergeSigns(p) {
				ties = append(ties, tie{sort: ofMergePush, repository: repository, branch: p.GetTargetBranch(), sign: sign})
			}
		}
		if f.opts.MergedBranches && p.GetSourceBranch() != "" {
			ties = append(ties, tie{sort: ofMergedBranch, repository: p.GetSourceRepository(), branch: p.GetSourceBranch()})
		}
	case eventv1.Action_ACTION_OPENED:
		if f.opts.Companions {
			ties = append(ties, tie{sort: ofCompanion, repository: repository, number: p.GetNumber(), who: identity(actor(e))})
		}
	case eventv1.Action_ACTION_UPDATED:
		ties = f.parts(e)
	}
	return ties
}

// parts are the ties of e to what may tell it as well.
func (f *folder) parts(e *eventv1.Event) []tie {
	repository := e.GetRepository().GetPath()
	if push := e.GetPush(); push != nil {
		switch e.GetAction() {
		case eventv1.Action_ACTION_DELETED:
			if f.opts.MergedBranches {
				return []tie{{sort: ofMergedBranch, repository: repository, branch: push.GetBranch()}}
			}
		case eventv1.Action_ACTION_PUSHED:
			if f.opts.MergePushes {
				var ties []tie
				for _, sign := range pushSigns(push) {
					ties = append(ties, tie{sort: ofMergePush, repository: repository, branch: push.GetBranch(), sign: sign})
				}
				return ties
			}
		}
		return nil
	}
	p := e.GetPullRequest()
	if p == nil {
		return nil
	}
	t := tie{repository: repository, number: p.GetNumber(), who: identity(actor(e))}
	switch e.GetAction() {
	case eventv1.Action_ACTION_ASSIGNED, eventv1.Action_ACTION_TESTER_ASSIGNED:
		if t.sort = ofCompanion; f.opts.Companions {
			return []tie{t}
		}
	case eventv1.Action_ACTION_UPDATED:
		if t.sort = ofUpdate; f.opts.Updates {
			return []tie{t}
		}
	}
	return nil
}

// fit tells whether part, which has the tie t to whole, was accepted about the same time, and says nothing
// that whole doesn't.
func fit(t tie, part, whole delivery.Notification) bool {
	switch t.sort {
	case ofMergePush, ofMergedBranch:
		return near(part.CreateTime, whole.CreateTime, mergedSpan)
	case ofCompanion:
		if !near(part.CreateTime, whole.CreateTime, companionSpan) {
			return false
		}
		known := peopleOf(whole.Event.GetPullRequest())
		for _, u := range assigned(part.Event) {
			if !slices.Contains(known, u) {
				return false
			}
		}
	}
	return true
}

// toldBefore returns the place of what told n before, to which it has the tie t; 0 for nothing.
func (f *folder) toldBefore(n delivery.Notification, t tie) uint64 {
	var by *delivery.Told
	span := mergedSpan
	switch t.sort {
	case ofMergePush:
		by = f.told.find(markMerged, branchKey(t.repository, t.branch), t.sign)
	case ofMergedBranch:
		by = f.told.find(markGone, branchKey(t.repository, t.branch), aBranch)
	case ofCompanion:
		key := openingKey(n.Event)
		by, span = f.told.find(markOpened, key, anOpening), companionSpan
		for _, u := range assigned(n.Event) {
			if !f.told.has(markOpened, key, u) {
				return 0
			}
		}
	}
	if by == nil || !n.CreateTime.IsZero() && n.CreateTime.Sub(by.Time) > span {
		return 0
	}
	return by.Seq
}

// near tells whether two times are close. Those that are not known are.
func near(a, b time.Time, within time.Duration) bool {
	return a.IsZero() || b.IsZero() || a.Sub(b).Abs() <= within
}

// assigned are the people that an assignment is about, as peopleOf writes them.
func assigned(e *eventv1.Event) []string {
	p := &eventv1.PullRequest{Assignees: e.GetPullRequest().GetAssignees()}
	if e.GetAction() == eventv1.Action_ACTION_TESTER_ASSIGNED {
		p = &eventv1.PullRequest{Testers: e.GetPullRequest().GetTesters()}
	}
	return peopleOf(p)
}
