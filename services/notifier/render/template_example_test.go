package render

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// exampleRobot is a robot of an example.
type exampleRobot struct {
	Name      string
	Locale    string
	Templates []Template
}

// examples are those of the manual, which has template_examples.yaml as it is, and one in Russian.
func examples(t *testing.T) (robots []exampleRobot) {
	t.Helper()
	for _, name := range []string{"template_examples.yaml", "template_ru.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Notifier struct{ Robots []exampleRobot }
		}
		if err := yaml.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		robots = append(robots, file.Notifier.Robots...)
	}
	return robots
}

func allSamples() []*eventv1.Event {
	var all []*eventv1.Event
	for _, s := range samples() {
		all = append(all, s.event)
	}
	return all
}

func TestExamplesWordEverySample(t *testing.T) {
	for _, r := range examples(t) {
		for _, fault := range TryTemplates(r.Locale, r.Templates, allSamples()) {
			t.Errorf("%s: %v", r.Name, fault)
		}
	}
}

func TestExamplesReadAsInTheirGoldenFiles(t *testing.T) {
	told := map[string][]string{
		"payments-team": {"push", "branch_deleted", "push_hostile"},
		"platform-team": {"pull_merged", "pull_opened"},
		"moscow":        {"comment_pull_created", "comment_issue_created", "comment_commit_deleted", "comment_repository_created"},
	}
	byName := map[string]*eventv1.Event{}
	for _, s := range samples() {
		byName[s.name] = s.event
	}
	for _, r := range examples(t) {
		all, faults := compileTemplates(r.Templates)
		if len(faults) > 0 || len(told[r.Name]) == 0 {
			t.Fatalf("%s: faults %v, samples %q", r.Name, faults, told[r.Name])
		}
		for _, name := range told[r.Name] {
			t.Run(r.Name+"/"+name, func(t *testing.T) {
				title, text, err := all.words(wordingFor(r.Locale), byName[name])
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("..", "template_golden", r.Name, name), dingtalk.Message{Content: dingtalk.Markdown{Title: title, Text: text}})
			})
		}
	}
}
