package render

import (
	"regexp"
	"strings"
	"testing"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// ofCalls are the reasons that only an answer to a call may have: no delivery fails with one, no robot rests
// for one.
var ofCalls = map[notifierv1.ErrorReason]bool{
	notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED:            true,
	notifierv1.ErrorReason_ERROR_REASON_DELIVERY_NOT_FOUND:     true,
	notifierv1.ErrorReason_ERROR_REASON_JOURNAL_UNAVAILABLE:    true,
	notifierv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:          true,
	notifierv1.ErrorReason_ERROR_REASON_INTERNAL:               true,
	notifierv1.ErrorReason_ERROR_REASON_NO_SUCH_PATH:           true,
	notifierv1.ErrorReason_ERROR_REASON_DELIVERY_NOT_ENDED:     true,
	notifierv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_EXPIRED:   true,
	notifierv1.ErrorReason_ERROR_REASON_TOO_MANY_WATCHERS:      true,
	notifierv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED:        true,
	notifierv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED:      true,
	notifierv1.ErrorReason_ERROR_REASON_HOOK_NOT_FOUND:         true,
	notifierv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED:     true,
	notifierv1.ErrorReason_ERROR_REASON_BODY_TOO_LARGE:         true,
	notifierv1.ErrorReason_ERROR_REASON_UNSUPPORTED_MEDIA_TYPE: true,
	notifierv1.ErrorReason_ERROR_REASON_NOT_AUTHENTIC:          true,
	notifierv1.ErrorReason_ERROR_REASON_MALFORMED_EVENT:        true,
	notifierv1.ErrorReason_ERROR_REASON_NOT_ACCEPTED:           true,
	notifierv1.ErrorReason_ERROR_REASON_BUSY:                   true,
}

func TestEveryReasonHasASentenceInEveryLanguage(t *testing.T) {
	for _, locale := range Locales() {
		w := wordingFor(locale)
		said := map[string]notifierv1.ErrorReason{}
		for number := range notifierv1.ErrorReason_name {
			reason := notifierv1.ErrorReason(number)
			s := w.failure(reason, 0)
			if ofCalls[reason] {
				if s != "" {
					t.Errorf("%s: %v is said, and no delivery has it: %q", locale, reason, s)
				}
				continue
			}
			if other, ok := said[s]; ok || s == "" {
				t.Errorf("%s: %v has no sentence of its own: %q, as %v", locale, reason, s, other)
			}
			said[s] = reason
			if strings.TrimRight(s, "。. ") != s || strings.Contains(s, "\n") {
				t.Errorf("%s: the sentence for %v can't be gone on from: %q", locale, reason, s)
			}
		}
	}
}

func TestAnExplanationNamesWhatToChange(t *testing.T) {
	suspended := delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN, Message: "in English", Errcode: 300005}
	for _, tt := range []struct {
		name    string
		failure delivery.Failure
		want    []string
	}{
		{"a robot at fault", suspended, []string{"webhook", "access_token", "（钉钉错误码 300005）"}},
		{"a bad link", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED, Errcode: 430101}, []string{"链接", "430101"}},
		{"a bad picture", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED, Errcode: 430103}, []string{"图片", "430103"}},
		{"a lost field", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED, Errcode: 400402}, []string{"字段"}},
		{"a group that is gone", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_UNAVAILABLE, Errcode: 400013}, []string{"群已解散"}},
		{"too fast", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_THROTTLED, Errcode: 130101}, []string{"20 条", "130101"}},
		{"a crowd elsewhere", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_THROTTLED, Errcode: 90018}, []string{"不用处理"}},
		{"turned away by the gate", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_THROTTLED}, []string{"别的程序"}},
		{"too old", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_EXPIRED, Errcode: 300005, Last: &suspended},
			[]string{"RedeliverDelivery 重新发送。没有送达的原因：", "access_token", "（钉钉错误码 300005）"}},
		{"too old, and perhaps shown", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_EXPIRED,
			Last: &delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_DINGTALK_UNAVAILABLE}}, []string{"重发前先到群里看一眼"}},
		{"what a checker says", delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE, Message: "markdown.title is\nempty"},
			[]string{"（markdown.title is empty）"}},
		{"a reason of a later version", delivery.Failure{Reason: 4711, Errcode: 7}, []string{"不认识", "（钉钉错误码 7）"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Explain("zh-CN", tt.failure)
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("%q has not %q", got, w)
				}
			}
			if strings.Count(got, "钉钉错误码") > 1 {
				t.Errorf("%q says the errcode twice", got)
			}
			if strings.Contains(got, "in English") {
				t.Errorf("%q is for logs", got)
			}
			if other := Explain("tlh", tt.failure); other != got {
				t.Errorf("a language that is not spoken is answered with %q", other)
			}
		})
	}
}

// setting is a name that stands in belfry.yaml, in the API or in DingTalk's settings: the same in every language.
var setting = regexp.MustCompile(`[A-Za-z]+(?:[_.][A-Za-z]+)+|[A-Z][a-z]+[A-Z][A-Za-z]+|SEC|JSON|POST|https|IPv4|Content-Type|APPEND|markdown|actionCard|feedCard`)

func TestAnAdviceNamesTheSameSettingsInEveryLanguage(t *testing.T) {
	model := catalogueTexts(t, defaultLocale)
	inEachLanguage(t, func(t *testing.T, locale string) {
		for key, forms := range catalogueTexts(t, locale) {
			for _, name := range setting.FindAllString(model[key][""], -1) {
				if strings.HasPrefix(key, "failures.") && !strings.Contains(forms[""], name) {
					t.Errorf("%s: %q does not name %s", key, forms[""], name)
				}
			}
		}
	})
}

func TestAnExplanationReadsAsOneText(t *testing.T) {
	suspended := delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_CLOCK_SKEW, Errcode: 310000}
	lost := delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_EXPIRED, Last: &suspended}
	checked := delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, Message: "markdown.title is empty"}
	for _, tt := range []struct {
		locale  string
		failure delivery.Failure
		want    string
	}{
		{"en", suspended, "The signature's time is more than an hour away from DingTalk's: set this machine's clock (DingTalk errcode 310000)"},
		{"ru", suspended, "Время подписи расходится с часами DingTalk больше чем на час: поправьте часы этой машины (код ошибки DingTalk 310000)"},
		{"en", checked, "DingTalk does not take a message of this form: change it and send it again (markdown.title is empty)"},
		{"ru", checked, "Такое сообщение DingTalk не примет: исправьте его и отправьте снова (markdown.title is empty)"},
		{"en", lost, "It could not be delivered within the longest wait (notifier.max_age) and was given up: if it is still wanted, send it again with RedeliverDelivery. " +
			"Why it was not delivered: The signature's time is more than an hour away from DingTalk's: set this machine's clock (DingTalk errcode 310000)"},
		{"ru", lost, "Сообщение не удалось доставить за отведённый срок (notifier.max_age), попытки прекращены: если оно ещё нужно, отправьте его снова через RedeliverDelivery. " +
			"Почему не доставлено: Время подписи расходится с часами DingTalk больше чем на час: поправьте часы этой машины (код ошибки DingTalk 310000)"},
	} {
		if got := Explain(tt.locale, tt.failure); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.locale, got, tt.want)
		}
	}
}

func TestNotesSayWhatBecameOfANotification(t *testing.T) {
	for locale, want := range map[string][2]string{
		"zh-CN": {"已合并到另一条通知：张三 合并了 PR !12", "机器人自己的模板出错，已改用内置的文字：text, line 3: no field"},
		"en":    {"Shown together with: 张三 合并了 PR !12", "The robot's own template failed, and the built-in wording was used instead: text, line 3: no field"},
		"ru":    {"Показано вместе с: 张三 合并了 PR !12", "Собственный шаблон бота не сработал, вместо него встроенный текст: text, line 3: no field"},
	} {
		if got := FoldedNote(locale, "张三 合并了\nPR !12"); got != want[0] {
			t.Errorf("%s: %q, want %q", locale, got, want[0])
		}
		if got := TemplateNote(locale, "text, line 3:\nno field"); got != want[1] {
			t.Errorf("%s: %q, want %q", locale, got, want[1])
		}
		if got := TemplateNote(locale, strings.Repeat("x", 5000)); len(got) > 800 {
			t.Errorf("%s: the note of a long fault has %d bytes", locale, len(got))
		}
	}
}

func TestAMuteIsToldInTheTimeOfTheLanguage(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 22, 0, 0, time.UTC)
	for _, tt := range []struct {
		locale string
		zone   *time.Location
		after  time.Duration
		want   string
	}{
		{"zh-CN", nil, 10 * time.Minute, "静音至 14:32"},
		{"zh-CN", nil, 10 * time.Hour, "静音至 11月23日 00:22"},
		{"en", nil, 10 * time.Hour, "Muted until Nov 23, 00:22"},
		{"ru", nil, 10 * time.Minute, "Молчит до 09:32"},
		{"ru", time.UTC, 10 * time.Hour, "Молчит до 16:22"},
	} {
		if got := MutedUntil(tt.locale, tt.zone, now.Add(tt.after), now); got != tt.want {
			t.Errorf("%s, %v later: %q, want %q", tt.locale, tt.after, got, tt.want)
		}
	}
}
