package config

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// few lists names, the first few of many.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// maxCompared bounds how many names are brought into order: of more of them it would take long.
const maxCompared = 200

// nearest returns the names in another order, those most like wanted first.
func nearest(names []string, wanted string) []string {
	names = slices.Clone(names)
	if len(names) > maxCompared {
		return names
	}
	slices.SortStableFunc(names, func(a, b string) int { return distance(a, wanted) - distance(b, wanted) })
	return names
}

// distance returns how many bytes must be put in, taken out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// keysAt returns the keys that what stands at path may have; none where it is no message.
func keysAt(path string) []string {
	m := (*configv1.Config)(nil).ProtoReflect().Descriptor()
	for name := range strings.SplitSeq(path, ".") {
		if path == "" {
			break
		}
		name, _, _ = strings.Cut(name, "[")
		fd := m.Fields().ByName(protoreflect.Name(name))
		if fd == nil || fd.Message() == nil {
			return nil
		}
		m = fd.Message()
	}
	var keys []string
	for i := range m.Fields().Len() {
		keys = append(keys, string(m.Fields().Get(i).Name()))
	}
	return keys
}
