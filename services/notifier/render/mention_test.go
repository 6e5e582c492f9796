package render

import (
	"errors"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// team is the table of people in the tests: alice has both, bob a number, carol a user id, dave a number.
func team() *People {
	return NewPeople([]Person{
		{Gitee: "ZhangSan", Mobile: "13800000001", UserID: "u-zhangsan"},
		{Gitee: "lilei", Mobile: "13800000002"},
		{Gitee: "han_meimei", UserID: "u.han"},
		{Gitee: "dave", Mobile: "+86-13800000004"},
	})
}

func dave() *eventv1.User { return &eventv1.User{Login: "Dave", Name: "Dave"} }

// calling returns options of a robot that calls the team.
func calling() Options {
	return Options{Robot: "team", People: team(), Mentions: Mentions{Names: true}}
}

// atOf returns whom m calls, user ids first, and fails where a literal does not stand in the text, once.
func atOf(t *testing.T, m dingtalk.Message) []string {
	t.Helper()
	text := ""
	switch c := m.Content.(type) {
	case dingtalk.Markdown:
		text = c.Text
	case dingtalk.ActionCard:
		text = c.Text
	}
	at := slices.Concat(m.Mentions.UserIDs, m.Mentions.Mobiles)
	for _, l := range at {
		if n := strings.Count(text, " @"+l+" "); n != 1 {
			t.Errorf("@%s stands %d times, with blanks around, in\n%s", l, n, text)
		}
	}
	if n := strings.Count(text, "@"); n != len(at) {
		t.Errorf("%d mentions for %d people in\n%s", n, len(at), text)
	}
	if m.Mentions.All {
		at = append(at, "all")
	}
	return at
}

func issueBy(author, assignee *eventv1.User, collaborators ...*eventv1.User) func(*eventv1.Event, *eventv1.Issue) {
	return func(_ *eventv1.Event, i *eventv1.Issue) {
		i.Author, i.Assignee, i.Collaborators, i.Body = author, assignee, collaborators, ""
	}
}

// pullBy is of bob's, reviewed by carol, tested by dave; alice acts.
func pullBy(e *eventv1.Event, p *eventv1.PullRequest) {
	p.Author, p.Assignees, p.Testers, p.Body = bob(), []*eventv1.User{carol()}, []*eventv1.User{dave()}, ""
}

func TestEachOccasionCallsItsRoles(t *testing.T) {
	issue := issueBy(bob(), carol(), dave())
	onPull := func(_ *eventv1.Event, c *eventv1.Comment) {
		c.Body = ""
		c.Target = &eventv1.Comment_PullRequest{PullRequest: pulled(eventv1.Action_ACTION_OPENED, pullBy).GetPullRequest()}
	}
	onIssue := func(_ *eventv1.Event, c *eventv1.Comment) {
		c.Body = ""
		c.Target = &eventv1.Comment_Issue{Issue: issued(eventv1.Action_ACTION_OPENED, issue).GetIssue()}
	}
	const b, c, d = "13800000002", "u.han", "+86-13800000004"
	everyone := []Role{Assignee, Collaborators, Reviewers, Testers, Author}
	tests := map[string]struct {
		event *eventv1.Event
		// usual is who is called without rules of the robot's own, rule the list that decides; wide is who is
		// called where it has every role.
		usual []string
		rule  func(*Mentions) *[]Role
		wide  []string
	}{
		"issue opened":   {issued(eventv1.Action_ACTION_OPENED, issue), []string{c}, opened, []string{c, b, d}},
		"issue reopened": {issued(eventv1.Action_ACTION_REOPENED, issue), []string{c}, opened, []string{c, b, d}},
		"issue assigned": {issued(eventv1.Action_ACTION_ASSIGNED, issue), []string{c}, assignments, []string{c, b, d}},
		"issue closed":   {issued(eventv1.Action_ACTION_CLOSED, issue), []string{b}, closed, []string{c, b, d}},
		"issue changed":  {issued(eventv1.Action_ACTION_STATE_CHANGED, issue), nil, nil, nil},
		"issue updated":  {issued(eventv1.Action_ACTION_UPDATED, issue), nil, nil, nil},
		"issue deleted":  {issued(eventv1.Action_ACTION_DELETED, issue), nil, nil, nil},
		"pull opened":    {pulled(eventv1.Action_ACTION_OPENED, pullBy), []string{c}, opened, []string{c, b, d}},
		"pull reopened":  {pulled(eventv1.Action_ACTION_REOPENED, pullBy), []string{c}, opened, []string{c, b, d}},
		// An assignment of reviewers says nothing of the testers, and the other way round.
		"reviewers assigned":        {pulled(eventv1.Action_ACTION_ASSIGNED, pullBy), []string{c}, assignments, []string{c, b}},
		"testers assigned":          {pulled(eventv1.Action_ACTION_TESTER_ASSIGNED, pullBy), []string{d}, assignments, []string{b, d}},
		"pull approved":             {pulled(eventv1.Action_ACTION_APPROVED, pullBy), []string{b}, approved, []string{c, b, d}},
		"pull tested":               {pulled(eventv1.Action_ACTION_TESTED, pullBy), []string{b}, approved, []string{c, b, d}},
		"pull merged":               {pulled(eventv1.Action_ACTION_MERGED, pullBy), []string{b}, merged, []string{c, b, d}},
		"pull closed":               {pulled(eventv1.Action_ACTION_CLOSED, pullBy), []string{b}, closed, []string{c, b, d}},
		"pull updated":              {pulled(eventv1.Action_ACTION_UPDATED, pullBy), nil, nil, nil},
		"reviewer taken off":        {pulled(eventv1.Action_ACTION_UNASSIGNED, pullBy), nil, nil, nil},
		"comment on a pull request": {commented(eventv1.Action_ACTION_CREATED, onPull), []string{b}, commentsOn, []string{c, b, d}},
		"comment on an issue":       {commented(eventv1.Action_ACTION_CREATED, onIssue), []string{b}, commentsOn, []string{c, b, d}},
		"comment edited":            {commented(eventv1.Action_ACTION_EDITED, onPull), nil, nil, nil},
		"push":                      {push(eventv1.Action_ACTION_PUSHED, nil), nil, nil, nil},
		"tag":                       {tagged(eventv1.Action_ACTION_CREATED, nil), nil, nil, nil},
		"ping":                      {pinged(), nil, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			check := func(what string, change func(*Mentions), want []string) {
				t.Helper()
				o := calling()
				change(&o.Mentions)
				r := rendererOf(o)
				in, err := r.Inspect(ofEvent(tt.event))
				if err != nil {
					t.Fatal(err)
				}
				got := atOf(t, in.Message)
				slices.Sort(got)
				want = slices.Sorted(slices.Values(want))
				if !slices.Equal(got, want) {
					t.Errorf("%s: it calls %q, want %q", what, got, want)
				}
				if r.Calls(ofEvent(tt.event), nil) != (len(want) > 0) {
					t.Errorf("%s: Calls says the other thing", what)
				}
			}
			check("by default", func(*Mentions) {}, tt.usual)
			if tt.rule == nil {
				check("with all roles", func(m *Mentions) {
					m.Opened, m.Assigned, m.Approved, m.Merged, m.Closed, m.Commented = everyone, everyone, everyone, everyone, everyone, everyone
				}, nil)
				return
			}
			check("with nobody", func(m *Mentions) { *tt.rule(m) = []Role{Nobody} }, nil)
			check("with all roles", func(m *Mentions) { *tt.rule(m) = everyone }, tt.wide)
			check("with everybody", func(m *Mentions) { m.All, *tt.rule(m) = true, []Role{Everybody} }, []string{"all"})
		})
	}
}

func opened(m *Mentions) *[]Role      { return &m.Opened }
func assignments(m *Mentions) *[]Role { return &m.Assigned }
func approved(m *Mentions) *[]Role    { return &m.Approved }
func merged(m *Mentions) *[]Role      { return &m.Merged }
func closed(m *Mentions) *[]Role      { return &m.Closed }
func commentsOn(m *Mentions) *[]Role  { return &m.Commented }

func TestNobodyIsCalledForWhatTheyDidThemselves(t *testing.T) {
	e := pulled(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, p *eventv1.PullRequest) {
		e.Sender = &eventv1.User{Login: "LiLei", Name: "李雷"}
		p.Assignees = []*eventv1.User{bob(), carol()}
		p.Body = "@lilei @han_meimei"
	})
	in, err := rendererOf(calling()).Inspect(ofEvent(e))
	if got := atOf(t, in.Message); err != nil || !slices.Equal(got, []string{"u.han"}) {
		t.Errorf("it calls %q, error %v", got, err)
	}
}

func TestAnExternalGroupIsCalledByNumbersOnly(t *testing.T) {
	e := pulled(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, p *eventv1.PullRequest) {
		e.Sender, p.Body = dave(), ""
		p.Assignees = []*eventv1.User{alice(), bob(), carol()}
	})
	for external, want := range map[bool][]string{
		false: {"u-zhangsan", "u.han", "13800000002"},
		true:  {"13800000001", "13800000002"},
	} {
		o := calling()
		o.External = external
		in, err := rendererOf(o).Inspect(ofEvent(e))
		if got := atOf(t, in.Message); err != nil || !slices.Equal(got, want) {
			t.Errorf("external %v: it calls %q, error %v, want %q", external, got, err, want)
		}
	}
}

func TestWhoIsNamedWithAtIsCalled(t *testing.T) {
	people := team()
	tests := map[string]string{
		"@lilei":                       "lilei",
		"请 @lilei 看":                   "lilei",
		"请@lilei看看":                    "lilei",
		"@LiLei, @lilei.":              "lilei lilei",
		"(@lilei) **@dave**":           "lilei dave",
		"@han_meimei: 好":               "han_meimei",
		"> @dave":                      "dave",
		"- [ ] @dave":                  "dave",
		"[@dave](https://x)":           "dave",
		"`code` @dave":                 "dave",
		"a stray ` @dave":              "dave",
		"``` @dave":                    "",
		"x ``` @dave":                  "dave",
		"~~~\n@dave\n~~~\n@lilei":      "lilei",
		"```go\n@dave\n```\n@lilei":    "lilei",
		"````\n```\n@dave\n````":       "",
		"```\n@dave":                   "",
		"`@dave`":                      "",
		"``a ` @dave``":                "",
		"a@dave":                       "",
		"привет@dave":                  "",
		"mail dave@lilei.cn":           "",
		"@dave/pkg":                    "",
		"@dave@example.com":            "",
		"@davenport":                   "",
		"@dave-x":                      "",
		"\\@dave":                      "",
		"https://x.cn/@dave":           "",
		"https://x.cn/?u=@dave @lilei": "lilei",
		"[a](/u/@dave) @lilei":         "lilei",
		"[a](@dave)":                   "",
		"<!-- @dave -->@lilei":         "lilei",
		"@13800000002 @all @所有人":       "",
		"＠dave":                        "",
		"@" + strings.Repeat("x", 300): "",
		"@\n@":                         "",
	}
	for text, want := range tests {
		var got []string
		for login := range namedIn(text, people) {
			got = append(got, login)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

func TestNamesAreLookedForWhereTextIsNew(t *testing.T) {
	long := strings.Repeat("很长的描述。\n", 500) + "@dave"
	tests := map[string]struct {
		event *eventv1.Event
		want  []string
	}{
		"an issue's title": {issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) {
			i.Title, i.Body, i.Assignee = "请 @dave 看", "", nil
		}), []string{"+86-13800000004"}},
		"what was cut away": {issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) {
			i.Body, i.Assignee = long, nil
		}), []string{"+86-13800000004"}},
		"a comment, of its author too": {commented(eventv1.Action_ACTION_CREATED, func(_ *eventv1.Event, c *eventv1.Comment) {
			c.Body = "@dave @zhangsan"
		}), []string{"+86-13800000004"}},
		"an assignee that is named is called once": {issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) {
			i.Body, i.Assignee = "@lilei @LILEI", bob()
		}), []string{"13800000002"}},
		"an edited comment": {commented(eventv1.Action_ACTION_EDITED, func(_ *eventv1.Event, c *eventv1.Comment) { c.Body = "@dave" }), nil},
		"an update":         {pulled(eventv1.Action_ACTION_UPDATED, func(_ *eventv1.Event, p *eventv1.PullRequest) { p.Body = "@dave" }), nil},
		"a commit message": {push(eventv1.Action_ACTION_PUSHED, func(p *eventv1.Push) {
			p.Commits[2].Message = "@dave @13800000002 @所有人 @all"
		}), nil},
	}
	for name, tt := range tests {
		in, err := rendererOf(calling()).Inspect(ofEvent(tt.event))
		if got := atOf(t, in.Message); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: it calls %q, error %v, want %q", name, got, err, tt.want)
		}
		o := calling()
		o.Mentions.Names = false
		in, _ = rendererOf(o).Inspect(ofEvent(tt.event))
		if got := atOf(t, in.Message); len(got) > 0 && name != "an assignee that is named is called once" {
			t.Errorf("%s: without names it calls %q", name, got)
		}
	}
}

func TestADigestCallsEachPersonOnceBehindTheFirstLineThatDoes(t *testing.T) {
	one := pulled(eventv1.Action_ACTION_OPENED, pullBy)
	two := issued(eventv1.Action_ACTION_OPENED, issueBy(alice(), carol()))
	three := issued(eventv1.Action_ACTION_CLOSED, issueBy(bob(), carol()))
	m, used, err := renderAs(calling(), []delivery.Notification{ofEvent(one), ofEvent(two), ofEvent(three)})
	if err != nil || used != 3 {
		t.Fatalf("used %d, error %v", used, err)
	}
	if got := atOf(t, m); !slices.Equal(got, []string{"u.han", "13800000002"}) {
		t.Errorf("it calls %q", got)
	}
	text := m.Content.(dingtalk.Markdown).Text
	for line := range strings.Lines(text) {
		if strings.Contains(line, "@u.han") != strings.Contains(line, "!12") && strings.HasPrefix(line, "- ") {
			t.Errorf("the literal stands behind another line:\n%s", text)
		}
	}
}

func TestADigestEndsBeforeItWouldCallMoreThanFifty(t *testing.T) {
	var people []Person
	var batch []delivery.Notification
	for i := range 60 {
		login := "user" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		people = append(people, Person{Gitee: login, UserID: "id-" + login})
		batch = append(batch, ofEvent(issued(eventv1.Action_ACTION_ASSIGNED, func(_ *eventv1.Event, is *eventv1.Issue) {
			is.Assignee, is.Number = &eventv1.User{Login: login}, login
		})))
	}
	o := calling()
	o.People = NewPeople(people)
	m, used, err := renderAs(o, batch)
	if got := atOf(t, m); err != nil || used != 50 || len(got) != 50 {
		t.Errorf("used %d, %d called, error %v", used, len(got), err)
	}
	// One event alone calls the first 50.
	e := pulled(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, p *eventv1.PullRequest) {
		p.Assignees = nil
		for _, who := range people {
			p.Assignees = append(p.Assignees, &eventv1.User{Login: who.Gitee})
		}
	})
	in, err := rendererOf(o).Inspect(ofEvent(e))
	if got := atOf(t, in.Message); err != nil || len(got) != 50 {
		t.Errorf("%d called, error %v", len(got), err)
	}
}

func TestNobodyIsCalledTwiceForTheSame(t *testing.T) {
	withReviewers := func(us ...*eventv1.User) func(*eventv1.Event, *eventv1.PullRequest) {
		return func(_ *eventv1.Event, p *eventv1.PullRequest) { p.Assignees, p.Body = us, "" }
	}
	again := issued(eventv1.Action_ACTION_CLOSED, issueBy(bob(), nil))
	tests := map[string]struct {
		first, second *eventv1.Event
		want          []string
	}{
		"an assignment right after the opening": {
			pulled(eventv1.Action_ACTION_OPENED, withReviewers(bob())), pulled(eventv1.Action_ACTION_ASSIGNED, withReviewers(bob())), nil,
		},
		"an assignment of one more": {
			pulled(eventv1.Action_ACTION_OPENED, withReviewers(bob())), pulled(eventv1.Action_ACTION_ASSIGNED, withReviewers(bob(), carol())), []string{"u.han"},
		},
		"the same event through a second hook": {again, again, nil},
		"a comment after the opening": {
			pulled(eventv1.Action_ACTION_OPENED, withReviewers(bob())),
			commented(eventv1.Action_ACTION_CREATED, func(e *eventv1.Event, c *eventv1.Comment) {
				e.Id, c.Body = "evt-2", "@lilei"
			}),
			[]string{"13800000002"},
		},
	}
	for name, tt := range tests {
		r := rendererOf(calling())
		one, err := r.Render([]delivery.Notification{{Seq: 1, Event: tt.first}}, nil)
		if err != nil || len(one.Marks) == 0 {
			t.Fatalf("%s: marks %v, error %v", name, one.Marks, err)
		}
		two, err := r.Render([]delivery.Notification{{Seq: 2, Event: tt.second}}, toldOf(one))
		if got := atOf(t, two.Message); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: the second calls %q, error %v, want %q", name, got, err, tt.want)
		}
	}
}

// toldOf is what the group was told by rs.
func toldOf(rs ...delivery.Rendering) []delivery.Told {
	var told []delivery.Told
	for _, r := range rs {
		for _, m := range r.Marks {
			told = append(told, delivery.Told{Mark: m})
		}
	}
	return told
}

func TestAllIsForRobotsThatMayCallAll(t *testing.T) {
	n := ofMessage(mentioning(textMessage("好了"), &notifierv1.Mentions{All: true}))
	in, err := rendererOf(Options{Robot: "team"}).Inspect(n)
	if refused, ok := errors.AsType[*MentionError](err); !ok || refused.Robot != "team" || in.Size == 0 {
		t.Errorf("error %v, %d bytes", err, in.Size)
	}
	if in, err = rendererOf(Options{Mentions: Mentions{All: true}}).Inspect(n); err != nil || !in.Message.Mentions.All {
		t.Errorf("where all may be called: %v, error %v", in.Message.Mentions, err)
	}
}

func TestRulesThatContradictThemselvesAreRefused(t *testing.T) {
	for want, m := range map[string]Mentions{
		"mentions.merged: EVERYBODY needs all: true beside it": {Merged: []Role{Everybody}},
		"mentions.closed: NOBODY stands alone":                 {Closed: []Role{Nobody, Author}},
	} {
		if _, err := New(Options{Mentions: m}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returned %v, want %q", err, want)
		}
	}
	got := rendererOf(Options{}).Options().Mentions
	if diff := gocmp.Diff([]Role{Assignee, Reviewers}, got.Opened); diff != "" || got.All || got.Names {
		t.Errorf("the defaults are %+v", got)
	}
}
