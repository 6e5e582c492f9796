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

// expand puts the values of variables and files into every text of the message.
func (vs *violations) expand(m protoreflect.Message, at path) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		here := at.field(string(fd.Name()))
		switch {
		case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
			for i := range v.List().Len() {
				vs.expand(v.List().Get(i).Message(), here.index(i))
			}
		case fd.IsList() && fd.Kind() == protoreflect.StringKind:
			for i := range v.List().Len() {
				v.List().Set(i, protoreflect.ValueOfString(vs.value(v.List().Get(i).String(), here.index(i))))
			}
		case fd.IsList() || fd.IsMap():
		case fd.Kind() == protoreflect.MessageKind:
			vs.expand(v.Message(), here)
		case fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString(vs.value(v.String(), here)))
		}
		return true
	})
}

// A reference is ${NAME} or ${file:PATH}; $${ stands for ${ itself.
var (
	reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
	variable  = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
	file      = regexp.MustCompile(`^\$\{file:([^}]+)\}$`)
)

func (vs *violations) value(s string, at path) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		if m := variable.FindStringSubmatch(ref); m != nil {
			v, ok := os.LookupEnv(m[1])
			if !ok {
				vs.add(at, "the environment variable %s is not set", m[1])
			} else if v == "" {
				vs.add(at, "the environment variable %s is empty", m[1])
			}
			return v
		}
		if m := file.FindStringSubmatch(ref); m != nil {
			data, err := readFile(m[1])
			if err != nil {
				vs.add(at, "file %s: %v", m[1], err)
				return ""
			}
			return strings.TrimRight(string(data), "\r\n")
		}
		vs.add(at, "a reference is ${NAME} for an environment variable or ${file:/path} for a file's content; write $${ for a literal ${")
		return ""
	})
}
