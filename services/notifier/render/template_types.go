package render

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// typ is what the checker knows of a value.
type typ struct {
	is form
	// fields are an object's, elem is a list's.
	fields *fields
	elem   *typ
	// from is the name by which messages call an object.
	from string
}

// form is the kind of a value.
type form int

const (
	// isUnknown is a value that a fault was told of already.
	isUnknown form = iota
	isText
	isMarked // Markdown that a function made
	isWords  // one of the two
	isBlock  // Markdown that is paragraphs of its own, or perhaps one of the others
	isNumber
	isFraction
	isTruth
	isTime
	isObject
	isList
	isMixed // what and, or and default return of values that differ
)

func (t typ) String() string {
	switch t.is {
	case isText:
		return "a text"
	case isMarked, isWords:
		return "finished Markdown"
	case isBlock:
		return "Markdown with paragraphs of its own"
	case isNumber:
		return "a number"
	case isFraction:
		return "a decimal number"
	case isTruth:
		return "true or false"
	case isTime:
		return "a time"
	case isObject:
		return t.from
	case isList:
		if t.elem.is == isText {
			return "a list of texts"
		}
		return strings.TrimSuffix(t.elem.from, "[]")
	}
	return "one of several things"
}

// same tells whether values of both types can be used in the same way.
func (t typ) same(u typ) bool {
	switch {
	case t.is != u.is:
		return false
	case t.is == isObject:
		return t.fields == u.fields
	case t.is == isList:
		return t.elem.same(*u.elem)
	}
	return t.is != isMixed
}

// either is the type of a value that has one of two types.
func (t typ) either(u typ) typ {
	isWord := func(t typ) bool { return t.is >= isText && t.is <= isBlock }
	switch {
	case t.is == isUnknown, u.is == isUnknown:
		return typ{}
	case t.same(u):
		return t
	case isWord(t) && isWord(u):
		return typ{is: max(t.is, u.is, isWords)}
	}
	return typ{is: isMixed}
}

// isScalar tells of what print and printf take.
func (t typ) isScalar() bool {
	switch t.is {
	case isUnknown, isText, isNumber, isFraction, isTruth:
		return true
	}
	return false
}

// fields are those of an object: their names in the order of the schema, and their types.
type fields struct {
	names []string
	of    map[string]typ
}

// rootFields are what stands behind the first dot of a template: the names that rules have too.
var rootFields = sync.OnceValue(func() *fields {
	f := &fields{of: map[string]typ{}}
	add := func(name string, t typ) {
		f.names = append(f.names, name)
		f.of[name] = t
	}
	add("event", typ{is: isObject, fields: fieldsOf(eventSchema), from: "event"})
	for _, name := range []string{"kind", "action", "repository", "branch", "tag", "sender", "hook"} {
		add(name, typ{is: isText})
	}
	add("labels", typ{is: isList, elem: &typ{is: isText}})
	return f
})

var eventSchema = (*eventv1.Event)(nil).ProtoReflect().Descriptor()

var (
	userFields = sync.OnceValue(func() *fields { return fieldsOf((*eventv1.User)(nil).ProtoReflect().Descriptor()) })
	// schema has the fields of each message, so that two of the same type are equal. The messages of an event
	// don't contain themselves.
	schema sync.Map // protoreflect.FullName to *fields
)

func fieldsOf(d protoreflect.MessageDescriptor) *fields {
	if f, ok := schema.Load(d.FullName()); ok {
		return f.(*fields)
	}
	f := &fields{of: map[string]typ{}}
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		name := string(fd.Name())
		f.names = append(f.names, name)
		f.of[name] = typeOf(fd)
		if fd.IsList() {
			elem := f.of[name]
			f.of[name] = typ{is: isList, elem: &elem}
		}
	}
	shared, _ := schema.LoadOrStore(d.FullName(), f)
	return shared.(*fields)
}

// typeOf is the type of one value of a field.
func typeOf(fd protoreflect.FieldDescriptor) typ {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if fd.Message().FullName() == timestampName {
			return typ{is: isTime}
		}
		return typ{is: isObject, fields: fieldsOf(fd.Message()), from: string(fd.Name())}
	case protoreflect.BoolKind:
		return typ{is: isTruth}
	case protoreflect.StringKind, protoreflect.EnumKind:
		return typ{is: isText}
	}
	return typ{is: isNumber}
}

const timestampName = "google.protobuf.Timestamp"

// field returns the type of a field of t, which is an object.
func (t typ) field(name string) (typ, bool) {
	f, ok := t.fields.of[name]
	switch f.is {
	case isObject:
		f.from = strings.TrimPrefix(t.from+"."+f.from, ".")
	case isList:
		elem := *f.elem
		elem.from = strings.TrimPrefix(t.from+"."+name+"[]", ".")
		f.elem = &elem
	}
	return f, ok
}

// maxNamed is about how many names a message suggests.
const maxNamed = 8

// nearest lists names, those first that look like name.
func nearest(name string, names []string) string {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if more := len(names) - maxNamed; more > 2 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// distance is how many characters must be added, taken off or changed to make b of a; of those beyond the
// 50th nothing is known.
func distance(a, b string) int {
	s, t := []rune(prefix(a, 50)), []rune(prefix(b, 50))
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		diagonal := row[0]
		row[0] = i + 1
		for j := range t {
			cost := diagonal
			if s[i] != t[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(t)]
}
