package render

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	cldr "golang.org/x/text/feature/plural"
	xlanguage "golang.org/x/text/language"
	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
)

// These tests read the files by themselves, so that a fault of the reader can't hide one of a catalogue.

// pluralKeys are the keys of counts.
var pluralKeys = []string{"zero", "one", "two", "few", "many", "other"}

// catalogueTexts returns the texts of a catalogue by their keys, joined by dots; a count as its texts by category.
func catalogueTexts(t *testing.T, locale string) map[string]map[string]string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("locales", locale+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(source, &tree); err != nil {
		t.Fatal(err)
	}
	texts := map[string]map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				if _, isText := below.(string); isText && slices.Contains(pluralKeys, key) {
					if texts[path] == nil {
						texts[path] = map[string]string{}
					}
					texts[path][key] = below.(string)
					continue
				}
				walk(strings.TrimPrefix(path+"."+key, "."), below)
			}
		case []any:
			for i, below := range v {
				walk(fmt.Sprint(path, ".", i), below)
			}
		case string:
			texts[path] = map[string]string{"": v}
		default:
			t.Errorf("%s: %s is a %T", locale, path, v)
		}
	}
	walk("", tree)
	return texts
}

// counts are the keys of amounts: those that have figures of their own in every language.
func counts(t *testing.T) map[string]bool {
	found := map[string]bool{}
	for key, forms := range catalogueTexts(t, "ru") {
		if _, plain := forms[""]; !plain {
			found[key] = true
		}
	}
	return found
}

func TestNoCatalogueLacksOrAddsAKey(t *testing.T) {
	want := slices.Sorted(maps.Keys(catalogueTexts(t, defaultLocale)))
	if len(want) < 150 {
		t.Fatalf("%s has %d texts only: %v", defaultLocale, len(want), want)
	}
	inEachLanguage(t, func(t *testing.T, locale string) {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(catalogueTexts(t, locale)))); diff != "" {
			t.Errorf("the keys are not those of %s (-want +got):\n%s", defaultLocale, diff)
		}
	})
}

var placeholder = regexp.MustCompile(`\{([a-z]+)(?::[^}]*)?\}`)

func TestEachTextHasThePlacesOfTheChineseOne(t *testing.T) {
	places := func(text string) []string {
		var names []string
		for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
			if m[1] == "more" {
				m[1] = "total" // how many more, or how many in all: a language has the one that it says
			}
			names = append(names, m[1])
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	model := catalogueTexts(t, defaultLocale)
	inEachLanguage(t, func(t *testing.T, locale string) {
		for key, forms := range catalogueTexts(t, locale) {
			want := places(model[key][""])
			for category, text := range forms {
				if got := places(text); !slices.Equal(got, want) {
					t.Errorf("%s %s: %q has %q, want %q", key, category, text, got, want)
				}
			}
		}
	})
}

func TestEachCountHasThePluralCategoriesOfTheLanguage(t *testing.T) {
	names := map[cldr.Form]string{
		cldr.Zero: "zero", cldr.One: "one", cldr.Two: "two", cldr.Few: "few", cldr.Many: "many", cldr.Other: "other",
	}
	all := counts(t)
	if len(all) < 10 {
		t.Fatalf("there are %d counts only: %v", len(all), all)
	}
	inEachLanguage(t, func(t *testing.T, locale string) {
		needed := map[string]bool{}
		for n := range 10_000 {
			needed[names[cldr.Cardinal.MatchPlural(xlanguage.MustParse(locale), n, 0, 0, 0, 0)]] = true
		}
		want := slices.Sorted(maps.Keys(needed))
		if len(want) == 1 {
			want = []string{""}
		}
		for key, forms := range catalogueTexts(t, locale) {
			if got := slices.Sorted(maps.Keys(forms)); all[key] && !slices.Equal(got, want) {
				t.Errorf("%s has the categories %q, want %q", key, got, want)
			} else if !all[key] && !slices.Equal(got, []string{""}) {
				t.Errorf("%s has plural categories, and counts nothing", key)
			}
		}
	})
}

// plainKeys begin the keys of texts that never stand in Markdown, or are escaped before.
var plainKeys = []string{"failures.", "notes.", "buttons.", "details.image", "time_zone", "times.clock"}

func TestNoTextHoldsMarkdownOrControlCharacters(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		for key, forms := range catalogueTexts(t, locale) {
			for _, text := range forms {
				if strings.ContainsFunc(text, unicode.IsControl) || tame(strings.ReplaceAll(text, "\u00a0", " ")) != strings.ReplaceAll(text, "\u00a0", " ") && !strings.Contains(text, "@") {
					t.Errorf("%s has control characters or something that hides: %q", key, text)
				}
				if slices.ContainsFunc(plainKeys, func(p string) bool { return strings.HasPrefix(key, p) }) {
					continue
				}
				bare := strings.TrimSpace(strings.NewReplacer("[", "", "]", "", "|", "").Replace(placeholder.ReplaceAllString(text, "x")))
				if escape(bare) != bare && !strings.HasPrefix(bare, "+x") { // changed lines stand behind their label
					t.Errorf("%s has Markdown: %q", key, text)
				}
			}
		}
	})
}

func TestTheLanguagesAreThoseOfTheSchemaInItsOrder(t *testing.T) {
	field := (&configv1.Robot{}).ProtoReflect().Descriptor().Fields().ByName("locale")
	rules := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	want := slices.DeleteFunc(slices.Clone(rules.GetString().GetIn()), func(s string) bool { return s == "" })
	if got := Locales(); !slices.Equal(got, want) {
		t.Errorf("Locales are %q, and the configuration takes %q", got, want)
	}
}

// The time zone of a language stands in its catalogue and, for quiet hours, among the defaults of the
// configuration.
func TestTheTimeZonesOfTheLanguagesAreThoseOfTheConfiguration(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, locale string) {
		cfg, err := config.Parse("belfry.yaml", []byte("notifier:\n  store: {embedded: {dir: data}}\n  robots:\n    - name: team\n      locale: "+locale+
			"\n      webhook: https://oapi.dingtalk.com/robot/send?access_token=x\n"), config.Parts{Notifier: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := wordingFor(locale).zone.String(), cfg.GetNotifier().GetRobots()[0].GetTimeZone(); got != want {
			t.Errorf("times are in %s, quiet hours in %s", got, want)
		}
	})
}
