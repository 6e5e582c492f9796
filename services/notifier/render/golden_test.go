package render

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

var update = flag.Bool("update", false, "write the golden files anew")

func asNotification(s sample) delivery.Notification {
	return delivery.Notification{Seq: 1, Robot: "team", Event: s.event}
}

// golden compares what a group would see with a file: the title, an empty line, the text.
func golden(t *testing.T, name string, m dingtalk.Message) {
	t.Helper()
	md, ok := m.Content.(dingtalk.Markdown)
	if !ok {
		t.Fatalf("the message is a %T, want Markdown", m.Content)
	}
	got := md.Title + "\n\n" + md.Text + "\n"
	path := filepath.Join("testdata", "golden", name+".md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update, and read it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// inEachLanguage runs a test for each language.
func inEachLanguage(t *testing.T, test func(t *testing.T, locale string)) {
	for _, locale := range Locales() {
		t.Run(locale, func(t *testing.T) { test(t, locale) })
	}
}

func TestEachEventReadsAsInItsGoldenFile(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		seen := map[string]bool{}
		for _, s := range samples() {
			if seen[s.name] {
				t.Errorf("two samples are called %s", s.name)
			}
			seen[s.name] = true
			t.Run(s.name, func(t *testing.T) {
				m, used, err := renderAs(Options{Robot: "team", Locale: locale}, []delivery.Notification{asNotification(s)})
				if err != nil || used != 1 {
					t.Fatalf("Render: used %d, error %v", used, err)
				}
				golden(t, filepath.Join(locale, s.name), m)
			})
		}
	})
}

// The first of the two is the same for all; the other is the one that the digest calls the latest.
func TestEachEventInADigestOfTwoReadsAsInItsGoldenFile(t *testing.T) {
	start := time.Date(2026, 11, 22, 15, 50, 0, 0, time.UTC)
	inEachLanguage(t, func(t *testing.T, locale string) {
		for _, s := range samples() {
			t.Run(s.name, func(t *testing.T) {
				first, second := ofEvent(pinged()), asNotification(s)
				first.CreateTime, second.CreateTime = start, start.Add(timedSpan)
				m, used, err := renderAs(Options{Robot: "team", Locale: locale}, []delivery.Notification{first, second})
				if err != nil || used != 2 {
					t.Fatalf("Render: used %d, error %v", used, err)
				}
				golden(t, filepath.Join(locale, s.name+".digest"), m)
			})
		}
	})
}

func TestDigestOfOneRepositoryReadsAsInItsGoldenFile(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		var batch []delivery.Notification
		for _, s := range samples() {
			if s.event.GetRepository() != nil {
				batch = append(batch, asNotification(s))
			}
		}
		digestGolden(t, locale, "digest_one_repository", batch)
	})
}

func TestDigestOfSeveralRepositoriesReadsAsInItsGoldenFile(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		var batch []delivery.Notification
		for i, s := range samples() {
			n := asNotification(s)
			switch i % 5 {
			case 1:
				n.Event.Repository = nil
			case 2:
				n.Event.Repository.Path, n.Event.Repository.Url = "other/web_site", "https://gitee.com/other/web_site"
			case 3:
				n = delivery.Notification{Seq: 1, Robot: "team", Message: textMessage("磁盘 <80%> 已满\n请 @值班 处理")}
			case 4:
				n = delivery.Notification{Seq: 1, Robot: "team", Message: markdownMessage("构建失败", "**构建** [#17](https://ci.example.com/17) 失败  \n耗时 3 分钟")}
			}
			if batch = append(batch, n); len(batch) == 20 {
				break
			}
		}
		digestGolden(t, locale, "digest_several_repositories", batch)
	})
}

func digestGolden(t *testing.T, locale, name string, batch []delivery.Notification) {
	t.Helper()
	m, used, err := renderAs(Options{Robot: "team", Locale: locale, Keywords: []string{"Gitee"}}, batch)
	if err != nil || used != len(batch) {
		t.Fatalf("Render: used %d of %d, error %v", used, len(batch), err)
	}
	golden(t, filepath.Join(locale, name), m)
}
