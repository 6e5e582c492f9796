package delivery

import (
	"testing"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

func TestEveryRefusalIsAVerdict(t *testing.T) {
	tests := map[string]struct {
		class  dingtalk.Class
		reason dingtalk.Reason
		want   Verdict
	}{
		"the message must be mended":       {dingtalk.MessageFault, dingtalk.ReasonMessageRefused, MendMessage},
		"a code of no list":                {dingtalk.MessageFault, dingtalk.ReasonUnknownRefusal, MendMessage},
		"the robot must be mended":         {dingtalk.RobotFault, dingtalk.ReasonTokenUnknown, MendConfiguration},
		"the month's quota comes back":     {dingtalk.RobotFault, dingtalk.ReasonQuotaExhausted, Waiting},
		"the mute ends":                    {dingtalk.Throttled, dingtalk.ReasonThrottled, Waiting},
		"there was no connection":          {dingtalk.Transient, dingtalk.ReasonUnavailable, Retrying},
		"there was no answer":              {dingtalk.Unknown, dingtalk.ReasonUnavailable, Retrying},
		"a reason that isn't in the API":   {dingtalk.RobotFault, "NEW", MendConfiguration},
		"no class is no ground to despair": {0, dingtalk.ReasonUnavailable, Retrying},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := failureOf(&dingtalk.Refusal{Class: tt.class, Reason: tt.reason, Errcode: 7, Advice: "mend it"}, tt.class)
			if f.Verdict != tt.want || f.Errcode != 7 || f.Message != "mend it" || f.Reason == notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
				t.Errorf("failure = %+v, want verdict %s", f, tt.want)
			}
		})
	}
}

func TestUnlistedCodeAfterAnUnknownOutcomeIsRetried(t *testing.T) {
	r := &dingtalk.Refusal{Class: dingtalk.MessageFault, Reason: dingtalk.ReasonUnknownRefusal, Errcode: 1}
	if class := classOf(Intent{Uncertain: true}, r); failureOf(r, class).Verdict != Retrying {
		t.Errorf("class = %v", class)
	}
	if class := classOf(Intent{}, r); class != dingtalk.MessageFault {
		t.Errorf("class of a first attempt = %v", class)
	}
}

func TestExpiredTellsWhatKeptItAndWhetherItMayHaveArrived(t *testing.T) {
	last := Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN, Message: "copy the address", Errcode: 300005}
	f := expired(time.Hour, &last, true)
	want := "it could not be delivered within its maximum age of 1h0m0s; last: copy the address; an attempt may have reached the group all the same"
	if f.Message != want || f.Last != &last || f.Errcode != 300005 || f.Verdict != GivenUp {
		t.Errorf("failure = %+v", f)
	}
}
