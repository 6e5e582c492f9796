package dingtalk

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const docLink = ", more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"

func TestEveryKnownRefusalIsClassified(t *testing.T) {
	for _, test := range []struct {
		code   int
		errmsg string
		class  Class
		reason Reason
		after  time.Duration
		advice string // in the advice
	}{
		{-1, "系统繁忙", Unknown, "DINGTALK_UNAVAILABLE", 0, "msgUuid"},
		{500100, "description:系统异常，请稍后再试;", Unknown, "DINGTALK_UNAVAILABLE", 0, "msgUuid"},

		{310000, "keywords not in content", RobotFault, "ROBOT_KEYWORD_MISMATCH", 0, "`keywords` in belfry.yaml"},
		{310000, "keywords not in content" + docLink, RobotFault, "ROBOT_KEYWORD_MISMATCH", 0, "`keywords`"},
		{310000, "description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;", RobotFault, "ROBOT_KEYWORD_MISMATCH", 0, "`keywords`"},
		{310000, "错误描述:关键词不匹配;解决方案:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;", RobotFault, "ROBOT_KEYWORD_MISMATCH", 0, "`keywords`"},
		{310000, "sign not match", RobotFault, "ROBOT_SIGNATURE_MISMATCH", 0, "`secret`"},
		{310000, "Sign Not Match" + docLink, RobotFault, "ROBOT_SIGNATURE_MISMATCH", 0, "`secret`"},
		{310000, "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;link:请参考本接口对应文档获得具体要求", RobotFault, "ROBOT_SIGNATURE_MISMATCH", 0, "`secret`"},
		{310000, "错误描述:机器人发送签名不匹配;", RobotFault, "ROBOT_SIGNATURE_MISMATCH", 0, "`secret`"},
		{310000, "invalid timestamp", RobotFault, "ROBOT_CLOCK_SKEW", 0, "clock"},
		{310000, "invalid timestamp" + docLink, RobotFault, "ROBOT_CLOCK_SKEW", 0, "clock"},
		{310000, "description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内;", RobotFault, "ROBOT_CLOCK_SKEW", 0, "clock"},
		{310000, "错误描述:机器人发送签名过期;", RobotFault, "ROBOT_CLOCK_SKEW", 0, "clock"},
		{310000, "ip 203.0.113.7 not in whitelist", RobotFault, "ROBOT_ADDRESS_NOT_ALLOWED", 0, "IPv4"},
		{310000, "ip 203.0.113.7 not in whitelist" + docLink, RobotFault, "ROBOT_ADDRESS_NOT_ALLOWED", 0, "IPv4"},
		{310000, "description:ip 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段", RobotFault, "ROBOT_ADDRESS_NOT_ALLOWED", 0, "IPv4"},
		{310000, "错误描述:ip 不在白名单中;", RobotFault, "ROBOT_ADDRESS_NOT_ALLOWED", 0, "IPv4"},
		{310000, "something new", RobotFault, "ROBOT_UNAVAILABLE", 0, "security settings"},

		{40035, "缺少参数 access_token", RobotFault, "ROBOT_TOKEN_UNKNOWN", 0, "webhook"},
		{88, "access_token is blank", RobotFault, "ROBOT_TOKEN_UNKNOWN", 0, "webhook"},
		{88, "no permission", RobotFault, "ROBOT_UNAVAILABLE", 0, "enable"},
		{300001, "token is not exist", RobotFault, "ROBOT_TOKEN_UNKNOWN", 0, "webhook"},
		{300005, "token is not exist", RobotFault, "ROBOT_TOKEN_UNKNOWN", 0, "webhook"},
		{400101, "access_token不存在", RobotFault, "ROBOT_TOKEN_UNKNOWN", 0, "webhook"},
		{400013, "群已被解散", RobotFault, "ROBOT_UNAVAILABLE", 0, "dissolved"},
		{400102, "机器人已停用", RobotFault, "ROBOT_UNAVAILABLE", 0, "enable"},
		{400106, "机器人不存在", RobotFault, "ROBOT_UNAVAILABLE", 0, "no longer in the group"},
		{400999, "Send Forbidden", RobotFault, "ROBOT_UNAVAILABLE", 0, "enable"},
		{90020, "quota", RobotFault, "ROBOT_QUOTA_EXHAUSTED", 0, "month"},
		{90030, "webhook over limit", RobotFault, "ROBOT_QUOTA_EXHAUSTED", 0, "month"},

		{130101, "send too fast, exceed 20 times per minute", Throttled, "THROTTLED", time.Minute, "20 messages"},
		{130101, "send too fast", Throttled, "THROTTLED", time.Minute, "20 messages"},
		{410100, "发送速度太快而限流", Throttled, "THROTTLED", time.Minute, "20 messages"},
		{450101, "", Throttled, "THROTTLED", time.Minute, "20 messages"},
		{660026, "sending too many messages per minute", Throttled, "THROTTLED", time.Minute, "20 messages"},
		{90002, "", Throttled, "THROTTLED", time.Second, "shortly"},
		{90018, "", Throttled, "THROTTLED", time.Second, "shortly"},

		{101002, "message is too long", MessageFault, "MESSAGE_TOO_LARGE", 0, "split"},
		{460101, "message too long, exceed 20000 bytes", MessageFault, "MESSAGE_TOO_LARGE", 0, "split"},
		{460101, "description: body 大小不合法;solution:请保持大小在 20000bytes 以内;", MessageFault, "MESSAGE_TOO_LARGE", 0, "split"},
		{40035, "缺少参数 json", MessageFault, "MESSAGE_REFUSED", 0, "JSON"},
		{40035, "Missing parameter json", MessageFault, "MESSAGE_REFUSED", 0, "JSON"},
		{43002, "需要POST请求", MessageFault, "MESSAGE_REFUSED", 0, "POST"},
		{43003, "https", MessageFault, "MESSAGE_REFUSED", 0, "https"},
		{43004, "无效的HTTP HEADER Content-Type", MessageFault, "MESSAGE_REFUSED", 0, "Content-Type"},
		{300001, "param error", MessageFault, "MESSAGE_REFUSED", 0, "proxy"},
		{400105, "不支持的消息类型", MessageFault, "MESSAGE_REFUSED", 0, "type"},
		{400201, "miss param : text", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{400202, "miss param : text->content", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{400304, "miss param : link->messageUrl", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{400402, "错误描述:参数 markdown --》 title 缺失，或者参数格式不正确;", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{400503, "miss param : actionCard->text", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{400602, "miss param : feedCard->links", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{401104, "miss param : file->fileType", MessageFault, "MESSAGE_REFUSED", 0, "field"},
		{430101, "含有不安全的外链", MessageFault, "MESSAGE_REFUSED", 0, "link"},
		{430102, "含有不合适的文本", MessageFault, "MESSAGE_REFUSED", 0, "text"},
		{430103, "含有不合适的图片", MessageFault, "MESSAGE_REFUSED", 0, "picture"},
		{430104, "含有不合适的内容", MessageFault, "MESSAGE_REFUSED", 0, "improper"},
		{302033, "?", MessageFault, "UNKNOWN_REFUSAL", 0, "look it up"},
		{-2, "", MessageFault, "UNKNOWN_REFUSAL", 0, "look it up"},
	} {
		for _, body := range []map[string]any{
			{"errcode": test.code, "errmsg": test.errmsg},
			{"errcode": fmt.Sprint(test.code), "errmsg": test.errmsg, "request_id": "x"},
		} {
			data, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			got := classify(200, data)
			if got == nil {
				t.Errorf("%s: no refusal", data)
				continue
			}
			if got.Class != test.class || got.Reason != test.reason || got.RetryAfter != test.after ||
				got.Errcode != test.code || got.Errmsg != test.errmsg || !strings.Contains(got.Advice, test.advice) {
				t.Errorf("%s:\n%v, %s, after %v: %s; want\n%v, %s, after %v, with %q in the advice", data,
					got.Class, got.Reason, got.RetryAfter, got.Advice, test.class, test.reason, test.after, test.advice)
			}
		}
	}
}

func TestEveryAdviceIsOneSentenceOnly(t *testing.T) {
	rows := append(append([]answer{unlisted}, answers...), anyCode...)
	for _, a := range rows {
		if a.advice == "" || strings.Contains(a.advice, ". ") || strings.HasSuffix(a.advice, ".") || a.class == 0 || a.reason == "" {
			t.Errorf("row %+v is not complete", a)
		}
		if (a.class == Throttled) != (a.wait > 0) {
			t.Errorf("row %d: class %v with a wait of %v", a.from, a.class, a.wait)
		}
		for _, w := range a.words {
			if w != strings.ToLower(w) {
				t.Errorf("row %d: %q is never found in text in lower case", a.from, w)
			}
		}
	}
}

func TestAnswersWithoutErrcode(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		class  Class
		after  time.Duration
	}{
		{200, ``, Unknown, 0},
		{200, `ok`, Unknown, 0},
		{200, `null`, Unknown, 0},
		{200, `[]`, Unknown, 0},
		{200, `0`, Unknown, 0},
		{200, `{}`, Unknown, 0},
		{200, `{"errmsg":"ok"}`, Unknown, 0},
		{200, `{"errcode":null,"errmsg":"ok"}`, Unknown, 0},
		{200, `{"errcode":"","errmsg":"ok"}`, Unknown, 0},
		{200, `{"errcode":false}`, Unknown, 0},
		{200, `{"errcode":0.5}`, Unknown, 0},
		{200, `{"errcode":"ok"}`, Unknown, 0},
		{200, `{"ERRCODE":0}`, Unknown, 0},
		{200, `{"errcode":0`, Unknown, 0},
		{200, `{"errcode":`, Unknown, 0},
		{200, `{"errcode":0} x`, Unknown, 0},
		{200, `<html>ok</html>`, Unknown, 0},
		{301, ``, Unknown, 0},
		{404, `<html></html>`, Unknown, 0},
		{500, `{"errcode":0,"errmsg":"ok"}`, Unknown, 0},
		{502, `<html></html>`, Unknown, 0},
		{503, ``, Unknown, 0},
		{302, ``, Throttled, 10 * time.Minute},
		{302, `{"errcode":0}`, Throttled, 10 * time.Minute},
		{429, ``, Throttled, time.Minute},
		{200, `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"x"}`, Throttled, 5 * time.Minute},
		{200, `{"status":1111,"wait":7,"punish":"deny"}`, Throttled, 7 * time.Minute},
		{403, `{"punish":"deny"}`, Throttled, 5 * time.Minute},
		{200, `{"status":1111,"wait":100000000000}`, Throttled, 5 * time.Minute},
		{200, `{"status":"1111","wait":-1}`, Throttled, 5 * time.Minute},
	} {
		got := classify(test.status, []byte(test.body))
		if got == nil || got.Class != test.class || got.RetryAfter != test.after || got.Errcode != 0 || got.Advice == "" {
			t.Errorf("HTTP %d %s: %v, want %v and %v", test.status, test.body, got, test.class, test.after)
		}
	}
}

func TestTheGatewaysEnvelopeIsOpened(t *testing.T) {
	for _, test := range []struct {
		body   string
		code   int
		errmsg string
		class  Class
	}{
		{`{"errcode":88,"errmsg":"ding talk error","sub_code":"90018","sub_msg":"too many"}`, 90018, "too many", Throttled},
		{`{"errcode":88,"errmsg":"ding talk error","sub_code":40035,"sub_msg":"缺少参数 access_token"}`, 40035, "缺少参数 access_token", RobotFault},
		{`{"errcode":88,"errmsg":"ding talk error","sub_code":"60011","sub_msg":"x"}`, 88, "ding talk error", RobotFault},
		{`{"errcode":88,"errmsg":"ding talk error","sub_code":"isv.x"}`, 88, "ding talk error", RobotFault},
		{`{"errcode":88,"errmsg":"ding talk error","sub_code":0}`, 88, "ding talk error", RobotFault},
	} {
		got := classify(200, []byte(test.body))
		if got.Errcode != test.code || got.Errmsg != test.errmsg || got.Class != test.class {
			t.Errorf("%s: %d %q %v, want %d %q %v", test.body, got.Errcode, got.Errmsg, got.Class, test.code, test.errmsg, test.class)
		}
	}
}

func TestYesIsErrcodeZero(t *testing.T) {
	for _, body := range []string{`{"errcode":0,"errmsg":"ok"}`, `{"errmsg":"ok","errcode":0}`, `{"errcode":"0","errmsg":"ok"}`, ` {"errcode": 0} `} {
		if r := classify(200, []byte(body)); r != nil {
			t.Errorf("%s: %v", body, r)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"errcode":0,"errmsg":"ok"}`, `{"errcode":"0"}`, `{"errcode":310000,"errmsg":"签名过期 https://x/?access_token=abc"}`,
		`{"errcode":88,"sub_code":"90018"}`, `{"status":1111,"wait":5,"punish":"deny"}`, `<html>`, `{"errcode":`,
	} {
		f.Add(200, []byte(seed))
		f.Add(302, []byte(seed))
	}
	const token, secret = "t0psecrett0ken", longSecret
	robot, err := NewRobot("https://oapi.dingtalk.com/robot/send?access_token="+token, secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := classify(status, body)
		if r == nil {
			var yes struct {
				Errcode any `json:"errcode"`
			}
			if err := json.Unmarshal(body, &yes); err != nil || yes.Errcode != float64(0) && yes.Errcode != "0" || status < 200 || status > 299 {
				t.Errorf("HTTP %d %s was taken for a yes", status, body)
			}
			return
		}
		if r.Class < MessageFault || r.Class > Unknown || r.Reason == "" || r.Advice == "" {
			t.Errorf("HTTP %d %s: incomplete %#v", status, body, r)
		}
		if (r.Class == Throttled) != (r.RetryAfter > 0) {
			t.Errorf("HTTP %d %s: %v with RetryAfter %v", status, body, r.Class, r.RetryAfter)
		}
		text := robot.redact(r.Errmsg)
		if utf8.RuneCountInString(text) > maxErrmsg || strings.Contains(text, token) || strings.Contains(text, secret) || strings.Contains(text, "\n") {
			t.Errorf("errmsg %q became %q", r.Errmsg, text)
		}
	})
}
