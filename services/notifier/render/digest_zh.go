package render

import (
	"strconv"
	"time"
)

func (zh) pushed(who, branch phrase, n int) phrase {
	if n > 1 {
		return say("{} 推送 {}（"+strconv.Itoa(n)+" 个提交）", who, branch)
	}
	return say("{} 推送 {}", who, branch)
}

func (z zh) latest(from, to time.Time, what string) string {
	switch {
	case from.IsZero() || to.IsZero():
		return "最新：" + what
	case to.Sub(from) < time.Minute:
		return "最新 " + z.clock(to, to) + "：" + what
	}
	return z.clock(from, to) + " 至 " + z.clock(to, to) + z.separator() + "最新：" + what
}

// clock is the time of day at t, with the date where that is another than now's. China has one time zone.
func (zh) clock(t, now time.Time) string {
	t, now = t.In(beijing), now.In(beijing)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("1月2日 15:04")
}

var beijing = time.FixedZone("UTC+8", 8*60*60)

func (zh) digest(n, repositories int, repo phrase) phrase {
	count := strconv.Itoa(n)
	switch {
	case !repo.isEmpty():
		return say("{} 有 "+count+" 条动态", repo)
	case repositories > 1:
		return lit(strconv.Itoa(repositories) + " 个仓库有 " + count + " 条动态")
	}
	return lit(count + " 条动态")
}

func (zh) count(k counted, n int) string {
	return [...]string{
		countPush:    "推送",
		countTag:     "标签",
		countIssue:   "Issue",
		countPull:    "PR",
		countComment: "评论",
		countPing:    "测试",
		countMessage: "消息",
	}[k] + " " + strconv.Itoa(n)
}

func (zh) separator() string { return " · " }

func (zh) colon() string { return "：" }

func (zh) then() string { return "；" }

func (zh) elsewhere() string { return "其他" }

func (zh) messages() string { return "消息" }
