package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// Verdict is what a rule makes of an event, and why.
type Verdict struct {
	// Taken says whether the event takes the route.
	Taken bool
	// Err says why the rule can't decide, so that the route is taken; nil if it can.
	Err error
	// Why has a line for each condition that the rule joins with && or ||: its text, what came of it, and what
	// it was asked of. Lines that belong to the one before begin with two blanks more. It may quote the event.
	Why []string
}

// How much of a value, of a list and of a condition a Verdict shows.
const (
	shownText      = 100
	shownItems     = 5
	shownCondition = 200
)

// Explain says what the rule makes of the event. It takes longer than Match: all conditions are looked at,
// also those that decide nothing any more. The event is only read.
func (r *Rule) Explain(e *eventv1.Event) Verdict {
	var v Verdict
	v.Taken, v.Err = r.Match(e)
	program, err := environment().Program(r.checked, prepared, trackCosts, cel.CostLimit(MaxCost),
		cel.EvalOptions(cel.OptExhaustiveEval|cel.OptTrackState))
	if err != nil {
		return v
	}
	_, details, _ := program.Eval(activation{e})
	if details == nil || details.State() == nil {
		return v
	}
	x := explanation{newText(r.source), r.checked.NativeRep().SourceInfo(), details.State(), e}
	root := condition{r.checked.NativeRep().Expr(), 0, len(x.runes)}
	if _, joined := x.joined(root); joined {
		v.Why = x.parts(root, "")
	} else {
		v.Why = x.lines(root, "")
	}
	return v
}

// explanation is what Explain goes by.
type explanation struct {
	*text
	info  *ast.SourceInfo
	state interpreter.EvalState
	event *eventv1.Event
}

// condition is an expression and where its text is, perhaps with brackets around it.
type condition struct {
	expr     ast.Expr
	from, to int
}

// joined returns the conditions that c joins with && or with ||, if it does.
func (x *explanation) joined(c condition) ([]condition, bool) {
	if c.expr.Kind() != ast.CallKind {
		return nil, false
	}
	function := c.expr.AsCall().FunctionName()
	if function != operators.LogicalAnd && function != operators.LogicalOr {
		return nil, false
	}
	var parts []condition
	from := c.from
	var split func(e ast.Expr)
	split = func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != function {
			parts = append(parts, condition{e, from, c.to})
			return
		}
		split(e.AsCall().Args()[0])
		operator, _ := x.info.GetOffsetRange(e.ID())
		parts[len(parts)-1].to = int(operator.Start)
		from = int(operator.Stop)
		split(e.AsCall().Args()[1])
	}
	split(c.expr)
	return parts, true
}

// parts explains what c joins.
func (x *explanation) parts(c condition, indent string) []string {
	var lines []string
	parts, _ := x.joined(c)
	for _, part := range parts {
		lines = append(lines, x.lines(part, indent)...)
	}
	return lines
}

// lines explains one condition.
func (x *explanation) lines(c condition, indent string) []string {
	line := indent + x.source(c) + " " + x.outcome(c.expr)
	if _, joined := x.joined(c); joined {
		return append([]string{line + ":"}, x.parts(c, indent+"  ")...)
	}
	if asked := x.asked(c.expr); len(asked) > 0 {
		line += ": " + strings.Join(asked, ", ")
	}
	return []string{line}
}

// outcome says what came of a condition.
func (x *explanation) outcome(e ast.Expr) string {
	value, ok := x.state.Value(e.ID())
	switch b, isBool := value.(types.Bool); {
	case isBool:
		return fmt.Sprintf("is %t", bool(b))
	case ok && types.IsError(value):
		return fmt.Sprintf("can't be decided (%v)", value)
	}
	return "was not reached"
}

// source returns the condition's text on one line, without comments and without brackets around it that are
// not its own.
func (x *explanation) source(c condition) string {
	from, to := c.from, c.to
	var open []int
	var comments []mark
brackets:
	for _, m := range x.marks(from, to) {
		switch m.kind {
		case '#':
			comments = append(comments, m)
		case '(', '[', '{':
			open = append(open, m.at)
		case ')', ']', '}':
			if len(open) == 0 {
				to = m.at
				break brackets
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		from = open[len(open)-1] + 1
	}
	var b strings.Builder
	for i := from; i < to; i++ {
		if len(comments) > 0 && i >= comments[0].end {
			comments = comments[1:]
		}
		if len(comments) == 0 || i < comments[0].at {
			b.WriteRune(x.runes[i])
		}
	}
	return shortened(strings.Join(strings.Fields(b.String()), " "), shownCondition)
}

// asked returns what the event has of all that the condition asks, in the order of the text.
func (x *explanation) asked(e ast.Expr) []string {
	var asked []string
	seen := make(map[string]bool)
	add := func(name, value string) {
		if value != "" && !seen[name] {
			seen[name] = true
			asked = append(asked, strings.TrimSpace(name+" "+value))
		}
	}
	inner := make(map[int64]bool) // parts of what was looked at
	walk(e, nil, func(e ast.Expr, bound []string) {
		if inner[e.ID()] {
			if e.Kind() == ast.SelectKind {
				inner[e.AsSelect().Operand().ID()] = true
			}
			return
		}
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "touches" {
			add("", x.pathsOfPush())
			return
		}
		name, ok := nameOf(e, bound)
		if !ok {
			return
		}
		if e.Kind() == ast.SelectKind {
			inner[e.AsSelect().Operand().ID()] = true
		}
		if value, found := x.state.Value(e.ID()); found {
			if shown := shown(value); shown != "" {
				add(name, "is "+shown)
			}
		}
	})
	return asked
}

// nameOf returns how a variable, or a field of one, is written.
func nameOf(e ast.Expr, bound []string) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		return name, slices.Contains(variables, name) && !slices.Contains(bound, name)
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return "", false
		}
		name, ok := nameOf(e.AsSelect().Operand(), bound)
		return name + "." + e.AsSelect().FieldName(), ok
	}
	return "", false
}

// pathsOfPush says what touches has to go by.
func (x *explanation) pathsOfPush() string {
	push := x.event.GetPush()
	switch {
	case push == nil:
		return "the event is no push"
	case push.GetTruncated():
		return "the push's list of paths is not complete"
	}
	var all []ref.Val
	for path := range paths(push) {
		all = append(all, types.String(path))
	}
	return "the push's paths are " + shownList(len(all), func(i int) ref.Val { return all[i] })
}

// shown writes a value; "" for one that says nothing in a line, such as a message.
func shown(value ref.Val) string {
	switch v := value.(type) {
	case types.String:
		return strconv.Quote(shortened(string(v), shownText))
	case types.Bool, types.Int, types.Uint, types.Double:
		return fmt.Sprint(v.Value())
	case types.Timestamp, types.Duration:
		return fmt.Sprint(v.ConvertToType(types.StringType).Value())
	case traits.Lister:
		size, _ := v.Size().(types.Int)
		return shownList(int(size), func(i int) ref.Val { return v.Get(types.Int(i)) })
	}
	return ""
}

// shownList writes a list, or how many items it has where those say nothing.
func shownList(size int, item func(int) ref.Val) string {
	var items []string
	for i := range min(size, shownItems) {
		s := shown(item(i))
		if s == "" {
			return fmt.Sprintf("a list of %d", size)
		}
		items = append(items, s)
	}
	if size > shownItems {
		items = append(items, fmt.Sprintf("and %d more", size-shownItems))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// shortened cuts s to so many characters.
func shortened(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
