package config

import (
	"fmt"
	"slices"
	"strings"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// roles are whom a robot's messages call on an occasion.
type roles struct {
	name string // of the field
	list *[]string
	// usual is what stands where the list is absent.
	usual []string
}

// roleLists returns the lists of m, which must not be nil.
func roleLists(m *configv1.MentionRules) []roles {
	return []roles{
		{"opened", &m.Opened, []string{"ASSIGNEE", "REVIEWERS"}},
		{"assigned", &m.Assigned, []string{"ASSIGNEE", "REVIEWERS", "TESTERS"}},
		{"approved", &m.Approved, []string{"AUTHOR"}},
		{"merged", &m.Merged, []string{"AUTHOR"}},
		{"closed", &m.Closed, []string{"AUTHOR"}},
		{"commented", &m.Commented, []string{"AUTHOR"}},
	}
}

// checkMentions finds rules that contradict themselves.
func (vs *violations) checkMentions(at path, m *configv1.MentionRules) {
	if m == nil {
		return
	}
	for _, r := range roleLists(m) {
		if slices.Contains(*r.list, "NOBODY") && len(*r.list) > 1 {
			vs.add(at.field(r.name), "NOBODY stands alone: remove it, or the others")
		}
		if slices.Contains(*r.list, "EVERYBODY") && !m.GetAll() {
			vs.add(at.field(r.name), "EVERYBODY is for robots that may call everybody: write `all: true` beside it, or remove it")
		}
	}
}

// checkPeople finds logins that differ in their capitals alone, or not at all.
func (vs *violations) checkPeople(nt *configv1.Notifier) {
	people := nt.GetPeople()
	vs.unique(path(nil).field("notifier").field("people"), "gitee", len(people),
		func(i int) string { return strings.ToLower(people[i].GetGitee()) }, "the login", "capitals don't matter; keep one entry")
}

// unique finds values that an entry before has as well, in the field of that name of each of the n entries
// at at.
func (vs *violations) unique(at path, field string, n int, value func(i int) string, what, fix string) {
	first := make(map[string]int, n)
	for i := range n {
		v := value(i)
		if v == "" {
			continue
		}
		if other, ok := first[v]; ok {
			vs.add(at.index(i).field(field), "is %s of %s[%d] as well: %s", what, at[len(at)-1].GetFieldName(), other, fix)
			continue
		}
		first[v] = i
	}
}

// Warnings returns what is odd about a configuration that is good: it does not keep it from being run.
func Warnings(cfg *configv1.Config) []Problem {
	people := cfg.GetNotifier().GetPeople()
	var problems []Problem
	twice := func(field, what string, value func(p *configv1.Person) string) {
		first := make(map[string]int, len(people))
		for i, p := range people {
			v := value(p)
			if v == "" {
				continue
			}
			if other, ok := first[v]; ok {
				problems = append(problems, Problem{
					Path:    fmt.Sprintf("notifier.people[%d].%s", i, field),
					Message: fmt.Sprintf("is %s of people[%d] as well: is one somebody else's?", what, other),
				})
				continue
			}
			first[v] = i
		}
	}
	twice("mobile", "the number", func(p *configv1.Person) string {
		return strings.TrimPrefix(strings.ReplaceAll(p.GetMobile(), "-", ""), "+86")
	})
	twice("user_id", "the user id", (*configv1.Person).GetUserId)

	var unreachable []string
	for _, p := range people {
		if p.GetMobile() == "" {
			unreachable = append(unreachable, p.GetGitee())
		}
	}
	for i, r := range cfg.GetNotifier().GetRobots() {
		if r.GetExternal() && len(unreachable) > 0 {
			problems = append(problems, Problem{
				Path: fmt.Sprintf("notifier.robots[%d].external", i),
				Message: fmt.Sprintf("in an external group people are called by their mobile numbers only, and %s without one in notifier.people: %s",
					counted(len(unreachable)), few(unreachable)),
			})
		}
	}
	return append(problems, accessWarnings(cfg)...)
}

func counted(n int) string {
	if n == 1 {
		return "1 person is"
	}
	return fmt.Sprintf("%d people are", n)
}
