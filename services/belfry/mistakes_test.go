package main

import (
	"strings"
	"testing"
)

// forMistakes is a good file, of which each mistake changes a word or two.
const forMistakes = `gateway:
  hooks:
    - name: payments
      signature: {secret: "${MISTAKES_SECRET}"}
      routes:
        - robots: [team]
          when: kind == "push"
notifier:
  robots:
    - name: team
      webhook: https://oapi.dingtalk.com/robot/send?access_token=hush-hush
      keywords: [Gitee]
      templates:
        - kind: push
          text: |
            **{{.sender}}** pushed to {{.branch}}
            {{range .event.push.commits}}
            - {{.message}}
            {{end}}
`

// TestTypicalMistakesAreToldWithPlaceAndFix has the whole of what is printed for each.
func TestTypicalMistakesAreToldWithPlaceAndFix(t *testing.T) {
	t.Setenv("MISTAKES_SECRET", "hush-hush")
	for name, tc := range map[string]struct{ old, new, want string }{
		"a text for a list":    {"[Gitee]", "Gitee", "12:17: notifier.robots[0].keywords: a list belongs here: write [a, b], or begin each entry with a dash"},
		"a number for a time":  {"notifier:\n", "notifier:\n  max_age: 24\n", "9:12: notifier.max_age: is no duration: give hours, minutes or seconds, such as 36h or 1h30m"},
		"an unknown variable":  {"kind ==", "kid ==", "7:17: gateway.hooks[0].routes[0].when: there is no variable `kid`; there are: kind, action, branch, tag, repository, sender, labels, hook, event"},
		"an unknown robot":     {"robots: [team]", "robots: [taem]", `6:20: gateway.hooks[0].routes[0].robots[0]: there is no robot "taem" under notifier.robots; there are: team`},
		"an unknown key":       {"when:", "wen:", `7:11: gateway.hooks[0].routes[0]: there is no key "wen" here; there are: when, robots`},
		"a name twice":         {"    - name: team", "    - name: team\n      webhook: https://oapi.dingtalk.com/robot/send?access_token=q\n    - name: team", "12:13: notifier.robots[1].name: is the name of robots[0] as well: give each its own name"},
		"a bad pattern":        {`kind == "push"`, `branch.matches("release/(.*")`, "7:32: gateway.hooks[0].routes[0].when: the pattern of matches is faulty: missing closing ): release/(.*"},
		"an unset variable":    {"MISTAKES_SECRET", "MISTAKE_SECRET", "4:27: gateway.hooks[0].signature.secret: the environment variable MISTAKE_SECRET is not set: set it where Belfry is started"},
		"a tab":                {"      keywords:", "\tkeywords:", "12:1: a tab stands where blanks belong: YAML is indented with blanks alone"},
		"an eleventh keyword":  {"[Gitee]", "[a,b,c,d,e,f,g,h,i,j,k]", "12:17: notifier.robots[0].keywords: holds more than 10: remove some"},
		"a bad locale":         {"      keywords", "      locale: zh\n      keywords", "12:15: notifier.robots[0].locale: give one of zh-CN, en, ru"},
		"a typo in a template": {".push.commits", ".push.comits", `17:32: notifier.robots[0].templates[0].text: there is no field "comits" in event.push; it has: commits, branch, before, after, total_commits, head_commit, compare_url, truncated, branch_url`},
		"a template's end":     {"{{end}}", "{{ned}}", "17:13: notifier.robots[0].templates[0].text: this {{range}} has no {{end}}"},
		"a kind that is not":   {`"push"`, `"pull-request"`, `7:25: gateway.hooks[0].routes[0].when: kind is never "pull-request"; it is one of: pull_request, push, tag, issue, comment, ping`},
		"an open bracket":      {`kind == "push"`, `(kind == "push" && branch == "main"`, "7:17: gateway.hooks[0].routes[0].when: `(` is never closed"},
		"a number sign":        {`kind == "push"`, `event.push.head_commit.message != "fix #1"`, `7:51: gateway.hooks[0].routes[0].when: the text that begins here has no closing " (YAML takes what follows the # for a comment: put the value in quotes, or on the line below >-)`},
		"a comment behind it":  {`kind == "push"`, `kid == "push" # "all" of them`, "7:17: gateway.hooks[0].routes[0].when: there is no variable `kid`; there are: kind, action, branch, tag, repository, sender, labels, hook, event"},
		"one sign too few":     {"kind ==", "kind =", "7:22: gateway.hooks[0].routes[0].when: `=` does not compare; write =="},
		"an hour too late":     {"      keywords", "      quiet: {hours: [{from: \"25:00\", to: \"08:00\"}]}\n      keywords", "12:30: notifier.robots[0].quiet.hours[0].from: give a time of day, such as 22:00"},
		"quotes that end":      {`kind == "push"`, `"push" == kind`, "7: a key with its colon is expected here or just before: mend the indentation, and put a value with quotes in it in quotes of the other kind as a whole"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(forMistakes, tc.old) {
				t.Fatalf("the file has no %q", tc.old)
			}
			file := write(t, strings.Replace(forMistakes, tc.old, tc.new, 1))
			if got, want := call(t.Context(), "check", "-c", file), (called{1, "", file + ":" + tc.want + "\n"}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	if got := call(t.Context(), "check", "-c", write(t, forMistakes)); got.code != 0 {
		t.Errorf("without a mistake: %+v", got)
	}
}
