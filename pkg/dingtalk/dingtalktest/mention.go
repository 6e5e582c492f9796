package dingtalktest

import (
	"fmt"
	"regexp"
	"strings"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// mention tells for each target of "at" whether it is called. That takes, in a text or markdown message, a
// literal "@target" in the text and a member with that number or id; user ids call nobody in an external
// group; a card takes user ids only; and nobody after the fiftieth is called.
func (m *message) mention(robot *RobotConfig) []Mention {
	var list []Mention
	for _, target := range m.mentions.Mobiles {
		list = append(list, Mention{Target: target, Why: m.whyNot(robot, target, false)})
	}
	for _, target := range m.mentions.UserIDs {
		list = append(list, Mention{Target: target, UserID: true, Why: m.whyNot(robot, target, true)})
	}
	if len(list) > dingtalk.MaxMentions {
		m.warn("at names %d people: only the first %d are called", len(list), dingtalk.MaxMentions)
	}
	for i := range list {
		if i >= dingtalk.MaxMentions && list[i].Why == "" {
			list[i].Why = fmt.Sprintf("a message calls at most %d people", dingtalk.MaxMentions)
		}
		list[i].Effective = list[i].Why == ""
	}
	return list
}

// whyNot says why target is not called; "" where it is.
func (m *message) whyNot(robot *RobotConfig, target string, userID bool) string {
	switch m.content.(type) {
	case dingtalk.Link, dingtalk.FeedCard:
		return "this type of message calls nobody"
	case dingtalk.ActionCard:
		if !userID {
			return "an actionCard calls people by user id only"
		}
	}
	switch {
	case userID && robot.External:
		return "user ids call nobody in an external group"
	case !written(m.text, target):
		return "the text has no @" + target
	case !robot.has(target, userID):
		return "nobody in the group has it"
	}
	return ""
}

// written says whether "@target" stands in text, not as the beginning of something longer.
func written(text, target string) bool {
	for {
		_, rest, ok := strings.Cut(text, "@"+target)
		if !ok {
			return false
		}
		if rest == "" || !wordByte(rest[0]) {
			return true
		}
		text = rest
	}
}

func wordByte(b byte) bool {
	return b == '_' || b == '-' || '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}

var mobile = regexp.MustCompile(`@\+?[0-9][0-9-]{5,19}`)

// shown is the text with the mobile numbers masked that belong to nobody in the group.
func (m *message) shown(robot *RobotConfig) string {
	return mobile.ReplaceAllStringFunc(m.text, func(at string) string {
		number := at[1:]
		if robot.has(number, false) || robot.has(number, true) || len(number) < 8 {
			return at
		}
		return "@" + number[:3] + "****" + number[len(number)-4:]
	})
}
