package gitee_test

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitee.com/belfry/belfry/pkg/gitee"
)

// triggers are what an INDEX.md calls the trigger of a sample, by the start of its text, and what Parse
// is to make of it.
var triggers = []struct{ start, kind, action string }{
	{"push code (new branch)", "push", "created"},
	{"push code", "push", "pushed"},
	{"create tag", "tag", "created"},
	{"issue assignee changed", "issue", "assigned"},
	{"issue deleted", "issue", "deleted"},
	{"issue created", "issue", "opened"},
	{"PR closed", "pull_request", "closed"},
	{"PR merged", "pull_request", "merged"},
	{"PR created", "pull_request", "opened"},
	{"PR", "pull_request", "opened"},
	{"comment on issue (deleted)", "comment", "deleted"},
	{"comment on issue (edited)", "comment", "edited"},
	{"comment on issue", "comment", "created"},
	{"comment on PR", "comment", "created"},
	{"test button", "ping", "pinged"},
}

// TestRealDeliveries reads the bodies in the folder named by BELFRY_GITEE_SAMPLES: files *.json, with the
// headers in files *.headers of the same name, and an INDEX.md with a table of file names and triggers.
func TestRealDeliveries(t *testing.T) {
	dir := os.Getenv("BELFRY_GITEE_SAMPLES")
	if dir == "" {
		t.Skip("BELFRY_GITEE_SAMPLES names no folder of real deliveries")
	}
	index, err := os.ReadFile(filepath.Join(dir, "INDEX.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	ids := map[string]string{}
	for row := range strings.Lines(string(index)) {
		cells := strings.Split(row, "|")
		if len(cells) < 4 || !strings.HasSuffix(strings.TrimSpace(cells[1]), ".json") {
			continue
		}
		file, trigger := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		known[file] = true
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			want := slices.IndexFunc(triggers, func(x struct{ start, kind, action string }) bool { return strings.HasPrefix(trigger, x.start) })
			if want < 0 {
				t.Fatalf("nobody said what to make of %q", trigger)
			}
			for i, h := range []http.Header{{}, sampleHeader(t, filepath.Join(dir, strings.TrimSuffix(file, ".json")+".headers"))} {
				h.Set("X-Gitee-Token", password)
				e, err := gitee.Parse(gitee.Password(password), "sample", h, body, sent)
				if err != nil {
					t.Fatal(err)
				}
				if err := check(e); err != nil {
					t.Error(err)
				}
				m := e.ProtoReflect()
				kind := string(m.WhichOneof(m.Descriptor().Oneofs().ByName("subject")).Name())
				action := strings.ToLower(strings.TrimPrefix(e.GetAction().String(), "ACTION_"))
				if kind != triggers[want].kind || action != triggers[want].action {
					t.Errorf("%s: parsed as %s %s", trigger, kind, action)
				}
				if kind != "ping" && e.GetSender().GetLogin() == "" {
					t.Errorf("has no sender: %v", e)
				}
				if i == 0 {
					if other, ok := ids[e.GetId()]; ok {
						t.Errorf("has the id of %s", other)
					}
					ids[e.GetId()] = file
				}
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples in %s: %v", dir, err)
	}
	for _, f := range files {
		if !known[filepath.Base(f)] {
			t.Errorf("%s is not in INDEX.md", filepath.Base(f))
		}
	}
}

// sampleHeader reads "Name: value" lines; none where there is no such file.
func sampleHeader(t *testing.T, path string) http.Header {
	h := http.Header{}
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return h
	} else if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok {
			h.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}
