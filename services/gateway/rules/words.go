package rules

import (
	"iter"
	"strings"
	"sync"

	"cel.dev/cel-go/interpreter"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// subject is the oneof whose field's name is an event's kind.
var subject = (*eventv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("subject")

// Kind returns the event's kind, the name of its subject's field: push, tag, issue, pull_request, comment or
// ping; "" for an event without a subject.
func Kind(e *eventv1.Event) string {
	if e == nil {
		return ""
	}
	var field protoreflect.FieldDescriptor = e.ProtoReflect().WhichOneof(subject)
	if field == nil {
		return ""
	}
	return string(field.Name())
}

// Action returns the event's action in small letters, without the enum's prefix.
func Action(e *eventv1.Event) string { return actionWord(e.GetAction().String()) }

func actionWord(name string) string {
	return strings.ToLower(strings.TrimPrefix(name, "ACTION_"))
}

// words has, for the variables that take few values, all of them in the schema's order.
var words = sync.OnceValue(func() map[string][]string {
	var kinds, actions []string
	for i := range subject.Fields().Len() {
		kinds = append(kinds, string(subject.Fields().Get(i).Name()))
	}
	values := eventv1.Action(0).Descriptor().Values()
	for i := range values.Len() {
		if value := values.Get(i); value.Number() != 0 {
			actions = append(actions, actionWord(string(value.Name())))
		}
	}
	return map[string][]string{"kind": kinds, "action": actions}
})

// activation gives a rule its variables.
type activation struct{ event *eventv1.Event }

// ResolveName is interpreter.Activation's.
func (a activation) ResolveName(name string) (any, bool) {
	e := a.event
	switch name {
	case "event":
		return e, true
	case "kind":
		return Kind(e), true
	case "action":
		return Action(e), true
	case "repository":
		return e.GetRepository().GetPath(), true
	case "branch":
		if push := e.GetPush(); push != nil {
			return push.GetBranch(), true
		}
		return pullRequestOf(e).GetTargetBranch(), true
	case "tag":
		return e.GetTag().GetName(), true
	case "sender":
		return e.GetSender().GetLogin(), true
	case "labels":
		return labelsOf(e), true
	case "hook":
		return e.GetHook(), true
	}
	return nil, false
}

// Parent is interpreter.Activation's.
func (activation) Parent() interpreter.Activation { return nil }

// pullRequestOf returns the pull request that the event is about, also of a comment; nil where there is none.
func pullRequestOf(e *eventv1.Event) *eventv1.PullRequest {
	if pr := e.GetPullRequest(); pr != nil {
		return pr
	}
	return e.GetComment().GetPullRequest()
}

// labelsOf returns the names of the labels of what the event is about.
func labelsOf(e *eventv1.Event) []string {
	labels := pullRequestOf(e).GetLabels()
	if issue := e.GetIssue(); issue != nil {
		labels = issue.GetLabels()
	} else if issue := e.GetComment().GetIssue(); issue != nil {
		labels = issue.GetLabels()
	}
	names := make([]string, len(labels))
	for i, label := range labels {
		names[i] = label.GetName()
	}
	return names
}

// paths goes through the paths that the push's commits list.
func paths(push *eventv1.Push) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range push.GetCommits() {
			for _, list := range [][]string{c.GetAdded(), c.GetRemoved(), c.GetModified()} {
				for _, path := range list {
					if !yield(path) {
						return
					}
				}
			}
		}
	}
}
