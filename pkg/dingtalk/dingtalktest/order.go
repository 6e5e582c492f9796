package dingtalktest

import (
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// call is one request to robot/send on its way through the checks. What a check finds out stands ready for
// those after it.
type call struct {
	*Server // whose mu is held
	now     time.Time
	method  string
	query   url.Values
	header  http.Header
	address string
	body    []byte // at most one byte more than DingTalk takes
	fault   *armed // nil: none

	token string
	robot *RobotConfig
	msg   *message
}

// A check returns nil to let a call pass.
type check struct {
	name string
	run  func(*call) *answer
}

// The names of checks that others rely on.
const (
	checkPace  = "too fast"
	checkFault = "fault"
)

// checks are what a call goes through, first to last. That method and access_token come first, the pace
// before the token and the token before the body was seen in answers of the real service; the order from
// "address" on is a choice.
var checks = []check{
	{"method", (*call).checkMethod},
	{"access_token", (*call).checkTokenGiven},
	{checkPace, (*call).checkPace},
	{"token", (*call).checkTokenKnown},
	{"state", (*call).checkState},
	{checkFault, (*call).checkFault},
	{"address", (*call).checkAddress},
	{"signature", (*call).checkSignature},
	{"content type", (*call).checkContentType},
	{"size", (*call).checkSize},
	{"json", (*call).checkJSON},
	{"message", (*call).checkMessage},
	{"keyword", (*call).checkKeyword},
	{"content", (*call).checkContent},
}

// Checks returns the names of the checks in their order, as Refused.Reason gives them.
func Checks() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// run puts the call through the checks, records what comes of it, and returns the answer.
func (c *call) run() *answer {
	for _, check := range checks {
		a := check.run(c)
		if a == nil {
			continue
		}
		reason := check.name
		switch reason {
		case checkPace:
			c.tooFast++
		case checkFault:
			reason = c.fault.reason()
		}
		c.refused(a, reason)
		return a
	}
	c.accept()
	return refusal(0, "ok")
}

func (c *call) refused(a *answer, reason string) {
	r := &Refused{Time: c.now, Token: c.token, Errcode: a.errcode, Errmsg: a.errmsg, Reason: reason}
	if c.robot != nil {
		r.Group = c.robot.Group
	}
	c.refusals.add(r)
	c.announce()
}

func (c *call) checkMethod() *answer {
	if c.method != http.MethodPost {
		return refusal(43002, "需要POST请求")
	}
	return nil
}

func (c *call) checkTokenGiven() *answer {
	c.token = c.query.Get("access_token")
	if c.token == "" {
		return refusal(40035, "缺少参数 access_token")
	}
	return nil
}

func (c *call) checkPace() *answer {
	if c.paces.take(c.token, c.now) {
		return nil
	}
	if c.paces.escalated(c.token) {
		if c.rate.Escalation == PunishAnswer {
			return punishAnswer(5)
		}
		return redirectAnswer()
	}
	switch c.rate.Errcode {
	case 660026:
		return refusal(660026, "sending too many messages per minute")
	case 410100:
		return refusal(410100, "发送速度太快而限流")
	default:
		return refusal(c.rate.Errcode, "send too fast, exceed "+strconv.Itoa(c.rate.Calls)+" times per minute")
	}
}

func (c *call) checkTokenKnown() *answer {
	c.robot = c.robots[c.token]
	switch {
	case c.robot != nil:
		return nil
	case c.unknownToken == 400101:
		return refusal(400101, "access_token不存在")
	default:
		return refusal(c.unknownToken, "token is not exist")
	}
}

func (c *call) checkState() *answer {
	switch c.robot.State {
	case StateDisabled:
		return refusal(400102, "机器人已停用")
	case StateRemoved:
		return refusal(400106, "机器人不存在")
	case StateGroupDissolved:
		return refusal(400013, "群已被解散")
	case StateQuotaExhausted:
		return refusal(90030, "webhook over limit")
	default:
		return nil
	}
}

// checkFault is where a fault refuses in DingTalk's name: after the pace, so that the call counts.
func (c *call) checkFault() *answer {
	if c.fault != nil {
		return nil // one fault is enough for a call
	}
	if c.fault = c.nextFault(c.token, true); c.fault == nil {
		return nil
	}
	return c.fault.answer
}

func (c *call) checkAddress() *answer {
	if len(c.robot.allowed) == 0 || c.robot.allows(c.address) {
		return nil
	}
	return c.robot.Wording.address(c.address)
}

// checkSignature knows no replay: DingTalk takes a signature as often as it comes within its hour. The hour
// is taken to reach both ways and to include its ends.
func (c *call) checkSignature() *answer {
	if c.robot.Secret == "" {
		return nil
	}
	given := c.query.Get("sign")
	ms, err := strconv.ParseInt(c.query.Get("timestamp"), 10, 64)
	if given == "" || err != nil {
		return c.robot.Wording.signature()
	}
	const hour = int64(time.Hour / time.Millisecond)
	if now := c.now.UnixMilli(); ms < now-hour || ms > now+hour {
		return c.robot.Wording.timestamp()
	}
	want := dingtalk.Sign(ms, c.robot.Secret)
	if subtle.ConstantTimeCompare([]byte(given), []byte(want)) != 1 {
		return c.robot.Wording.signature()
	}
	return nil
}

func (c *call) checkContentType() *answer {
	kind, params, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refusal(43004, "无效的HTTP HEADER Content-Type")
	}
	return nil
}

func (c *call) checkSize() *answer {
	if len(c.body) > dingtalk.MaxBody {
		return c.robot.Wording.size()
	}
	return nil
}

func (c *call) checkJSON() *answer {
	var members object
	if !utf8.Valid(c.body) || json.Unmarshal(c.body, &members) != nil || members == nil {
		return refusal(40035, "缺少参数 json")
	}
	c.msg = &message{members: members}
	return nil
}

func (c *call) checkMessage() *answer {
	fault := c.msg.read()
	if fault == nil {
		return nil
	}
	return c.robot.Wording.missing(*fault)
}

func (c *call) checkKeyword() *answer {
	if len(c.robot.Keywords) == 0 {
		return nil
	}
	for _, k := range c.robot.Keywords {
		if strings.Contains(c.msg.visible(), k) {
			return nil
		}
	}
	return c.robot.Wording.keyword()
}

func (c *call) checkContent() *answer {
	visible := c.msg.visible()
	switch u := c.unsafe; {
	case matches(u.Links, append(c.msg.links, visible)...):
		return c.robot.Wording.unsafeLink()
	case matches(u.Text, visible):
		return refusal(430102, "含有不合适的文本")
	case matches(u.Pictures, append(c.msg.pictures, visible)...):
		return refusal(430103, "含有不合适的图片")
	case matches(u.Other, string(c.body)):
		return refusal(430104, "含有不合适的内容")
	}
	return nil
}

// accept shows the message to the group, unless its msgUuid was there before. A duplicate counted for the
// pace like any call, which is a choice.
func (c *call) accept() {
	defer c.announce()
	key := uuidKey{c.token, c.msg.uuid}
	if key.uuid != "" {
		if n := c.seen.find(key, c.now); n != 0 {
			if r := c.received(n); r != nil {
				r.Duplicates++
			}
			return
		}
	}
	c.accepted++
	if key.uuid != "" {
		c.seen.remember(key, c.accepted, c.now)
	}
	c.paces.delivered(c.token, c.now)
	c.messages.add(c.msg.received(c))
}

// received finds message n, or nil where it is no longer kept.
func (c *call) received(n int) *Received {
	items := c.messages.items
	if len(items) == 0 || n < items[0].N {
		return nil
	}
	return items[n-items[0].N]
}
