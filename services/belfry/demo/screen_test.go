package demo

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shoot saves a screenshot where DEMO_SHOTS names a folder, for people to look at.
func shoot(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	folder := os.Getenv("DEMO_SHOTS")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// until waits for an expression on the page to become true.
func until(ctx context.Context, t *testing.T, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression)); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
}

const pushText = "### [李雷](https://gitee.com/lilei) 推送了 2 个提交到 [main](https://gitee.com/acme/payments/tree/main)\n\n" +
	"[acme/payments](https://gitee.com/acme/payments)\n\n" +
	"- [3f9c2ab](https://gitee.com/acme/payments/commit/3f9c2ab) 修复退款金额的舍入误差\n" +
	"- [b71e004](https://gitee.com/acme/payments/commit/b71e004) refund: add table tests for \\_round\\_half\\_even · 韩梅梅\n\n" +
	"[查看对比](https://gitee.com/acme/payments/compare/3f9c2ab...b71e004)"

const digestText = "**acme/payments** · 5 条\n\n" +
	"- [韩梅梅](https://gitee.com/hmm) 创建了 [!42 支持部分退款](https://gitee.com/acme/payments/pulls/42)\n" +
	"- [李雷](https://gitee.com/lilei) 通过了 [!42 支持部分退款](https://gitee.com/acme/payments/pulls/42) 的审查\n" +
	"- [韩梅梅](https://gitee.com/hmm) 合并了 [!42](https://gitee.com/acme/payments/pulls/42)：`feature/refund` → `main`\n\n" +
	"**acme/docs** · 1 条\n\n1. [Tom](https://gitee.com/tom) 关闭了 [#I8K2 *过期*的截图](https://gitee.com/acme/docs/issues/I8K2)\n\n" +
	"> 已在新版中替换，\n> 见 [说明](https://gitee.com/acme/docs)。&nbsp;&lt;完&gt;  \n> 谢谢 @13800000001"

// fill puts a webhook of every outcome and a message of every kind into the group.
func fill(t *testing.T, g *fakeGroup, rec *Recorder, l *lookup) {
	t.Helper()
	hook := func(event, path, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://demo"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Gitee-Event", event)
		rec.ServeHTTP(discard{http.Header{}}, r)
	}
	hook("Push Hook", "/hooks/demo/1", `{"hook_name":"push_hooks","ref":"refs/heads/main","password":"hunter2","commits":[{"id":"3f9c2ab","message":"修复退款金额的舍入误差\n"}],"total_commits_count":2,"sign":""}`)
	l.set("robots/demo/deliveries/1", "u1")
	g.receive("u1", dingtalk.Markdown{Title: "李雷 推送了 2 个提交到 acme/payments main", Text: pushText})
	hook("Merge Request Hook", "/hooks/ignored", `{"action":"open"}`)
	for i, event := range []string{"Merge Request Hook", "Merge Request Hook", "Merge Request Hook", "Issue Hook"} {
		hook(event, fmt.Sprint("/hooks/demo/", i+2), `{"hook_name":"x"}`)
		l.set(fmt.Sprint("robots/demo/deliveries/", i+2), "u2")
	}
	g.receive("u2", dingtalk.Markdown{Title: "2 个仓库 4 条动态", Text: digestText})
	g.receive("u3", dingtalk.Text{Content: "午饭吃什么？ @13800000001 @13900000002\n第二行"})
	g.change(func() {
		g.received[1].Mentions = []dingtalktest.Mention{{Target: "13800000001", Effective: true}}
		g.received[2].Mentions = []dingtalktest.Mention{{Target: "13800000001", Effective: true}, {Target: "13900000002", Why: "nobody in the group has it"}}
		g.received[2].Shown = "午饭吃什么？ @13800000001 @139****0002\n第二行"
		g.received[2].MentionsAll = true
		g.received[2].Duplicates = 1
		g.left = 4
	})
	g.receive("u4", dingtalk.Link{Title: "支付平台 2.4 发布说明", Text: "部分退款、对账单导出，以及一个等了很久的修复：跨时区的账期现在算对了。升级前请先看迁移步骤。", MessageURL: "https://gitee.com/acme/payments/releases/2.4", PicURL: "https://gitee.com/logo.png"})
	g.receive("u5", dingtalk.ActionCard{Title: "发布 2.4 到生产？", Text: "### 发布 2.4 到生产？\n\n![流水线截图](https://gitee.com/pipeline.png)\n\n所有检查已通过。", Horizontal: true, Buttons: []dingtalk.Button{{Title: "发布", ActionURL: "https://ci.example.com/go"}, {Title: "再等等", ActionURL: "https://ci.example.com/wait"}}})
	g.receive("u6", dingtalk.ActionCard{Title: "周报", Text: "本周合并 **31** 个请求。", SingleTitle: "查看详情", SingleURL: "https://gitee.com/acme"})
	g.receive("u7", dingtalk.FeedCard{Links: []dingtalk.FeedLink{
		{Title: "支付平台 2.4 发布", MessageURL: "https://gitee.com/1", PicURL: "https://gitee.com/1.png"},
		{Title: "一次对账事故的复盘", MessageURL: "https://gitee.com/2", PicURL: "https://gitee.com/2.png"},
	}})
	g.receive("u8", dingtalk.Markdown{Title: "表格", Text: "<table onclick=\"alert(1)\"><tr><td>x</td></tr></table>"})
	g.change(func() { g.received[7].Warnings = []string{"the text holds HTML, which phones do not show"} })
}

// discard is a ResponseWriter that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func newFilledPage(t *testing.T) (*Page, *fakeGroup) {
	t.Helper()
	g, l := newFakeGroup(), new(lookup)
	p, rec := newTestPage(t, g, func(r *http.Request) string {
		n, ok := strings.CutPrefix(r.URL.Path, "/hooks/demo/")
		if !ok {
			return `{"ignored":"the pull request's own event tells it"}`
		}
		return `{"event":{"kind":"pull_request","action":"merged","id":"e` + n + `"},"deliveries":["robots/demo/deliveries/` + n + `"],"duplicate":false}`
	}, l)
	p.timeline.curl = func() string {
		return "curl -X POST http://127.0.0.1:8080/hooks/demo \\\n  -H 'Content-Type: application/json' -H 'X-Gitee-Event: Push Hook' \\\n  -H 'X-Gitee-Token: demo' -d @push.json"
	}
	fill(t, g, rec, l)
	return p, g
}

// brokenLayout returns what sticks out of the page sideways, and elements that overlap their box.
const brokenLayout = `
	const wide = document.documentElement.clientWidth;
	const out = [...document.querySelectorAll('body *')].filter((e) => {
		const r = e.getBoundingClientRect();
		return r.width > 1 && (r.right > wide + 1 || r.left < -1) && !e.closest('pre');
	}).map((e) => e.tagName + '.' + e.className);
	return out.slice(0, 5);`

func TestPageShowsTheGroupOnADesktop(t *testing.T) {
	p, g := newFilledPage(t)
	ctx := browse(t, p, 1280, 900)
	shoot(ctx, t, "desktop-light-end.png")
	if got := evaluate[[]string](ctx, t, brokenLayout); len(got) > 0 {
		t.Errorf("outside the window: %v", got)
	}
	if n := evaluate[int](ctx, t, "return document.querySelectorAll('.message').length"); n != 8 {
		t.Errorf("%d messages, want 8", n)
	}
	for selector, want := range map[string]string{
		"#group":                                "支付组",
		"#members":                              "(8)",
		"#budget-text":                          "4 of 20 calls left in this minute",
		".lock-text":                            "Gitee 机器人: 李雷 推送了 2 个提交到 acme/payments main",
		".row:not(.quiet) .chip.event":          "Push Hook",
		".digest":                               "Digest: 4 notifications in one message",
		".names code":                           "robots/demo/deliveries/1",
		".blank code":                           `<table onclick="alert(1)">`,
		".text .mention":                        "@13800000001",
		".text .masked":                         "@139****0002",
		".quiet .why":                           "Nothing to tell: the pull request's own event tells it",
		".buttons.across":                       "发布再等等",
		".feed-title":                           "支付平台 2.4 发布",
		".link-card":                            "支付平台 2.4 发布说明部分退款、对账单导出，以及一个等了很久的修复：跨时区的账期现在算对了。升级前请先看迁移步骤。gitee.com/logo.png",
		".everyone":                             "@所有人",
		".markdown h3 a":                        "李雷",
		".row:has(.bubble.text) .facts li + li": "DingTalk was called 2 times with the same msgUuid and showed it once",
		".facts .warn":                          "the text holds HTML, which phones do not show",
		".who":                                  "Gitee 机器人",
	} {
		got := evaluate[string](ctx, t, "return document.querySelector("+quote(selector)+")?.textContent ?? '(none)'")
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if bad := evaluate[[]string](ctx, t, "return [...document.querySelectorAll('script:not([src]), table, [onclick], .bubble img')].map((e) => e.outerHTML)"); len(bad) > 0 {
		t.Errorf("made from a message: %v", bad)
	}

	// The body is fetched when it is asked for.
	evaluate[bool](ctx, t, "document.querySelector('.row:not(.quiet) .body summary').click(); return true")
	until(ctx, t, "document.querySelector('.row:not(.quiet) .body pre').textContent.includes('total_commits_count')")
	if body := evaluate[string](ctx, t, "return document.querySelector('.row:not(.quiet) .body pre').textContent"); strings.Contains(body, "hunter2") {
		t.Errorf("the body shows its password: %s", body)
	}
	evaluate[bool](ctx, t, "document.querySelector('#scroll').scrollTop = 0; return true")
	shoot(ctx, t, "desktop-light-body.png")
	evaluate[bool](ctx, t, "document.querySelector('.row:not(.quiet) .body summary').click(); return true")
	shoot(ctx, t, "desktop-light.png")
	evaluate[bool](ctx, t, "document.querySelector('.row:has(.bubble.text)').scrollIntoView(); return true")
	shoot(ctx, t, "desktop-light-cards.png")
	evaluate[bool](ctx, t, "document.querySelector('#scroll').scrollTop = 0; return true")

	// A reader who has scrolled up stays where they are and is told.
	g.receive("u9", dingtalk.Text{Content: "新消息"})
	until(ctx, t, "document.querySelectorAll('.message').length === 9")
	if at := evaluate[float64](ctx, t, "return document.querySelector('#scroll').scrollTop"); at != 0 {
		t.Errorf("the page moved to %v", at)
	}
	if got := evaluate[string](ctx, t, "return document.querySelector('#jump').textContent + '|' + document.querySelector('#announce').textContent"); got != "1 new message ↓|New message: 新消息" {
		t.Errorf("told: %q", got)
	}
	evaluate[bool](ctx, t, "document.querySelector('#jump').click(); return true")
	until(ctx, t, "document.querySelector('#jump').hidden")
	// One at the end follows.
	g.receive("u10", dingtalk.Text{Content: "又一条"})
	until(ctx, t, "document.querySelectorAll('.message').length === 10")
	if left := evaluate[float64](ctx, t, "const s = document.querySelector('#scroll'); return s.scrollHeight - s.scrollTop - s.clientHeight"); left > 2 {
		t.Errorf("%v pixels are below the window", left)
	}
	// When the demo ends the page says so.
	p.Close()
	until(ctx, t, "document.querySelector('#live').textContent === 'demo stopped'")
}

func TestPageFitsPhonesInTheDark(t *testing.T) {
	for _, size := range [][2]int64{{390, 844}, {360, 640}} {
		t.Run(fmt.Sprint(size[0]), func(t *testing.T) {
			p, _ := newFilledPage(t)
			ctx := browse(t, p, size[0], size[1])
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
			}); err != nil {
				t.Fatal(err)
			}
			until(ctx, t, "matchMedia('(prefers-color-scheme: dark)').matches")
			shoot(ctx, t, fmt.Sprintf("phone-dark-%d-end.png", size[0]))
			evaluate[bool](ctx, t, "document.querySelector('#scroll').scrollTop = 0; return true")
			shoot(ctx, t, fmt.Sprintf("phone-dark-%d.png", size[0]))
			if got := evaluate[[]string](ctx, t, brokenLayout); len(got) > 0 {
				t.Errorf("outside the window: %v", got)
			}
			hidden := "getComputedStyle(document.querySelector('.row:not(.quiet) .panel')).display === 'none'"
			if !evaluate[bool](ctx, t, "return "+hidden) {
				t.Error("the column beside a message is open from the start")
			}
			evaluate[bool](ctx, t, "document.querySelector('.row:not(.quiet) .toggle').click(); return true")
			if evaluate[bool](ctx, t, "return "+hidden) {
				t.Error("the column does not open")
			}
			if got := evaluate[[]string](ctx, t, brokenLayout); len(got) > 0 {
				t.Errorf("outside the window when open: %v", got)
			}
			shoot(ctx, t, fmt.Sprintf("phone-dark-%d-open.png", size[0]))
		})
	}
}
