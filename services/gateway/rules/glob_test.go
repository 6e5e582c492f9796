package rules

import (
	"strings"
	"testing"
)

func TestGlobFitsTheWholeText(t *testing.T) {
	for _, tt := range []struct {
		pattern     string
		fits, unfit string // separated by blanks; "-" is the empty text
	}{
		{pattern: "main", fits: "main", unfit: "- Main maine xmain main/x"},
		{pattern: "release/*", fits: "release/ release/1.0 release/вып", unfit: "release release/1/2 pre/release/1"},
		{pattern: "*", fits: "- main вéтка", unfit: "a/b"},
		{pattern: "**", fits: "- main a/b /a/b/", unfit: ""},
		{pattern: "docs/**", fits: "docs docs/ docs/a docs/a/b.md", unfit: "doc docs2/a x/docs/a"},
		{pattern: "**/*.go", fits: "a.go a/b.go a/b/c.go", unfit: "a.gox a/b"},
		{pattern: "a/**/b", fits: "a/b a/x/b a/x/y/b", unfit: "a a/bb ab a/x"},
		{pattern: "**/", fits: "- a/ a/b/", unfit: "a a/b"},
		{pattern: "a/**/", fits: "a a/ a/b/", unfit: "a/b b/"},
		{pattern: "a**b", fits: "ab axb", unfit: "a/b a/x/b"},
		{pattern: "**.txt", fits: "a.txt", unfit: "a/b.txt"},
		{pattern: "v?.?", fits: "v1.2 vя.2", unfit: "v1.10 v/.2"},
		{pattern: "v[0-9].[!0-9]", fits: "v1.x", unfit: "v1.1 vx.x"},
		{pattern: `[\]\-a]`, fits: "] - a", unfit: "b"},
		{pattern: "{main,release/*}", fits: "main release/1", unfit: "release x"},
		{pattern: "{a,b{c,d}}/{,x}", fits: "a/ bc/x bd/", unfit: "b/ ac/"},
		{pattern: `\*\{\\`, fits: `*{\`, unfit: `x{\ a{\`},
		{pattern: "[{,}]", fits: "{ , }", unfit: "a"},
		{pattern: "a+b(c)$", fits: "a+b(c)$", unfit: "aab(c)"},
		{pattern: "", fits: "-", unfit: "a"},
	} {
		p, err := compilePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		for want, texts := range map[bool]string{true: tt.fits, false: tt.unfit} {
			for text := range strings.FieldsSeq(texts) {
				text = strings.TrimPrefix(text, "-")
				if tt.pattern == `[\]\-a]` && text == "" {
					text = "-"
				}
				if got := p.match(text); got != want {
					t.Errorf("%q fits %q: %t, want %t", text, tt.pattern, got, want)
				}
			}
		}
	}
}

func TestAFaultyPatternIsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"release/[":                `"[" has no ]`,
		"[]":                       `"[]" has no ]`,
		"[!]x":                     `"[!]x" has no ]`,
		"[a\\]":                    `has no ]`,
		"{a,b":                     `"{a,b" has no }`,
		"a}":                       `} has no {`,
		`a\`:                       `ends with a single \`,
		strings.Repeat("ы", 501):   "longer than 500",
		strings.Repeat("{a,b}", 7): "more than 100 patterns",
	} {
		if _, err := compilePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", pattern, err, want)
		}
	}
}
