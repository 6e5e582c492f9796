package render

import (
	"slices"
	"strings"
	"testing"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestAPersonWithSeveralLoginsIsOnePerson(t *testing.T) {
	people := NewPeople([]Person{
		{Gitee: "wang", Mobile: "+86-138-0000-0007", UserID: "u7"},
		{Gitee: "wang-at-home", UserID: "u7"},
		{Gitee: "wang-old", Mobile: "13800000007"},
		{Gitee: "xu", Mobile: "13800000008"},
	})
	as := func(login string) *eventv1.User { return &eventv1.User{Login: login, Name: login} }
	review := func(action eventv1.Action, by string, reviewers ...string) *eventv1.Event {
		return pulled(action, func(e *eventv1.Event, p *eventv1.PullRequest) {
			e.Sender, p.Author, p.Body, p.Assignees = as(by), as(by), "", nil
			for _, login := range reviewers {
				p.Assignees = append(p.Assignees, as(login))
			}
		})
	}
	open := eventv1.Action_ACTION_OPENED
	tests := map[string]struct {
		event    *eventv1.Event
		external bool
		want     []string
	}{
		"each once":                        {review(open, "alice", "wang", "wang-at-home", "wang-old", "xu"), false, []string{"u7", "13800000008"}},
		"each once by the login first met": {review(open, "alice", "wang-old", "wang"), false, []string{"13800000007"}},
		"each once by number":              {review(open, "alice", "wang", "wang-old"), true, []string{"+86-138-0000-0007"}},
		"not for what they did":            {review(open, "wang", "wang-at-home", "wang-old", "xu"), false, []string{"13800000008"}},
		"not for what they did elsewhere":  {review(open, "wang-at-home", "wang", "wang-old"), false, nil},
	}
	for name, tt := range tests {
		r := rendererOf(Options{Robot: "team", People: people, External: tt.external})
		in, err := r.Inspect(ofEvent(tt.event))
		if got := atOf(t, in.Message); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: it calls %q, error %v, want %q", name, got, err, tt.want)
		}
	}
	r := rendererOf(Options{Robot: "team", People: people})
	one, err := r.Render([]delivery.Notification{{Seq: 1, Event: review(open, "alice", "wang")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Render([]delivery.Notification{{Seq: 2, Event: review(eventv1.Action_ACTION_ASSIGNED, "bob", "wang-at-home", "wang-old", "xu")}}, toldOf(one))
	if got := atOf(t, two.Message); err != nil || !slices.Equal(got, []string{"13800000008"}) {
		t.Errorf("after one of the logins was called: it calls %q, error %v", got, err)
	}
}

func TestEverybodyIsCalledOnceForTheSame(t *testing.T) {
	o := calling()
	o.Mentions.All, o.Mentions.Closed = true, []Role{Everybody}
	r := rendererOf(o)
	closing := issued(eventv1.Action_ACTION_CLOSED, issueBy(bob(), nil))
	one, err := r.Render([]delivery.Notification{{Seq: 1, Event: closing}}, nil)
	if err != nil || !one.Message.Mentions.All {
		t.Fatalf("mentions %+v, error %v", one.Message.Mentions, err)
	}
	two, err := r.Render([]delivery.Notification{{Seq: 2, Event: closing}}, toldOf(one))
	if err != nil || two.Message.Mentions.All {
		t.Errorf("the same event through a second hook calls everybody again: %+v, error %v", two.Message.Mentions, err)
	}
	other := issued(eventv1.Action_ACTION_CLOSED, func(e *eventv1.Event, _ *eventv1.Issue) { e.Id = "evt-other" })
	three, err := r.Render([]delivery.Notification{{Seq: 3, Event: other}}, toldOf(one))
	if err != nil || !three.Message.Mentions.All {
		t.Errorf("another event calls nobody: %+v, error %v", three.Message.Mentions, err)
	}
}

func TestALiteralThatOnlyLooksLikeOneIsNoMention(t *testing.T) {
	for text, want := range map[string]bool{
		"@bob":                      true,
		"请@bob看":                    true,
		"@bob.":                     true,
		"**@bob**":                  true,
		"`x`@bob":                   true,
		"@bob.smith and @bob, look": true,
		"@bobby":                    false,
		"@bob.smith":                false,
		"@bob@example.com":          false,
		"mail@bob":                  false,
		"https://x.cn/@bob":         false,
		"[page](https://x.cn/@bob)": false,
		"`@bob`":                    false,
	} {
		in, err := rendererOf(Options{}).Inspect(ofMessage(mentioning(markdownMessage("t", text), &notifierv1.Mentions{UserIds: []string{"bob"}})))
		if err != nil {
			t.Fatal(err)
		}
		if got := in.Message.Content.(dingtalk.Markdown).Text == text; got != want {
			t.Errorf("%q is taken for a mention: %v", text, got)
		}
	}
}

func TestATemplateMayWriteWhoIsCalled(t *testing.T) {
	for text, want := range map[string]int{
		"请 @u.han 看 {{.event.pull_request.title}}":             1,
		"@u.hanako {{.event.pull_request.title}}":              1,
		"https://x.cn/@u.han {{.event.pull_request.title}}":    1,
		"@all @所有人 @13800000002 {{.event.pull_request.title}}": 1,
	} {
		o := calling()
		o.Templates = []Template{{Kind: "pull_request", Text: text}}
		in, err := rendererOf(o).Inspect(ofEvent(pulled(eventv1.Action_ACTION_OPENED, pullBy)))
		if err != nil || in.Note != "" {
			t.Fatal(err, in.Note)
		}
		got := in.Message.Content.(dingtalk.Markdown).Text
		if n := strings.Count(got, " @u.han "); n != want || !slices.Equal(in.Message.Mentions.UserIDs, []string{"u.han"}) || in.Message.Mentions.All || in.Message.Mentions.Mobiles != nil {
			t.Errorf("%q calls %+v by\n%s", text, in.Message.Mentions, got)
		}
	}
}

func TestLookingForNamesTakesNoMoreThanTheTextHas(t *testing.T) {
	people := team()
	for _, text := range []string{
		strings.Repeat(":// ", 5000) + "@dave",
		strings.Repeat("](", 10000) + "@dave",
		strings.Repeat("` `` ", 4000) + " @dave",
	} {
		n := testing.AllocsPerRun(1, func() {
			for range namedIn(text, people) {
			}
		})
		if n > 30 {
			t.Errorf("%.20q…: %v allocations", text, n)
		}
	}
}

func TestATesterOfANewPullRequestIsCalledInWhateverOrderGiteeTellsOfIt(t *testing.T) {
	o := calling()
	o.Folding = Folding{Companions: true, Wait: time.Second}
	opening := ofEvent(pulled(eventv1.Action_ACTION_OPENED, pullBy))
	companion := ofEvent(pulled(eventv1.Action_ACTION_TESTER_ASSIGNED, func(e *eventv1.Event, p *eventv1.PullRequest) {
		pullBy(e, p)
		e.Id, e.HostAction, e.HostActionDetail = "evt-2", "open", "test"
	}))
	opening.Seq, companion.Seq = 1, 2
	for name, batch := range map[string][]delivery.Notification{
		"the opening alone":   {opening},
		"the opening first":   {opening, companion},
		"the companion first": {companion, opening},
	} {
		got, err := rendererOf(o).Render(batch, nil)
		if err != nil || got.Used != len(batch) || len(got.Folded) != len(batch)-1 {
			t.Fatalf("%s: used %d, folded %v, error %v", name, got.Used, got.Folded, err)
		}
		at := atOf(t, got.Message)
		slices.Sort(at)
		if want := []string{"+86-13800000004", "u.han"}; !slices.Equal(at, want) {
			t.Errorf("%s: it calls %q, want %q", name, at, want)
		}
	}
}
