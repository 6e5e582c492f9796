package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// MaxLength is how many characters a rule may have.
const MaxLength = 4000

// Rule is a compiled rule. Its methods may be called from any goroutine.
type Rule struct {
	source  string
	checked *cel.Ast
	program cel.Program
	cost    uint64
}

// Error says what is wrong with a rule, and where.
type Error struct {
	// Line and Column count from 1 in the rule's text, the column in code points.
	Line, Column int
	// Message says, for people, what is wrong and what was expected.
	Message string
}

// Error says where, and what.
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// Compile makes a rule of its text. The error is an *Error, about the first fault in the text.
func Compile(source string) (*Rule, error) {
	src := newText(source)
	switch {
	case !utf8.ValidString(source):
		return nil, src.fault(0, "the rule is not text in UTF-8")
	case len(src.runes) > MaxLength:
		return nil, src.fault(0, "the rule has %d characters, and %d are the most", len(src.runes), MaxLength)
	case strings.TrimSpace(source) == "":
		return nil, src.fault(0, "the rule is empty; write a condition, or leave `when` out to have every event take the route")
	}
	env := environment()
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, src.syntaxFault(issues)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, src.typeFault(parsed, issues)
	}
	if err := src.check(checked); err != nil {
		return nil, err
	}
	cost, err := costOf(checked)
	if err != nil {
		return nil, src.fault(0, "the rule's cost can't be estimated: %v", err)
	}
	if cost > MaxCost {
		return nil, src.tooCostly(cost)
	}
	program, err := env.Program(checked, prepared, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(2*cost+headroom), trackCosts)
	if err != nil {
		return nil, src.fault(0, "the rule can't be prepared: %v", err)
	}
	return &Rule{source, checked, program, cost}, nil
}

func (src *text) tooCostly(cost uint64) *Error {
	steps := fmt.Sprintf("%d steps", cost)
	if cost == unbounded {
		steps = "any number of steps"
	}
	return src.fault(0, "the rule could take %s for a large event, and %d are the most: loop over less, "+
		"match shorter texts, or use touches(event, \"…\") for the paths of a push", steps, MaxCost)
}

// String returns the rule's text.
func (r *Rule) String() string { return r.source }

// Cost returns what the rule costs at most by estimate, MaxCost at most.
func (r *Rule) Cost() uint64 { return r.cost }

// Match reports whether the event takes the rule's route. An event about which the rule can't decide (an
// index beyond a list's end, a cost far above the estimate) takes it, so that nothing is lost for the sake of a
// faulty rule; the error says then why, and may quote the event. The event is only read.
func (r *Rule) Match(e *eventv1.Event) (bool, error) {
	value, _, err := r.program.Eval(activation{e})
	return decided(value, err)
}

// decided reads the outcome of a rule.
func decided(value ref.Val, err error) (bool, error) {
	if err != nil {
		return true, fmt.Errorf("the rule can't decide: %w", err)
	}
	taken, ok := value.(types.Bool)
	if !ok {
		return true, fmt.Errorf("the rule can't decide: it gave %v", value)
	}
	return bool(taken), nil
}
