package dingtalk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How long to leave a robot alone that was throttled. DingTalk's document states 10 minutes for a robot
// that sent more than 20 messages in a minute; the shorter wait is for the first refusal, which need not
// mean that yet.
const (
	firstWait   = time.Minute
	blockedWait = 10 * time.Minute
	punishWait  = 5 * time.Minute
	gatewayWait = time.Second
)

// answer is one row of the table of refusals.
type answer struct {
	// from and to are the first and last errcode that the row is for; to is 0 for just one.
	from, to int
	// words are those of which the errmsg holds one, in lower case; none means that any errmsg will do.
	words  []string
	class  Class
	reason Reason
	advice string
	wait   time.Duration
}

// Advice that stands in several rows.
const (
	adviceToken    = "DingTalk does not know the robot's access_token: copy the webhook address anew from the robot's settings into `webhook` in belfry.yaml"
	adviceGone     = "the robot is no longer in the group: add a robot, and put its webhook address into belfry.yaml"
	adviceDisabled = "the robot is disabled or may not send: enable it in the group's settings, or ask the organisation's administrator"
	adviceQuota    = "the month's allowance of webhook calls is used up: raise it in DingTalk's administration, or wait for the next month"
	adviceFast     = "the robot sends too fast for DingTalk, which takes 20 messages a minute: wait, and let nothing else send through this robot"
	adviceField    = "a field that DingTalk requires is missing, empty or of the wrong type: see DingTalk's words for which one, and fill it"
	adviceSize     = "the message is larger than DingTalk takes, 20,000 bytes: shorten or split it"
	adviceBusy     = "DingTalk was busy and the message may or may not have arrived: send it again under the same msgUuid"
)

// answers are the refusals of robot/send that are known: the table of the DingTalk document
// custom-robots-send-group-messages, and what was seen in public and is not in it. The first row that fits
// counts. A code in no row is taken for the message's fault.
var answers = []answer{
	// The outcome is open: -1 is documented as "system busy", and 500100 was seen for "system error".
	{from: -1, class: Unknown, reason: ReasonUnavailable, advice: adviceBusy},
	{from: 500100, class: Unknown, reason: ReasonUnavailable, advice: adviceBusy},

	// 310000 is every fault of the security settings; only the words tell which. Each row knows the
	// documented words and those of three later generations.
	{from: 310000, words: []string{"keywords not in content", "关键词"}, class: RobotFault, reason: ReasonKeywordMismatch,
		advice: "the message has none of the robot's keywords: add the keyword to the robot's `keywords` in belfry.yaml, exactly as it stands in the robot's security settings"},
	{from: 310000, words: []string{"invalid timestamp", "签名过期"}, class: RobotFault, reason: ReasonClockSkew,
		advice: "the signature's time is more than an hour from DingTalk's: set this machine's clock"},
	{from: 310000, words: []string{"sign not match", "签名不匹配"}, class: RobotFault, reason: ReasonSignatureMismatch,
		advice: "the signature is wrong or missing: copy the secret from the robot's security settings, SEC included, into `secret` in belfry.yaml"},
	{from: 310000, words: []string{"not in whitelist", "白名单"}, class: RobotFault, reason: ReasonAddressNotAllowed,
		advice: "this machine's public address is not among those that the robot allows: add it in the robot's security settings, as an IPv4 address or range"},
	{from: 310000, class: RobotFault, reason: ReasonRobotUnavailable,
		advice: "the call breaks one of the robot's security settings: compare its keywords, its secret and its allowed addresses with belfry.yaml"},

	// The robot.
	{from: 40035, words: []string{"access_token"}, class: RobotFault, reason: ReasonTokenUnknown,
		advice: "the access_token did not reach DingTalk: copy the robot's whole webhook address into `webhook` in belfry.yaml, and see that no proxy cuts its query"},
	{from: 88, words: []string{"token"}, class: RobotFault, reason: ReasonTokenUnknown, advice: adviceToken},
	{from: 88, class: RobotFault, reason: ReasonRobotUnavailable, advice: adviceDisabled},
	{from: 300001, words: []string{"token"}, class: RobotFault, reason: ReasonTokenUnknown, advice: adviceToken},
	{from: 300005, class: RobotFault, reason: ReasonTokenUnknown, advice: adviceToken},
	{from: 400101, class: RobotFault, reason: ReasonTokenUnknown, advice: adviceToken},
	{from: 400013, class: RobotFault, reason: ReasonRobotUnavailable,
		advice: "the group was dissolved: take the robot out of belfry.yaml, or give it a robot of another group"},
	{from: 400102, class: RobotFault, reason: ReasonRobotUnavailable, advice: adviceDisabled},
	{from: 400106, class: RobotFault, reason: ReasonRobotUnavailable, advice: adviceGone},
	{from: 90020, class: RobotFault, reason: ReasonQuotaExhausted, advice: adviceQuota},
	{from: 90030, class: RobotFault, reason: ReasonQuotaExhausted, advice: adviceQuota},

	// The pace. 130101 and 660026 were seen, 410100 is the documented code, 450101 stands in one list.
	{from: 130101, class: Throttled, reason: ReasonThrottled, advice: adviceFast, wait: firstWait},
	{from: 410100, class: Throttled, reason: ReasonThrottled, advice: adviceFast, wait: firstWait},
	{from: 450101, class: Throttled, reason: ReasonThrottled, advice: adviceFast, wait: firstWait},
	{from: 660026, class: Throttled, reason: ReasonThrottled, advice: adviceFast, wait: firstWait},
	{from: 90002, class: Throttled, reason: ReasonThrottled, wait: gatewayWait,
		advice: "DingTalk's gateway has too many calls at once: try again shortly"},
	{from: 90018, class: Throttled, reason: ReasonThrottled, wait: gatewayWait,
		advice: "the organisation makes too many calls a second: try again shortly"},

	// The message.
	{from: 460101, class: MessageFault, reason: ReasonMessageTooLarge, advice: adviceSize},
	{from: 101002, class: MessageFault, reason: ReasonMessageTooLarge, advice: adviceSize},
	{from: 430101, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk takes a link in the message for unsafe: remove the link"},
	{from: 430102, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk takes the message's text for improper: change the text"},
	{from: 430103, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk takes a picture in the message for improper: remove the picture"},
	{from: 430104, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk takes something in the message for improper: change the message"},
	{from: 40035, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk found no readable JSON in the request: see that no proxy changes the body, and send valid JSON in UTF-8"},
	{from: 43002, to: 43003, class: MessageFault, reason: ReasonMessageRefused,
		advice: "the request did not reach DingTalk as a POST over https: see that no proxy changes or redirects it, and that `webhook` in belfry.yaml begins with https"},
	{from: 43004, class: MessageFault, reason: ReasonMessageRefused,
		advice: "the request reached DingTalk without Content-Type application/json: see that no proxy removes it"},
	{from: 300001, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk can't read the request's parameters: see that no proxy changes its Content-Type or body"},
	{from: 400105, class: MessageFault, reason: ReasonMessageRefused,
		advice: "DingTalk does not take this type of message from a robot: send text, markdown, link, actionCard or feedCard"},
	{from: 400200, to: 400699, class: MessageFault, reason: ReasonMessageRefused, advice: adviceField},
	{from: 401104, class: MessageFault, reason: ReasonMessageRefused, advice: adviceField},
}

// anyCode are refusals known by their words alone.
var anyCode = []answer{
	{words: []string{"send forbidden", "send.forbidden"}, class: RobotFault, reason: ReasonRobotUnavailable, advice: adviceDisabled},
}

// unlisted is every other code.
var unlisted = answer{class: MessageFault, reason: ReasonUnknownRefusal,
	advice: "DingTalk refused the message with a code that Belfry does not know: look it up in DingTalk's list of error codes"}

// fits says whether the row is for an answer; text is in lower case.
func (a answer) fits(code int, text string) bool {
	if a.to == 0 {
		return code == a.from && a.says(text)
	}
	return a.from <= code && code <= a.to && a.says(text)
}

// says whether text, in lower case, has one of the row's words.
func (a answer) says(text string) bool {
	for _, w := range a.words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return len(a.words) == 0
}

// lookup finds the row for an errcode other than 0.
func lookup(code int, errmsg string) (row answer, known bool) {
	text := strings.ToLower(errmsg)
	for _, a := range answers {
		if a.fits(code, text) {
			return a, true
		}
	}
	for _, a := range anyCode {
		if a.says(text) {
			return a, true
		}
	}
	return unlisted, false
}

// classify reads an answer of robot/send. It returns nil only for a status of 2xx with a JSON object whose
// errcode is 0, as a number or as a string: DingTalk's document shows both. Errmsg is not yet redacted.
func classify(status int, body []byte) *Refusal {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		members = nil
	}
	code, ok := integer(members["errcode"])
	switch {
	case ok && code == 0 && status/100 == 2:
		return nil
	case ok && code != 0:
		return refusalFor(code, members)
	case punished(members) && status != http.StatusFound:
		return &Refusal{Class: Throttled, Reason: ReasonThrottled, RetryAfter: punishment(members),
			Advice: "DingTalk's front gate has blocked this machine's address for calling too fast: wait, and look for other programs that call DingTalk from here"}
	case status == http.StatusFound || status == http.StatusTooManyRequests:
		wait := blockedWait
		if status == http.StatusTooManyRequests {
			wait = firstWait
		}
		return &Refusal{Class: Throttled, Reason: ReasonThrottled, RetryAfter: wait,
			Advice: fmt.Sprintf("DingTalk turned the call away with HTTP %d, as it does with those who call too fast: wait, and let nothing else send through this robot", status)}
	default:
		return unreadable(status)
	}
}

func refusalFor(code int, members map[string]json.RawMessage) *Refusal {
	errmsg := text(members["errmsg"])
	// 88 is the gateway's envelope; the fault itself may stand in sub_code.
	if sub, ok := integer(members["sub_code"]); ok && code == 88 && sub != 0 {
		if _, known := lookup(sub, text(members["sub_msg"])); known {
			code, errmsg = sub, cmp.Or(text(members["sub_msg"]), errmsg)
		}
	}
	row, _ := lookup(code, errmsg)
	return &Refusal{Class: row.class, Reason: row.reason, Errcode: code, Errmsg: errmsg, Advice: row.advice, RetryAfter: row.wait}
}

// unreadable is an answer that says neither yes nor no: HTML of some gateway, cut-off JSON, no errcode.
func unreadable(status int) *Refusal {
	r := &Refusal{Class: Unknown, Reason: ReasonUnavailable}
	if status == http.StatusOK {
		r.Advice = "the answer is not DingTalk's and the message may or may not have arrived: send it again under the same msgUuid, and if this lasts, see that `webhook` in belfry.yaml leads to DingTalk"
	} else {
		r.Advice = fmt.Sprintf("the answer is HTTP %d and the message may or may not have arrived: send it again under the same msgUuid, and if this lasts, see that `webhook` in belfry.yaml leads to DingTalk", status)
	}
	return r
}

// punished says whether an answer without errcode is that of DingTalk's gate to an address that it has
// blocked: {"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"…"} (DingTalk document
// how-to-process-api-throttling-on-the-dingtalk-server).
func punished(members map[string]json.RawMessage) bool {
	status, ok := integer(members["status"])
	return text(members["punish"]) != "" || ok && status == 1111
}

// punishment is how long the gate is to be left alone. The document speaks of five minutes and shows a
// "wait" of 5, which is therefore taken for minutes, and for no more than an hour.
func punishment(members map[string]json.RawMessage) time.Duration {
	if wait, ok := integer(members["wait"]); ok && wait >= 1 && wait <= 60 {
		return time.Duration(wait) * time.Minute
	}
	return punishWait
}

// integer reads a JSON integer, or a string that holds one.
func integer(raw json.RawMessage) (int, bool) {
	s := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		s = quoted
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && strconv.Itoa(n) == s
}

// text reads a JSON string; anything else is "".
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
