package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"buf.build/go/protovalidate"
)

// nameForm is what may name a hook, a robot, an allowance or a spool.
const nameForm = `a name is 1 to 63 lower-case letters, digits and "-", the latter not first or last`

// reword makes sentences of the schema's general rules, which otherwise tell their regular expressions and
// count in seconds. No sentence shows the value: it may be a secret.
func reword(v *protovalidate.Violation) {
	if s := wording(v); s != "" {
		v.Proto.SetMessage(s)
	}
}

// toldBetter reports whether v is of a rule of the schema that this package checks itself, with a better
// place.
func toldBetter(v *protovalidate.Violation) bool {
	switch v.Proto.GetRuleId() {
	case "hooks.unique", "robots.unique", "allowances.unique", "people.unique", "templates.unique", "tokens.unique":
		return true
	}
	return false
}

// wording returns the sentence for v; "" where v tells well what it wants.
func wording(v *protovalidate.Violation) string {
	var field string
	if elements := v.Proto.GetField().GetElements(); len(elements) > 0 {
		field = elements[len(elements)-1].GetFieldName()
	}
	msg := v.Proto.GetMessage()
	switch v.Proto.GetRuleId() {
	case "string.host_and_port":
		if field == "listen" {
			return "give host:port, such as 127.0.0.1:8080; the host 0.0.0.0 stands for all addresses of this machine"
		}
		return "give host:port, such as notifier.example:9090"
	case "string.pattern":
		switch field {
		case "url":
			return serversFault(v.FieldValue.String())
		case "allowed_webhook_hosts":
			return "give the host alone, without https://, port and path"
		case "mobile":
			return "give the number with its digits alone, such as 13800000000, or with its country, such as +86-13800000000"
		case "user_id":
			return "give the user id as DingTalk's address book shows it: letters, digits and _.@-"
		}
		return nameForm
	case "string.min_len":
		return "is empty"
	case "string.max_len":
		return fmt.Sprintf("is longer than %v characters", v.RuleValue)
	case "repeated.min_items":
		return "is empty: name at least one"
	case "repeated.max_items":
		return fmt.Sprintf("holds more than %v: remove some", v.RuleValue)
	case "repeated.unique":
		return "the same stands here twice"
	case "string.in", "int32.in":
		if m := oneOf.FindStringSubmatch(msg); m != nil {
			// The value that stands for "absent" need not be told.
			return "give one of " + strings.TrimPrefix(strings.TrimPrefix(m[1], ", "), "0, ")
		}
	case "duration.gte_lte", "int32.gte_lte", "int64.gte_lte":
		if m := between.FindStringSubmatch(msg); m != nil {
			return fmt.Sprintf("is not between %s and %s", inHours(m[1]), inHours(m[2]))
		}
	}
	return ""
}

var (
	oneOf   = regexp.MustCompile(`^must be in list \[(.*)\]$`)
	between = regexp.MustCompile(`^must be greater than or equal to (\S+) and less than or equal to (\S+)$`)
)

// inHours writes a duration in seconds as belfry.yaml would, such as 168h for 604800s. What is none stays.
func inHours(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil || !strings.HasSuffix(s, "s") {
		return s
	}
	s = d.String() // such as 168h0m0s
	if trimmed := strings.TrimSuffix(s, "m0s"); trimmed != s {
		s = trimmed + "m"
	}
	if trimmed := strings.TrimSuffix(s, "h0m"); trimmed != s {
		s = trimmed + "h"
	}
	return s
}

// ruleID is how protoyaml ends the message of a violation.
var ruleID = regexp.MustCompile(` \([a-z0-9_.]+\)$`)

var (
	unknownKey = regexp.MustCompile(`^unknown field "([^"]*)"`)
	keyLike    = regexp.MustCompile(`^[a-z_]{1,40}$`)
	gotValue   = regexp.MustCompile(`^(expected .*), got .*$`)
)

// readable makes a sentence of protoyaml's about what stands at path, without what may be a secret: a value, or a
// key that looks like no key of ours and may be a value that slipped to its place.
func readable(path, msg string) string {
	msg = strings.TrimPrefix(ruleID.ReplaceAllString(msg, ""), ": ")
	if m := unknownKey.FindStringSubmatch(msg); m != nil {
		keys := few(nearest(keysAt(path), m[1]))
		if keyLike.MatchString(m[1]) {
			return fmt.Sprintf("there is no key %q here; there are: %s", m[1], keys)
		}
		return "there is no such key here; there are: " + keys
	}
	msg = gotValue.ReplaceAllString(msg, "$1")
	for _, w := range plainWords {
		if strings.HasPrefix(msg, w.prefix) {
			return w.sentence
		}
	}
	return msg
}

var plainWords = []struct{ prefix, sentence string }{
	{"invalid duration", "is no duration: give hours, minutes or seconds, such as 36h or 1h30m"},
	{"invalid integer", "is no whole number; bytes may have a unit, such as 20Gi"},
	{"expected bool", "give true or false"},
	{"expected fields for", "keys with values belong here, not a single value or a list"},
	{"expected sequence", "a list belongs here: write [a, b], or begin each entry with a dash"},
	{"expected scalar", "a single value belongs here"},
	{"field signature is already set", "give signature or password, not both"},
	{"field password is already set", "give signature or password, not both"},
}

func message(v *protovalidate.Violation) string {
	if field := protovalidate.FieldPathString(v.Proto.GetField()); field != "" {
		return field + ": " + v.Proto.GetMessage()
	}
	return v.Proto.GetMessage()
}
