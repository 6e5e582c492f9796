package rules

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRule: no text makes Compile panic, and what it takes decides every event without panicking, within its
// cost, and the same way in Match and Explain. What it refuses it refuses at a place in the text.
func FuzzRule(f *testing.F) {
	for _, source := range []string{
		``, `kind == "push"`, `kind == "push" && (glob(branch, "release/*") || branch == "main")`, `touches(event, "{a,b}/**/[!c]?.\\*")`,
		`labels.exists(l, l.lowerAscii() in ["a", r'''b''']) || !(sender == "x") // y`, `event.push.commits.all(c, c.modified.all(f, f.matches("^(a|b)*$")))`,
		`event.issue.title.split(" ").map(w, w.replace("a", branch)).join("-") != "" ? has(event.push) : event.occur_time > timestamp("2026-05-20T09:41:07Z")`,
		"1 / event.push.total_commits > 0\n&& event.push.commits[3].id == 'я'", `{"a": [1, 2]}["a"][0] == 1`, `belfry.event.v1.Push{branch: "x"}.branch == branch`,
		`dyn(event.issue.body).size() > 1u`, `event.sender.name.substring(2, 1) == ""`, `((((`, `"\x41\u0416\101" == b"a"`,
	} {
		f.Add(source)
	}
	push, issue := largest()
	events := append(samples()[:8:8], push, issue, nil)
	f.Fuzz(func(t *testing.T, source string) {
		rule, err := Compile(source)
		if err != nil {
			fault, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("%T is no *Error", err)
			}
			lines := strings.Split(source, "\n")
			if fault.Line < 1 || fault.Line > len(lines) || fault.Column < 1 || fault.Column > utf8.RuneCountInString(lines[fault.Line-1])+1 {
				t.Errorf("%v is not in the text", fault)
			}
			if strings.TrimSpace(fault.Message) == "" {
				t.Error("no message")
			}
			return
		}
		if rule.Cost() > MaxCost {
			t.Errorf("costs %d", rule.Cost())
		}
		for _, e := range events {
			match, err := rule.Match(e)
			if err != nil && (!match || strings.Contains(err.Error(), "internal error")) {
				t.Errorf("%t and %v", match, err)
			}
			if e == push || e == issue {
				continue // to look at all of them takes long
			}
			if v := rule.Explain(e); v.Taken != match {
				t.Errorf("Explain says %+v, Match %t", v, match)
			}
		}
	})
}
