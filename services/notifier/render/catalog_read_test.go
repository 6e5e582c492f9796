package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFaultInACatalogueIsToldWithItsLineAndItsFix(t *testing.T) {
	for name, tt := range map[string]struct {
		file, old, new string
		want           []string
	}{
		"a key is missing":            {"en", `  merged: "{who} merged PR {pull}[ in {repo}]"` + "\n", "", []string{"en.yaml:", "pull.merged: is missing"}},
		"a key is misspelt":           {"en", "  conflict:", "  conflikt:", []string{"details.conflict: is missing", "details.conflikt: is no key of a catalogue"}},
		"a key stands there twice":    {"en", "  read_on: \"Read more\"\n", "  read_on: \"Read more\"\n  read_on: \"More\"\n", []string{"details: read_on stands there twice"}},
		"a section is missing":        {"ru", "\nbuttons:", "\nknöpfe:", []string{"ru.yaml:", "buttons: is missing", "knöpfe: is no key"}},
		"a place is misspelt":         {"ru", `deleted: "{who}: удалён тег {tag}[ ({repo})]"`, `deleted: "{who}: удалён тег {tga}[ ({repo})]"`, []string{"tag.deleted:", "place {tga}: it may have {who}, {tag}, {repo}"}},
		"a place is missing":          {"ru", `deleted: "{who}: удалён тег {tag}[ ({repo})]"`, `deleted: "{who}: удалён тег {tag}"`, []string{"tag.deleted:", "has no place for {repo}"}},
		"no number of the rest":       {"en", `    last: " and "` + "\n" + `    more: " and {more} more"`, `    last: " and "` + "\n" + `    more: " and others"`, []string{"lists.people.more:", "no place for {total}"}},
		"both numbers":                {"en", `    last: " and "` + "\n" + `    more: " and {more} more"`, `    last: " and "` + "\n" + `    more: " and {more} of {total}"`, []string{"it is to have one of them"}},
		"a link without words":        {"en", "{comment:commented}[ on {repo}]", "{comment}[ on {repo}]", []string{"comment.created.repository:", "write it as {comment:…}"}},
		"words where there is a name": {"en", "{who} opened PR", "{who:Someone} opened PR", []string{"pull.opened:", "write it as {who}"}},
		"a brace is not closed":       {"en", "{who} opened PR {pull}", "{who} opened PR {pull", []string{"pull.opened:", "{pull[ in {repo}: it may have"}},
		"a lonely brace":              {"en", "{who} opened PR {pull}", "{who} opened} PR {pull}", []string{`pull.opened:`, `has a "}" that belongs to nothing`}},
		"a last brace":                {"en", `named: "Webhook “{hook}” is connected"`, `named: "Webhook is connected {hook"`, []string{"ping.named:", "brace that is not closed"}},
		"a bracket is not closed":     {"en", "{who} opened PR {pull}[ in {repo}]", "{who} opened PR {pull}[ in {repo}", []string{"pull.opened:", "bracket that is not closed"}},
		"brackets in brackets":        {"en", "{who} opened PR {pull}[ in {repo}]", "{who} opened PR {pull}[ in [{repo}]]", []string{"pull.opened:", `"["`}},
		"brackets around nothing":     {"en", "{who} opened PR {pull}[ in {repo}]", "{who} opened[ the] PR {pull}[ in {repo}]", []string{"pull.opened:", "brackets without a place"}},
		"a lonely bar":                {"en", "{who} opened PR", "{who} opened | PR", []string{"pull.opened:", `"|"`}},
		"a plural is missing":         {"ru", "      few: \"{n} пуша\"\n", "", []string{"digest.counts.push.few: is missing: the language has the plural categories few, many, one"}},
		"a plural too many":           {"en", "      one: \"{n} push\"\n", "      one: \"{n} push\"\n      few: \"{n} pushes\"\n", []string{"digest.counts.push.few: is no key"}},
		"a plural without a figure":   {"en", `one: "{n} push"`, `one: "a push"`, []string{"digest.counts.push.one:", "no place for {n}"}},
		"no plurals":                  {"en", "    message:\n      one: \"{n} message\"\n      other: \"{n} messages\"\n", "    message: \"{n} messages\"\n", []string{"digest.counts.message: is to have keys below it"}},
		"plurals without need":        {"zh-CN", `    push: "推送 {n}"`, "    push:\n      other: \"推送 {n}\"", []string{"digest.counts.push: is to be a text"}},
		"Markdown":                    {"en", `somebody: "Someone"`, `somebody: "*Someone*"`, []string{"nouns.somebody:", `"*"`}},
		"Markdown in a sentence":      {"en", "{who} opened PR", "{who} **opened** PR", []string{"pull.opened:", `"*"`}},
		"a semicolon":                 {"en", `then: " · "`, `then: "; "`, []string{"marks.then:", `";"`}},
		"a colon before a noun":       {"en", `was_at: "Was at {commit}"`, `was_at: "Was:{commit}"`, []string{"details.was_at:", "part of an address"}},
		"a German date":               {"en", `date: "{month} {day}, {clock}"`, `date: "{day}. {month}, {clock}"`, []string{"times.date:", "makes a list"}},
		"a list":                      {"en", `elsewhere: "Other"`, `elsewhere: "1. Other"`, []string{"digest.elsewhere:", "begins a list"}},
		"a control character":         {"en", `group: "The group`, `group: "The\u202egroup`, []string{"failures.robot_unavailable.group:", "control character"}},
		"a line feed":                 {"en", `somebody: "Someone"`, `somebody: "Some\none"`, []string{"nouns.somebody:", "control character"}},
		"a place in a fixed text":     {"en", `somebody: "Someone"`, `somebody: "{who}"`, []string{"nouns.somebody: this text has no places"}},
		"an empty text":               {"en", `somebody: "Someone"`, `somebody: ""`, []string{"nouns.somebody: says nothing"}},
		"a number":                    {"en", `somebody: "Someone"`, `somebody: 1`, []string{"nouns.somebody: is to be a text"}},
		"eleven months":               {"en", `"Jan", `, ``, []string{"times.months: is to be a list of the 12 months"}},
		"a date for a clock":          {"en", `clock: "15:04"`, `clock: "Jan 2"`, []string{"times.clock:", "does not tell the time of day"}},
		"a zone that is not there":    {"ru", `"Europe/Moscow"`, `"Europe/Moskau"`, []string{"time_zone:", "Europe/Moskau"}},
		"no YAML":                     {"en", "marks:", "marks: :", []string{"en.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join("locales", tt.file+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(source), tt.old) {
				t.Fatalf("%s has no %q any more", tt.file, tt.old)
			}
			_, err = readLanguage(tt.file+".yaml", []byte(strings.Replace(string(source), tt.old, tt.new, 1)))
			if err == nil {
				t.Fatal("it was read")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q has not %q", err, w)
				}
			}
		})
	}
}

func TestACatalogueIsNamedAfterItsLanguage(t *testing.T) {
	source, err := os.ReadFile("locales/en.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readLanguage("english words.yaml", source); err == nil || !strings.Contains(err.Error(), "pt-BR.yaml") {
		t.Errorf("error %v", err)
	}
	for _, empty := range []string{"", "# nothing\n"} {
		if _, err := readLanguage("en.yaml", []byte(empty)); err == nil {
			t.Errorf("%q was read", empty)
		}
	}
	if _, err := readLanguage("en-GB.yaml", source); err != nil {
		t.Errorf("the same as another language's: %v", err)
	}
}
