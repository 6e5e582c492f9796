package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// Person is how somebody with an account on the code host is called in DingTalk.
type Person struct {
	// Gitee is the login; capitals don't matter.
	Gitee string
	// Mobile is the mobile number and UserID the user id of the organisation, either may be empty.
	Mobile, UserID string
}

// People is a table of persons by their logins. It does not change, and any number of robots may share it.
type People struct{ byLogin map[string]member }

// member is an entry of the table. Those of one person, who has several logins, have the same who.
type member struct {
	Person
	who string
}

// NewPeople returns the table of ps. Of two with one login, the later counts. Two with one user id are the same
// person, and so is who has only a number and whom it belongs to.
func NewPeople(ps []Person) *People {
	t := &People{byLogin: make(map[string]member, len(ps))}
	byNumber := make(map[string]string)
	for _, p := range ps {
		if number := plainNumber(p.Mobile); p.UserID != "" && byNumber[number] == "" {
			byNumber[number] = p.UserID
		}
	}
	for _, p := range ps {
		who := p.UserID
		if who == "" {
			number := plainNumber(p.Mobile)
			who = cmp.Or(byNumber[number], number)
		}
		t.byLogin[strings.ToLower(p.Gitee)] = member{p, who}
	}
	return t
}

// plainNumber is a mobile number of one way of writing it: China's, without its code, as DingTalk takes it too.
func plainNumber(mobile string) string {
	return strings.TrimPrefix(strings.ReplaceAll(mobile, "-", ""), "+86")
}

// find returns the person with that login.
func (t *People) find(login string) (member, bool) {
	if t == nil || login == "" {
		return member{}, false
	}
	p, ok := t.byLogin[strings.ToLower(login)]
	return p, ok
}

// isEmpty tells of a table in which nobody can be found.
func (t *People) isEmpty() bool { return t == nil || len(t.byLogin) == 0 }

// Role is what somebody has to do with an event.
type Role string

// The roles, in the words of the configuration.
const (
	// Assignee and Collaborators are an issue's, Reviewers and Testers a pull request's.
	Assignee      Role = "ASSIGNEE"
	Collaborators Role = "COLLABORATORS"
	Reviewers     Role = "REVIEWERS"
	Testers       Role = "TESTERS"
	// Author wrote the issue or the pull request, or the one that was commented on.
	Author Role = "AUTHOR"
	// Everybody is everybody in the group, and Nobody, which stands alone, nobody.
	Everybody Role = "EVERYBODY"
	Nobody    Role = "NOBODY"
)

// Mentions says whom a robot's messages call. An empty list stands for the default that is named with it.
type Mentions struct {
	// All says that messages may call everybody in the group.
	All bool
	// Names says that those are called whom a new title, text or comment names with "@".
	Names bool
	// Opened is for a new or reopened issue or pull request: Assignee and Reviewers.
	Opened []Role
	// Assigned is for an assignment: Assignee, Reviewers and Testers.
	Assigned []Role
	// Approved is for a review or a test that was passed: Author.
	Approved []Role
	// Merged is for a merge: Author.
	Merged []Role
	// Closed is for an issue or a pull request that was closed: Author.
	Closed []Role
	// Commented is for a new comment: Author.
	Commented []Role
}

// completed returns m with its defaults, or an error that names the list with a fault.
func (m Mentions) completed() (Mentions, error) {
	for _, l := range []struct {
		name  string
		roles *[]Role
		usual []Role
	}{
		{"opened", &m.Opened, []Role{Assignee, Reviewers}},
		{"assigned", &m.Assigned, []Role{Assignee, Reviewers, Testers}},
		{"approved", &m.Approved, []Role{Author}},
		{"merged", &m.Merged, []Role{Author}},
		{"closed", &m.Closed, []Role{Author}},
		{"commented", &m.Commented, []Role{Author}},
	} {
		if len(*l.roles) == 0 {
			*l.roles = l.usual
		}
		switch {
		case slices.Contains(*l.roles, Everybody) && !m.All:
			return m, fmt.Errorf("mentions.%s: EVERYBODY needs all: true beside it", l.name)
		case slices.Contains(*l.roles, Nobody) && len(*l.roles) > 1:
			return m, fmt.Errorf("mentions.%s: NOBODY stands alone; take it out, or the others", l.name)
		}
	}
	return m, nil
}

// MentionError says that a caller's message calls everybody, which its robot may not.
type MentionError struct {
	// Robot is the robot's name.
	Robot string
}

// Error names the setting and both ways out.
func (e *MentionError) Error() string {
	return fmt.Sprintf("robot %s: the message calls everybody in the group, which this robot may not: mention people, or set mentions.all to true for it", e.Robot)
}

// callee is whom DingTalk calls: the literal behind "@" in the text, and in which list it stands.
type callee struct {
	literal string
	byUser  bool
}

// callee returns how to call p in the robot's group. The user id is used where there is one, since it shows
// nobody's number; in an external group it would call nobody (dingtalk.Mentions), so that only the number
// counts there.
func (r *Renderer) callee(p Person) (c callee, ok bool) {
	if p.UserID != "" && !r.opts.External {
		return callee{literal: p.UserID, byUser: true}, true
	}
	return callee{literal: p.Mobile}, p.Mobile != ""
}

// calls are whom a message calls.
type calls struct {
	everybody bool
	// people are at most dingtalk.MaxMentions, each once.
	people []callee
	// about is what to remember of them: who they are, and that all are.
	about []string
}

func (c calls) isEmpty() bool { return !c.everybody && len(c.people) == 0 }

// mentions is c as DingTalk wants it beside the text.
func (c calls) mentions() dingtalk.Mentions {
	m := dingtalk.Mentions{All: c.everybody}
	for _, p := range c.people {
		if p.byUser {
			m.UserIDs = append(m.UserIDs, p.literal)
		} else {
			m.Mobiles = append(m.Mobiles, p.literal)
		}
	}
	return m
}

// literals are what has to stand in the text, without "@".
func (c calls) literals() []string {
	var all []string
	for _, p := range c.people {
		all = append(all, p.literal)
	}
	return all
}

// room is how many bytes c takes in a message, encoded: in the text, and beside it.
func (c calls) room() int {
	n := 0
	for _, p := range c.people {
		n += p.room()
	}
	return n
}

// room is how many bytes c takes, encoded: " @literal " in the text, and "literal", beside it.
func (c callee) room() int { return 2*jsonLen(c.literal) + len(` @ `) + len(`"",`) }
