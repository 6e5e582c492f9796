package rules

import (
	"errors"
	"strings"
	"testing"
)

// TestAFaultyRuleIsRefusedWhereItIsFaulty has what people get wrong, and what they are told.
func TestAFaultyRuleIsRefusedWhereItIsFaulty(t *testing.T) {
	for _, tt := range []struct{ source, want string }{
		// Syntax.
		{" ", "1:1: the rule is empty; write a condition, or leave `when` out to have every event take the route"},
		{`kind = "push"`, "1:6: `=` does not compare; write =="},
		{`kind === "push"`, "1:8: `=` is one too many; write =="},
		{`kind == "push" &&& tag == ""`, "1:18: `&` is one too many; write &&"},
		{`kind == "push" & tag == ""`, "1:16: `&` is not known; write &&"},
		{`kind == "push" | tag == ""`, "1:16: `|` is not known; write ||"},
		{`kind == "push" and tag == ""`, "1:16: `and` is not known; write &&"},
		{`kind == "push" OR tag == ""`, "1:16: `OR` is not known; write ||"},
		{`not kind == "push"`, "1:1: `not` is not known; write !"},
		{`if kind == "push" then true`, "1:1: `if` is a reserved word; a rule is one condition, such as kind == \"push\""},
		{`kind == 'push`, "1:9: the text that begins here has no closing '"},
		{`kind == "push\"`, "1:9: the text that begins here has no closing \""},
		{`branch.matches("\d+")`, "1:17: `\\d` is no escape; write \\\\ for a \\, or r before the text, as in r\"\\d+\""},
		{`kind == “push”`, "1:9: `“` is no quotation mark here; write \"…\""},
		{`kind == "push" # pushes`, "1:16: `#` begins no comment here; write //"},
		{`kind == "push"; true`, "1:15: `;` does not belong here"},
		{`kind == "push" branch == "main"`, "1:16: `branch` does not belong here; is an operator missing before it, such as && or ==?"},
		{`kind == "push" && `, "1:19: the rule ends after `&&`, where a value is expected"},
		{`kind == "push" && * tag`, "1:19: `*` does not belong after `&&`"},
		{`(kind == "push" && (tag == "(")`, "1:1: `(` is never closed"},
		{`kind in ["push", "tag"`, "1:9: `[` is never closed"},
		{`kind == "push")`, "1:15: `)` closes nothing"},
		{`ветка == "main"`, "1:1: `ветка`: names are in Latin letters; write texts in quotes"},
		{"kind ==\n  \"push\" &&\n  \"ветка\" = branch", "3:11: `=` does not compare; write =="},
		{strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), "1:1: the rule nests too deeply; write it with fewer brackets"},
		{strings.Repeat("ы", MaxLength+1), "1:1: the rule has 4001 characters, and 4000 are the most"},
		{"\xff", "1:1: the rule is not text in UTF-8"},
		// Names.
		{`kid == "push"`, "1:1: there is no variable `kid`; there are: kind, action, branch, tag, repository, sender, labels, hook, event"},
		{`"я" == brnach`, "1:8: there is no variable `brnach`; there are: branch, kind, action, tag, repository, sender, labels, hook, event"},
		{`kind == push`, "1:9: there is no variable `push`; for the kind of that name write it in quotes: \"push\""},
		{`action == merged`, "1:11: there is no variable `merged`; for the action of that name write it in quotes: \"merged\""},
		{`glb(branch, "x")`, "1:1: there is no function `glb`; there are: glob, touches, matches, startsWith, endsWith, contains, size, has, exists, all and 18 more"},
		{`branch.startswith("x")`, "1:8: there is no function `startswith`; there are: startsWith, endsWith, glob, touches, matches, contains, size, has, exists, all and 18 more"},
		{`branch("x")`, "1:1: `branch` is a variable and takes no brackets"},
		{`labels.exists(l == "x")`, "1:8: exists is written list.exists(x, condition on x)"},
		{`has(branch)`, "1:5: has() asks for a field, such as has(event.push)"},
		{`event.push.brnch == "x"`, "1:12: there is no field `brnch` in a Push; it has: branch, branch_url, after, before, commits, compare_url, head_commit, total_commits, truncated"},
		{`event.push.commits.exists(c, c.mesage == "")`, "1:32: there is no field `mesage` in a Commit; it has: message, added, author, create_time, id, modified, removed, url"},
		{`has(event.pull_request.titel)`, "1:24: there is no field `titel` in a PullRequest; it has: title, additions, assignees, author, body, changed_files, commits, deletions, head, id and 10 more"},
		{`kind.name == "push"`, "1:5: a string has no fields, and so no `name`"},
		// Types.
		{`kind`, "1:1: the rule gives a string; it must give true or false"},
		{"\n  event.issue", "2:3: the rule gives an Issue; it must give true or false"},
		{`labels.map(l, l)`, "1:1: the rule gives a list of strings; it must give true or false"},
		{`kind == 1`, "1:6: `==` compares a string with a number; both sides must be of one kind"},
		{`size(labels) > "1"`, "1:14: `>` compares a number with a string; both sides must be of one kind"},
		{`event.issue.labels.exists(l, l == "bug")`, "1:32: `==` compares a Label with a string; both sides must be of one kind"},
		{`event.action == "opened"`, "1:14: event.action is a number; compare `action`, as in action == \"opened\""},
		{`"x" in branch`, "1:5: `in` needs a list on its right, and this is a string; for a part of a text write text.contains(part)"},
		{`1 in labels`, "1:3: `in` looks for a number in a list of strings; both must be of one kind"},
		{`kind in ["push", 1]`, "1:18: here must stand a string, and this is a number"},
		{`true || 1`, "1:9: here must stand a bool, and this is a number"},
		{`!kind`, "1:1: `!` needs a bool (true or false), and this is a string"},
		{`-kind == ""`, "1:1: `-` needs a number, and this is a string"},
		{`branch + 1 == ""`, "1:8: `+` can't be used on a string and a number"},
		{`kind == "push" ? true : ""`, "1:16: `? :` needs a bool before the ? and two values of one kind after it; here are a bool, a bool and a string"},
		{`labels["x"] == ""`, "1:7: a list of strings can't be asked for an item by a string"},
		{`kind.exists(k, k == "")`, "1:1: only a list or a map can be gone through, and this is a string"},
		{`glob(branch)`, "1:1: glob is written glob(string, string), and not glob(string)"},
		{`touches(branch, "x")`, "1:1: touches is written touches(Event, string), and not touches(string, string)"},
		{`branch.startsWith(1)`, "1:8: startsWith is written string.startsWith(string), and not string.startsWith(int)"},
		{`labels.contains("bug")`, "1:8: contains is written string.contains(string), and not list(string).contains(string); for a list write \"x\" in list"},
		{`event.occur_time > timestamp("noon")`, "1:30: this is no timestamp; write it as \"2026-05-20T09:41:07Z\""},
		// What can never be.
		{`kind == "pull-request"`, "1:9: kind is never \"pull-request\"; it is one of: pull_request, push, tag, issue, comment, ping"},
		{`"merge" != action`, "1:1: action is never \"merge\"; it is one of: merged, pushed, created, moved, deleted, opened, closed, reopened, assigned, unassigned, updated, state_changed, approved, tested, tester_assigned, tester_unassigned, edited, pinged"},
		{`kind in ["push", "tags"]`, "1:18: kind is never \"tags\"; it is one of: tag, push, issue, pull_request, comment, ping"},
		{`labels.exists(l, l == kind || kind == "x")`, "1:39: kind is never \"x\"; it is one of: push, tag, issue, pull_request, comment, ping"},
		// Patterns.
		{`glob(branch, "release/[")`, "1:14: the pattern of glob is faulty: \"[\" has no ] after it, or nothing before that"},
		{`touches(event, '{docs,site')`, "1:16: the pattern of touches is faulty: \"{docs,site\" has no } after it"},
		{`branch.matches("(")`, "1:16: the pattern of matches is faulty: missing closing ): ("},
		{`matches(branch, "(.{100}){10}")`, "1:17: the pattern of matches is faulty: it is too large; let it repeat less"},
		{`glob(branch, event.issue.title)`, "1:1: glob needs its pattern in quotes, so that it can be checked here"},
		{`branch.matches("a" + "b")`, "1:8: matches needs its pattern in quotes, so that it can be checked here"},
		// Cost.
		{`labels.all(a, labels.all(b, labels.all(c, a == b)))`, "1:39: loops (exists, all, filter, map) may stand in each other 2 deep at most"},
		{`event.issue.body.replace("", event.issue.body) == ""`, "1:1: the rule could take 400042009 steps for a large event, and 2000000 are the most: loop over less, match shorter texts, or use touches(event, \"…\") for the paths of a push"},
		{`"%s".format([event.issue.body]) == ""`, "1:6: format is not available in rules"},
		// The first of several.
		{`kind == "x" && action == "y" && glob(branch, "[")`, "1:9: kind is never \"x\"; it is one of: push, tag, issue, pull_request, comment, ping"},
	} {
		_, err := Compile(tt.source)
		fault, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s\n got %v, want %s", tt.source, err, tt.want)
			continue
		}
		if got := fault.Error(); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.source, got, tt.want)
		}
	}
}

// TestNoMessageSpeaksOfTheGrammar goes through rules that are cut off after each character.
func TestNoMessageSpeaksOfTheGrammar(t *testing.T) {
	const whole = `kind == "push" && (glob(branch, '{main,rel/*}') || labels.exists(l, l == r"\bug")) && !(sender in ["a", "b"]) // end`
	for end := range len(whole) {
		_, err := Compile(whole[:end])
		if err == nil {
			continue
		}
		for _, jargon := range []string{"expecting", "token recognition", "mismatched", "extraneous", "EOF", "overload", "undeclared", "_=="} {
			if strings.Contains(err.Error(), jargon) {
				t.Errorf("%s\n%v", whole[:end], err)
			}
		}
	}
}
