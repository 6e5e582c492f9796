package gitee

import (
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// login returns the account's login: Gitee's short form of a user has no "login", and its "user_name" is
// the login too (seen in real deliveries), unlike a push's top-level "user_name".
func (u *wireUser) login() string { return line(first(u.Username, u.UserName, u.Login), maxName) }

// user returns the user for an event, nil where it has neither a login nor a name.
func (u *wireUser) user() *eventv1.User {
	login, name := u.login(), line(u.Name, maxName)
	if name == "" {
		name = login
	}
	if name == "" {
		return nil
	}
	return &eventv1.User{
		Login:  login,
		Name:   name,
		Remark: line(u.Remark, maxName),
		Url:    link(u.HTMLURL, u.URL),
	}
}

// firstUser returns the first of the users that says who it is, nil where none does.
func firstUser(users ...maybe[wireUser]) *eventv1.User {
	for _, u := range users {
		if e := u.v.user(); e != nil {
			return e
		}
	}
	return nil
}

// union returns the users of the lists, each login once, at most maxPeople.
func union(lists ...people) []*eventv1.User {
	var users []*eventv1.User
	known := map[string]bool{}
	for _, l := range lists {
		for _, u := range l {
			e := u.user()
			if e == nil || known[e.Login+"\n"+e.Name] {
				continue
			}
			if len(users) == maxPeople {
				return users
			}
			known[e.Login+"\n"+e.Name] = true
			users = append(users, e)
		}
	}
	return users
}

func labels(l list[maybe[wireLabel]]) []*eventv1.Label {
	var labels []*eventv1.Label
	for _, item := range l.items {
		name := line(item.v.Name, maxName)
		if name == "" {
			continue
		}
		if len(labels) == maxLabels {
			break
		}
		labels = append(labels, &eventv1.Label{Name: name, Color: color(item.v.Color)})
	}
	return labels
}

// color returns the six hexadecimal digits of a label's colour, "" where it is something else.
func color(s text) string {
	c := strings.TrimPrefix(line(s, maxLabelColor), "#")
	if len(c) != 6 || strings.Trim(c, "0123456789abcdefABCDEF") != "" {
		return ""
	}
	return c
}

// path returns the repository's full path: in Gitee's documents and test deliveries full_name is a
// display name, so path_with_namespace comes first.
func (r *wireRepository) path() string {
	p := r.PathWithNamespace
	if first(p) == "" {
		if p = r.FullName; first(r.Namespace) != "" && first(r.Path) != "" {
			p = r.Namespace + "/" + r.Path
		}
	}
	return line(p, maxPath)
}

// repository returns the repository for an event, nil where it has no path.
func (r *wireRepository) repository() *eventv1.Repository {
	path := r.path()
	if path == "" {
		return nil
	}
	name := line(r.Name, maxPath)
	if name == "" {
		name = path[strings.LastIndexByte(path, '/')+1:]
	}
	return &eventv1.Repository{
		Id:            r.ID.id(),
		Path:          path,
		Name:          name,
		Url:           link(r.HTMLURL, r.URL),
		Private:       bool(r.Private),
		DefaultBranch: line(r.DefaultBranch, maxPath),
	}
}

// repositoryOf returns the first of the repositories that has a path, an empty one where none has.
func repositoryOf(repositories ...maybe[wireRepository]) *wireRepository {
	for i := range repositories {
		if r := &repositories[i].v; r.path() != "" {
			return r
		}
	}
	return &wireRepository{}
}

func enterprise(e maybe[wireEnterprise]) *eventv1.Enterprise {
	name, page := line(e.v.Name, maxPath), link(e.v.URL)
	if name == "" && page == "" {
		return nil
	}
	return &eventv1.Enterprise{Name: name, Url: page}
}
