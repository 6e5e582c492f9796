package rules

import (
	"cmp"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// maxInstructions is how large a regular expression may become.
const maxInstructions = 1000

// patternFunctions are the functions whose second argument is a pattern, and what compiles it.
var patternFunctions = map[string]func(string) error{
	"glob":    func(s string) error { _, err := compilePattern(s); return err },
	"touches": func(s string) error { _, err := compilePattern(s); return err },
	"matches": regexFault,
}

// regexFault says, for people, what is wrong with a regular expression.
func regexFault(s string) error {
	_, err := regexp.Compile(s)
	if fault, ok := errors.AsType[*syntax.Error](err); ok {
		return errors.New(fault.Code.String() + ": " + fault.Expr)
	}
	if err != nil {
		return err
	}
	if size, err := types.RegexProgramSize(s); err != nil || size > maxInstructions {
		return errors.New("it is too large; let it repeat less")
	}
	return nil
}

// check finds what is wrong with a rule whose types are right; nil if nothing is.
func (t *text) check(rule *cel.Ast) error {
	c := checks{text: t, info: rule.NativeRep().SourceInfo()}
	walk(rule.NativeRep().Expr(), nil, c.expr)
	if len(c.faults) > 0 {
		return slices.MinFunc(c.faults, func(a, b *Error) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
	}
	if rule.OutputType() != cel.BoolType {
		return t.fault(0, "the rule gives %s; it must give true or false", typeName(cel.FormatCELType(rule.OutputType())))
	}
	return nil
}

// checks gathers faults.
type checks struct {
	*text
	info   *ast.SourceInfo
	faults []*Error
}

func (c *checks) add(e ast.Expr, format string, args ...any) {
	place, _ := c.info.GetOffsetRange(e.ID())
	at := int(place.Start)
	if e.Kind() == ast.CallKind { // that of its bracket
		_, at = c.tokenBefore(at)
	}
	c.faults = append(c.faults, c.fault(at, format, args...))
}

// expr checks one expression; bound are the names that loops around it give to their items.
func (c *checks) expr(e ast.Expr, bound []string) {
	if e.Kind() != ast.CallKind {
		return
	}
	function, args := e.AsCall().FunctionName(), e.AsCall().Args()
	if e.AsCall().IsMemberFunction() {
		args = append([]ast.Expr{e.AsCall().Target()}, args...)
	}
	switch function {
	case operators.Equals, operators.NotEquals:
		c.word(args[0], bound, args[1])
		c.word(args[1], bound, args[0])
	case operators.In:
		if args[1].Kind() == ast.ListKind {
			c.word(args[0], bound, args[1].AsList().Elements()...)
		}
	case "format":
		c.add(e, "format is not available in rules")
	}
	if fault, is := patternFunctions[function]; is && len(args) == 2 {
		if s, ok := literal(args[1]); !ok {
			c.add(e, "%s needs its pattern in quotes, so that it can be checked here", function)
		} else if err := fault(s); err != nil {
			c.add(args[1], "the pattern of %s is faulty: %v", function, err)
		}
	}
}

// word refuses to have a variable that takes few values compared with what it never is.
func (c *checks) word(variable ast.Expr, bound []string, others ...ast.Expr) {
	if variable.Kind() != ast.IdentKind || slices.Contains(bound, variable.AsIdent()) {
		return
	}
	name := variable.AsIdent()
	known := words()[name]
	if known == nil {
		return
	}
	for _, other := range others {
		if word, ok := literal(other); ok && !slices.Contains(known, word) {
			c.add(other, "%s is never %q; it is one of: %s", name, word, nearest(strings.ReplaceAll(word, "-", "_"), known, len(known)))
		}
	}
}

// literal returns the text that e is, written in quotes.
func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// walk calls visit for e and for all that it is made of; bound are the names that loops give to their items.
func walk(e ast.Expr, bound []string, visit func(e ast.Expr, bound []string)) {
	visit(e, bound)
	switch e.Kind() {
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			walk(e.AsCall().Target(), bound, visit)
		}
		for _, arg := range e.AsCall().Args() {
			walk(arg, bound, visit)
		}
	case ast.SelectKind:
		walk(e.AsSelect().Operand(), bound, visit)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			walk(item, bound, visit)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			walk(entry.AsMapEntry().Key(), bound, visit)
			walk(entry.AsMapEntry().Value(), bound, visit)
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			walk(field.AsStructField().Value(), bound, visit)
		}
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		walk(loop.IterRange(), bound, visit)
		walk(loop.AccuInit(), bound, visit)
		inner := append(slices.Clone(bound), loop.IterVar(), loop.AccuVar())
		if loop.HasIterVar2() {
			inner = append(inner, loop.IterVar2())
		}
		for _, part := range []ast.Expr{loop.LoopCondition(), loop.LoopStep(), loop.Result()} {
			walk(part, inner, visit)
		}
	}
}
