package render

import (
	"slices"
	"strconv"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// zh is simplified Chinese, in the words of Gitee's own pages. Latin words and figures have a blank around
// them.
type zh struct{}

// in is the place of a sentence.
func (zh) in(repo phrase) phrase {
	if repo.isEmpty() {
		return nil
	}
	return say("在 {} ", repo)
}

// of is the owner of a branch or a tag.
func (zh) of(repo phrase) phrase {
	if repo.isEmpty() {
		return nil
	}
	return say("{} 的 ", repo)
}

func (z zh) push(p pushFacts) phrase {
	branch := say("{}{} 分支", z.of(p.repo), p.branch)
	switch p.action {
	case eventv1.Action_ACTION_CREATED:
		if p.commits.isEmpty() {
			return say("{} {}新建了 {} 分支", p.who, z.in(p.repo), p.branch)
		}
		return say("{} {}新建了 {} 分支，含 {}", p.who, z.in(p.repo), p.branch, p.commits)
	case eventv1.Action_ACTION_MOVED:
		return say("{} 强制推送了 {}", p.who, branch)
	case eventv1.Action_ACTION_DELETED:
		return say("{} 删除了 {}", p.who, branch)
	}
	if p.commits.isEmpty() {
		return say("{} 推送了代码到 {}", p.who, branch)
	}
	return say("{} 推送了 {}到 {}", p.who, p.commits, branch)
}

func (z zh) tag(t tagFacts) phrase {
	switch t.action {
	case eventv1.Action_ACTION_CREATED:
		return say("{} {}新建了标签 {}", t.who, z.in(t.repo), t.tag)
	case eventv1.Action_ACTION_DELETED:
		return say("{} {}删除了标签 {}", t.who, z.in(t.repo), t.tag)
	}
	return say("{} {}移动了标签 {}", t.who, z.in(t.repo), t.tag)
}

func (z zh) issue(i issueFacts) phrase {
	what := say("{}{}", z.kind(i.kind), i.issue)
	did := func(format string, args ...phrase) phrase {
		return say("{} {}{}", i.who, z.in(i.repo), say(format, args...))
	}
	switch i.action {
	case eventv1.Action_ACTION_OPENED:
		return did("创建了{}", what)
	case eventv1.Action_ACTION_CLOSED:
		return did("关闭了{}", what)
	case eventv1.Action_ACTION_REOPENED:
		return did("重新打开了{}", what)
	case eventv1.Action_ACTION_DELETED:
		return did("删除了{}", what)
	case eventv1.Action_ACTION_ASSIGNED:
		switch {
		case i.assignee.isEmpty():
			return did("更换了负责人：{}", trimmed(what))
		case i.self:
			return did("认领了{}", what)
		}
		return did("指派 {} 处理{}", i.assignee, what)
	case eventv1.Action_ACTION_UNASSIGNED:
		return did("移除了负责人：{}", trimmed(what))
	case eventv1.Action_ACTION_STATE_CHANGED:
		if s := z.state(i); !s.isEmpty() {
			return did("将状态改为“{}”：{}", s, trimmed(what))
		}
		return did("更改了状态：{}", trimmed(what))
	}
	return z.update(did, i.detail, what)
}

// trimmed is p without the blank that it begins with for the sake of a word before it.
func trimmed(p phrase) phrase {
	if len(p) > 0 && p[0].kind == literal {
		p = slices.Clone(p)
		p[0].text = strings.TrimLeft(p[0].text, " ")
	}
	return p
}

// kind is what an issue is called: the host's word for its type, or "Issue".
func (zh) kind(k phrase) phrase {
	if k.isEmpty() {
		return lit(" Issue ")
	}
	if c := nounText(k[0].text); c != "" && (isLetter(c[0]) || isDigit(c[0])) {
		return say(" {} ", k)
	}
	return say("{} ", k)
}

func (zh) state(i issueFacts) phrase {
	if !i.state.isEmpty() {
		return i.state
	}
	switch i.stateCode {
	case "":
		return nil
	case "open":
		return lit("待办的")
	case "progressing":
		return lit("进行中")
	case "closed":
		return lit("已完成")
	case "rejected":
		return lit("已拒绝")
	}
	return noun(word, i.stateCode, "")
}

// update words Gitee's action_desc.
func (zh) update(did func(string, ...phrase) phrase, detail string, what phrase) phrase {
	switch detail {
	case "source_branch_changed":
		return did("更新了代码：{}", trimmed(what))
	case "target_branch_changed":
		return did("更改了目标分支：{}", trimmed(what))
	case "update_label":
		return did("更改了标签：{}", trimmed(what))
	case "update_link_issue":
		return did("更改了关联的 Issue：{}", trimmed(what))
	}
	return did("更新了{}", what)
}

func (z zh) pull(p pullFacts) phrase {
	what := say(" PR {}", p.pull)
	did := func(format string, args ...phrase) phrase {
		return say("{} {}{}", p.who, z.in(p.repo), say(format, args...))
	}
	switch p.action {
	case eventv1.Action_ACTION_OPENED:
		return did("创建了{}", what)
	case eventv1.Action_ACTION_CLOSED:
		return did("关闭了{}", what)
	case eventv1.Action_ACTION_REOPENED:
		return did("重新打开了{}", what)
	case eventv1.Action_ACTION_MERGED:
		return did("合并了{}", what)
	case eventv1.Action_ACTION_APPROVED:
		return did("审查通过了{}", what)
	case eventv1.Action_ACTION_TESTED:
		return did("测试通过了{}", what)
	case eventv1.Action_ACTION_ASSIGNED:
		if p.people.isEmpty() {
			return did("更改了审查人员：{}", trimmed(what))
		}
		return did("指派 {} 审查{}", p.people, what)
	case eventv1.Action_ACTION_UNASSIGNED:
		return did("移除了审查人员：{}", trimmed(what))
	case eventv1.Action_ACTION_TESTER_ASSIGNED:
		if p.people.isEmpty() {
			return did("更改了测试人员：{}", trimmed(what))
		}
		return did("指派 {} 测试{}", p.people, what)
	case eventv1.Action_ACTION_TESTER_UNASSIGNED:
		return did("移除了测试人员：{}", trimmed(what))
	}
	if p.detail == "target_branch_changed" && !p.target.isEmpty() {
		return did("将目标分支改为 {}：{}", p.target, trimmed(what))
	}
	return z.update(did, p.detail, what)
}

func (z zh) comment(c commentFacts) phrase {
	var what phrase
	switch c.on {
	case onIssue:
		what = say("{}{}", z.kind(c.kind), c.what)
	case onPull:
		what = say(" PR {}", c.what)
	case onCommit:
		what = say("提交 {}", c.what)
	}
	said := noun(remark, "评论", c.url)
	if c.on == onRepository {
		switch c.action {
		case eventv1.Action_ACTION_EDITED:
			return say("{} {}修改了{}", c.who, z.in(c.repo), said)
		case eventv1.Action_ACTION_DELETED:
			return say("{} {}删除了评论", c.who, z.in(c.repo))
		}
		return say("{} {}发表了{}", c.who, z.in(c.repo), said)
	}
	switch c.action {
	case eventv1.Action_ACTION_EDITED:
		return say("{} {}修改了{}（{}）", c.who, z.in(c.repo), said, trimmed(what))
	case eventv1.Action_ACTION_DELETED:
		return say("{} {}删除了评论（{}）", c.who, z.in(c.repo), trimmed(what))
	}
	return say("{} {}{}{}", c.who, z.in(c.repo), noun(remark, "评论了", c.url), what)
}

func (zh) ping(hook phrase) phrase {
	if hook.isEmpty() {
		return lit("Webhook 已接通")
	}
	return say("Webhook“{}”已接通", hook)
}

func (z zh) pinged(who, repo phrase) phrase {
	return say("{} {}点击了“测试”，之后的动态会发到本群。", who, z.in(repo))
}

func (zh) somebody() phrase { return lit("有人") }

func (zh) commits(n int, url string) phrase {
	return noun(commits, strconv.Itoa(n)+" 个提交", url)
}

func (zh) list(nouns []phrase, more int) phrase {
	var p phrase
	for i, n := range nouns {
		if i > 0 {
			p = append(p, lit("、")...)
		}
		p = append(p, n...)
	}
	if more > 0 {
		unit := " 个"
		if len(nouns) > 0 && len(nouns[0]) > 0 && nouns[0][0].kind == person {
			unit = " 人"
		}
		p = append(p, lit(" 等 "+strconv.Itoa(len(nouns)+more)+unit)...)
	}
	return p
}

func (zh) field(f field, value phrase) phrase {
	return say([...]string{
		fieldState:         "状态：{}",
		fieldAssignee:      "负责人：{}",
		fieldCollaborators: "协作者：{}",
		fieldReviewers:     "审查：{}",
		fieldTesters:       "测试：{}",
		fieldMilestone:     "里程碑：{}",
		fieldLabels:        "标签：{}",
		fieldRoute:         "分支：{}",
		fieldChanges:       "改动：{}",
		fieldMergeable:     "合并：{}",
		fieldAuthor:        "评论者：{}",
		fieldDetail:        "内容：{}",
	}[f], value)
}

func (z zh) route(fork, from, to phrase) phrase { return say("{}{} → {}", z.of(fork), from, to) }

func (z zh) changes(commits, files, additions, deletions int) phrase {
	n := strconv.Itoa
	var text string
	if commits > 0 {
		text = n(commits) + " 个提交" + z.separator()
	}
	if files > 0 {
		text += n(files) + " 个文件" + z.separator()
	}
	return lit(text + "+" + n(additions) + " −" + n(deletions))
}

func (zh) conflict() string { return "有冲突，暂时不能自动合并" }

func (zh) moved(from, to phrase) phrase { return say("从 {} 移到 {}", from, to) }

func (zh) wasAt(commit phrase) phrase { return say("删除前位于 {}", commit) }

func (zh) by(author phrase) phrase { return say("（{}）", author) }

func (zh) moreCommits(n int) string {
	if n == 0 {
		return "… 查看全部改动"
	}
	return "… 还有 " + strconv.Itoa(n) + " 个提交"
}

func (zh) readOn() string { return "查看全文" }

func (zh) image() string { return "[图片]" }
