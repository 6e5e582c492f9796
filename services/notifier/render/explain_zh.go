package render

import (
	"strconv"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// failure says what is wrong, and after the colon what to change. The advice is that of package dingtalk's
// table of answers, where the refusal was DingTalk's.
func (z zh) failure(reason notifierv1.ErrorReason, errcode int) string {
	switch reason {
	case notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST:
		return "这条消息不符合钉钉的格式要求：修改后重新发送"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND:
		return "配置里没有这个机器人：在 belfry.yaml 的 notifier.robots 中加上它，或改正路由里的名字"
	case notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING:
		return "消息里没有该机器人要求的关键词：写上其中一个，或把 belfry.yaml 中它的 missing_keyword 改为 APPEND"
	case notifierv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE:
		return "消息超过钉钉 20,000 字节的上限：缩短或拆成几条"
	case notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED:
		return z.messageRefused(errcode)
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN:
		if errcode == 40035 {
			return "access_token 没有传到钉钉：把机器人的 Webhook 地址完整复制到 belfry.yaml 的 webhook，并确认代理没有截掉地址中的参数"
		}
		return "钉钉不认识这个机器人的 access_token：在机器人设置里重新复制 Webhook 地址，填到 belfry.yaml 的 webhook"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_KEYWORD_MISMATCH:
		return "钉钉在消息里没有找到机器人的关键词：把机器人安全设置里的关键词原样填到 belfry.yaml 中它的 keywords"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_SIGNATURE_MISMATCH:
		return "签名不对或没有签名：在机器人安全设置里复制加签密钥（连同开头的 SEC），填到 belfry.yaml 中它的 secret"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_CLOCK_SKEW:
		return "签名的时间与钉钉相差超过一小时：校准这台机器的时钟"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_ADDRESS_NOT_ALLOWED:
		return "这台机器的公网 IP 不在机器人允许的地址里：在机器人安全设置的 IP 地址（段）中加上它，写成 IPv4 地址或网段"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_UNAVAILABLE:
		return z.robotUnavailable(errcode)
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_QUOTA_EXHAUSTED:
		return "组织本月的 Webhook 调用次数已用完：在钉钉管理后台提升额度，或等下个月自动继续"
	case notifierv1.ErrorReason_ERROR_REASON_THROTTLED:
		return z.throttled(errcode)
	case notifierv1.ErrorReason_ERROR_REASON_DINGTALK_UNAVAILABLE:
		return "钉钉繁忙、连不上，或返回了无法识别的内容，Belfry 会自动重试，群里不会重复：若一直如此，检查网络和代理，并确认 belfry.yaml 中的 webhook 指向钉钉"
	case notifierv1.ErrorReason_ERROR_REASON_EXPIRED:
		return "超过了最长等待时间（notifier.max_age）仍没有送达，已放弃：如果还需要，用 RedeliverDelivery 重新发送"
	case notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE:
		return "按机器人现在的配置已无法生成这条消息：修改配置或消息后重新发送"
	case notifierv1.ErrorReason_ERROR_REASON_UNKNOWN_REFUSAL:
		return "钉钉拒绝了这条消息，错误码 Belfry 不认识：在钉钉的错误码列表里查到它的含义，按说明修改"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED:
		return "机器人已不在配置里：把它加回 belfry.yaml；否则这些通知会过期，之后可以用 RedeliverDelivery 交给别的机器人发送"
	case notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED:
		return "机器人被人工暂停，通知都留着：用 ResumeRobot 恢复发送"
	case notifierv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN:
		return "这条消息可能已经发到群里，但发送它的机器人随后被钉钉拒绝，换一个机器人再发可能重复：到群里看一眼，没有的话用 RedeliverDelivery 重新发送"
	}
	return ""
}

func (zh) messageRefused(errcode int) string {
	switch {
	case errcode == 430101:
		return "钉钉认为消息里的链接不安全：去掉该链接后重新发送"
	case errcode == 430102:
		return "钉钉认为消息的文字不合适：修改文字后重新发送"
	case errcode == 430103:
		return "钉钉认为消息里的图片不合适：去掉图片后重新发送"
	case errcode == 430104:
		return "钉钉认为消息里有不合适的内容：修改后重新发送"
	case errcode == 40035:
		return "请求到达钉钉时不是可读的 JSON：确认代理没有改动请求内容，再重新发送"
	case errcode == 43002, errcode == 43003:
		return "请求到达钉钉时不是 https 的 POST：确认代理没有改动或转向请求，并且 belfry.yaml 中的 webhook 以 https 开头，再重新发送"
	case errcode == 43004:
		return "请求到达钉钉时没有 Content-Type application/json：确认代理没有去掉它，再重新发送"
	case errcode == 300001:
		return "钉钉读不懂请求的参数：确认代理没有改动 Content-Type 和请求内容，再重新发送"
	case errcode == 400105:
		return "钉钉不接受机器人发送这种类型的消息：改用 text、markdown、link、actionCard 或 feedCard"
	case 400200 <= errcode && errcode <= 400699, errcode == 401104:
		return "钉钉要求的某个字段缺失、为空或类型不对：补全后重新发送"
	}
	return "消息的内容或字段不符合钉钉的要求：修改后重新发送"
}

func (zh) robotUnavailable(errcode int) string {
	switch errcode {
	case 310000:
		return "调用不符合机器人的某项安全设置：对照 belfry.yaml，检查它的关键词、加签密钥和允许的 IP 地址"
	case 400013:
		return "群已解散：从 belfry.yaml 中去掉这个机器人，或换成别的群的机器人"
	case 400106:
		return "机器人已不在群里：在群里重新添加机器人，把它的 Webhook 地址填到 belfry.yaml"
	}
	return "机器人被停用或不允许发送：在群设置里启用它，或请组织管理员放行"
}

func (zh) throttled(errcode int) string {
	switch errcode {
	case 90002:
		return "钉钉网关此刻的调用太多：不用处理，Belfry 马上会再试"
	case 90018:
		return "组织此刻每秒的调用太多：不用处理，Belfry 马上会再试"
	case 0:
		return "钉钉因调用太快挡住了这台机器或这个机器人，Belfry 会等到解除后继续：检查这里是否还有别的程序在调用钉钉"
	}
	return "机器人发得太快（钉钉每分钟只收 20 条），Belfry 会等到解除后继续，积压的合并发送：不要让别的程序也用这个机器人发消息"
}

func (zh) errcode(n int) string { return "（钉钉错误码 " + strconv.Itoa(n) + "）" }

func (zh) detail(english string) string { return "（" + english + "）" }

func (zh) because(why string) string { return "。没有送达的原因：" + why }

func (zh) perhapsShown() string {
	return "。其间有一次调用可能已经送达：重发前先到群里看一眼"
}

func (z zh) mutedUntil(until, now time.Time) string { return "静音至 " + z.clock(until, now) }
