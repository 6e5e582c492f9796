package demo

import (
	"fmt"
	"strings"
	"testing"
)

func TestAPastedBodyIsShownInAllLanguagesSideBySide(t *testing.T) {
	p, _ := newFilledPage(t)
	ctx := browse(t, p, 1280, 900)
	evaluate[bool](ctx, t, "document.querySelector('#look-open').click(); return true")

	// It opens with a pull request.
	until(ctx, t, "document.querySelector('.look-event')?.textContent.startsWith('pull request · opened')")
	shoot(ctx, t, "panel-desktop.png")
	if got := evaluate[string](ctx, t, `return ['zh-CN', 'en', 'ru'].map((l) => {
		const c = document.querySelector('#look-' + l);
		return [getComputedStyle(c).display !== 'none', c.querySelector('.bubble').lang, c.querySelector('.markdown h3').textContent,
			c.querySelector('.mention').textContent, c.querySelector('.look-called').textContent].join('|');
	}).join('\n')`); got != "true|zh-CN|zh-CN anna-p|@李娜|calls 李娜\ntrue|en|en anna-p|@李娜|calls 李娜\ntrue|ru|ru anna-p|@李娜|calls 李娜" {
		t.Errorf("the columns are\n%s", got)
	}
	if got := evaluate[[]string](ctx, t, brokenLayout); len(got) > 0 {
		t.Errorf("outside the window: %v", got)
	}

	// Another shape.
	evaluate[bool](ctx, t, "document.querySelector('input[value=actionCard]').click(); return true")
	until(ctx, t, "document.querySelectorAll('#look .actionCard .button').length === 3")
	shoot(ctx, t, "panel-card.png")

	// Another sample: its own headers go along, so that a press of the test button is one.
	evaluate[bool](ctx, t, "const s = document.querySelector('#look-sample'); s.value = 'ping'; s.dispatchEvent(new Event('change')); return true")
	until(ctx, t, "document.querySelector('.look-event')?.textContent.startsWith('ping · pinged')")

	// What is typed over it is read as it is.
	paste := func(text string) {
		evaluate[bool](ctx, t, "const b = document.querySelector('#look-body'); b.value = "+quote(text)+"; b.dispatchEvent(new Event('input')); return true")
	}
	paste(string(sampleNamed(t, "issue_opened").Body))
	until(ctx, t, "document.querySelector('.look-event')?.textContent.startsWith('issue · opened')")
	if got := evaluate[string](ctx, t, "return document.querySelector('#look-sample').value"); got != "" {
		t.Errorf("a body of one's own is called the sample %q", got)
	}
	for _, c := range []struct{ body, class, want string }{
		{"{\n nonsense", ".look-fault", "(line 2, column "},
		{"", ".look-fault", "Paste the body"},
		{`{"hook_name":"wiki_hooks"}`, ".look-ignored", "wiki_hooks"},
		{`{"hook_name":"<img src=x onerror=alert(1)>"}`, ".look-ignored", "<img"},
	} {
		paste(c.body)
		until(ctx, t, fmt.Sprintf("document.querySelector('#look-result %s')?.textContent.includes(%s)", c.class, quote(c.want)))
	}
	if evaluate[int](ctx, t, "return document.querySelectorAll('#look-result img').length") != 0 {
		t.Error("a body's words became HTML")
	}
	evaluate[bool](ctx, t, "document.querySelector('#look-close').click(); return true")
	until(ctx, t, "!document.querySelector('#look').open")
}

func TestAWebhookOfTheGroupIsShownInAllLanguages(t *testing.T) {
	p, _ := newFilledPage(t)
	ctx := browse(t, p, 1280, 900)
	evaluate[bool](ctx, t, "document.querySelector('.row:not(.quiet) .look-this').click(); return true")
	until(ctx, t, "document.querySelector('#look').open && document.querySelector('#look-body').value.includes('refs')")
	if body := evaluate[string](ctx, t, "return document.querySelector('#look-body').value"); !strings.Contains(body, "refs/heads/main") || strings.Contains(body, "hunter2") {
		t.Errorf("the panel has the body %s", body)
	}
}

func TestThePanelFitsPhones(t *testing.T) {
	for _, size := range [][2]int64{{390, 844}, {360, 640}} {
		p, _ := newFilledPage(t)
		ctx := browse(t, p, size[0], size[1])
		evaluate[bool](ctx, t, "document.querySelector('#look-open').click(); return true")
		until(ctx, t, "document.querySelectorAll('.look-column').length === 3")
		shown := `[...document.querySelectorAll('.look-column')].filter((c) => getComputedStyle(c).display !== 'none').map((c) => c.id).join()`
		if got := evaluate[string](ctx, t, "return "+shown); got != "look-zh-CN" {
			t.Errorf("%d: the columns shown are %s", size[0], got)
		}
		evaluate[bool](ctx, t, "document.querySelector('#look-tab-ru').click(); return true")
		if got := evaluate[string](ctx, t, "return "+shown); got != "look-ru" {
			t.Errorf("%d: after a tap the columns shown are %s", size[0], got)
		}
		if got := evaluate[[]string](ctx, t, brokenLayout); len(got) > 0 {
			t.Errorf("%d: outside the window: %v", size[0], got)
		}
		// The language stays chosen when the message changes.
		evaluate[bool](ctx, t, "document.querySelector('input[value=actionCard]').click(); return true")
		until(ctx, t, "document.querySelectorAll('#look .actionCard').length === 3")
		if got := evaluate[string](ctx, t, "return "+shown); got != "look-ru" {
			t.Errorf("%d: after another shape the columns shown are %s", size[0], got)
		}
		shoot(ctx, t, fmt.Sprintf("panel-phone-%d.png", size[0]))
	}
}
