package render

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// object is a message of the event as a template sees it: its fields by their names in the schema, every one
// of them, at their zero values where they are not set. Only an absent one holds absence.
type object map[string]any

// absence is a name that no field can have.
const absence = ""

func (o object) isAbsent() bool { _, ok := o[absence]; return ok }

// moment is a time; nil where it is not known.
type moment struct{ time time.Time }

// marked is Markdown that a function of this package made: the only values that are put in as they are.
type marked string

// kinds are the kinds of events: the names of an event's subjects.
func kinds() []string {
	var names []string
	for i := range subjects.Fields().Len() {
		names = append(names, string(subjects.Fields().Get(i).Name()))
	}
	return names
}

var subjects = eventSchema.Oneofs().ByName("subject")

// eventKind is the kind of e, in the word that rules and the gateway's answers have for it; empty for an
// event without a subject.
func eventKind(e *eventv1.Event) string {
	if fd := e.ProtoReflect().WhichOneof(subjects); fd != nil {
		return string(fd.Name())
	}
	return ""
}

// actionWord is a in the word that rules and the gateway's answers have for it.
func actionWord(a eventv1.Action) string {
	return strings.ToLower(strings.TrimPrefix(a.String(), "ACTION_"))
}

// root is what a template is run on; rootFields are its types.
func root(e *eventv1.Event) object {
	about := func(i *eventv1.Issue, p *eventv1.PullRequest) []string {
		names := []string{}
		for _, l := range slices.Concat(i.GetLabels(), p.GetLabels()) {
			names = append(names, l.GetName())
		}
		return names
	}
	o := object{
		"event":      objectOf(e.ProtoReflect()),
		"kind":       eventKind(e),
		"action":     actionWord(e.GetAction()),
		"repository": e.GetRepository().GetPath(),
		"branch":     "",
		"tag":        e.GetTag().GetName(),
		"sender":     e.GetSender().GetLogin(),
		"hook":       e.GetHook(),
		"labels":     about(e.GetIssue(), e.GetPullRequest()),
	}
	switch {
	case e.GetPush() != nil:
		o["branch"] = e.GetPush().GetBranch()
	case e.GetPullRequest() != nil:
		o["branch"] = e.GetPullRequest().GetTargetBranch()
	case e.GetComment() != nil:
		o["branch"] = e.GetComment().GetPullRequest().GetTargetBranch()
		o["labels"] = about(e.GetComment().GetIssue(), e.GetComment().GetPullRequest())
	}
	return o
}

// objectOf returns m, which may be a nil message of its type.
func objectOf(m protoreflect.Message) object {
	d := m.Descriptor().Fields()
	o := make(object, d.Len()+1)
	if !m.IsValid() {
		o[absence] = true
	}
	for i := range d.Len() {
		fd := d.Get(i)
		v := m.Get(fd)
		if !fd.IsList() {
			o[string(fd.Name())] = value(fd, v)
			continue
		}
		list := v.List()
		if fd.Kind() == protoreflect.MessageKind {
			all := make([]object, list.Len())
			for j := range all {
				all[j] = objectOf(list.Get(j).Message())
			}
			o[string(fd.Name())] = all
			continue
		}
		all := make([]string, list.Len())
		for j := range all {
			all[j] = list.Get(j).String()
		}
		o[string(fd.Name())] = all
	}
	return o
}

// value is one value of a field, of the Go type that goes with typeOf: string, int, bool, *moment or object.
func value(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if fd.Message().FullName() != timestampName {
			return objectOf(v.Message())
		}
		if !v.Message().IsValid() {
			return (*moment)(nil)
		}
		return &moment{v.Message().Interface().(*timestamppb.Timestamp).AsTime()}
	case protoreflect.EnumKind:
		return actionWord(eventv1.Action(v.Enum()))
	case protoreflect.BoolKind:
		return v.Bool()
	case protoreflect.StringKind:
		return v.String()
	}
	return int(v.Int())
}
