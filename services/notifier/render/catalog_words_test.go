package render

import (
	"strings"
	"testing"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestCountsAreInflectedAndFiguresGroupedAsInTheLanguage(t *testing.T) {
	for locale, want := range map[string]map[int]string{
		"ru": {
			0: "0 коммитов", 1: "1 коммит", 2: "2 коммита", 5: "5 коммитов", 11: "11 коммитов", 14: "14 коммитов", 21: "21 коммит", 22: "22 коммита",
			25: "25 коммитов", 101: "101 коммит", 111: "111 коммитов", 1001: "1\u00a0001 коммит", 2147483647: "2\u00a0147\u00a0483\u00a0647 коммитов",
		},
		"en":    {0: "0 commits", 1: "1 commit", 2: "2 commits", 11: "11 commits", 21: "21 commits", 101: "101 commits", 1001: "1,001 commits"},
		"zh-CN": {0: "0 个提交", 1: "1 个提交", 2: "2 个提交", 21: "21 个提交", 1001: "1,001 个提交"},
	} {
		w := wordingFor(locale)
		for n, text := range want {
			if got := w.commits(n, "").title(); got != text {
				t.Errorf("%s: %d is %q, want %q", locale, n, got, text)
			}
		}
	}
	ru := wordingFor("ru")
	for n, want := range map[int]string{2: "3 события в 2 репозиториях", 5: "3 события в 5 репозиториях", 21: "3 события в 21 репозитории"} {
		if got := ru.digest(3, n, nil).title(); got != want {
			t.Errorf("%d repositories: %q, want %q", n, got, want)
		}
	}
	if got, want := ru.changes(1, 2, 1200, 5).title(), "1 коммит · 2 файла · +1\u00a0200\u00a0−5"; got != want {
		t.Errorf("changes are %q, want %q", got, want)
	}
}

func TestTimesAreOfTheRobotsZoneOrElseOfTheLanguages(t *testing.T) {
	now := time.Date(2026, 12, 31, 20, 5, 0, 0, time.UTC)
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		locale        string
		zone          *time.Location
		sameDay, then string
	}{
		{"zh-CN", nil, "05:05", "1月1日 04:05"},
		{"en", nil, "05:05", "Jan 1, 04:05"},
		{"ru", nil, "00:05", "31 декабря, 23:05"},
		{"tlh", nil, "05:05", "1月1日 04:05"},
		{"ru", tokyo, "06:05", "1 января, 05:05"},
		{"en", time.UTC, "Dec 31, 21:05", "Dec 31, 20:05"},
	} {
		w := wordingFor(tt.locale).in(tt.zone)
		if got := w.clock(now.Add(time.Hour), now.Add(4*time.Hour)); got != tt.sameDay {
			t.Errorf("%s in %v: %q, want %q", tt.locale, tt.zone, got, tt.sameDay)
		}
		if got := w.clock(now, now.AddDate(0, 0, 2)); got != tt.then {
			t.Errorf("%s in %v, two days later: %q, want %q", tt.locale, tt.zone, got, tt.then)
		}
	}
}

func TestAMessageTellsTimesInTheRobotsZone(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	batch := []delivery.Notification{ofEvent(pinged()), ofEvent(pinged())}
	for i := range batch {
		batch[i].CreateTime = time.Date(2026, 7, 1, 12+i, 30, 0, 0, time.UTC)
	}
	m, used, err := renderAs(Options{Locale: "en", Zone: zone}, batch)
	if err != nil || used != 2 {
		t.Fatalf("used %d, error %v", used, err)
	}
	text := m.Content.(dingtalk.Markdown).Text
	for _, want := range []string{"\n08:30 to 09:30 · latest: ", "\n- 08:30 Webhook", "\n- 09:30 Webhook"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
}

func TestWhatIsNotKnownIsNotSaid(t *testing.T) {
	who, repo, issue := noun(person, "Ann", ""), noun(repository, "a/b", ""), noun(subject, "#1 Crash", "")
	for _, tt := range []struct {
		locale string
		facts  issueFacts
		want   string
	}{
		{"en", issueFacts{scene: scene{who: who, repo: repo}, issue: issue}, "Ann updated issue #1 Crash in a/b"},
		{"en", issueFacts{scene: scene{who: who}, kind: noun(word, "Bug", ""), issue: issue}, "Ann updated Bug #1 Crash"},
		{"ru", issueFacts{scene: scene{who: who, repo: repo}, kind: noun(word, "Bug", ""), issue: issue}, "Ann: обновлена задача (Bug) #1 Crash (a/b)"},
		{"ru", issueFacts{scene: scene{who: who}, issue: issue}, "Ann: обновлена задача #1 Crash"},
		// A blank stands between Chinese and Latin letters, and nowhere else.
		{"zh-CN", issueFacts{scene: scene{who: who, repo: repo}, kind: noun(word, "Bug", ""), issue: issue}, "Ann 在 a/b 更新了 Bug #1 Crash"},
		{"zh-CN", issueFacts{scene: scene{who: who}, kind: noun(word, "缺陷", ""), issue: issue}, "Ann 更新了缺陷 #1 Crash"},
		{"zh-CN", issueFacts{scene: scene{who: who}, issue: issue}, "Ann 更新了 Issue #1 Crash"},
		{"zh-CN", issueFacts{scene: scene{who: who}, kind: noun(word, "Bug", ""), issue: issue, detail: detailLabels}, "Ann 更改了标签：Bug #1 Crash"},
		{"zh-CN", issueFacts{scene: scene{who: who}, kind: noun(word, "3D", ""), issue: issue, detail: detailLinks}, "Ann 更改了关联的 Issue：3D #1 Crash"},
		{"zh-CN", issueFacts{scene: scene{who: who, action: eventv1.Action_ACTION_STATE_CHANGED}, stateCode: "rejected", issue: issue}, "Ann 将状态改为“已拒绝”：Issue #1 Crash"},
		{"ru", issueFacts{scene: scene{who: who, action: eventv1.Action_ACTION_STATE_CHANGED}, stateCode: "progressing", issue: issue}, "Ann: статус «В работе» у задачи #1 Crash"},
		{"en", issueFacts{scene: scene{who: who, action: eventv1.Action_ACTION_STATE_CHANGED}, stateCode: "on_hold", issue: issue}, "Ann set the status to “on_hold” on issue #1 Crash"},
		{"en", issueFacts{scene: scene{who: who, action: eventv1.Action_ACTION_STATE_CHANGED}, issue: issue}, "Ann changed the status of issue #1 Crash"},
		{"en", issueFacts{scene: scene{who: who, action: eventv1.Action_ACTION_ASSIGNED}, issue: issue}, "Ann changed the assignee of issue #1 Crash"},
	} {
		if got := wordingFor(tt.locale).issue(tt.facts).markup(asTitle); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.locale, got, tt.want)
		}
	}
}

func TestListsEndInTheWayOfTheLanguage(t *testing.T) {
	people := []phrase{noun(person, "A", ""), noun(person, "B", ""), noun(person, "C", "")}
	words := []phrase{noun(word, "A", ""), noun(word, "B", "")}
	for locale, want := range map[string][4]string{
		"zh-CN": {"A", "A、B、C", "A、B、C 等 22 人", "A、B 等 3 个"},
		"en":    {"A", "A, B and C", "A, B, C and 19 more", "A, B and 1 more"},
		"ru":    {"A", "A, B и C", "A, B, C и ещё 19", "A, B и ещё 1"},
	} {
		w := wordingFor(locale)
		got := [4]string{
			w.list(people[:1], 0).markup(asTitle), w.list(people, 0).markup(asTitle),
			w.list(people, 19).markup(asTitle), w.list(words, 1).markup(asTitle),
		}
		if got != want {
			t.Errorf("%s: %q, want %q", locale, got, want)
		}
	}
}

func TestEveryPageHasAButtonAndEveryKindACount(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		w := wordingFor(locale)
		for p := pageCommit; p <= pageRepository; p++ {
			if s := w.button(p); s == "" || len([]rune(s)) > 20 {
				t.Errorf("the button of page %d says %q", p, s)
			}
		}
		seen := map[string]counted{}
		for k := range countedKinds {
			s := w.count(k, 7)
			if other, ok := seen[s]; ok || !strings.Contains(s, "7") {
				t.Errorf("kind %d is counted as %q, as %d is", k, s, other)
			}
			seen[s] = k
		}
		for f := fieldState; f <= fieldDetail; f++ {
			if s := w.field(f, noun(word, "VALUE", "")).markup(asTitle); !strings.HasSuffix(s, "VALUE") || len(s) < len("VALUE")+3 {
				t.Errorf("field %d is %q", f, s)
			}
		}
		if s := w.times(3); s != " ×3" {
			t.Errorf("three times is %q", s)
		}
	})
}

// What does not fit must be told with a link to it, whatever the number does to the words: the lengths go
// through every remainder.
func TestTheLinkToWhatDoesNotFitFitsInEveryLanguage(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		e := pushOf(21, 21)
		for n := range 450 {
			for _, c := range e.GetPush().Commits {
				c.Url = "https://gitee.com/" + strings.Repeat("x", 1550+n)
			}
			in, err := rendererOf(Options{Robot: "team", Locale: locale}).Inspect(ofEvent(e))
			if err != nil || in.Size > maxBody || !strings.Contains(in.Message.Content.(dingtalk.Markdown).Text, "\n- [… ") {
				t.Fatalf("with addresses of %d: %d bytes, error %v", 1550+n, in.Size, err)
			}
		}
	})
}

func TestTheWordsAroundADigestHaveTheirRoom(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		w := wordingFor(locale)
		var head, latest int
		var counts [countedKinds]int
		repo := noun(repository, "r", "")
		for n := 1; n <= maxItems; n++ {
			for _, p := range []phrase{w.digest(n, 0, nil), w.digest(n, n, nil), w.digest(n, 1, repo)} {
				head = max(head, jsonLen(p.markup(asHead)))
			}
			for k := range countedKinds {
				counts[k] = max(counts[k], jsonLen(w.count(k, n)))
			}
			at := time.Date(2026, 1, 1, 20, 59, 0, 0, time.UTC).AddDate(0, 0, 2*n)
			latest = max(latest, jsonLen(w.latest(at, at.AddDate(0, 0, 1), "w")), jsonLen(w.latest(at, at, "w")), jsonLen(w.latest(time.Time{}, at, "w")))
		}
		need := len("### ") + head + 2*jsonLen("\n") + latest + jsonLen("  \n") - len("r") - len("w")
		for k, n := range counts {
			if need += n; k > 0 {
				need += jsonLen(w.separator())
			}
		}
		if need > w.digestRoom || need < w.digestRoom-60 {
			t.Errorf("they take %d bytes, and %d are kept for them", need, w.digestRoom)
		}
	})
}

func TestAFullDigestOfEveryKindFitsInEveryLanguage(t *testing.T) {
	start := time.Date(2026, 9, 21, 15, 59, 0, 0, time.UTC)
	inEachLanguage(t, func(t *testing.T, locale string) {
		var batch []delivery.Notification
		for i := 0; len(batch) < maxItems; i++ {
			for _, s := range samples() {
				s.event.Repository = demo()
				s.event.Repository.Path += strings.Repeat("x", i%2)
				batch = append(batch, ofEvent(s.event))
			}
			batch = append(batch, ofMessage(textMessage("好")))
		}
		for n := range 120 {
			batch[1] = ofMessage(textMessage(strings.Repeat("x", 1000+n)))
			for i := range batch {
				batch[i].CreateTime = start.Add(time.Duration(i) * 20 * time.Minute)
			}
			m, used, err := renderAs(Options{Robot: "team", Locale: locale}, batch)
			if err != nil || used < 60 {
				t.Fatalf("used %d, error %v", used, err)
			}
			body, err := dingtalk.Encode(m, sampleUUID)
			if err != nil || len(body) > maxBody {
				t.Fatalf("%d bytes, error %v", len(body), err)
			}
		}
	})
}
