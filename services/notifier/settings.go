package notifier

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// robotsOf makes the robots of a configuration that package config has checked and completed. Nothing of what
// they do is decided elsewhere.
func robotsOf(cfg *configv1.Notifier) ([]delivery.Robot, error) {
	people := peopleOf(cfg)
	robots := make([]delivery.Robot, 0, len(cfg.GetRobots()))
	for _, r := range cfg.GetRobots() {
		robot, err := robotOf(r, people)
		if err != nil {
			return nil, fmt.Errorf("robot %s: %w", r.GetName(), err)
		}
		robots = append(robots, robot)
	}
	return robots, nil
}

func robotOf(r *configv1.Robot, people *render.People) (delivery.Robot, error) {
	members, err := membersOf(r)
	if err != nil {
		return delivery.Robot{}, err
	}
	options, err := optionsOf(r, people)
	if err != nil {
		return delivery.Robot{}, err
	}
	renderer, err := render.New(options)
	if err != nil {
		return delivery.Robot{}, err
	}
	quiet, err := quietOf(r, options.Zone)
	if err != nil {
		return delivery.Robot{}, err
	}
	return delivery.Robot{
		Name: r.GetName(), Members: members, Renderer: renderer, Quiet: quiet, Allowance: r.GetAllowance(),
	}, nil
}

// rendererIn makes what words the messages of the configuration's robot of that name.
func rendererIn(cfg *configv1.Notifier, name string) (*render.Renderer, error) {
	for _, r := range cfg.GetRobots() {
		if r.GetName() != name {
			continue
		}
		options, err := optionsOf(r, peopleOf(cfg))
		if err != nil {
			return nil, fmt.Errorf("robot %s: %w", name, err)
		}
		renderer, err := render.New(options)
		if err != nil {
			return nil, fmt.Errorf("robot %s: %w", name, err)
		}
		return renderer, nil
	}
	return nil, fmt.Errorf("there is no robot %q under notifier.robots", name)
}

// rendererOf returns what words the robot's messages; nil for a robot that was removed.
func rendererOf(r delivery.Robot) *render.Renderer {
	renderer, _ := r.Renderer.(*render.Renderer)
	return renderer
}

// localeOf returns the language of the robot's messages; empty for a robot that was removed.
func localeOf(r delivery.Robot) string {
	if renderer := rendererOf(r); renderer != nil {
		return renderer.Options().Locale
	}
	return ""
}

// clockOf returns the zone of the times in the robot's messages; nil for a robot that was removed.
func clockOf(r delivery.Robot) *time.Location {
	if renderer := rendererOf(r); renderer != nil {
		return renderer.Options().Zone
	}
	return nil
}

// membersOf returns the robots of r's group: itself and those of its more.
func membersOf(r *configv1.Robot) ([]delivery.Member, error) {
	first, err := dingtalk.NewRobot(r.GetWebhook(), r.GetSecret())
	if err != nil {
		return nil, err
	}
	members := []delivery.Member{{ID: first.Identity(), Webhook: first}}
	for i, m := range r.GetMore() {
		webhook, err := dingtalk.NewRobot(m.GetWebhook(), m.GetSecret())
		if err != nil {
			return nil, fmt.Errorf("more[%d]: %w", i, err)
		}
		members = append(members, delivery.Member{ID: webhook.Identity(), Webhook: webhook})
	}
	return members, nil
}

func allowancesOf(cfg *configv1.Notifier) []delivery.Allowance {
	var all []delivery.Allowance
	for _, a := range cfg.GetAllowances() {
		all = append(all, delivery.Allowance{Name: a.GetName(), PerMonth: int(a.GetPerMonth()), MaxWait: a.GetMaxWait().AsDuration()})
	}
	return all
}

// peopleOf returns the table that all robots share.
func peopleOf(cfg *configv1.Notifier) *render.People {
	people := make([]render.Person, 0, len(cfg.GetPeople()))
	for _, p := range cfg.GetPeople() {
		people = append(people, render.Person{Gitee: p.GetGitee(), Mobile: p.GetMobile(), UserID: p.GetUserId()})
	}
	return render.NewPeople(people)
}

// optionsOf returns how the robot tells things.
func optionsOf(r *configv1.Robot, people *render.People) (render.Options, error) {
	zone, err := zoneOf(r)
	if err != nil {
		return render.Options{}, err
	}
	return render.Options{
		Robot:                r.GetName(),
		Locale:               r.GetLocale(),
		Zone:                 zone,
		Keywords:             r.GetKeywords(),
		RejectMissingKeyword: r.GetMissingKeyword() == "REJECT",
		ActionCard:           r.GetShape() == "ACTION_CARD",
		Browser:              r.GetLinks() == "BROWSER",
		External:             r.GetExternal(),
		People:               people,
		Mentions:             mentionsOf(r.GetMentions()),
		Folding:              foldingOf(r.GetFolding()),
		Templates:            templatesOf(r),
	}, nil
}

func templatesOf(r *configv1.Robot) []render.Template {
	var all []render.Template
	for _, t := range r.GetTemplates() {
		all = append(all, render.Template{Kind: t.GetKind(), Title: t.GetTitle(), Text: t.GetText()})
	}
	return all
}

// zoneOf returns the robot's time zone; nil for that of its language.
func zoneOf(r *configv1.Robot) (*time.Location, error) {
	if r.GetTimeZone() == "" {
		return nil, nil
	}
	zone, err := time.LoadLocation(r.GetTimeZone())
	if err != nil {
		return nil, fmt.Errorf("time_zone: there is no %q in the IANA database: give a name such as Asia/Shanghai", r.GetTimeZone())
	}
	return zone, nil
}

// weekdays are the days of quiet hours, at their places of time.Weekday.
var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

// quietOf returns when the robot's group is not to be disturbed, by the clocks of zone; nil for never.
func quietOf(r *configv1.Robot, zone *time.Location) (*delivery.Quiet, error) {
	if len(r.GetQuiet().GetHours()) == 0 {
		return nil, nil
	}
	through := r.GetQuiet().GetLetThrough()
	q := &delivery.Quiet{
		Zone:     zone,
		Mentions: slices.Contains(through, "MENTIONS"),
		Urgent:   slices.Contains(through, "URGENT"),
	}
	for i, h := range r.GetQuiet().GetHours() {
		from, ferr := minutesOf(h.GetFrom())
		to, terr := minutesOf(h.GetTo())
		if ferr != nil || terr != nil {
			return nil, fmt.Errorf("quiet.hours[%d]: give times of day, such as 22:00", i)
		}
		stretch := delivery.QuietHours{From: from, To: to}
		for day, name := range weekdays {
			stretch.Days[day] = len(h.GetDays()) == 0 || slices.Contains(h.GetDays(), name)
		}
		q.Hours = append(q.Hours, stretch)
	}
	return q, nil
}

// minutesOf reads a time of day, such as "22:00", as minutes from the day's beginning.
func minutesOf(clock string) (int, error) {
	h, m, _ := strings.Cut(clock, ":")
	hours, err := strconv.Atoi(h)
	if err != nil {
		return 0, err
	}
	minutes, err := strconv.Atoi(m)
	return 60*hours + minutes, err
}

// mentionsOf returns whom the robot's messages call.
func mentionsOf(m *configv1.MentionRules) render.Mentions {
	return render.Mentions{
		All:       m.GetAll(),
		Names:     m.GetNames(),
		Opened:    rolesOf(m.GetOpened()),
		Assigned:  rolesOf(m.GetAssigned()),
		Approved:  rolesOf(m.GetApproved()),
		Merged:    rolesOf(m.GetMerged()),
		Closed:    rolesOf(m.GetClosed()),
		Commented: rolesOf(m.GetCommented()),
	}
}

func rolesOf(words []string) []render.Role {
	var roles []render.Role
	for _, w := range words {
		roles = append(roles, render.Role(w))
	}
	return roles
}

// foldingOf returns which events the robot tells as part of others.
func foldingOf(f *configv1.Folding) render.Folding {
	return render.Folding{
		MergePushes:    f.GetMergePushes(),
		MergedBranches: f.GetMergedBranches(),
		Companions:     f.GetCompanions(),
		Updates:        f.GetUpdates(),
		Wait:           f.GetWait().AsDuration(),
	}
}
