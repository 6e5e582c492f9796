package rules

import (
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

const (
	// MaxCost is what a rule may cost at most by estimate. One is about 0.1 µs, so that a rule may take 0.2 s
	// for the largest event that there can be. For one that happens it takes microseconds.
	MaxCost = 2_000_000
	// headroom is what a rule may cost when it runs beyond twice its estimate. That takes lists of paths for
	// as long as they are on the average in the largest push, and one of them may be longer.
	headroom = 100_000
	// maxNesting is how deep loops may stand in each other.
	maxNesting = 2
	// patternCost is what each instruction of a regular expression, and each byte of a glob pattern, is
	// estimated to cost for each character; when it runs, each character costs charCost, which is less.
	patternCost = 0.05
	charCost    = 0.1
)

// What pkg/gitee lets a push have in all is less than the schema's limits multiplied: 64 KiB of paths, and
// messages of 256 KiB plus 200 characters for each commit. A loop over all of them sees no more than if each
// of 500 commits had the share below; and what a path costs grows with its length, so it does not matter that
// few long ones may stand for many short ones.
const (
	pushPaths    = 64 << 10
	pathShare    = pushPaths/500 + 1
	messageShare = (256<<10)/500 + 200
)

// trackCosts counts what a rule costs while it runs.
var trackCosts = cel.CostTrackerOptions(
	cost.OverloadTracker(globOverload, trackText),
	cost.OverloadTracker(overloads.Matches, trackText),
	cost.OverloadTracker(overloads.MatchesString, trackText),
	cost.OverloadTracker(touchesOverload, func(args []ref.Val, _ ref.Val) *uint64 {
		chars := 0
		if e, ok := args[0].Value().(*eventv1.Event); ok {
			for path := range paths(e.GetPush()) {
				chars += 1 + len(path)
			}
		}
		return charged(chars)
	}),
)

// trackText is what a function costs that looks for a pattern in its first argument.
func trackText(args []ref.Val, _ ref.Val) *uint64 {
	text, _ := args[0].Value().(string)
	return charged(utf8.RuneCountInString(text))
}

func charged(chars int) *uint64 {
	n := 1 + cost.SafeMultiplyByFactor(uint64(chars), charCost)
	return &n
}

// costOf estimates what the rule costs at most.
func costOf(rule *cel.Ast) (uint64, error) {
	estimate, err := environment().EstimateCost(rule, estimator{})
	return estimate.Max, err
}

// estimator knows how large the parts of an event may be, by the schema.
type estimator struct{}

// EstimateSize is cost.Estimator's.
func (estimator) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	limit, known := sizeLimit(node.Path())
	if !known {
		return nil
	}
	return &cost.SizeEstimate{Max: limit}
}

// EstimateCallCost is cost.Estimator's.
func (estimator) EstimateCallCost(function, _ string, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if target != nil {
		args = append([]cost.AstNode{*target}, args...)
	}
	if function == "string" && len(args) == 1 {
		size := cost.SizeEstimate{Max: 40} // of a number, a time
		if kind := args[0].Type().Kind(); kind == types.StringKind || kind == types.BytesKind || kind == types.DynKind {
			size = cost.EstimateSize(estimator{}, args[0])
		}
		return cost.NewCallEstimate(size.MultiplyByCostFactor(charCost).Add(cost.FixedCostEstimate(1)), &size)
	}
	if _, is := patternFunctions[function]; !is || len(args) != 2 {
		return nil
	}
	size, chars := patternSize(function, args[1].Expr()), uint64(0)
	if function == "touches" {
		chars = 2 * pushPaths // one more for each path
	} else if chars = cost.EstimateSize(estimator{}, args[0]).Max; chars != unbounded {
		chars++
	}
	most := cost.SafeAdd(1, cost.SafeMultiplyByFactor(cost.SafeMultiply(chars, size), patternCost))
	return cost.NewCallEstimate(cost.Estimate{Min: 1, Max: most}, nil)
}

// unbounded is a size or a cost of which nobody knows how large it may be.
const unbounded = ^uint64(0)

// patternSize returns how many instructions a regular expression has, or bytes a glob pattern.
func patternSize(function string, e ast.Expr) uint64 {
	text, ok := literal(e)
	if !ok {
		return unbounded
	}
	if function == "matches" {
		size, err := types.RegexProgramSize(text)
		if err != nil {
			return unbounded
		}
		return uint64(size)
	}
	p, err := compilePattern(text)
	if err != nil {
		return unbounded
	}
	return uint64(p.size()) + 2
}

// sizeLimit returns how large at most what stands at the path is: a list in items, a text in characters.
func sizeLimit(path []string) (uint64, bool) {
	if len(path) == 0 {
		return 0, false
	}
	switch path[0] {
	case "event":
		return eventLimit(path[1:])
	case "labels":
		return eventLimit(append([]string{"issue", "labels"}, withName(path[1:])...))
	case "branch":
		return eventLimit([]string{"push", "branch"})
	case "tag":
		return eventLimit([]string{"tag", "name"})
	case "repository":
		return eventLimit([]string{"repository", "path"})
	case "sender":
		return eventLimit([]string{"sender", "login"})
	case "hook":
		return eventLimit([]string{"hook"})
	case "kind", "action":
		return 20, true
	}
	return 0, false
}

// withName makes the path of a label's name of that of a label.
func withName(path []string) []string {
	if len(path) == 0 {
		return nil
	}
	return append(path, "name")
}

// eventLimit is sizeLimit for a path that begins at an event.
func eventLimit(path []string) (uint64, bool) {
	message := (*eventv1.Event)(nil).ProtoReflect().Descriptor()
	var field protoreflect.FieldDescriptor
	items := false
	for _, step := range path {
		if step == "@items" && field != nil && field.IsList() && !items {
			items = true
			continue
		}
		if field != nil {
			if field.IsList() != items || field.Message() == nil {
				return 0, false
			}
			message = field.Message()
		}
		field, items = message.Fields().ByName(protoreflect.Name(step)), false
		if field == nil {
			return 0, false
		}
	}
	if field == nil {
		return 0, false
	}
	if field.Parent().Name() == "Commit" {
		switch {
		case field.Name() == "message":
			return messageShare, true
		case field.IsList() && items:
			return 1, true
		case field.IsList():
			return pathShare, true
		}
	}
	return schemaLimit(field, items)
}

// schemaLimit returns the limit that the schema sets for the field, or for one item of it.
func schemaLimit(field protoreflect.FieldDescriptor, item bool) (uint64, bool) {
	rules, err := protovalidate.ResolveFieldRules(field)
	if err != nil {
		return 0, false
	}
	if field.IsList() {
		if !item {
			return rules.GetRepeated().GetMaxItems(), rules.GetRepeated().HasMaxItems()
		}
		rules = rules.GetRepeated().GetItems()
	}
	return stringLimit(rules)
}

func stringLimit(rules *validate.FieldRules) (uint64, bool) {
	return rules.GetString().GetMaxLen(), rules.GetString().HasMaxLen()
}
