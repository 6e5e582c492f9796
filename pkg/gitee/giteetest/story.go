package giteetest

import (
	"strconv"
	"strings"
	"time"
)

// story tells what a small team does in an hour, one delivery a minute.
type story struct {
	r         *repository
	fork      *repository
	start, at time.Time
	pushed    time.Time // the last push
	seed      int64
	out       []Delivery
}

// All returns one delivery for every trigger that Gitee has and for every pair of subject and action of
// belfry.event.v1, in the order in which a small team would cause them in the hour before now. The first
// is a press of the test button. Among them are some that belong together: what Gitee sends with a new pull
// request, two updates of one within a second, a merge with its push and the removal of its branch. Every
// event's id is unique to it and to the second of now.
func All(now time.Time) []Delivery {
	now = now.Truncate(time.Second)
	s := &story{
		r:     payments,
		fork:  &repository{"liam/payments", "payments", "支付服务 · Payments", liam, true},
		start: now.Add(-50 * time.Minute), at: now.Add(-50 * time.Minute), pushed: now.Add(-26 * time.Hour),
		seed: now.Unix(),
	}
	s.ping()
	main := s.branches()
	i := s.issues()
	s.issueComments(i)
	s.pulls(main)
	s.tags(main)
	s.rest(main)
	return s.out
}

// step moves the clock on.
func (s *story) step() time.Time {
	s.at = s.at.Add(time.Minute)
	return s.at
}

// soon moves the clock on by as little as lies between what one click brings about.
func (s *story) soon() time.Time {
	s.at = s.at.Add(time.Second)
	return s.at
}

func (s *story) add(name, title, event, kind, action string, body []byte) {
	s.out = append(s.out, Delivery{Name: name, Title: title, Event: event, Body: body, Kind: kind, Action: action})
}

// ping adds a test delivery: as Gitee does, it tells of another repository, but by this one's hook.
func (s *story) ping() {
	demo := &repository{"oschina/git-osc", "Git@OSC", "", &person{1, "oschina-org", "开源中国", ""}, false}
	head := commit{
		sha: hash("demo"), parent: hash("demo", 0), author: demo.owner, time: s.at,
		message: "这是一条测试 Push 类型 WebHook 触发的推送", modified: []string{"README.md"},
	}
	body := push{
		ref: "refs/heads/test_version", before: head.parent, after: head.sha, head: &head, commits: []commit{head},
		total: 1, moreThanTen: false, by: demo.owner, at: s.at, hookName: "push_hooks", repositoryName: demo,
	}.body()
	body = []byte(strings.ReplaceAll(string(body), demo.page()+"/hooks/", s.r.page()+"/hooks/"))
	s.out = append(s.out, Delivery{
		Name: "ping", Title: "the test button", Event: "push_hooks", Ping: true, Body: body, Kind: "ping", Action: "pinged",
	})
}

func (s *story) push(name, title, kind, action string, p push) {
	s.step()
	s.pushNow(name, title, kind, action, p)
}

// pushNow is push without moving the clock on.
func (s *story) pushNow(name, title, kind, action string, p push) {
	p.at, p.repositoryName, p.hookName = s.at, s.r, "push_hooks"
	event := "Push Hook"
	if kind == "tag" {
		p.hookName, event = "tag_push_hooks", "Tag Push Hook"
	}
	s.pushed = s.at
	s.add(name, title, event, kind, action, p.body())
}

// chain makes commits that follow on each other and on parent.
func (s *story) chain(parent string, commits ...commit) []commit {
	for i := range commits {
		c := &commits[i]
		c.sha, c.parent = hash("commit", s.seed, parent, c.message), parent
		c.time = s.at.Add(time.Duration(i-2*len(commits)) * time.Minute)
		parent = c.sha
	}
	return commits
}

// branches adds pushes, and returns the newest commit of main.
func (s *story) branches() commit {
	base := hash("main", s.seed)
	list := s.chain(base,
		commit{author: zhangwei, message: "退款：按原路返回\n\n退款优先走原支付渠道；渠道关闭时退回余额。\n", added: []string{"internal/refund/route.go", "internal/refund/route_test.go"}},
		commit{author: anna, message: "Учитывать комиссию при частичном возврате\n", modified: []string{"internal/refund/fee.go"}},
		commit{author: liam, message: "Add metrics for refund latency 📈\n", modified: []string{"internal/refund/route.go", "internal/obs/metrics.go"}, removed: []string{"internal/obs/old_timer.go"}},
	)
	tip := list[len(list)-1]
	s.push("push_new_branch", "a new branch", "push", "created", push{
		ref: "refs/heads/feature/refunds", before: zeros, after: base, total: 3, noList: true, moreThanTen: false, by: zhangwei,
		head: &commit{sha: base, parent: hash("main", s.seed, 0), author: lina, time: s.pushed, message: "结算：补齐对账单的测试\n", modified: []string{"internal/ledger/statement_test.go"}},
	})
	s.push("push_commits", "commits pushed", "push", "pushed", push{
		ref: "refs/heads/feature/refunds", before: base, after: tip.sha, commits: list, head: &tip, total: 3, moreThanTen: false, by: zhangwei,
	})
	squashed := s.chain(base, commit{author: zhangwei, message: "退款：按原路返回（合并三次提交）\n", modified: []string{"internal/refund/route.go", "internal/refund/fee.go"}})
	s.push("push_moved", "a branch moved by force", "push", "moved", push{
		ref: "refs/heads/feature/refunds", before: tip.sha, after: squashed[0].sha, commits: squashed, head: &squashed[0], total: 1, moreThanTen: false, by: zhangwei,
	})
	var many []commit
	for i := range 10 {
		many = append(many, commit{author: []*person{anna, liam}[i%2], message: "ledger: move entry " + strconv.Itoa(i+3) + " of 12 to the new schema\n", modified: []string{"internal/ledger/schema.sql", "internal/ledger/entry_" + strconv.Itoa(i+3) + ".go"}})
	}
	many = s.chain(hash("ledger", s.seed), many...)
	last := many[len(many)-1]
	s.push("push_many_commits", "more commits than Gitee lists", "push", "pushed", push{
		ref: "refs/heads/main", before: base, after: last.sha, commits: many, head: &last, total: 12, moreThanTen: true, by: anna,
	})
	return last
}

func (s *story) issue(name, title, action string, i *issue, host string, by *person) {
	s.add(name, title, "Issue Hook", "issue", action, i.delivery(s.r, host, by, s.pushed))
}

func (s *story) issues() *issue {
	at := s.step()
	i := &issue{
		id: s.seed, number: "I" + strings.ToUpper(strconv.FormatInt(s.seed, 36)),
		title:     "@anna-p 并发退款时余额出现负数 🔥",
		body:      "**复现步骤**\r\n\r\n1. 同一订单同时发起两笔部分退款\r\n2. 查看商户余额\r\n\r\n预期：第二笔被拒绝；实际：余额为 `-12.50`。\r\n\r\n@anna-p @liam 请看一下，日志见 [Grafana](https://grafana.example.com/d/refunds)。\r\n",
		state:     "open",
		stateName: "待办的", typeName: "缺陷", author: lina, created: at, updated: at, milestone: "v2.4.0",
		labels: []object{label(90314402, "bug", "d73a4a"), label(90314417, "支付", "0e8a16")},
	}
	s.issue("issue_opened", "a new issue", "opened", i, "open", lina)
	i.updated, i.assignee, i.collaborators = s.step(), anna, []*person{liam}
	s.issue("issue_assigned", "an issue assigned", "assigned", i, "assign", zhangwei)
	i.updated, i.state, i.stateName = s.step(), "progressing", "进行中"
	s.issue("issue_state_changed", "an issue taken up", "state_changed", i, "state_change", anna)
	i.updated = s.step()
	i.labels = append(i.labels, label(90314420, "срочно", "fbca04"))
	s.issue("issue_updated", "an issue changed in another way", "updated", i, "update", zhangwei)
	i.updated, i.state, i.stateName = s.step(), "closed", "已完成"
	s.issue("issue_closed", "an issue closed", "closed", i, "state_change", anna)
	i.updated, i.state, i.stateName = s.step(), "open", "待办的"
	s.issue("issue_reopened", "an issue opened again", "reopened", i, "state_change", lina)
	i.updated, i.assignee = s.step(), nil
	s.issue("issue_unassigned", "an issue's assignee taken off", "unassigned", i, "unassign", zhangwei)

	at = s.step()
	spam := *i
	spam.id, spam.number, spam.title, spam.body = i.id+1, i.number+"D", "测试，请忽略", "手滑了 😅"
	spam.author, spam.created, spam.updated, spam.labels, spam.milestone = liam, at, at, nil, ""
	s.issue("issue_deleted", "an issue deleted", "deleted", &spam, "delete", liam)
	return i
}

func (s *story) note(name, title, action string, n *note, host string) {
	s.add(name, title, "Note Hook", "comment", action, n.delivery(s.r, host, s.pushed))
}

func (s *story) issueComments(i *issue) {
	at := s.step()
	n := &note{id: s.seed + 10, author: liam, created: at, updated: at, issue: i,
		body: "I can reproduce it on `main`: the balance is read *before* the row lock is taken.\r\n\r\n> 预期：第二笔被拒绝\r\n\r\n@anna-p could you check `fee.go` too?"}
	s.note("comment_issue", "a comment on an issue", "created", n, "comment")
	n.updated = s.step()
	n.body += "\r\n\r\nUpdate: a failing test is in `route_test.go` ✅"
	s.note("comment_edited", "a comment changed", "edited", n, "edited")
	at = s.step()
	gone := &note{id: s.seed + 11, author: lina, created: at.Add(-2 * time.Minute), updated: at.Add(-2 * time.Minute), issue: i, body: "收到，我来补充用例"}
	s.note("comment_deleted", "a comment deleted", "deleted", gone, "deleted")
}

func (s *story) tags(main commit) {
	s.push("tag_created", "a new tag", "tag", "created", push{
		ref: "refs/tags/v2.4.0", before: zeros, after: main.sha, head: &main, noList: true, by: zhangwei,
	})
	fix := s.chain(main.sha, commit{author: lina, message: "发布说明：修正版本号\n", modified: []string{"CHANGELOG.md"}})[0]
	s.push("tag_moved", "a tag moved", "tag", "moved", push{
		ref: "refs/tags/v2.4.0", before: main.sha, after: fix.sha, head: &fix, noList: true, by: zhangwei,
	})
	s.push("tag_deleted", "a tag deleted", "tag", "deleted", push{
		ref: "refs/tags/v2.4.0-rc.1", before: hash("rc", s.seed), after: zeros, by: lina,
	})
}

func (s *story) rest(main commit) {
	at := s.step()
	s.note("comment_commit", "a comment on a commit", "created", &note{
		id: s.seed + 13, author: anna, created: at, updated: at, commit: main.sha,
		position: hash("internal/ledger/schema.sql") + "_0_42",
		body:     "Здесь нужен индекс по `merchant_id`, иначе отчёт за месяц читает всю таблицу.",
	}, "comment")
	at = s.step()
	s.note("comment_repository", "a comment on the repository", "created", &note{
		id: s.seed + 14, author: liam, created: at, updated: at,
		body: "The sandbox moved to https://sandbox.example.com/v2 — please update your `.env` 🙏",
	}, "comment")
}
