package notifier

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/services/notifier/render"
)

func TestEverySettingOfARobotReachesItsMessages(t *testing.T) {
	people := render.NewPeople(nil)
	o, err := optionsOf(&configv1.Robot{
		Name: "team", Locale: "ru", TimeZone: "Europe/Samara", Shape: "ACTION_CARD", Links: "BROWSER", External: true,
		Keywords: []string{"Gitee"}, MissingKeyword: "REJECT",
		Mentions: &configv1.MentionRules{
			All: true, Names: new(true), Opened: []string{"EVERYBODY"}, Assigned: []string{"ASSIGNEE"}, Approved: []string{"REVIEWERS"},
			Merged: []string{"TESTERS"}, Closed: []string{"COLLABORATORS"}, Commented: []string{"NOBODY"},
		},
		Folding: &configv1.Folding{
			MergePushes: new(true), MergedBranches: new(true), Companions: new(true), Updates: new(true), Wait: durationpb.New(5 * time.Second),
		},
		Templates: []*configv1.Template{{Kind: "push", Title: "t", Text: "x"}},
	}, people)
	if err != nil {
		t.Fatal(err)
	}
	samara, err := time.LoadLocation("Europe/Samara")
	if err != nil {
		t.Fatal(err)
	}
	want := render.Options{
		Robot: "team", Locale: "ru", Zone: samara, Keywords: []string{"Gitee"}, RejectMissingKeyword: true,
		ActionCard: true, Browser: true, External: true, People: people,
		Mentions: render.Mentions{
			All: true, Names: true, Opened: []render.Role{render.Everybody}, Assigned: []render.Role{render.Assignee},
			Approved: []render.Role{render.Reviewers}, Merged: []render.Role{render.Testers},
			Closed: []render.Role{render.Collaborators}, Commented: []render.Role{render.Nobody},
		},
		Folding:   render.Folding{MergePushes: true, MergedBranches: true, Companions: true, Updates: true, Wait: 5 * time.Second},
		Templates: []render.Template{{Kind: "push", Title: "t", Text: "x"}},
	}
	same := []cmp.Option{
		cmp.Comparer(func(a, b *render.People) bool { return a == b }),
		cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
	}
	if diff := cmp.Diff(want, o, same...); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Nothing of the schema is left out: an option without effect would be found here.
	if n := (&configv1.Robot{}).ProtoReflect().Descriptor().Fields().Len(); n != 16 {
		t.Errorf("a robot has %d settings; this test knows 16: see that the new one does something", n)
	}
}

func TestInspectShowsAnEventWithoutARunningService(t *testing.T) {
	cfg := &configv1.Notifier{
		People: []*configv1.Person{{Gitee: "zhangwei", UserId: "0142"}},
		Robots: []*configv1.Robot{{
			Name: "team", Locale: "en", TimeZone: "Asia/Shanghai", Keywords: []string{"Gitee"}, MissingKeyword: "REJECT",
			Mentions:  &configv1.MentionRules{Names: new(true)},
			Templates: []*configv1.Template{{Kind: "push", Title: `{{index .labels 5}} Gitee`}},
		}},
	}
	opened := eventNamed(t, "pull_request", eventv1.Action_ACTION_OPENED)
	previews, err := Inspect(cfg, "team", true, opened)
	if err != nil {
		t.Fatal(err)
	}
	var locales []string
	for _, p := range previews {
		locales = append(locales, p.GetLocale())
		var body struct{ At struct{ AtUserIds []string } }
		if err := json.Unmarshal([]byte(p.GetBody()), &body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"0142"}, body.At.AtUserIds); diff != "" {
			t.Errorf("%s calls: (-want +got)\n%s", p.GetLocale(), diff)
		}
		if p.GetFailure().GetReason() != "ERROR_REASON_KEYWORD_MISSING" || p.GetKeyword().GetVerdict() != "MISSING" {
			t.Errorf("%s: a message without a keyword is shown as %v %v", p.GetLocale(), p.GetFailure(), p.GetKeyword())
		}
	}
	if diff := cmp.Diff([]string{"en", "zh-CN", "ru"}, locales); diff != "" {
		t.Errorf("languages (-want +got)\n%s", diff)
	}
	previews, err = Inspect(cfg, "team", false, eventNamed(t, "push", eventv1.Action_ACTION_PUSHED))
	if err != nil || len(previews) != 1 {
		t.Fatalf("%d previews, %v", len(previews), err)
	}
	if note := previews[0].GetNote(); !strings.Contains(note, "template") {
		t.Errorf("a template that fails with this event is noted as %q", note)
	}
	if _, err := Inspect(cfg, "nobody", false, opened); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("an unknown robot: %v", err)
	}
}

func TestCheckFindsFaultsOfTemplatesAtTheirPlaces(t *testing.T) {
	asked := 0
	check := Check(func() []*eventv1.Event {
		asked++
		return giteetest.Events(time.Now())
	})
	cfg := &configv1.Config{Notifier: &configv1.Notifier{Robots: []*configv1.Robot{{Name: "plain"}}}}
	if got := check(cfg); got != nil || asked != 0 {
		t.Errorf("without templates: %v, asked %d times", got, asked)
	}
	cfg.Notifier.Robots = append(cfg.Notifier.Robots, &configv1.Robot{Name: "own", Templates: []*configv1.Template{
		{Kind: "tag", Text: "{{.tag}}"},
		{Kind: "push", Title: "{{.sender}}", Text: "pushed\nto {{.brnch}}"},
	}}, &configv1.Robot{Name: "more", Templates: []*configv1.Template{{Kind: "issue", Title: "{{.event.issue.titel}}"}}})
	got := check(cfg)
	var places []config.Problem
	for _, p := range got {
		if p.Message == "" {
			t.Errorf("%+v says nothing", p)
		}
		p.Message = ""
		places = append(places, p)
	}
	want := []config.Problem{
		{Path: "notifier.robots[1].templates[1].text", Line: 2, Column: 6},
		{Path: "notifier.robots[2].templates[0].title", Line: 1, Column: 15},
	}
	if diff := cmp.Diff(want, places); diff != "" || asked != 1 {
		t.Errorf("asked %d times (-want +got)\n%s\n%v", asked, diff, got)
	}
	if got := check(&configv1.Config{}); got != nil {
		t.Errorf("without a notifier: %v", got)
	}
}

// eventNamed returns the first sample of that kind and action.
func eventNamed(t *testing.T, kind string, action eventv1.Action) *eventv1.Event {
	t.Helper()
	for _, e := range giteetest.Events(time.Now()) {
		m := e.ProtoReflect()
		if string(m.WhichOneof(m.Descriptor().Oneofs().ByName("subject")).Name()) == kind && e.GetAction() == action {
			return e
		}
	}
	t.Fatalf("there is no sample of %s %v", kind, action)
	return nil
}
