package fault

import "buf.build/go/protovalidate"

// forms says for each pattern of the API's schema what people are to write; the pattern itself tells them
// little. A test holds it against the schema.
var forms = map[string]string{
	"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$":                                    robotForm,
	"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$":                                 robotForm,
	"^robots/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$":                             `is no robot's resource name: write robots/NAME, such as robots/payments-team`,
	"^robots/([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|-)$":                         `is no robot's resource name: write robots/NAME, such as robots/payments-team, or robots/- for all robots`,
	"^robots/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/deliveries/[1-9][0-9]{0,18}$": `is no delivery's resource name: write robots/NAME/deliveries/NUMBER, such as robots/payments-team/deliveries/17`,
	"^[!-~]*$":                    printableForm,
	"^[!-~]+$":                    printableForm,
	"^(https?|dingtalk)://.+$":    linkForm,
	"^((https?|dingtalk)://.+)?$": linkForm,
	"^(https?://.+|@.+)$":         pictureForm,
	"^(https?://.+|@.+)?$":        pictureForm,
	"^[+]?[0-9-]{5,20}$":          `is no mobile number: write 5 to 20 digits and "-", with a "+" before them or without`,
	"^[0-9A-Za-z_.@-]+$":          `is no user id: write letters, digits and the characters _ . @ -`,
}

const (
	robotForm     = `is no robot's name: write it as in notifier.robots, such as payments-team: 1 to 63 lower-case letters, digits and "-"`
	printableForm = `takes printable ASCII characters only, and no blanks`
	linkForm      = `is no address: begin with http://, https:// or dingtalk://`
	pictureForm   = `is no picture: begin with http:// or https://, or give a media id, which begins with "@"`
)

// describe returns what v says, in words.
func describe(v *protovalidate.Violation) string {
	if v.Proto.GetRuleId() == "string.pattern" && v.RuleValue.IsValid() {
		if form, ok := forms[v.RuleValue.String()]; ok {
			return form
		}
	}
	return v.Proto.GetMessage()
}
