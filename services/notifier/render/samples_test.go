package render

import (
	"fmt"
	"slices"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// rendererOf returns the Renderer of a robot that tells things as o says.
func rendererOf(o Options) *Renderer {
	r, err := New(o)
	if err != nil {
		panic(err)
	}
	return r
}

// renderAs makes a message of a prefix of batch as a robot of o would.
func renderAs(o Options, batch []delivery.Notification) (m dingtalk.Message, used int, err error) {
	got, err := rendererOf(o).Render(batch, nil)
	return got.Message, got.Used, err
}

// The people, the repository and the events that the tests tell of.

const web = "https://gitee.com/belfry/demo"

func alice() *eventv1.User {
	return &eventv1.User{Login: "zhangsan", Name: "张三", Url: "https://gitee.com/zhangsan"}
}

func bob() *eventv1.User {
	return &eventv1.User{Login: "lilei", Name: "LeiLi", Remark: "李雷", Url: "https://gitee.com/lilei"}
}

func carol() *eventv1.User {
	return &eventv1.User{Login: "han_meimei", Name: "韩梅梅", Url: "https://gitee.com/han_meimei"}
}

func demo() *eventv1.Repository {
	return &eventv1.Repository{Id: 7, Path: "belfry/demo", Name: "Demo", Url: web, DefaultBranch: "main"}
}

func event(action eventv1.Action) *eventv1.Event {
	return &eventv1.Event{Id: "evt-1", Action: action, Sender: alice(), Repository: demo(), Hook: "payments"}
}

func sha(n int) string { return fmt.Sprintf("%07x%033x", 0xa1b2c30+n, n) }

func commit(n int, message string, author *eventv1.User) *eventv1.Commit {
	return &eventv1.Commit{Id: sha(n), Message: message, Url: web + "/commit/" + sha(n), Author: author}
}

func push(action eventv1.Action, change func(*eventv1.Push)) *eventv1.Event {
	p := &eventv1.Push{
		Branch:     "feature/login",
		BranchUrl:  web + "/tree/feature/login",
		Before:     sha(0),
		After:      sha(3),
		CompareUrl: web + "/compare/" + sha(0) + "..." + sha(3),
		Commits: []*eventv1.Commit{
			commit(1, "feat: 登录页支持扫码\n\n详情见 #I4CYEO\n", alice()),
			commit(2, "fix: 修复 session_id 为空时的崩溃", bob()),
			commit(3, "test: 补充 *登录* 用例", alice()),
		},
		TotalCommits: 3,
	}
	p.HeadCommit = p.Commits[2]
	if change != nil {
		change(p)
	}
	e := event(action)
	e.Subject = &eventv1.Event_Push{Push: p}
	return e
}

func pushOf(n, listed int) *eventv1.Event {
	return push(eventv1.Action_ACTION_PUSHED, func(p *eventv1.Push) {
		p.Commits = nil
		for i := n - listed; i < n; i++ {
			p.Commits = append(p.Commits, commit(i+1, fmt.Sprintf("chore: 第 %d 次提交", i+1), alice()))
		}
		p.TotalCommits = int32(n)
		p.HeadCommit = p.Commits[len(p.Commits)-1]
	})
}

func tagged(action eventv1.Action, change func(*eventv1.Tag)) *eventv1.Event {
	t := &eventv1.Tag{Name: "v1.2.0", Url: web + "/tree/v1.2.0", After: sha(3), Commit: commit(3, "release: v1.2.0", bob())}
	if change != nil {
		change(t)
	}
	e := event(action)
	e.Subject = &eventv1.Event_Tag{Tag: t}
	return e
}

const issueText = "## 复现步骤\r\n\r\n1. 打开登录页\r\n2. 点击**登录**按钮\r\n- [ ] 未修复\r\n\r\n" +
	"<!-- 请勿删除此模板 -->\r\n```go\r\npanic(\"boom\")\r\n```\r\n![截图](https://example.com/a.png) 见 [日志](https://example.com/log)，cc @lilei\r\n"

func issued(action eventv1.Action, change func(*eventv1.Event, *eventv1.Issue)) *eventv1.Event {
	i := &eventv1.Issue{
		Number: "I4CYEO", Title: "登录页在 iOS 上崩溃", Body: issueText, Url: web + "/issues/I4CYEO",
		State: "open", StateName: "待办的", TypeName: "缺陷", Author: alice(), Assignee: bob(),
		Labels:    []*eventv1.Label{{Name: "bug"}, {Name: "优先级:高"}},
		Milestone: "v1.2",
	}
	e := event(action)
	e.Subject = &eventv1.Event_Issue{Issue: i}
	if change != nil {
		change(e, i)
	}
	return e
}

func pulled(action eventv1.Action, change func(*eventv1.Event, *eventv1.PullRequest)) *eventv1.Event {
	p := &eventv1.PullRequest{
		Number: 12, Title: "登录页支持扫码", Body: "实现 #I4CYEO，\r\n请 @李雷 看看 `session_id` 的处理。", Url: web + "/pulls/12",
		State: "open", SourceBranch: "feature/login", SourceRepository: "belfry/demo", TargetBranch: "main",
		Author: alice(), Assignees: []*eventv1.User{bob(), carol()}, Testers: []*eventv1.User{carol()},
		Labels:  []*eventv1.Label{{Name: "feature"}},
		Commits: 3, Additions: 120, Deletions: 30, ChangedFiles: 5, MergeStatus: "can_be_merged",
	}
	e := event(action)
	e.Subject = &eventv1.Event_PullRequest{PullRequest: p}
	if change != nil {
		change(e, p)
	}
	return e
}

func updated(detail string) *eventv1.Event {
	return pulled(eventv1.Action_ACTION_UPDATED, func(e *eventv1.Event, _ *eventv1.PullRequest) {
		e.HostAction, e.HostActionDetail = "update", detail
	})
}

func commented(action eventv1.Action, change func(*eventv1.Event, *eventv1.Comment)) *eventv1.Event {
	c := &eventv1.Comment{Id: 99, Body: "我这边也能复现，\n日志里有 `NPE`。", Url: web + "#note_99", Author: alice()}
	e := event(action)
	e.Subject = &eventv1.Event_Comment{Comment: c}
	if change != nil {
		change(e, c)
	}
	return e
}

func onTheIssue(_ *eventv1.Event, c *eventv1.Comment) {
	c.Target = &eventv1.Comment_Issue{Issue: issued(eventv1.Action_ACTION_OPENED, nil).GetIssue()}
	c.Url = web + "/issues/I4CYEO#note_99"
}

func onThePull(_ *eventv1.Event, c *eventv1.Comment) {
	c.Target = &eventv1.Comment_PullRequest{PullRequest: pulled(eventv1.Action_ACTION_OPENED, nil).GetPullRequest()}
	c.Url = web + "/pulls/12#note_99"
}

func onTheCommit(_ *eventv1.Event, c *eventv1.Comment) {
	c.Target = &eventv1.Comment_Commit{Commit: &eventv1.CommitTarget{Id: sha(3), Position: "0_1_1"}}
	c.Url = web + "/commit/" + sha(3) + "#note_99"
}

func pinged() *eventv1.Event {
	e := event(eventv1.Action_ACTION_PINGED)
	e.Subject = &eventv1.Event_Ping{Ping: &eventv1.Ping{HostEvent: "push_hooks"}}
	return e
}

// hostile is text that tries everything.
const hostile = "<script>alert(1)</script> ![x](https://evil.example/x.png) [点我](https://evil.example) @13800138000 @所有人 " +
	"**粗** _斜_ `码` # 标题 https://evil.example/path www.evil.example &lt;b&gt; a@evil.example \u202egnp.exe\u202c | ~~删~~ \\"

type sample struct {
	name  string
	event *eventv1.Event
}

// samples are one event for each subject and action, and the awkward ones, by name.
func samples() []sample {
	type A = eventv1.Action
	s := []sample{
		{"push", push(eventv1.Action_ACTION_PUSHED, nil)},
		{"push_one_commit", pushOf(1, 1)},
		{"push_300_commits", pushOf(300, 300)},
		{"push_300_commits_10_listed", pushOf(300, 10)},
		{"push_not_listed", push(eventv1.Action_ACTION_PUSHED, func(p *eventv1.Push) { p.Commits, p.TotalCommits, p.Truncated = nil, 0, true })},
		{"branch_created", push(eventv1.Action_ACTION_CREATED, func(p *eventv1.Push) { p.Before, p.CompareUrl, p.Commits, p.TotalCommits = "", "", nil, 0 })},
		{"branch_created_with_commits", push(eventv1.Action_ACTION_CREATED, func(p *eventv1.Push) { p.Before, p.CompareUrl = "", "" })},
		{"branch_moved", push(eventv1.Action_ACTION_MOVED, nil)},
		{"branch_deleted", push(eventv1.Action_ACTION_DELETED, func(p *eventv1.Push) {
			*p = eventv1.Push{Branch: "feature/login", Before: sha(3)}
		})},
		{"tag_created", tagged(eventv1.Action_ACTION_CREATED, nil)},
		{"tag_moved", tagged(eventv1.Action_ACTION_MOVED, func(t *eventv1.Tag) { t.Before = sha(1) })},
		{"tag_deleted", tagged(eventv1.Action_ACTION_DELETED, func(t *eventv1.Tag) { *t = eventv1.Tag{Name: "v1.2.0", Before: sha(3)} })},
		{"ping", pinged()},
	}
	for name, a := range map[string]A{
		"opened": eventv1.Action_ACTION_OPENED, "closed": eventv1.Action_ACTION_CLOSED, "reopened": eventv1.Action_ACTION_REOPENED,
		"deleted": eventv1.Action_ACTION_DELETED, "assigned": eventv1.Action_ACTION_ASSIGNED, "unassigned": eventv1.Action_ACTION_UNASSIGNED,
		"updated": eventv1.Action_ACTION_UPDATED, "state_changed": eventv1.Action_ACTION_STATE_CHANGED,
	} {
		s = append(s, sample{"issue_" + name, issued(a, func(e *eventv1.Event, i *eventv1.Issue) {
			switch a {
			case eventv1.Action_ACTION_CLOSED:
				i.State, i.StateName = "closed", "已完成"
			case eventv1.Action_ACTION_STATE_CHANGED:
				i.State, i.StateName = "progressing", "进行中"
			case eventv1.Action_ACTION_UNASSIGNED:
				i.Assignee = nil
			case eventv1.Action_ACTION_UPDATED:
				e.HostActionDetail = "update_label"
			}
		})})
	}
	for name, a := range map[string]A{
		"opened": eventv1.Action_ACTION_OPENED, "closed": eventv1.Action_ACTION_CLOSED, "reopened": eventv1.Action_ACTION_REOPENED,
		"merged": eventv1.Action_ACTION_MERGED, "approved": eventv1.Action_ACTION_APPROVED, "tested": eventv1.Action_ACTION_TESTED,
		"assigned": eventv1.Action_ACTION_ASSIGNED, "unassigned": eventv1.Action_ACTION_UNASSIGNED,
		"tester_assigned": eventv1.Action_ACTION_TESTER_ASSIGNED, "tester_unassigned": eventv1.Action_ACTION_TESTER_UNASSIGNED,
	} {
		s = append(s, sample{"pull_" + name, pulled(a, nil)})
	}
	for _, detail := range []string{"source_branch_changed", "target_branch_changed", "update_label", "update_link_issue", "update_title", ""} {
		s = append(s, sample{strings.TrimSuffix("pull_updated_"+detail, "_"), updated(detail)})
	}
	for name, a := range map[string]A{"created": eventv1.Action_ACTION_CREATED, "edited": eventv1.Action_ACTION_EDITED, "deleted": eventv1.Action_ACTION_DELETED} {
		s = append(s,
			sample{"comment_repository_" + name, commented(a, nil)},
			sample{"comment_issue_" + name, commented(a, onTheIssue)},
			sample{"comment_pull_" + name, commented(a, onThePull)},
			sample{"comment_commit_" + name, commented(a, onTheCommit)},
		)
	}
	s = append(s, awkward()...)
	slices.SortFunc(s, func(a, b sample) int { return strings.Compare(a.name, b.name) })
	return s
}

// awkward are events with something missing, too long or hostile.
func awkward() []sample {
	return []sample{
		{"issue_enterprise_without_repository", issued(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, i *eventv1.Issue) {
			e.Repository, e.Enterprise = nil, &eventv1.Enterprise{Name: "钟楼科技", Url: "https://gitee.com/belfry"}
			i.TypeName, i.Labels, i.Milestone, i.Body = "Bug", nil, "", ""
		})},
		{"issue_without_anything", issued(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, i *eventv1.Issue) {
			e.Sender, e.Repository = nil, nil
			*i = eventv1.Issue{Number: "I4CYEO"}
		})},
		{"issue_assigned_to_oneself", issued(eventv1.Action_ACTION_ASSIGNED, func(_ *eventv1.Event, i *eventv1.Issue) { i.Assignee = alice() })},
		{"issue_long_body", issued(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, i *eventv1.Issue) {
			i.Body = strings.Repeat("这是一段很长的描述👩‍👩‍👧‍👦，", 1500)
		})},
		{"issue_hostile", issued(eventv1.Action_ACTION_OPENED, func(e *eventv1.Event, i *eventv1.Issue) {
			e.Sender.Name, i.Title, i.Body, i.TypeName, i.StateName = "[张三](https://evil.example)", hostile, hostile+"\n# 标题\n> 引用\n---\n1) 一", "<b>缺陷</b>", "![x]"
			i.Url = "javascript:alert(1)"
			i.Labels[0].Name = "# <img src=x>"
		})},
		{"push_hostile", push(eventv1.Action_ACTION_PUSHED, func(p *eventv1.Push) {
			p.Branch, p.BranchUrl = "a](https://evil.example)![", web+"/tree/a](https://evil.example) \"x\" <y>"
			p.Commits[0].Message, p.Commits[1].Message, p.Commits[2].Message = hostile, "# 不是标题", "- 不是列表"
			p.Commits[1].Author.Remark = "<b>@all</b>"
		})},
		{"pull_from_fork_with_conflict", pulled(eventv1.Action_ACTION_OPENED, func(_ *eventv1.Event, p *eventv1.PullRequest) {
			p.SourceRepository, p.MergeStatus, p.Title = "lilei/demo", "cannot_be_merged", ""
		})},
		{"pull_many_reviewers", pulled(eventv1.Action_ACTION_ASSIGNED, func(_ *eventv1.Event, p *eventv1.PullRequest) {
			for i := range 20 {
				p.Assignees = append(p.Assignees, &eventv1.User{Login: fmt.Sprint("u", i), Name: fmt.Sprint("用户", i)})
			}
		})},
	}
}

func textMessage(content string) *notifierv1.Message {
	return &notifierv1.Message{Content: &notifierv1.Message_Text{Text: &notifierv1.Text{Content: content}}}
}

func markdownMessage(title, text string) *notifierv1.Message {
	return &notifierv1.Message{Content: &notifierv1.Message_Markdown{Markdown: &notifierv1.Markdown{Title: title, Text: text}}}
}

func linkMessage() *notifierv1.Message {
	return &notifierv1.Message{Content: &notifierv1.Message_Link{Link: &notifierv1.Link{
		Title: "周报", Text: "本周进展", MessageUrl: "https://example.com/weekly", PicUrl: "https://example.com/weekly.png",
	}}}
}

func cardMessage() *notifierv1.Message {
	return &notifierv1.Message{Content: &notifierv1.Message_ActionCard{ActionCard: &notifierv1.ActionCard{
		Title: "发布", Text: "### 发布 v1.2.0", ButtonLayout: "HORIZONTAL",
		Buttons: []*notifierv1.Button{{Title: "同意", ActionUrl: "https://example.com/y"}, {Title: "拒绝", ActionUrl: "https://example.com/n"}},
	}}}
}

func feedMessage() *notifierv1.Message {
	return &notifierv1.Message{Content: &notifierv1.Message_FeedCard{FeedCard: &notifierv1.FeedCard{Links: []*notifierv1.FeedLink{
		{Title: "一", MessageUrl: "https://example.com/1", PicUrl: "https://example.com/1.png"},
		{Title: "二", MessageUrl: "https://example.com/2", PicUrl: "https://example.com/2.png"},
	}}}}
}

func mentioning(m *notifierv1.Message, at *notifierv1.Mentions) *notifierv1.Message {
	m.Mentions = at
	return m
}

func ofMessage(m *notifierv1.Message) delivery.Notification {
	return delivery.Notification{Robot: "team", Message: m}
}

func ofEvent(e *eventv1.Event) delivery.Notification {
	return delivery.Notification{Robot: "team", Event: e}
}
