package rules

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// eventType is the type of the variable event.
var eventType = cel.ObjectType(string((*eventv1.Event)(nil).ProtoReflect().Descriptor().FullName()))

// variables are what a rule can name, in the order in which people are told of them.
var variables = []string{"kind", "action", "branch", "tag", "repository", "sender", "labels", "hook", "event"}

// functions are the functions and macros that people are told of; CEL has some more.
var functions = []string{
	"glob", "touches", "matches", "startsWith", "endsWith", "contains", "size", "has", "exists", "all", "filter", "map",
	"exists_one", "lowerAscii", "upperAscii", "trim", "split", "join", "replace", "substring", "indexOf", "lastIndexOf",
	"charAt", "reverse", "int", "string", "timestamp", "duration",
}

// environment is what rules are checked in and run in. It does not change.
var environment = sync.OnceValue(func() *cel.Env {
	env, err := cel.NewEnv(
		cel.Types((*eventv1.Event)(nil)),
		cel.Variable("event", eventType),
		cel.Variable("kind", cel.StringType),
		cel.Variable("action", cel.StringType),
		cel.Variable("repository", cel.StringType),
		cel.Variable("branch", cel.StringType),
		cel.Variable("tag", cel.StringType),
		cel.Variable("sender", cel.StringType),
		cel.Variable("labels", cel.ListType(cel.StringType)),
		cel.Variable("hook", cel.StringType),
		ext.Strings(),
		cel.Function("glob", cel.Overload(globOverload, []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(unprepared))),
		cel.Function("touches", cel.Overload(touchesOverload, []*cel.Type{eventType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(unprepared))),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.ASTValidators(
			cel.ValidateComprehensionNestingLimit(maxNesting),
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(),
		),
	)
	if err != nil {
		panic("rules: " + err.Error()) // it is the same each time
	}
	return env
})

const (
	globOverload    = "glob_string_string"
	touchesOverload = "touches_event_string"
)

// unprepared stands for a function whose pattern is not compiled; checkPatterns lets no such call pass.
func unprepared(ref.Val, ref.Val) ref.Val {
	return types.NewErr("the pattern is not written in quotes")
}

// prepared puts into a program the functions that have a pattern, each with its own.
var prepared = cel.OptimizeRegex(
	interpreter.MatchesRegexOptimization,
	preparedCall("glob", func(p pattern, text ref.Val) ref.Val {
		s, ok := text.Value().(string)
		if !ok {
			return types.MaybeNoSuchOverloadErr(text)
		}
		return types.Bool(p.match(s))
	}),
	preparedCall("touches", func(p pattern, event ref.Val) ref.Val {
		e, ok := event.Value().(*eventv1.Event)
		if !ok {
			return types.MaybeNoSuchOverloadErr(event)
		}
		return types.Bool(touches(e, p))
	}),
)

// preparedCall has calls of a function whose second argument is a pattern call f with that.
func preparedCall(function string, f func(p pattern, arg ref.Val) ref.Val) *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{
		Function:   function,
		RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, text string) (interpreter.InterpretableCall, error) {
			p, err := compilePattern(text)
			if err != nil {
				return nil, err
			}
			impl := func(args ...ref.Val) ref.Val { return f(p, args[0]) }
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), impl), nil
		},
	}
}

// touches reports whether a commit of the push changes a path that fits p, as far as anybody can know.
func touches(e *eventv1.Event, p pattern) bool {
	push := e.GetPush()
	if push.GetTruncated() {
		return true
	}
	for path := range paths(push) {
		if p.match(path) {
			return true
		}
	}
	return false
}
