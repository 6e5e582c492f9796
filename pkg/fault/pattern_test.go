package fault

import (
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

func TestEveryPatternOfTheSchemaHasASentence(t *testing.T) {
	used := make(map[string]bool)
	look := func(rules *validate.FieldRules) {
		if s := rules.GetString(); s != nil && s.Pattern != nil {
			used[s.GetPattern()] = true
		}
	}
	for _, pkg := range []protoreflect.FullName{
		notifierv1.File_belfry_notifier_v1_notifier_service_proto.Package(), eventv1.File_belfry_event_v1_event_proto.Package(),
	} {
		protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(f protoreflect.FileDescriptor) bool {
			for i := range f.Messages().Len() {
				fields := f.Messages().Get(i).Fields()
				for k := range fields.Len() {
					rules, ok := proto.GetExtension(fields.Get(k).Options(), validate.E_Field).(*validate.FieldRules)
					if ok {
						look(rules)
						look(rules.GetRepeated().GetItems())
					}
				}
			}
			return true
		})
	}
	for pattern := range used {
		if forms[pattern] == "" {
			t.Errorf("people would be shown the pattern %s", pattern)
		}
	}
	for pattern := range forms {
		if !used[pattern] {
			t.Errorf("no field has the pattern %s", pattern)
		}
	}
}
