package render

import (
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
	for locale, w := range wordings {
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

func TestAMuteIsToldInTheTimeOfTheLanguage(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 22, 0, 0, time.UTC)
	for after, want := range map[time.Duration]string{
		10 * time.Minute: "静音至 14:32",
		10 * time.Hour:   "静音至 11月23日 00:22",
	} {
		if got := MutedUntil("zh-CN", now.Add(after), now); got != want {
			t.Errorf("%v later: %q, want %q", after, got, want)
		}
	}
}
