package dingtalktest

import "fmt"

// Wording is a generation of DingTalk's error texts. Real robots were seen to answer with different ones at
// the same time.
type Wording int

const (
	// TextB is how most robots answered from 2022 to 2025.
	TextB Wording = iota
	// TextC is a wording seen since 2023, wholly in Chinese. Only that for keywords, missing fields and
	// unsafe links was seen; the others follow its pattern.
	TextC
	// TextA is how robots answered from 2020 to 2022.
	TextA
	// Documented is what the DingTalk document custom-robots-send-group-messages shows.
	Documented
)

// String names the wording.
func (w Wording) String() string {
	if w < TextB || w > Documented {
		return fmt.Sprintf("Wording(%d)", int(w))
	}
	return [...]string{"text B", "text C", "text A", "documented"}[w]
}

const more = ", more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"

// say picks the text of the wording; TextA is the documented one with a link.
func (w Wording) say(errcode int, documented, b, c string) *answer {
	switch w {
	case TextB:
		return refusal(errcode, b)
	case TextC:
		return refusal(errcode, c)
	case TextA:
		return refusal(errcode, documented+more)
	default:
		return refusal(errcode, documented)
	}
}

func (w Wording) keyword() *answer {
	return w.say(310000, "keywords not in content",
		"description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;",
		"错误描述:关键词不匹配;解决方案:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;")
}

func (w Wording) signature() *answer {
	return w.say(310000, "sign not match",
		"description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;link:请参考本接口对应文档获得具体要求，或者在https://open.dingtalk.com/document/  搜索相关文档;",
		"错误描述:机器人发送签名不匹配;解决方案:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;")
}

func (w Wording) timestamp() *answer {
	return w.say(310000, "invalid timestamp",
		"description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内;",
		"错误描述:机器人发送签名过期;解决方案:签名生成时间和发送时间请保持在 timestampms 以内;")
}

func (w Wording) address(ip string) *answer {
	return w.say(310000, "ip "+ip+" not in whitelist",
		"description:ip "+ip+" 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段",
		"错误描述:ip "+ip+" 不在白名单中;解决方案:请联系对应群的管理员，设置机器人安全ip地址段;")
}

func (w Wording) size() *answer {
	if w == TextA || w == Documented { // the document has no words for it
		return refusal(460101, "message too long, exceed 20000 bytes")
	}
	return refusal(460101, "description: body 大小不合法;solution:请保持大小在 20000bytes 以内;")
}

func (w Wording) unsafeLink() *answer {
	if w == TextB || w == TextC {
		return refusal(430101, "错误描述:本次请求包含安全风险 unSafe URL ;解决方案:请删去可能造成安全风险的内容;")
	}
	return refusal(430101, "含有不安全的外链")
}

// missing is the same in all wordings but C.
func (w Wording) missing(m missing) *answer {
	name := m.object
	switch {
	case m.object == "":
		return refusal(m.errcode, "不支持的消息类型")
	case w == TextC:
		if m.field != "" {
			name += " --》 " + m.field
		}
		return refusal(m.errcode, "错误描述:参数 "+name+" 缺失，或者参数格式不正确; 解决方案:请填充上对应参数;参考链接:请参考本接口对应文档查看参数获取方式，或者在https://open.dingtalk.com/document/  搜索对应文档;")
	case m.field != "":
		name += "->" + m.field
	}
	return refusal(m.errcode, "miss param : "+name)
}
