package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// violations are faults found here, in the form of protovalidate's.
type violations []*protovalidate.Violation

// path is where a value stands in the message: field names and, for lists, indices.
type path []*validate.FieldPathElement

func (p path) field(name string) path {
	return append(p[:len(p):len(p)], validate.FieldPathElement_builder{FieldName: proto.String(name)}.Build())
}

func (p path) index(i int) path {
	q := append(path(nil), p...)
	last := proto.Clone(q[len(q)-1]).(*validate.FieldPathElement)
	last.SetIndex(uint64(i))
	q[len(q)-1] = last
	return q
}

func (vs *violations) add(p path, format string, args ...any) {
	*vs = append(*vs, &protovalidate.Violation{Proto: validate.Violation_builder{
		Field:   validate.FieldPath_builder{Elements: p}.Build(),
		RuleId:  proto.String("belfry"),
		Message: proto.String(fmt.Sprintf(format, args...)),
	}.Build()})
}

// expander puts the values of variables and files in place of what stands for them.
type expander struct {
	faults violations
	// draft says to put a stand-in where there is no value: then missing has the reference, in the file's
	// spelling, and stood the path of the text that holds the stand-in.
	draft   bool
	missing []string
	stood   map[string]bool
}

// expand does it in every text of the message, rules and templates among them.
func (x *expander) expand(m protoreflect.Message, at path) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		here := at.field(string(fd.Name()))
		switch {
		case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
			for i := range v.List().Len() {
				x.expand(v.List().Get(i).Message(), here.index(i))
			}
		case fd.IsList() && fd.Kind() == protoreflect.StringKind:
			for i := range v.List().Len() {
				v.List().Set(i, protoreflect.ValueOfString(x.value(v.List().Get(i).String(), here.index(i))))
			}
		case fd.IsList() || fd.IsMap():
		case fd.Kind() == protoreflect.MessageKind:
			x.expand(v.Message(), here)
		case fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString(x.value(v.String(), here)))
		}
		return true
	})
}

// A reference is ${NAME} or ${file:PATH}; $${ stands for ${ itself. A $ before anything else is a $, so that
// the variables of templates ({{$x}}) and the ends of patterns ("^v[0-9]+$") need no care.
var (
	reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
	variable  = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
	file      = regexp.MustCompile(`^\$\{file:([^}]+)\}$`)
)

func (x *expander) value(s string, at path) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		if m := variable.FindStringSubmatch(ref); m != nil {
			v, ok := os.LookupEnv(m[1])
			switch {
			case v != "":
				return v
			case x.draft:
				return x.standIn(ref, at)
			case ok:
				x.faults.add(at, "the environment variable %s is empty: set it where Belfry is started", m[1])
			default:
				x.faults.add(at, "the environment variable %s is not set: set it where Belfry is started", m[1])
			}
			return ""
		}
		if m := file.FindStringSubmatch(ref); m != nil {
			data, err := readFile(m[1])
			value := strings.TrimRight(string(data), "\r\n")
			switch {
			case value != "":
				return value
			case x.draft:
				return x.standIn(ref, at)
			case err == nil: // perhaps it is just being written
				x.faults.add(at, "file %s is empty: write the value into it", m[1])
			default:
				x.faults.add(at, "file %s: %v", m[1], err)
			}
			return ""
		}
		x.faults.add(at, "a reference is ${NAME} for an environment variable or ${file:/path} for a file's content; write $${ for a literal ${")
		return ""
	})
}

// standIn is what stands for ref, another text for each.
func (x *expander) standIn(ref string, at path) string {
	x.missing = append(x.missing, ref)
	if x.stood == nil {
		x.stood = make(map[string]bool)
	}
	x.stood[protovalidate.FieldPathString(validate.FieldPath_builder{Elements: at}.Build())] = true
	return "missing-" + strings.Trim(notWord.ReplaceAllString(ref, "-"), "-")
}

var notWord = regexp.MustCompile(`[^A-Za-z0-9_]+`)
