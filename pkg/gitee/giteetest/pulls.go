package giteetest

import (
	"fmt"
	"time"
)

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
		assignees: []*person{zhangwei}, testers: []*person{lina},
		labels: []object{label(90314417, "支付", "0e8a16")}, commits: 3, additions: 214, deletions: 37, changedFile: 6,
	}
	s.pull("pull_request_opened", "a new pull request", "opened", p, "open", "open", anna)
	s.pull("pull_request_opened_assign", "the reviewers of a new pull request", "assigned", p, "open", "assign", anna)
	s.pull("pull_request_opened_test", "the testers of a new pull request", "tester_assigned", p, "open", "test", anna)
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

	brought := s.chain(main.sha,
		commit{author: anna, message: "退款：按原路返回\n", added: []string{"internal/refund/route.go", "internal/refund/route_test.go"}},
		commit{author: anna, message: "Учитывать комиссию при частичном возврате\n", modified: []string{"internal/refund/fee.go"}},
		commit{author: liam, message: "Add metrics for refund latency\n", modified: []string{"internal/refund/route.go", "internal/obs/metrics.go"}},
		commit{author: anna, message: "Оборачивать ошибки Route\n", modified: []string{"internal/refund/route.go"}},
	)
	p.updated, p.head, p.commits, p.additions = s.step(), brought[3].sha, 4, 231
	s.pull("pull_request_source_branch_changed", "commits pushed to a pull request", "updated", p, "update", "source_branch_changed", anna)
	p.updated = s.step()
	p.labels = append(p.labels, label(90314431, "ready to merge", "1d76db"))
	s.pull("pull_request_label_changed", "a pull request's labels changed", "updated", p, "update", "update_label", liam)
	p.updated, p.target = s.step(), "release/2.4"
	s.pull("pull_request_target_branch_changed", "a pull request for another branch", "updated", p, "update", "target_branch_changed", anna)
	p.updated = s.soon()
	s.pull("pull_request_issues_changed", "a pull request's issues changed with it", "updated", p, "update", "update_link_issue", anna)
	p.updated, p.title = s.step(), "按原路退款 / Возврат исходным способом оплаты"
	s.pull("pull_request_updated", "a pull request changed in another way", "updated", p, "update", "", anna)
	p.updated = s.step()
	s.pull("pull_request_approved", "a pull request approved", "approved", p, "approved", "", zhangwei)
	p.updated = s.step()
	s.pull("pull_request_tested", "a pull request tested", "tested", p, "tested", "", lina)
	s.merge(p, brought)

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

// merge merges p, which brings the commits, removes its branch, and adds what Gitee tells of it within seconds:
// the merge, the push that it makes, and the removal.
func (s *story) merge(p *pull, brought []commit) {
	p.updated, p.state = s.step(), "merged"
	p.merged, p.closed = p.updated, p.updated
	s.pull("pull_request_merged", "a pull request merged", "merged", p, "merge", "open", zhangwei)
	s.soon()
	before := hash("release", s.seed)
	// The message is Gitee's default: the title with the number, then "Merge pull request !{id} from
	// {author}/{source branch}" (the description of merge_method in Gitee's API v5, and real histories).
	merge := commit{
		sha: p.mergeCommit(), parent: before, second: p.head, author: zhangwei, time: s.at,
		message: fmt.Sprintf("!%d %s\nMerge pull request !%d from %s/%s\n", p.number, p.title, p.number, p.author.name, p.source),
	}
	s.pushNow("push_merge", "the push that a merge makes", "push", "pushed", push{
		ref: "refs/heads/" + p.target, before: before, after: merge.sha, commits: append(brought, merge), head: &merge,
		total: len(brought) + 1, moreThanTen: false, by: zhangwei,
	})
	s.soon()
	s.pushNow("push_branch_deleted", "a branch deleted", "push", "deleted", push{
		ref: "refs/heads/" + p.source, before: p.head, after: zeros, by: zhangwei,
	})
}
