package render

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// allFolding is how robots fold by default.
var allFolding = Folding{MergePushes: true, MergedBranches: true, Companions: true, Updates: true, Wait: 3 * time.Second}

// foldTime is when the events of the folding tests were accepted, one a second from then on.
var foldTime = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// numbered makes notifications of events, numbered from 1, a second apart.
func numbered(es ...*eventv1.Event) []delivery.Notification {
	var ns []delivery.Notification
	for i, e := range es {
		ns = append(ns, delivery.Notification{Seq: uint64(i + 1), Robot: "team", Event: e, CreateTime: foldTime.Add(time.Duration(i) * time.Second)})
	}
	return ns
}

func merge() *eventv1.Event {
	return pulled(eventv1.Action_ACTION_MERGED, func(_ *eventv1.Event, p *eventv1.PullRequest) { p.State, p.Head = "merged", sha(77) })
}

// pushWith is a push to main whose newest commit has that message.
func pushWith(message string) *eventv1.Event {
	return push(eventv1.Action_ACTION_PUSHED, func(p *eventv1.Push) {
		p.Branch = "main"
		p.HeadCommit = commit(3, message, alice())
		p.Commits[2] = p.HeadCommit
	})
}

func mergePush() *eventv1.Event {
	return pushWith("!12 登录页支持扫码\nMerge pull request !12 from zhangsan/feature/login\n")
}

func removal(branch string) *eventv1.Event {
	return push(eventv1.Action_ACTION_DELETED, func(p *eventv1.Push) { *p = eventv1.Push{Branch: branch, Before: sha(3)} })
}

func opening12(reviewers ...*eventv1.User) *eventv1.Event {
	return pulled(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, p *eventv1.PullRequest) {
		p.Assignees, p.Testers = reviewers, []*eventv1.User{dave()}
	})
}

func assign12(action eventv1.Action, people ...*eventv1.User) *eventv1.Event {
	return pulled(action, func(e *eventv1.Event, p *eventv1.PullRequest) {
		p.Assignees, p.Testers, e.HostAction = people, people, "assign"
	})
}

func by(who *eventv1.User, e *eventv1.Event) *eventv1.Event {
	e.Sender = who
	return e
}

func in(repository string, e *eventv1.Event) *eventv1.Event {
	e.Repository.Path = repository
	return e
}

func TestWhatOthersTellHasNoPlaceOfItsOwn(t *testing.T) {
	assigned, testers := eventv1.Action_ACTION_ASSIGNED, eventv1.Action_ACTION_TESTER_ASSIGNED
	squashed := pushWith("!12 登录页支持扫码\n\n实现扫码")
	forward := push(eventv1.Action_ACTION_PUSHED, func(p *eventv1.Push) { p.Branch, p.After = "main", sha(77); p.HeadCommit = nil })
	fork := pulled(eventv1.Action_ACTION_MERGED, func(_ *eventv1.Event, p *eventv1.PullRequest) { p.SourceRepository = "lilei/demo" })
	off := map[string]func(*Folding){
		"push":      func(f *Folding) { f.MergePushes = false },
		"branch":    func(f *Folding) { f.MergedBranches = false },
		"companion": func(f *Folding) { f.Companions = false },
		"update":    func(f *Folding) { f.Updates = false },
	}
	tests := map[string]struct {
		// whole tells part as well; both are told where alone is set. off turns the folding off.
		whole, part *eventv1.Event
		off         string
		alone       bool
	}{
		"a merge's push":                            {merge(), mergePush(), "push", false},
		"a merge's push by its title":               {merge(), squashed, "push", false},
		"a merge's push by the commit":              {merge(), forward, "push", false},
		"a push that names another":                 {merge(), pushWith("!13 登录页支持扫码\nMerge pull request !13 from a/b"), "push", true},
		"a push that only begins so":                {merge(), pushWith("!12 再修一下"), "push", true},
		"a push that speaks of it":                  {merge(), pushWith("see Merge pull request !12 from a/b"), "push", true},
		"an ordinary push":                          {merge(), pushWith("fix: 修复"), "push", true},
		"a merge's push elsewhere":                  {merge(), in("other/demo", mergePush()), "push", true},
		"a branch that was merged":                  {merge(), removal("feature/login"), "branch", false},
		"another branch":                            {merge(), removal("feature/logout"), "branch", true},
		"a branch of that name elsewhere":           {merge(), in("lilei/demo", removal("feature/login")), "branch", true},
		"the branch of a fork":                      {fork, in("lilei/demo", removal("feature/login")), "branch", false},
		"the reviewers at the opening":              {opening12(bob(), carol()), assign12(assigned, bob(), carol()), "companion", false},
		"some reviewers at the opening":             {opening12(bob(), carol()), assign12(assigned, carol()), "companion", false},
		"the testers at the opening":                {opening12(bob()), assign12(testers, dave()), "companion", false},
		"a reviewer who is new":                     {opening12(bob()), assign12(assigned, bob(), carol()), "companion", true},
		"a tester who was a reviewer":               {opening12(bob()), assign12(testers, bob()), "companion", true},
		"an assignment by another":                  {opening12(bob()), by(carol(), assign12(assigned, bob())), "companion", true},
		"a pull request and a push beside":          {opening12(bob()), mergePush(), "push", true},
		"an update of another sort":                 {updated("update_label"), updated("source_branch_changed"), "update", false},
		"an update of the same":                     {updated("update_label"), updated("update_label"), "update", false},
		"an update by another":                      {updated("update_label"), by(carol(), updated("update_label")), "update", true},
		"an update of another":                      {updated("update_label"), pulled(eventv1.Action_ACTION_UPDATED, func(_ *eventv1.Event, p *eventv1.PullRequest) { p.Number = 13 }), "update", true},
		"an update after the opening":               {opening12(bob()), updated("update_label"), "update", true},
		"an issue's updates":                        {issued(eventv1.Action_ACTION_UPDATED, nil), issued(eventv1.Action_ACTION_UPDATED, nil), "update", true},
		"an assignment of an issue":                 {issued(eventv1.Action_ACTION_OPENED, nil), issued(assigned, nil), "companion", true},
		"a removal with the merge of a gone branch": {pulled(eventv1.Action_ACTION_MERGED, func(_ *eventv1.Event, p *eventv1.PullRequest) { p.SourceBranch, p.SourceRepository = "", "" }), removal("feature/login"), "branch", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, order := range []string{"before", "after", "told"} {
				if order == "told" && tt.off == "update" {
					continue // only updates that come together are told as one
				}
				for _, on := range []bool{true, false} {
					o := Options{Robot: "team", Folding: allFolding}
					if !on {
						off[tt.off](&o.Folding)
					}
					r := rendererOf(o)
					batch := numbered(tt.whole, tt.part)
					into, folded := uint64(1), uint64(2)
					switch {
					case tt.off == "update":
						into, folded = 2, 1
					case order == "after":
						batch = numbered(tt.part, tt.whole)
						into, folded = 2, 1
					}
					var told []delivery.Told
					if order == "told" {
						one, err := r.Render(batch[:1], nil)
						if err != nil {
							t.Fatal(err)
						}
						told, batch = toldOf(one), batch[1:]
						for i := range told {
							told[i].Time = foldTime
						}
					}
					got, err := r.Render(batch, told)
					if err != nil || got.Used != len(batch) {
						t.Fatalf("%s: used %d, error %v", order, got.Used, err)
					}
					var want []delivery.Fold
					if on && !tt.alone {
						want = []delivery.Fold{{Seq: folded, Into: into}}
					}
					if diff := gocmp.Diff(want, got.Folded); diff != "" {
						t.Errorf("%s, turned on %v (-want +got):\n%s", order, on, diff)
					}
					if silent := got.Message.Content == nil; silent != (want != nil && order == "told") {
						t.Errorf("%s: no content %v", order, silent)
					}
					if want != nil && order != "told" {
						if text := got.Message.Content.(dingtalk.Markdown).Text; !strings.HasPrefix(text, "### [张三]") {
							t.Errorf("%s: it isn't worded as one event:\n%s", order, text)
						}
					}
				}
			}
		})
	}
}

func TestFoldingHasItsTime(t *testing.T) {
	r := rendererOf(Options{Robot: "team", Folding: allFolding})
	for name, tt := range map[string]struct {
		whole, part *eventv1.Event
		after       time.Duration
		want        int
	}{
		"a removal within ten minutes": {merge(), removal("feature/login"), 10 * time.Minute, 1},
		"a removal after that":         {merge(), removal("feature/login"), 10*time.Minute + time.Second, 0},
		"an assignment in time":        {opening12(bob()), assign12(eventv1.Action_ACTION_ASSIGNED, bob()), time.Minute, 1},
		"an assignment after that":     {opening12(bob()), assign12(eventv1.Action_ACTION_ASSIGNED, bob()), time.Minute + time.Second, 0},
	} {
		batch := numbered(tt.whole, tt.part)
		batch[1].CreateTime = foldTime.Add(tt.after)
		got, err := r.Render(batch, nil)
		if err != nil || len(got.Folded) != tt.want {
			t.Errorf("%s: folded %v, error %v", name, got.Folded, err)
		}
		one, _ := r.Render(batch[:1], nil)
		told := toldOf(one)
		for i := range told {
			told[i].Time = foldTime
		}
		if got, err = r.Render(batch[1:], told); err != nil || len(got.Folded) != tt.want {
			t.Errorf("%s, told before: folded %v, error %v", name, got.Folded, err)
		}
	}
}

func TestUpdatesThatComeTogetherAreOneWithTheirNumber(t *testing.T) {
	r := rendererOf(Options{Robot: "team", Folding: allFolding})
	same := updated("source_branch_changed")
	got, err := r.Render(numbered(same, same, same), nil)
	md := got.Message.Content.(dingtalk.Markdown)
	if err != nil || !strings.HasSuffix(md.Title, " ×3") || !strings.Contains(md.Text, " ×3\n") || !strings.Contains(md.Text, "代码") {
		t.Errorf("error %v:\n%s\n%s", err, md.Title, md.Text)
	}
	if want := []delivery.Fold{{Seq: 1, Into: 3}, {Seq: 2, Into: 3}}; !slices.Equal(got.Folded, want) {
		t.Errorf("folded %v, want %v", got.Folded, want)
	}
	// Of different sorts, beside something else: one line that is true of all.
	got, err = r.Render(numbered(same, updated("update_label"), pinged()), nil)
	md = got.Message.Content.(dingtalk.Markdown)
	if err != nil || !strings.Contains(md.Title, "2 条动态") || !strings.Contains(md.Text, "×2") || strings.Contains(md.Text, "标签") {
		t.Errorf("error %v:\n%s\n%s", err, md.Title, md.Text)
	}
	if got, _ = r.Render(numbered(same), nil); strings.Contains(got.Message.Content.(dingtalk.Markdown).Title, "×") {
		t.Error("one update has a number")
	}
}

func TestWhatIsDeliveredAgainIsNeverFoldedAway(t *testing.T) {
	r := rendererOf(Options{Robot: "team", Folding: allFolding})
	batch := numbered(merge(), mergePush())
	batch[1].RedeliveryOf = "robots/team/deliveries/7"
	if got, err := r.Render(batch, nil); err != nil || len(got.Folded) > 0 {
		t.Errorf("folded %v, error %v", got.Folded, err)
	}
	if wait := r.Hold(batch[1:], nil); wait != 0 {
		t.Errorf("it waits for %v", wait)
	}
}

func TestMarksAreShortAndNameNobody(t *testing.T) {
	o := calling()
	o.Folding = allFolding
	o.People = NewPeople([]Person{{Gitee: "lilei", UserID: "x"}})
	many := opening12(slices.Repeat([]*eventv1.User{bob()}, 100)...)
	many.Repository.Path = strings.Repeat("长", 160) + "/demo"
	for _, e := range []*eventv1.Event{many, merge()} {
		got, err := rendererOf(o).Render(numbered(e), nil)
		if err != nil || len(got.Marks) == 0 || len(got.Marks) > 2*maxMarksOf {
			t.Fatalf("%d marks, error %v", len(got.Marks), err)
		}
		for _, m := range got.Marks {
			if len(m.Mark) > 80 || strings.Contains(m.Mark, "lilei") || m.Seq != 1 {
				t.Errorf("mark %+v has %d bytes", m, len(m.Mark))
			}
		}
	}
}

func TestOnlyWhatMayBelongToAnotherWaits(t *testing.T) {
	const wait = 3 * time.Second
	assigned := eventv1.Action_ACTION_ASSIGNED
	withDefault := func(branch string) *eventv1.Event { return removal(branch) }
	tests := map[string]struct {
		batch []delivery.Notification
		want  time.Duration
	}{
		"a push":                         {numbered(push(eventv1.Action_ACTION_PUSHED, nil)), 0},
		"a push that looks merge-made":   {numbered(mergePush()), wait},
		"the same with its merge":        {numbered(mergePush(), merge()), 0},
		"the same with another":          {numbered(mergePush(), pinged()), wait},
		"a merge":                        {numbered(merge()), 0},
		"a removal":                      {numbered(removal("feature/login")), wait},
		"a removal with its merge":       {numbered(removal("feature/login"), merge()), 0},
		"the removal of the default":     {numbered(withDefault("main")), 0},
		"an opening":                     {numbered(opening12(bob())), 0},
		"an assignment":                  {numbered(assign12(assigned, bob())), wait},
		"an assignment, and its opening": {numbered(assign12(assigned, bob()), opening12(bob())), 0},
		"an issue's assignment":          {numbered(issued(assigned, nil)), 0},
		"an update":                      {numbered(updated("update_label")), wait},
		"an update and a further one":    {numbered(updated("update_label"), updated("update_label")), wait},
		"a comment":                      {numbered(commented(eventv1.Action_ACTION_CREATED, nil)), 0},
		"a caller's message":             {[]delivery.Notification{ofMessage(textMessage("好"))}, 0},
	}
	for name, tt := range tests {
		r := rendererOf(Options{Folding: allFolding})
		if got := r.Hold(tt.batch, nil); got != tt.want {
			t.Errorf("%s: waits %v, want %v", name, got, tt.want)
		}
		if got := rendererOf(Options{Folding: Folding{Wait: wait}}).Hold(tt.batch, nil); got != 0 {
			t.Errorf("%s: with folding turned off it waits %v", name, got)
		}
		tt.batch[0].Urgent = true
		if got := r.Hold(tt.batch, nil); got != 0 {
			t.Errorf("%s: urgent, it waits %v", name, got)
		}
	}
	r := rendererOf(Options{Folding: allFolding})
	one, _ := r.Render(numbered(merge()), nil)
	told := toldOf(one)
	for i := range told {
		told[i].Seq, told[i].Time = 100, foldTime
	}
	for _, e := range []*eventv1.Event{mergePush(), removal("feature/login")} {
		if got := r.Hold(numbered(e), told); got != 0 {
			t.Errorf("what was told before waits %v", got)
		}
	}
}

func TestAnErrorIsAboutTheFirstOfTheBatch(t *testing.T) {
	// The merge has the keyword only where it calls somebody, and they were called for it already.
	o := calling()
	o.Folding, o.Keywords, o.RejectMissingKeyword = allFolding, []string{"13800000002"}, true
	closing := merge()
	closing.GetPullRequest().Author = bob()
	r := rendererOf(o)
	first, err := r.Render([]delivery.Notification{{Seq: 1, Event: closing}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	told := toldOf(first)
	told = slices.DeleteFunc(told, func(was delivery.Told) bool { return !strings.HasPrefix(was.Mark.Mark, markCalled) })
	after := mergePush()
	after.GetPush().Commits[0].Message = "13800000002"
	batch := numbered(after, closing)
	got, err := r.Render(batch, told)
	if err != nil || got.Used != 1 || got.Message.Content == nil {
		t.Errorf("the push: used %d, error %v", got.Used, err)
	}
	if _, err := r.Render(batch[1:], told); err == nil {
		t.Error("the merge is told without its keyword")
	}
}
