package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/decls"
)

// The checker's messages that are put into other words.
var (
	undeclared    = regexp.MustCompile(`^undeclared reference to '(.+?)'`)
	noOverload    = regexp.MustCompile(`^found no matching overload for '(.+?)' applied to '(.*)'$`)
	undefined     = regexp.MustCompile(`^undefined field '(.+?)'`)
	noFields      = regexp.MustCompile(`^type '(.+?)' does not support field selection`)
	notExpected   = regexp.MustCompile(`^expected type '(.+?)' but found '(.+?)'`)
	notRange      = regexp.MustCompile(`^expression of type '(.+?)' cannot be range`)
	invalidNumber = regexp.MustCompile(`^invalid (duration|timestamp) argument`)
)

// typeFault says in words what the checker found.
func (t *text) typeFault(parsed *cel.Ast, issues *cel.Issues) *Error {
	issue, at := t.first(issues)
	var node ast.Expr
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == issue.ExprID {
			node = e
		}
	}))
	message := issue.Message
	if m := undeclared.FindStringSubmatch(message); m != nil {
		if node != nil && node.Kind() == ast.CallKind {
			return t.noFunction(at, m[1])
		}
		return t.noVariable(at, m[1])
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		return t.noOverload(at, node, m[1], typeList(m[2]))
	}
	if m := undefined.FindStringSubmatch(message); m != nil {
		return t.noField(parsed, at, m[1])
	}
	if m := noFields.FindStringSubmatch(message); m != nil {
		field := ""
		if node != nil && node.Kind() == ast.SelectKind {
			field = node.AsSelect().FieldName()
		}
		return t.fault(at, "%s has no fields, and so no `%s`", typeName(m[1]), field)
	}
	if m := notExpected.FindStringSubmatch(message); m != nil {
		return t.fault(at, "here must stand %s, and this is %s", typeName(m[1]), typeName(m[2]))
	}
	if m := notRange.FindStringSubmatch(message); m != nil {
		return t.fault(at, "only a list or a map can be gone through, and this is %s", typeName(m[1]))
	}
	if m := invalidNumber.FindStringSubmatch(message); m != nil {
		example := map[string]string{"duration": `"1h30m"`, "timestamp": `"2026-05-20T09:41:07Z"`}[m[1]]
		return t.fault(at, "this is no %s; write it as %s", m[1], example)
	}
	if strings.Contains(message, "nesting limit") {
		return t.fault(at, "loops (exists, all, filter, map) may stand in each other %d deep at most", maxNesting)
	}
	message, _, _ = strings.Cut(message, " (did you mean")
	return t.fault(at, "%s", message)
}

// noOverload is the fault of a function or an operator that does not take what it is given. at is that of the
// operator, or of the call's bracket.
func (t *text) noOverload(at int, node ast.Expr, function string, given []string) *Error {
	names := make([]string, len(given))
	for i, g := range given {
		names[i] = typeName(g)
	}
	operator := strings.Trim(function, "_@")
	switch function {
	case "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_":
		if node != nil && slices.ContainsFunc(node.AsCall().Args(), isEventAction) {
			return t.fault(at, "event.action is a number; compare `action`, as in action == \"opened\"")
		}
		if names[0] == names[1] {
			return t.fault(at, "`%s` can't compare %s with another", operator, names[0])
		}
		return t.fault(at, "`%s` compares %s with %s; both sides must be of one kind", operator, names[0], names[1])
	case "@in":
		if strings.HasPrefix(given[1], "list(") {
			return t.fault(at, "`in` looks for %s in %s; both must be of one kind", names[0], names[1])
		}
		hint := ""
		if given[1] == "string" {
			hint = "; for a part of a text write text.contains(part)"
		}
		return t.fault(at, "`in` needs a list on its right, and this is %s%s", names[1], hint)
	case "!_":
		return t.fault(at, "`!` needs a bool (true or false), and this is %s", names[0])
	case "-_":
		return t.fault(at, "`-` needs a number, and this is %s", names[0])
	case "_?_:_":
		return t.fault(at, "`? :` needs a bool before the ? and two values of one kind after it; here are %s, %s and %s", names[0], names[1], names[2])
	case "_[_]":
		return t.fault(at, "%s can't be asked for an item by %s", names[0], names[1])
	case "_+_", "_-_", "_*_", "_/_", "_%_":
		return t.fault(at, "`%s` can't be used on %s and %s", operator, names[0], names[1])
	}
	_, at = t.tokenBefore(at)
	hint := ""
	if function == "contains" && strings.HasPrefix(given[0], "list(") {
		hint = "; for a list write \"x\" in list"
	}
	return t.fault(at, "%s is written %s, and not %s%s", function, signatures(function), signature(function, isMember(node), given), hint)
}

func isMember(node ast.Expr) bool {
	return node != nil && node.Kind() == ast.CallKind && node.AsCall().IsMemberFunction()
}

// isEventAction reports whether e is event.action.
func isEventAction(e ast.Expr) bool {
	return e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "action" &&
		e.AsSelect().Operand().Kind() == ast.IdentKind && e.AsSelect().Operand().AsIdent() == "event"
}

// signatures returns the ways in which the function may be called, three at most.
func signatures(function string) string {
	f := environment().Functions()[function]
	var all []string
	for _, o := range f.OverloadDecls() {
		all = append(all, overloadSignature(function, o))
	}
	if len(all) > 3 {
		all = append(all[:3], "…")
	}
	return strings.Join(all, " or ")
}

func overloadSignature(function string, o *decls.OverloadDecl) string {
	args := make([]string, len(o.ArgTypes()))
	for i, arg := range o.ArgTypes() {
		args[i] = cel.FormatCELType(arg)
	}
	return signature(function, o.IsMemberFunction(), args)
}

// signature writes a call of function with arguments of the types.
func signature(function string, member bool, args []string) string {
	short := make([]string, len(args))
	for i, arg := range args {
		short[i] = strings.ReplaceAll(arg, string(eventPackage)+".", "")
	}
	if member && len(short) > 0 {
		return fmt.Sprintf("%s.%s(%s)", short[0], function, strings.Join(short[1:], ", "))
	}
	return fmt.Sprintf("%s(%s)", function, strings.Join(short, ", "))
}

// typeList splits what the checker writes of a call's arguments, "(string, int)" or "string.(int)".
func typeList(s string) []string {
	var list []string
	if receiver, args, ok := strings.Cut(s, ".("); ok {
		list, s = append(list, receiver), "("+args
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
	depth, from := 0, 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				list = append(list, strings.TrimSpace(s[from:i]))
				from = i + 1
			}
		}
	}
	if s != "" {
		list = append(list, strings.TrimSpace(s[from:]))
	}
	return list
}

// typeName is a type as people call it, from how the checker writes it.
func typeName(s string) string {
	switch s {
	case "string":
		return "a string"
	case "int", "uint", "double":
		return "a number"
	case "bool":
		return "a bool"
	case "bytes":
		return "bytes"
	case "null", "null_type":
		return "null"
	case "timestamp", "google.protobuf.Timestamp":
		return "a time"
	case "duration", "google.protobuf.Duration":
		return "a duration"
	}
	if items, ok := strings.CutPrefix(s, "list("); ok {
		item := strings.TrimSuffix(items, ")")
		plural, isOne := strings.CutPrefix(typeName(item), "a ")
		if isOne {
			plural += "s"
		}
		return "a list of " + plural
	}
	if strings.HasPrefix(s, "map(") {
		return "a map"
	}
	if message, ok := strings.CutPrefix(s, string(eventPackage)+"."); ok {
		if strings.ContainsRune("AEIOU", rune(message[0])) {
			return "an " + message
		}
		return "a " + message
	}
	return s
}

// eventPackage is the package of the event's messages.
var eventPackage = subject.ParentFile().Package()
