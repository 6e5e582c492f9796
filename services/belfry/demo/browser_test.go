package demo

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// browse opens p's page in a headless Chromium and returns its context. Without Chromium the test is
// skipped: what it looks at exists only in a browser.
func browse(t *testing.T, p *Page, width, height int64) context.Context {
	t.Helper()
	var chromium string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
		if at, err := exec.LookPath(name); err == nil {
			chromium = at
			break
		}
	}
	if chromium == "" {
		t.Skip("no Chromium in PATH (chromium, google-chrome, ...): the page's scripts are not tested")
	}
	srv := httptest.NewServer(p.Handler())
	srv.Config.RegisterOnShutdown(p.Close)
	t.Cleanup(srv.Close)

	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.WindowSize(int(width), int(height)),
		chromedp.Flag("disable-dev-shm-usage", true))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx,
		chromedp.EmulateViewport(width, height),
		chromedp.Navigate(srv.URL),
		chromedp.WaitVisible(chromedp.CSS(`#live[data-state="live"]`)),
	); err != nil {
		t.Fatalf("the page does not come up in %s: %v", filepath.Base(chromium), err)
	}
	return ctx
}

// evaluate runs script, the body of an async function, on the page and returns its value.
func evaluate[T any](ctx context.Context, t *testing.T, script string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T]("(async () => {"+script+"})()", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("script %.300s: %v", script, err)
	}
	return value
}

func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestRenderer holds the tests of markdown.js, which share a browser.
func TestRenderer(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	ctx := browse(t, p, 800, 600)
	t.Run("renders what DingTalk does and not more", func(t *testing.T) { testSubset(ctx, t) })
	t.Run("finds raw HTML", func(t *testing.T) { testRawHTML(ctx, t) })
	t.Run("does not hang on huge text", func(t *testing.T) { testHuge(ctx, t) })
	t.Run("ends nesting somewhere", func(t *testing.T) { testNesting(ctx, t) })
}

func testSubset(ctx context.Context, t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"headings", "# 一\n### three ###\n###### six\n####### seven", "<h1>一</h1><h3>three</h3><h6>six</h6><p>####### seven</p>"},
		{"no heading without a blank", "#tag", "<p>#tag</p>"},
		{"escaped heading", `\# no`, "<p># no</p>"},
		{"bold and italic", "**b** *i* ***bi*** a*b*c", "<p><strong>b</strong> <em>i</em> <em><strong>bi</strong></em> a<em>b</em>c</p>"},
		{"nested", "**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"},
		{"lone stars", "2 * 3 * 4, **open, a ** b", "<p>2 * 3 * 4, **open, a ** b</p>"},
		{"escaped stars", `\*not\* \_this\_`, "<p>*not* _this_</p>"},
		{"underscores and backticks are text", "_a_ __b__ `c` ~~d~~", "<p>_a_ __b__ `c` ~~d~~</p>"},
		{"one line feed is swallowed", "a\nb", "<p>a b</p>"},
		{"a swallowed line feed between Chinese characters", "已替换，\n见说明\nsee", "<p>已替换，见说明 see</p>"},
		{"two blanks break", "a  \nb  \n  c", "<p>a<br>b<br>c</p>"},
		{"a blank line parts", "a\n\nb\n \t\nc", "<p>a</p><p>b</p><p>c</p>"},
		{"windows line feeds", "a  \r\nb\r\rc", "<p>a<br>b</p><p>c</p>"},
		{"quote", "> a\n> b  \n> c\nd\n\ne", "<blockquote><p>a b<br>c d</p></blockquote><p>e</p>"},
		{"blocks in a quote", "> ### h\n> - x\n> - y", "<blockquote><h3>h</h3><ul><li>x</li><li>y</li></ul></blockquote>"},
		{"quotes end somewhere", ">>>> a", "<blockquote><blockquote><blockquote><p>&gt; a</p></blockquote></blockquote></blockquote>"},
		{"list", "- a\n- **b**\n\n- c\nmore\n\nafter", "<ul><li>a</li><li><strong>b</strong></li><li>c more</li></ul><p>after</p>"},
		{"lists are flat", "- a\n  - b", "<ul><li>a</li><li>b</li></ul>"},
		{"list with breaks", "- a  \n  b", "<ul><li>a<br>b</li></ul>"},
		{"ordered", "1. a\n2. b\n- c", "<ol><li>a</li><li>b</li></ol><ul><li>c</li></ul>"},
		{"ordered from 7", "7. a", `<ol start="7"><li>a</li></ol>`},
		{"a number goes on with its sentence", "since\n2019. It", "<p>since 2019. It</p>"},
		{"other bullets are text", "* a\n+ b", "<p>* a + b</p>"},
		{"link", "[a **b**](https://gitee.com/x?a=1&amp;b=(2))", `<p>[https://gitee.com/x?a=1&b=(2)|a <strong>b</strong>]</p>`},
		{"link in brackets", "[[a](https://x.y/)]", "<p>[[https://x.y/|a]]</p>"},
		{"a link holds no link", "[a [b](https://x.y/) c](https://z.z/)", "<p>[a [https://x.y/|b] c](https://z.z/)</p>"},
		{"DingTalk's own wrapper", "[a](dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fx.y%2Fz&pc_slide=false)", "<p>[https://x.y/z|a]</p>"},
		{"bracket text", "[1] a] [b (c) [d]e(f)", "<p>[1] a] [b (c) [d]e(f)</p>"},
		{"escaped brackets", `\[a\](https://x.y)`, "<p>[a](https://x.y)</p>"},
		{"a blank in an address", "[a](https://x.y z)", "<p>[a](https://x.y z)</p>"},
		{"bare addresses are text", "https://x.y/ www.x.y", "<p>https://x.y/ www.x.y</p>"},
		{"image", "![alt](https://x.y/p.png) ![](https://x.y/q.png)", "<p>{img:alt} {img:x.y/q.png}</p>"},
		{"image in a link", "[![alt](https://x.y/p.png)](https://x.y/)", "<p>[https://x.y/|{img:alt}]</p>"},
		{"references", "a&nbsp;b &lt;c&gt; &amp;amp; &#160;&#xA0;&#42;x&#42; &copy; &#0;", "<p>a&nbsp;b &lt;c&gt; &amp;amp; &nbsp;&nbsp;*x* &amp;copy; \ufffd</p>"},
		{"tables and rules are text", "|a|b|\n|-|-|\n\n---", "<p>|a|b| |-|-|</p><p>---</p>"},
		{"code is text", "```\n# x\n```", "<p>```</p><h1>x</h1><p>```</p>"},
		{"Chinese next to marks", "**订单**已合并，由*张三*处理", "<p><strong>订单</strong>已合并，由<em>张三</em>处理</p>"},
		{"mention that takes effect", "ask @13800000001 now", "<p>ask «@13800000001» now</p>"},
		{"mention that does not", "ask @13900000002, @nobody and @138000000012", "<p>ask @13900000002, @nobody and @138000000012</p>"},
		{"number of a stranger", "ask @13700000003 now, or @13700000003", "<p>ask (@137****0003) now, or (@137****0003)</p>"},
		{"mention in bold", "**@13800000001**", "<p><strong>«@13800000001»</strong></p>"},

		{"script", "<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"},
		{"image with handler", `<img src=x onerror="alert(1)">`, `<p>&lt;img src=x onerror="alert(1)"&gt;</p>`},
		{"reference to HTML", "&lt;b&gt;x&lt;/b&gt;", "<p>&lt;b&gt;x&lt;/b&gt;</p>"},
		{"script address", "[a](javascript:alert(1))", "<p>~a~</p>"},
		{"script address in disguise", "[a](&#106;avascript:alert(1)) [b](JaVaScRiPt:x) [c](java\\script:x)", "<p>~a~ ~b~ ~c~</p>"},
		{"data address", "[a](data:text/html,x) [b](vbscript:x) [c](//x.y) [d](/api) [e]()", "<p>~a~ ~b~ ~c~ ~d~ ~e~</p>"},
		{"script in DingTalk's wrapper", "[a](dingtalk://dingtalkclient/page/link?url=javascript:alert(1))", "<p>[dingtalk://dingtalkclient/page/link?url=javascript:alert(1)|a]</p>"},
		{"script as an image", "![a](javascript:alert(1))", "<p>{img:a}</p>"},
		{"attribute break-out", `[a](https://x.y/"onclick="alert(1))`, `<p>[https://x.y/%22onclick=%22alert(1)|a]</p>`},
		{"alt break-out", `![" onload="x](https://x.y/)`, `<p>{img:" onload="x}</p>`},
	}
	inputs := make([]string, len(cases))
	for i, c := range cases {
		inputs[i] = c.in
	}
	// Links are written as [address|text], dead ones as ~text~, images as {img:what it says}, mentions as
	// «text»; everything else is the HTML itself, so that whatever else were made would be seen.
	got := evaluate[[]string](ctx, t, `
		const { render } = await import('/markdown.js');
		const mentions = [{target: '13800000001', effective: true}, {target: '13900000002', effective: false}, {target: '13700000003', masked: true}];
		return `+quote(inputs)+`.map((text) => {
			const div = document.createElement('div');
			div.append(render(text, mentions));
			const check = (node, names) => {
				for (const a of node.attributes) if (!names.includes(a.name)) throw new Error(text + ': attribute ' + a.name);
			};
			for (const i of div.querySelectorAll('span.picture')) {
				check(i, ['class', 'role', 'aria-label', 'title']);
				i.replaceWith('{img:' + i.textContent + '}');
			}
			for (const m of div.querySelectorAll('span.mention')) m.replaceWith('«' + m.textContent + '»');
			for (const m of div.querySelectorAll('span.masked')) m.replaceWith('(' + m.textContent + ')');
			for (const a of div.querySelectorAll('a')) {
				check(a, ['href', 'target', 'rel', 'title']);
				if (a.target !== '_blank' || a.rel !== 'noopener noreferrer') throw new Error(text + ': ' + a.outerHTML);
				a.replaceWith('[' + a.getAttribute('href') + '|', ...a.childNodes, ']');
			}
			for (const d of div.querySelectorAll('span.dead-link')) d.replaceWith('~', ...d.childNodes, '~');
			return div.innerHTML.replaceAll('?a=1&amp;b=', '?a=1&b=');
		});`)
	for i, c := range cases {
		if diff := cmp.Diff(c.want, got[i]); diff != "" {
			t.Errorf("%s: %q (-want +got):\n%s", c.name, c.in, diff)
		}
	}
}

func testRawHTML(ctx context.Context, t *testing.T) {
	cases := map[string]string{
		"a <b>c</b>": "<b>", "x </div>": "</div>", "<!-- c -->": "<!-- c -->", "<img src=x\n>": "<img src=x\n>",
		"<https://x.y>": "<https://x.y>", "<?php ?>": "<?php ?>",
		"1 < 2 > 1": "", "a<-b": "", `\<b\>`: "", "&lt;b&gt;": "", "＜b＞": "", "List<": "", "plain": "",
	}
	for in, want := range cases {
		got := evaluate[string](ctx, t, "const { rawHTML } = await import('/markdown.js'); return rawHTML("+quote(in)+") ?? '';")
		if got != want {
			t.Errorf("rawHTML(%q) = %q, want %q", in, got, want)
		}
	}
}

func testHuge(ctx context.Context, t *testing.T) {
	for _, part := range []string{"[", "]", "*", "**a ", "*a**", "a*", "[a](", "![", "![a](b)", "> ", "- ", "&", `\`, "<!--", "<a ", "[[a](https://x.y)](", "(", "# ", "*a _"} {
		text := strings.Repeat(part, 20000/len(part))
		millis := evaluate[float64](ctx, t, `
			const { render, rawHTML } = await import('/markdown.js');
			const start = performance.now();
			render(`+quote(text)+`);
			rawHTML(`+quote(text)+`);
			return performance.now() - start;`)
		// The slowest takes some ten milliseconds; anything that grows with the square takes minutes.
		if millis > 5000 {
			t.Errorf("%q again and again: %.0f ms", part, millis)
		}
	}
}

func testNesting(ctx context.Context, t *testing.T) {
	for _, text := range []string{
		strings.Repeat("*a **b ", 500) + strings.Repeat("c** d* ", 500),
		strings.Repeat("![", 2000) + strings.Repeat("](x)", 2000),
		strings.Repeat(">", 5000) + "a",
	} {
		depth := evaluate[int](ctx, t, `
			const { render } = await import('/markdown.js');
			const div = document.createElement('div');
			div.append(render(`+quote(text)+`));
			const deep = (n) => 1 + Math.max(0, ...[...n.children].map(deep));
			return deep(div);`)
		if depth > 40 {
			t.Errorf("%.20q...: %d elements deep", text, depth)
		}
	}
}
