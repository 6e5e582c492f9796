package giteetest

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

const site = "https://gitee.com/"

// person is an account.
type person struct {
	id                  int64
	login, name, remark string
}

var (
	zhangwei = &person{7310042, "zhangwei", "张伟", "张工"}
	anna     = &person{8812077, "anna-p", "Анна Петрова", ""}
	liam     = &person{9140316, "liam", "Liam O'Brien", ""}
	lina     = &person{7654301, "lina", "李娜", "李娜（测试）"}
)

// short is the form of a user in pushes and commits.
func (p *person) short() object {
	return object{
		{"id", p.id},
		{"name", p.name},
		{"email", fmt.Sprintf("%d+%s@user.noreply.gitee.com", p.id, p.login)},
		{"username", p.login},
		{"user_name", p.login},
		{"url", site + p.login},
	}
}

// full is the form of a user everywhere else.
func (p *person) full() object {
	var remark any
	if p.remark != "" {
		remark = p.remark
	}
	return append(p.short(), object{
		{"login", p.login},
		{"avatar_url", site + "assets/no_portrait.png"},
		{"html_url", site + p.login},
		{"type", "User"},
		{"site_admin", false},
		{"remark", remark},
	}...)
}

// orNull is full, or null for nobody.
func (p *person) orNull() any {
	if p == nil {
		return nil
	}
	return p.full()
}

func all(people []*person) []object {
	list := make([]object, len(people))
	for i, p := range people {
		list[i] = p.full()
	}
	return list
}

// repository is a repository.
type repository struct {
	path        string // with its namespace
	name        string
	description string
	owner       *person
	private     bool
}

var payments = &repository{"belltower/payments", "payments", "支付服务 · Payments", zhangwei, true}

func (r *repository) id() int64 {
	h := fnv.New32a()
	h.Write([]byte(r.path))
	return int64(h.Sum32()>>4) + 1000
}

func (r *repository) page() string { return site + r.path }

// full is the repository as it stands after a push at the time pushed.
func (r *repository) full(pushed time.Time) object {
	namespace, path := "", r.path
	if i := strings.LastIndexByte(r.path, '/'); i >= 0 {
		namespace, path = r.path[:i], r.path[i+1:]
	}
	return object{
		{"id", r.id()},
		{"name", r.name},
		{"path", path},
		{"full_name", r.path},
		{"owner", r.owner.full()},
		{"private", r.private},
		{"html_url", r.page()},
		{"url", r.page()},
		{"description", r.description},
		{"fork", false},
		{"created_at", "2024-03-11T10:02:45+08:00"},
		{"updated_at", clock(pushed)},
		{"pushed_at", clock(pushed)},
		{"git_url", "git://gitee.com/" + r.path + ".git"},
		{"ssh_url", "git@gitee.com:" + r.path + ".git"},
		{"clone_url", r.page() + ".git"},
		{"svn_url", "svn://gitee.com/" + r.path},
		{"git_http_url", r.page() + ".git"},
		{"git_ssh_url", "git@gitee.com:" + r.path + ".git"},
		{"git_svn_url", "svn://gitee.com/" + r.path},
		{"homepage", nil},
		{"stargazers_count", 12},
		{"watchers_count", 5},
		{"forks_count", 2},
		{"language", "Go"},
		{"has_issues", true},
		{"has_wiki", true},
		{"has_pages", false},
		{"license", nil},
		{"open_issues_count", 7},
		{"default_branch", "main"},
		{"namespace", namespace},
		{"name_with_namespace", "钟楼 Belltower/" + r.name},
		{"path_with_namespace", r.path},
	}
}

// envelope returns the members at the end of each delivery from a hook of the repository.
func (r *repository) envelope(hookName string) object {
	return object{
		{"enterprise", object{{"name", "钟楼科技 Belltower"}, {"url", site + "belltower"}}},
		{"push_data", nil},
		{"hook_name", hookName},
		{"hook_id", 1310227},
		{"hook_url", r.page() + "/hooks/1310227/edit"},
		{"password", ""},
		{"timestamp", ""},
		{"sign", ""},
	}
}

// commit is a commit; its parent is the one before it, the second one that of a merge.
type commit struct {
	sha, parent, second      string
	message                  string
	author                   *person
	time                     time.Time
	added, removed, modified []string
}

func (c *commit) full(r *repository) object {
	author := append(object{{"time", clock(c.time)}}, c.author.short()...)
	author = append(author, object{{"remark", nil}, {"user", nil}}...)
	parents := []string{c.parent}
	if c.second != "" {
		parents = append(parents, c.second)
	}
	return object{
		{"id", c.sha},
		{"tree_id", hash("tree", c.sha)},
		{"parent_ids", parents},
		{"message", c.message},
		{"timestamp", clock(c.time)},
		{"url", r.page() + "/commit/" + c.sha},
		{"author", author},
		{"committer", object{{"name", "Gitee"}, {"email", "noreply@gitee.com"}}},
		{"distinct", true},
		{"added", c.added},
		{"removed", c.removed},
		{"modified", c.modified},
	}
}

// push is a push of a branch or a tag.
type push struct {
	ref            string // in full
	before, after  string
	commits        []commit // oldest first; those that Gitee lists
	head           *commit  // nil for a removed ref
	total          any      // an int, or nil
	noList         bool     // commits is null, as for new branches and tags
	moreThanTen    any      // a bool, or nil
	by             *person
	at             time.Time
	hookName       string
	repositoryName *repository
}

func (p push) body() []byte {
	r := p.repositoryName
	var list any
	if !p.noList {
		commits := make([]object, len(p.commits))
		for i := range p.commits {
			commits[i] = p.commits[i].full(r)
		}
		list = commits
	}
	var head any
	if p.head != nil {
		head = p.head.full(r)
	}
	o := object{
		{"ref", p.ref},
		{"before", p.before},
		{"after", p.after},
		{"total_commits_count", p.total},
		{"commits_more_than_ten", p.moreThanTen},
		{"created", p.before == zeros},
		{"deleted", p.after == zeros},
		{"compare", r.page() + "/compare/" + p.before + "..." + p.after},
		{"commits", list},
		{"head_commit", head},
		{"repository", r.full(p.at)},
		{"project", r.full(p.at)},
		{"user_id", p.by.id},
		{"user_name", p.by.name},
		{"user", p.by.short()},
		{"pusher", p.by.short()},
		{"sender", p.by.full()},
	}
	return append(o, r.envelope(p.hookName)...).append(nil)
}

// Push returns a delivery of a push of n commits (at least one) to a branch of the repository with the
// given full path. The first line of each commit's message starts with marker, and the event's id is
// unique to repo, branch, n, marker and the second of now. All commits are listed, oldest first.
func Push(now time.Time, repo, branch string, n int, marker string) Delivery {
	r := &repository{repo, repo[strings.LastIndexByte(repo, '/')+1:], "", anna, false}
	before := hash("before", repo, branch, marker)
	p := push{
		ref: "refs/heads/" + branch, before: before, by: anna, at: now,
		hookName: "push_hooks", repositoryName: r,
	}
	parent := before
	for i := range max(n, 1) {
		c := commit{
			sha: hash("commit", repo, branch, marker, i, n), parent: parent, author: []*person{anna, zhangwei, liam, lina}[i%4],
			time:     now.Add(time.Duration(i-max(n, 1)) * time.Minute),
			message:  fmt.Sprintf("%s: 第 %d 次提交, step %d of %d\n\nЗачем: нагрузка и порядок.\n", marker, i+1, i+1, max(n, 1)),
			modified: []string{fmt.Sprintf("internal/ledger/step_%03d.go", i+1)},
		}
		p.commits = append(p.commits, c)
		parent = c.sha
	}
	p.after, p.head = parent, &p.commits[len(p.commits)-1]
	p.total, p.moreThanTen = len(p.commits), len(p.commits) > 10
	return Delivery{
		Name: "push", Title: "commits pushed", Event: "Push Hook", Body: p.body(), Kind: "push", Action: "pushed",
	}
}
