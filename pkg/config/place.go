package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// Place says where in the file the problems are, in the order of the file.
func (s *Source) Place(problems []Problem) Faults {
	faults := make(Faults, len(problems))
	for i, p := range problems {
		faults[i] = s.place(p)
	}
	faults.sort()
	return faults
}

func (s *Source) place(p Problem) Fault {
	f := Fault{File: s.path, Message: p.Message}
	if p.Path != "" {
		f.Message = p.Path + ": " + p.Message
	}
	exact, n := s.node(p.Path)
	if n == nil {
		return f
	}
	f.Line, f.Column = n.Line, n.Column
	if p.Line <= 0 {
		return f
	}
	if exact && n.Style == 0 && strings.Count(n.LineComment, `"`)%2 == 1 {
		f.Message += " (YAML takes what follows the # for a comment: put the value in quotes, or on the line below >-)"
	}
	if exact && n.Kind == yaml.ScalarNode {
		if at, ok := within(s.data, n, p.Line, p.Column); ok {
			f.Line, f.Column = at.line, at.column
			return f
		}
	}
	f.Message += fmt.Sprintf(" (at %d:%d of the value)", p.Line, p.Column)
	return f
}

// within returns the place in the file of what stands at line and column of n's value. It is not known where
// something was put in place of a ${...} before it, and where the file writes the value in a way that is not
// followed here.
func within(data []byte, n *yaml.Node, line, column int) (spot, bool) {
	offset, ok := offsetOf(n.Value, line, column)
	if !ok {
		return spot{}, false
	}
	if ref := reference.FindStringIndex(n.Value); ref != nil && offset > utf8.RuneCountInString(n.Value[:ref[0]]) {
		return spot{}, false
	}
	spots := spotsOf(strings.Split(string(data), "\n"), n)
	if offset >= len(spots) {
		return spot{}, false
	}
	return spots[offset], true
}

// offsetOf returns how many code points of text are before its line and column, both from 1; the place after
// the last one of a line is its end.
func offsetOf(text string, line, column int) (int, bool) {
	offset := 0
	for i, l := range strings.Split(text, "\n") {
		size := utf8.RuneCountInString(l)
		if i+1 == line {
			return offset + column - 1, column >= 1 && column <= size+1
		}
		offset += size + 1
	}
	return 0, false
}

// node returns what stands at path, such as "notifier.robots[0].name", and that it is just that; otherwise the
// nearest thing around it that the file has, nil in an empty file.
func (s *Source) node(path string) (exact bool, n *yaml.Node) {
	if s.doc == nil || len(s.doc.Content) == 0 {
		return false, nil
	}
	n = resolved(s.doc.Content[0])
	if path == "" {
		return true, n
	}
	for field := range strings.SplitSeq(path, ".") {
		name, index, indexed := strings.Cut(strings.TrimSuffix(field, "]"), "[")
		child := valueOf(n, name)
		if child == nil {
			return false, n
		}
		n = child
		if !indexed {
			continue
		}
		i, err := strconv.Atoi(index)
		if err != nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
			return false, n
		}
		n = resolved(n.Content[i])
	}
	return true, n
}

// pathAt returns the path of what stands at a place, or of what holds the key that stands there; empty where
// that is the whole file or nothing.
func (s *Source) pathAt(at spot) string {
	var find func(n *yaml.Node, path string) string
	find = func(n *yaml.Node, path string) string {
		if n == nil {
			return ""
		}
		for i, child := range n.Content {
			here := path
			switch {
			case n.Kind == yaml.SequenceNode:
				here = fmt.Sprintf("%s[%d]", path, i)
			case n.Kind == yaml.MappingNode && i%2 == 1:
				here = strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
			}
			if child.Line == at.line && child.Column == at.column && child.Kind != yaml.AliasNode {
				return here
			}
			if found := find(child, here); found != "" {
				return found
			}
		}
		return ""
	}
	return find(s.doc, "")
}

// valueOf returns the value of a key of n, nil without one.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolved(n.Content[i+1])
		}
	}
	return nil
}

// resolved returns what an alias stands for, and anything else itself.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// emptyRules finds rules that are written down as empty: they would be taken for absent ones, and let every
// event through.
func (s *Source) emptyRules(gw *configv1.Gateway) []Problem {
	var problems []Problem
	for i, h := range gw.GetHooks() {
		for j := range h.GetRoutes() {
			path := fmt.Sprintf("gateway.hooks[%d].routes[%d].when", i, j)
			if exact, n := s.node(path); exact && n.Kind == yaml.ScalarNode && strings.TrimSpace(n.Value) == "" {
				problems = append(problems, Problem{Path: path, Message: "an empty rule says nothing: leave it out to take every event"})
			}
		}
	}
	return problems
}

// emptyRoles finds lists of roles that are written down as empty: they would be taken for absent ones, and
// mean the default where nobody was meant.
func (s *Source) emptyRoles() []Problem {
	var problems []Problem
	_, robots := s.node("notifier.robots")
	if robots == nil || robots.Kind != yaml.SequenceNode {
		return nil
	}
	for i, r := range robots.Content {
		rules := valueOf(resolved(r), "mentions")
		for _, occasion := range roleLists(&configv1.MentionRules{}) {
			if list := valueOf(rules, occasion.name); list != nil && list.Kind == yaml.SequenceNode && len(list.Content) == 0 {
				problems = append(problems, Problem{
					Path:    fmt.Sprintf("notifier.robots[%d].mentions.%s", i, occasion.name),
					Message: "an empty list says nothing: write [NOBODY] to call nobody, or leave it out for the default",
				})
			}
		}
	}
	return problems
}
