package config_test

import (
	"slices"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/config"
)

// TestEveryRobotsFaultSaysWhatToDo is TestEverySettingsFaultSaysWhatToDo for how a robot speaks, when, and to
// whom.
func TestEveryRobotsFaultSaysWhatToDo(t *testing.T) {
	const timeOfDay = "give a time of day, such as 22:00"
	for name, c := range map[string]struct{ notifier, robot, want string }{
		"a zone that is none":              {robot: "      time_zone: Asia/Shangai\n", want: "b.yaml:13:18: notifier.robots[0].time_zone: there is no such time zone: give a name of the IANA database, such as Asia/Shanghai, Europe/Moscow or UTC"},
		"a zone of the machine":            {robot: "      time_zone: Local\n", want: "b.yaml:13:18: notifier.robots[0].time_zone: there is no such time zone"},
		"an offset as a zone":              {robot: "      time_zone: +08:00\n", want: "b.yaml:13:18: notifier.robots[0].time_zone: there is no such time zone"},
		"another shape":                    {robot: "      shape: CARD\n", want: "b.yaml:13:14: notifier.robots[0].shape: give one of MARKDOWN, ACTION_CARD"},
		"other links":                      {robot: "      links: browser\n", want: "b.yaml:13:14: notifier.robots[0].links: give one of DINGTALK, BROWSER"},
		"a role that is none":              {robot: "      mentions: {merged: [OWNER]}\n", want: "b.yaml:13:27: notifier.robots[0].mentions.merged[0]: give one of ASSIGNEE, COLLABORATORS, REVIEWERS, TESTERS, AUTHOR, EVERYBODY, NOBODY"},
		"nobody and others":                {robot: "      mentions: {merged: [NOBODY, AUTHOR]}\n", want: "b.yaml:13:26: notifier.robots[0].mentions.merged: NOBODY stands alone: remove it, or the others"},
		"everybody without leave":          {robot: "      mentions: {commented: [EVERYBODY]}\n", want: "b.yaml:13:29: notifier.robots[0].mentions.commented: EVERYBODY is for robots that may call everybody: write `all: true` beside it, or remove it"},
		"a list without roles":             {robot: "      mentions: {merged: []}\n", want: "b.yaml:13:26: notifier.robots[0].mentions.merged: an empty list says nothing: write [NOBODY] to call nobody, or leave it out for the default"},
		"quiet in an hour that is none":    {robot: "      quiet: {hours: [{from: '25:00', to: '08:00'}]}\n", want: "b.yaml:13:30: notifier.robots[0].quiet.hours[0].from: " + timeOfDay},
		"quiet without quotes":             {robot: "      quiet: {hours: [{from: 25:00, to: 08:00}]}\n", want: "b.yaml:13:30: notifier.robots[0].quiet.hours[0].from: " + timeOfDay},
		"quiet from the end of the day":    {robot: "      quiet: {hours: [{from: '24:00', to: '08:00'}]}\n", want: "b.yaml:13:30: notifier.robots[0].quiet.hours[0].from: " + timeOfDay},
		"quiet on a day that is none":      {robot: "      quiet: {hours: [{from: '22:00', to: '08:00', days: [Mo]}]}\n", want: "b.yaml:13:59: notifier.robots[0].quiet.hours[0].days[0]: give one of MON, TUE, WED, THU, FRI, SAT, SUN"},
		"quiet without hours":              {robot: "      quiet: {let_through: [URGENT]}\n", want: "b.yaml:13:14: notifier.robots[0].quiet.hours: is empty"},
		"quiet all day":                    {robot: "      quiet: {hours: [{from: '00:00', to: '24:00'}]}\n", want: "b.yaml:13:22: notifier.robots[0].quiet.hours: are the whole week: nothing would ever be sent; leave some time"},
		"quiet by day and by night":        {robot: "      quiet: {hours: [{from: '08:00', to: '20:00'}, {from: '20:00', to: '08:00'}]}\n", want: "b.yaml:13:22: notifier.robots[0].quiet.hours: are the whole week"},
		"quiet until all is forgotten":     {notifier: "  retention: 79h\n", robot: "      quiet: {hours: [{from: '18:00', to: '24:00', days: [FRI]}, {from: '00:00', to: '24:00', days: [SAT, SUN]}]}\n", want: "b.yaml:13:22: notifier.robots[0].quiet.hours: the longest quiet, 54h, and max_age together are not below notifier.retention: what is held back would be forgotten; make retention longer"},
		"a long wait for what is folded":   {robot: "      folding: {wait: 2m}\n", want: "b.yaml:13:23: notifier.robots[0].folding.wait: is not between 0s and 1m"},
		"what is folded becomes too old":   {notifier: "  max_age: 1m\n", robot: "      folding: {wait: 60s}\n", want: "b.yaml:13:23: notifier.robots[0].folding.wait: is not below notifier.max_age: what waits would become too old to be told"},
		"a template of a kind that is not": {robot: "      templates: [{kind: pull, text: x}]\n", want: "b.yaml:13:26: notifier.robots[0].templates[0].kind: give one of push, tag, issue, pull_request, comment, ping"},
		"a template without words":         {robot: "      templates: [{kind: push}]\n", want: "b.yaml:13:19: notifier.robots[0].templates[0]: give title, text or both"},
		"two templates of one kind":        {robot: "      templates: [{kind: push, text: x}, {kind: push, title: x}]\n", want: "b.yaml:13:49: notifier.robots[0].templates[1].kind: is the kind of templates[0] as well: put title and text into one template"},
		"somebody out of reach":            {notifier: "  people: [{gitee: anna}]\n", want: "b.yaml:13:12: notifier.people[0]: give mobile, user_id or both"},
		"a number that is none":            {notifier: "  people: [{gitee: anna, mobile: '138 0000'}]\n", want: "b.yaml:13:34: notifier.people[0].mobile: give the number with its digits alone, such as 13800000000, or with its country, such as +86-13800000000"},
		"a user id with blanks":            {notifier: "  people: [{gitee: anna, user_id: 'a b'}]\n", want: "b.yaml:13:35: notifier.people[0].user_id: give the user id as DingTalk's address book shows it: letters, digits and _.@-"},
		"one login in two spellings":       {notifier: "  people: [{gitee: anna, user_id: a}, {gitee: Anna, user_id: b}]\n", want: "b.yaml:13:47: notifier.people[1].gitee: is the login of people[0] as well: capitals don't matter; keep one entry"},
		"one login twice":                  {notifier: "  people: [{gitee: anna, user_id: a}, {gitee: anna, user_id: b}]\n", want: "b.yaml:13:47: notifier.people[1].gitee: is the login of people[0] as well"},
	} {
		t.Run(name, func(t *testing.T) { wantFault(t, settings(c.notifier, "", c.robot), both, c.want) })
	}
}

func TestQuietHoursThatLeaveTimeAreGood(t *testing.T) {
	for name, robot := range map[string]string{
		"nights without quotes": "      quiet: {hours: [{from: 22:00, to: 08:00}], let_through: [MENTIONS, URGENT]}\n",
		"all but a minute":      "      quiet: {hours: [{from: '00:01', to: '00:00'}]}\n",
		"nights and weekends":   "      quiet: {hours: [{from: '20:00', to: '08:00'}, {from: '00:00', to: '24:00', days: [SAT, SUN]}]}\n",
		"from Sunday to Monday": "      quiet: {hours: [{from: '12:00', to: '12:00', days: [SUN]}]}\n",
	} {
		t.Run(name, func(t *testing.T) { parsed(t, "", "", robot) })
	}
}

func TestARobotHasItsDefaults(t *testing.T) {
	usual := parsed(t, "", "", "").GetNotifier().GetRobots()[0]
	m, f := usual.GetMentions(), usual.GetFolding()
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"shape", usual.GetShape(), "MARKDOWN"},
		{"links", usual.GetLinks(), "DINGTALK"},
		{"time_zone", usual.GetTimeZone(), "Asia/Shanghai"},
		{"mentions.names", m.Names != nil && m.GetNames(), true},
		{"mentions.all", m.GetAll(), false},
		{"folding.merge_pushes", f.MergePushes != nil && f.GetMergePushes(), true},
		{"folding.merged_branches", f.MergedBranches != nil && f.GetMergedBranches(), true},
		{"folding.companions", f.Companions != nil && f.GetCompanions(), true},
		{"folding.updates", f.Updates != nil && f.GetUpdates(), true},
		{"folding.wait", f.GetWait().AsDuration(), 3 * time.Second},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct {
		name      string
		got, want []string
	}{
		{"opened", m.GetOpened(), []string{"ASSIGNEE", "REVIEWERS"}},
		{"assigned", m.GetAssigned(), []string{"ASSIGNEE", "REVIEWERS", "TESTERS"}},
		{"approved", m.GetApproved(), []string{"AUTHOR"}},
		{"merged", m.GetMerged(), []string{"AUTHOR"}},
		{"closed", m.GetClosed(), []string{"AUTHOR"}},
		{"commented", m.GetCommented(), []string{"AUTHOR"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	given := parsed(t, "", "", "      locale: ru\n      mentions: {names: false, opened: [NOBODY]}\n      folding: {updates: false, wait: 0s}\n").GetNotifier().GetRobots()[0]
	if m := given.GetMentions(); m.GetNames() || !slices.Equal(m.GetOpened(), []string{"NOBODY"}) || len(m.GetMerged()) != 1 {
		t.Errorf("what is given for mentions becomes %v", m)
	}
	if f := given.GetFolding(); f.GetUpdates() || !f.GetCompanions() || f.GetWait().AsDuration() != 0 {
		t.Errorf("what is given for folding becomes %v", f)
	}
	if zone := given.GetTimeZone(); zone != "Europe/Moscow" {
		t.Errorf("the time zone of ru is %s", zone)
	}
}

func TestWhatIsOddAboutPeopleIsNoFault(t *testing.T) {
	yaml := settings("  people: [{gitee: anna, mobile: '13800000001', user_id: a}, {gitee: boris, mobile: '+86-13800000001'},\n"+
		"    {gitee: clara, user_id: a}]\n", "", "      external: true\n")
	t.Setenv("HOOK_SECRET", "x")
	t.Setenv("ROBOT_TOKEN", "x")
	src := source(t, yaml)
	cfg, err := src.Config(both)
	if err != nil {
		t.Fatal(err)
	}
	const want = "FILE:13:17: notifier.robots[0].external: in an external group people are called by their mobile numbers only, and 1 person is without one in notifier.people: clara\n" +
		"FILE:14:85: notifier.people[1].mobile: is the number of people[0] as well: is one somebody else's?\n" +
		"FILE:15:29: notifier.people[2].user_id: is the user id of people[0] as well: is one somebody else's?"
	if got := src.Place(config.Warnings(cfg)); named(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", named(got), want)
	}
}
