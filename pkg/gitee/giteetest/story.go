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
// is a press of the test button. Every event's id is unique to it and to the second of now.
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
	p.at, p.repositoryName, p.hookName = s.step(), s.r, "push_hooks"
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
		title:     "并发退款时余额出现负数 🔥",
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

func (s *story) pull(name, title, action string, p *pull, host, desc string, by *person) {
	s.add(name, title, "Merge Request Hook", "pull_request", action, p.delivery(s.r, host, desc, by, s.pushed))
}

func (s *story) pulls(main commit) {
	at := s.step()
	p := &pull{
		id: s.seed + 20, number: 128, title: "Возвраты исходным способом оплаты / 按原路退款",
		body:  "## Что сделано\r\n\r\n- возврат идёт через исходный канал;\r\n- если канал закрыт, деньги возвращаются на баланс.\r\n\r\n修复 #I9ZK3P，请 @zhangwei 审查，@lina 测试。\r\n",
		state: "open", mergeStatus: "unchecked", source: "feature/refunds", target: "main", from: s.r,
		head: hash("refunds", s.seed), base: main.sha, author: anna, created: at, updated: at, milestone: "v2.4.0",
		labels: []object{label(90314417, "支付", "0e8a16")}, commits: 3, additions: 214, deletions: 37, changedFile: 6,
	}
	s.pull("pull_request_opened", "a new pull request", "opened", p, "open", "open", anna)
	p.updated, p.assignees = s.step(), []*person{zhangwei, liam}
	s.pull("pull_request_assigned", "reviewers asked", "assigned", p, "assign", "", anna)
	p.updated, p.testers, p.mergeStatus = s.step(), []*person{lina, liam}, "can_be_merged"
	s.pull("pull_request_tester_assigned", "testers asked", "tester_assigned", p, "test", "", anna)
	p.updated, p.assignees = s.step(), []*person{zhangwei}
	s.pull("pull_request_unassigned", "a reviewer taken off", "unassigned", p, "unassign", "", anna)
	p.updated, p.testers = s.step(), []*person{lina}
	s.pull("pull_request_tester_unassigned", "a tester taken off", "tester_unassigned", p, "untest", "", anna)

	at = s.step()
	n := &note{id: s.seed + 12, author: zhangwei, created: at, updated: at, pull: p,
		body: "整体不错 👍 有两点：\r\n\r\n1. `Route()` 里的错误要包一层上下文\r\n2. 手续费向下取整，还是四舍五入？@anna-p"}
	s.note("comment_pull_request", "a comment on a pull request", "created", n, "comment")

	p.updated, p.head, p.commits, p.additions = s.step(), hash("refunds", s.seed, 2), 4, 231
	s.pull("pull_request_source_branch_changed", "commits pushed to a pull request", "updated", p, "update", "source_branch_changed", anna)
	p.updated = s.step()
	p.labels = append(p.labels, label(90314431, "ready to merge", "1d76db"))
	s.pull("pull_request_label_changed", "a pull request's labels changed", "updated", p, "update", "update_label", liam)
	p.updated, p.target = s.step(), "release/2.4"
	s.pull("pull_request_target_branch_changed", "a pull request for another branch", "updated", p, "update", "target_branch_changed", anna)
	p.updated = s.step()
	s.pull("pull_request_issues_changed", "a pull request's issues changed", "updated", p, "update", "update_link_issue", anna)
	p.updated, p.title = s.step(), "按原路退款 / Возврат исходным способом оплаты"
	s.pull("pull_request_updated", "a pull request changed in another way", "updated", p, "update", "", anna)
	p.updated = s.step()
	s.pull("pull_request_approved", "a pull request approved", "approved", p, "approved", "", zhangwei)
	p.updated = s.step()
	s.pull("pull_request_tested", "a pull request tested", "tested", p, "tested", "", lina)
	p.updated, p.state = s.step(), "merged"
	p.merged, p.closed = p.updated, p.updated
	s.pull("pull_request_merged", "a pull request merged", "merged", p, "merge", "open", zhangwei)
	s.push("push_branch_deleted", "a branch deleted", "push", "deleted", push{
		ref: "refs/heads/feature/refunds", before: p.head, after: zeros, by: zhangwei,
	})

	at = s.step()
	old := &pull{
		id: s.seed + 21, number: 121, title: "Draft: cache exchange rates in Redis",
		body: "Superseded by the in-memory cache, see !117.\r\n", state: "closed", mergeStatus: "can_be_resolve",
		source: "rates-cache", target: "main", from: s.fork, head: hash("rates", s.seed), base: main.sha, author: liam,
		created: at.Add(-30 * 24 * time.Hour), updated: at, closed: at, commits: 2, additions: 96, deletions: 8, changedFile: 3,
	}
	s.pull("pull_request_closed", "a pull request closed without a merge", "closed", old, "close", "open", liam)
	old.updated, old.state, old.closed = s.step(), "open", time.Time{}
	s.pull("pull_request_reopened", "a pull request opened again", "reopened", old, "reopen", "", zhangwei)
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
