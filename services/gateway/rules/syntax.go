package rules

import (
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
)

// syntaxFault says in words what the parser stumbled over. Of its own message little is used: it names the
// tokens of a grammar.
func (t *text) syntaxFault(issues *cel.Issues) *Error {
	issue, at := t.first(issues)
	switch {
	case strings.Contains(issue.Message, "recursion limit"):
		return t.fault(at, "the rule nests too deeply; write it with fewer brackets")
	case strings.HasPrefix(issue.Message, "reserved identifier"):
		return t.fault(at, "`%s` is a reserved word; a rule is one condition, such as kind == \"push\"", t.token(at))
	case strings.Contains(issue.Message, "invalid argument to has()"):
		return t.fault(at, "has() asks for a field, such as has(event.push)")
	case !strings.HasPrefix(issue.Message, "Syntax error"):
		return t.fault(at, "%s", issue.Message)
	case at < 0 || strings.TrimSpace(string(t.runes[min(at, len(t.runes)):])) == "":
		return t.unfinished()
	}
	r, before := t.at(at), t.at(at-1)
	word := t.token(at)
	previous, previousAt := t.tokenBefore(at)
	switch {
	case r == '=' && (before == '=' || before == '!' || before == '~'), (r == '&' || r == '|') && before == r:
		return t.fault(at, "`%c` is one too many; write %s", r, strings.TrimPrefix(string([]rune{before, r}), "~"))
	case r == '=':
		return t.fault(at, "`=` does not compare; write ==")
	case r == '&' || r == '|':
		return t.fault(at, "`%c` is not known; write %[1]c%[1]c", r)
	case r == '"' || r == '\'':
		if strings.HasPrefix(issue.Message, "Syntax error: token recognition") {
			return t.brokenText(at)
		}
	case strings.ContainsRune("“”„«»‘’`", r):
		return t.fault(at, "`%c` is no quotation mark here; write \"…\"", r)
	case r == '#':
		return t.fault(at, "`#` begins no comment here; write //")
	case strings.EqualFold(word, "and"):
		return t.fault(at, "`%s` is not known; write &&", word)
	case strings.EqualFold(word, "or"):
		return t.fault(at, "`%s` is not known; write ||", word)
	case strings.EqualFold(previous, "not"):
		return t.fault(previousAt, "`%s` is not known; write !", previous)
	case unicode.IsLetter(r) && r > unicode.MaxASCII:
		return t.fault(at, "`%s`: names are in Latin letters; write texts in quotes", word)
	case r == ')' || r == ']' || r == '}':
		if opener, _ := t.unclosed(at); opener != closers[r] {
			return t.fault(at, "`%c` closes nothing", r)
		}
	}
	if previous != "" && (isWord(rune(previous[len(previous)-1])) || strings.HasSuffix(previous, `"`) || strings.HasSuffix(previous, "'")) &&
		(isWord(r) || r == '"' || r == '\'') {
		return t.fault(at, "`%s` does not belong here; is an operator missing before it, such as && or ==?", word)
	}
	if previous == "" || previous == `"` || previous == "'" {
		return t.fault(at, "`%s` does not belong here", word)
	}
	return t.fault(at, "`%s` does not belong after `%s`", word, previous)
}

// unfinished is the fault of a rule that ends too early.
func (t *text) unfinished() *Error {
	last := len(t.runes)
	if opener, at := t.unclosed(last); opener != 0 {
		return t.fault(at, "`%c` is never closed", opener)
	}
	previous, _ := t.tokenBefore(last)
	return t.fault(last, "the rule ends after `%s`, where a value is expected", previous)
}

// brokenText is the fault of a quoted text that does not end, or that has an escape which there is not.
func (t *text) brokenText(at int) *Error {
	quote := t.at(at)
	for i := at + 1; i < len(t.runes) && t.at(i) != '\n'; i++ {
		switch t.at(i) {
		case quote:
			return t.fault(at, "this text in quotes can't be read")
		case '\\':
			if i++; !strings.ContainsRune(`abfnrtv\'"?`+"`"+`xXuU0123`, t.at(i)) {
				return t.fault(i-1, "`\\%c` is no escape; write \\\\ for a \\, or r before the text, as in r\"\\d+\"", t.at(i))
			}
		}
	}
	return t.fault(at, "the text that begins here has no closing %c", quote)
}

// closers has the opening bracket of each closing one.
var closers = map[rune]rune{')': '(', ']': '[', '}': '{'}
