package config

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzSpots wants every place that is told to hold what it should: the code point itself, or what YAML
// makes it of.
func FuzzSpots(f *testing.F) {
	for _, doc := range []string{
		"a: b c", "a: 'it''s'", `a: "b\n\"c"`, "a: |\n  b\n\n  c\n", "a: >\n  b\n  c\n\n   d\n  e\n", "a: b\n\n  c", "- \"a\n\n  b\"", "|2\n   a", "&x >+\n a\n\n",
		"a: |\n \n  b", "a: 'b\n  c'", ">-\n\n a", "a: \"x\\\n  y\"", "!!str b",
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var n yaml.Node
		doc = lineBreaks.Replace(doc)
		if yaml.Unmarshal([]byte(doc), &n) != nil {
			return
		}
		lines := strings.Split(doc, "\n")
		var look func(n *yaml.Node)
		look = func(n *yaml.Node) {
			for _, child := range n.Content {
				look(child)
			}
			if n.Kind != yaml.ScalarNode {
				return
			}
			spots := spotsOf(lines, n)
			for i, want := range []rune(n.Value) {
				if i >= len(spots) {
					break
				}
				at, got := spots[i], rune('\n')
				text := []rune(lines[at.line-1])
				if at.column <= len(text) {
					got = text[at.column-1]
				}
				if got != want && got != '\\' && !(strings.ContainsRune(" \n", want) && strings.ContainsRune("\n \t", got)) {
					t.Fatalf("code point %d, %q, is said to stand at %v, where there is %q:\n%s", i, want, at, got, doc)
				}
			}
		}
		look(&n)
	})
}
