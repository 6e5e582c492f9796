package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
)

// source reads a file that says yaml.
func source(t *testing.T, yaml string) *config.Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// named has FILE for the name of the file.
func named(faults config.Faults) string {
	var lines []string
	for _, f := range faults {
		f.File = "FILE"
		lines = append(lines, f.Error())
	}
	return strings.Join(lines, "\n")
}

// findMarks is a Check that finds fault with each "§" in a rule or a template.
func findMarks(cfg *configv1.Config) []config.Problem {
	var problems []config.Problem
	look := func(path, value string) {
		for i, line := range strings.Split(value, "\n") {
			if at := strings.Index(line, "§"); at >= 0 {
				problems = append(problems, config.Problem{Path: path, Line: i + 1, Column: utf8.RuneCountInString(line[:at]) + 1, Message: "a mark"})
			}
		}
	}
	for i, h := range cfg.GetGateway().GetHooks() {
		for j, r := range h.GetRoutes() {
			look(fmt.Sprintf("gateway.hooks[%d].routes[%d].when", i, j), r.GetWhen())
		}
	}
	for i, r := range cfg.GetNotifier().GetRobots() {
		for j, tmpl := range r.GetTemplates() {
			look(fmt.Sprintf("notifier.robots[%d].templates[%d].text", i, j), tmpl.GetText())
		}
	}
	return problems
}

// TestAFaultWithinAValueIsPlacedInTheFile has values in every style of YAML; the place must be where the
// file has the "§".
func TestAFaultWithinAValueIsPlacedInTheFile(t *testing.T) {
	t.Setenv("WORD", "a longer word")
	for name, value := range map[string]string{
		"plain":                           `kind == §`,
		"plain, at its beginning":         `§`,
		"plain, behind other scripts":     `分支 == §`,
		"plain, over lines":               "kind == push &&  \n            branch == main\n\n            || § == x",
		"plain, before a comment":         "kind == §  # a comment",
		"single quotes":                   `'kind == "push" && §'`,
		"single quotes within":            `'it''s § that'`,
		"single quotes, over lines":       "'kind == \n\n\n              push && § '",
		"double quotes":                   `"kind is § here"`,
		"double quotes, escapes":          `"kind == \"push\" && branch == \"a\\b\" && §"`,
		"double quotes, a break":          `"one\ntwo §"`,
		"double quotes, over lines":       "\"kind ==\n            push && §\"",
		"literal":                         "|\n            kind == push\n            && §\n",
		"literal, empty lines":            "|\n\n            kind == push\n\n            && §\n\n",
		"literal, stripped":               "|-\n            kind\n              deeper §",
		"literal, kept":                   "|+\n            § kind\n\n",
		"literal, its indent given":       "|2\n              two blanks in front\n            and § here\n",
		"folded":                          ">\n            kind == push\n            && §\n",
		"folded, paragraphs":              ">-\n            kind == push\n\n            && this\n            and §",
		"folded, deeper lines":            ">\n            kind\n              deeper\n              deeper §\n            out\n            again\n",
		"folded, behind a deeper line":    ">\n            kind\n              deeper\n\n            out §\n",
		"folded, kept":                    ">+\n\n            a\n            § kind\n\n",
		"before something put in place":   `'§ ${WORD}'`,
		"beside what only looks like one": `'$x {{$y}} $ {z} §'`,
	} {
		for place, yaml := range map[string]string{
			"a rule":     strings.Replace(base(), "[{robots: [team]}]", "\n        - robots: [team]\n          when: "+value, 1),
			"a template": base() + "      templates:\n        - kind: push\n          text: " + value + "\n",
		} {
			t.Run(name+"/"+place, func(t *testing.T) {
				before, _, _ := strings.Cut(yaml, "§")
				line := strings.Count(before, "\n") + 1
				column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
				_, err := config.Parse("b.yaml", []byte(yaml), both, findMarks)
				faults, _ := err.(config.Faults)
				if len(faults) != 1 || faults[0].Line != line || faults[0].Column != column || strings.Contains(err.Error(), "of the value") {
					t.Errorf("got %v, want b.yaml:%d:%d for:\n%s", err, line, column, yaml)
				}
			})
		}
	}
}

// base is a good file that ends within its robot.
func base() string {
	return strings.NewReplacer("${HOOK_SECRET}", "x", "${ROBOT_TOKEN}", "x", "${file:SECRETFILE}", "x").Replace(good)
}

func TestAFaultThatCannotBePlacedWithinItsValueSaysWhereItIsThere(t *testing.T) {
	t.Setenv("WORD", "one\ntwo")
	for name, c := range map[string]struct{ value, want string }{
		"an escape by number":          {`"a\u0020§"`, "b.yaml:15:17: notifier.robots[0].templates[0].text: a mark (at 1:3 of the value)"},
		"an escaped line break":        {"\"a\\\n             b§\"", "b.yaml:15:17: notifier.robots[0].templates[0].text: a mark (at 1:3 of the value)"},
		"behind something put in":      {`'${WORD} and §'`, "b.yaml:15:17: notifier.robots[0].templates[0].text: a mark (at 2:9 of the value)"},
		"behind something written out": {`'$${WORD} §'`, "b.yaml:15:17: notifier.robots[0].templates[0].text: a mark (at 1:9 of the value)"},
		"in something put in":          {`'${MARK}'`, "b.yaml:15:17: notifier.robots[0].templates[0].text: a mark (at 1:2 of the value)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MARK", "a§")
			_, err := config.Parse("b.yaml", []byte(base()+"      templates:\n        - kind: push\n          text: "+c.value+"\n"), both, findMarks)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestChecksAreNotAskedAboutWhatIsFaultyAlready has a check that blames everything.
func TestChecksAreNotAskedAboutWhatIsFaultyAlready(t *testing.T) {
	blame := func(paths ...string) config.Check {
		return func(*configv1.Config) (all []config.Problem) {
			for _, p := range paths {
				all = append(all, config.Problem{Path: p, Message: "blamed"})
			}
			return all
		}
	}
	for name, c := range map[string]struct{ when, path, want string }{
		"good so far":    {"x", "gateway.hooks[0].routes[0].when", "b.yaml:6:39: gateway.hooks[0].routes[0].when: blamed"},
		"not set":        {"'${NO_SUCH}'", "gateway.hooks[0].routes[0].when", "b.yaml:6:39: gateway.hooks[0].routes[0].when: the environment variable NO_SUCH is not set: set it where Belfry is started"},
		"too long":       {strings.Repeat("x", 4001), "gateway.hooks[0].routes[0].when", "b.yaml:6:39: gateway.hooks[0].routes[0].when: is longer than 4000 characters"},
		"unreadable":     {"[x]", "gateway.hooks[0].routes[0].when", "b.yaml:6:39: gateway.hooks[0].routes[0].when: a single value belongs here"},
		"not in file":    {"x", "gateway.hooks[0].routes[0].whence", "b.yaml:6:16: gateway.hooks[0].routes[0].whence: blamed"},
		"not in a list":  {"x", "gateway.hooks[7].name", "b.yaml:4:5: gateway.hooks[7].name: blamed"},
		"the whole file": {"x", "", "b.yaml:2:1: blamed"},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := strings.Replace(base(), "robots: [team]", "robots: [team], when: "+c.when, 1)
			if _, err := config.Parse("b.yaml", []byte(yaml), both, blame(c.path)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestADollarSignNeedsNoCareButBeforeABrace is the contract for rules and templates.
func TestADollarSignNeedsNoCareButBeforeABrace(t *testing.T) {
	t.Setenv("WORD", "word")
	for text, want := range map[string]string{
		`{{range $i, $c := .event.push.commits}}{{$c.message}}{{end}}`: `{{range $i, $c := .event.push.commits}}{{$c.message}}{{end}}`,
		`branch.matches("^v[0-9]+$") || x == "$"`:                      `branch.matches("^v[0-9]+$") || x == "$"`,
		`$WORD $$ $`:      `$WORD $$ $`,
		`${WORD}$${WORD}`: `word${WORD}`,
		`$$${WORD}`:       `$${WORD}`,
	} {
		cfg, err := config.Parse("b.yaml", []byte(base()+fmt.Sprintf("      templates: [{kind: push, text: %q}]\n", text)), both)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := cfg.GetNotifier().GetRobots()[0].GetTemplates()[0].GetText(); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}

// TestADraftHasStandInsForWhatIsMissing reads a file without its secrets, but with every rule.
func TestADraftHasStandInsForWhatIsMissing(t *testing.T) {
	t.Setenv("LISTEN", "")
	yaml := strings.Replace(good, "hooks:", "listen: ${LISTEN}\n  hooks:", 1) + `
    - name: twin
      webhook: ${TWIN_WEBHOOK}
      templates: [{kind: push, text: "for ${TEAM}"}]
  store: {nats: {url: 'nats://a', credentials_file: /no/such}}
`
	src := source(t, yaml)
	cfg, missing, err := src.Draft(func(cfg *configv1.Config) []config.Problem {
		return []config.Problem{{Path: "notifier.robots[1].templates[0].text", Message: "of a stand-in"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"${HOOK_SECRET}", "${LISTEN}", "${ROBOT_TOKEN}", "${TEAM}", "${TWIN_WEBHOOK}", "${file:SECRETFILE}"}; !slices.Equal(missing, want) {
		t.Errorf("missing %q, want %q", missing, want)
	}
	if got := cfg.GetNotifier().GetRobots()[1].GetTemplates()[0].GetText(); got != "for missing-TEAM" {
		t.Errorf("the template became %q", got)
	}
	_, _, err = source(t, strings.Replace(yaml, "keywords:", "keyword:", 1)).Draft()
	if err == nil || !strings.Contains(err.Error(), "there is no key") {
		t.Errorf("a draft with a fault of its own: %v", err)
	}
}

func TestTheSumTellsWhenTheFileOrOneThatItNamesHasChanged(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	src := source(t, strings.ReplaceAll(good, "SECRETFILE", secret))
	if got := src.Named(); !slices.Equal(got, []string{secret}) {
		t.Fatalf("it names %q", got)
	}
	seen := map[[32]byte]string{src.Sum(): "no file"}
	for _, content := range []string{"", "a", "b"} {
		if err := os.WriteFile(secret, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[src.Sum()]; ok {
			t.Errorf("content %q and %s have one sum", content, other)
		}
		seen[src.Sum()] = content
	}
	if first, again := src.Sum(), src.Sum(); first != again {
		t.Error("it changes by itself")
	}
	if source(t, good+"\n").Sum() == source(t, good).Sum() {
		t.Error("two texts have one sum")
	}
}
