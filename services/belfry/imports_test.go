package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "gitee.com/belfry/belfry/"

// importRules say which of our packages a package may import, by prefix and without the module's path. A
// package that no rule names may import any.
var importRules = []struct {
	pkg, may string
	why      string
}{
	{"gen/", "gen/", "generated code knows nothing of ours"},
	{"pkg/gitee", "gen/belfry/event/ pkg/gitee", "it is a library of its own"},
	{"pkg/dingtalk", "pkg/dingtalk", "it is a library of its own"},
	{"pkg/fault", "gen/", "errors are below everything"},
	{"pkg/lifecycle", "", "it runs whatever it is given"},
	{"pkg/natsstore", "", "it opens a store and knows nothing of what is stored"},
	{"pkg/tlsfile", "pkg/tlsfile", "it reads certificates and knows nothing of whose they are"},
	{"pkg/config", "gen/belfry/config/ pkg/dingtalk", "it reads a file"},
	{"services/gateway", "gen/ pkg/ services/gateway", "it meets the notifier only through gen"},
	{"services/notifier/delivery", "gen/ pkg/dingtalk", "it declares what it needs and imports none of the implementations"},
	{"services/notifier/render", "gen/ pkg/dingtalk services/notifier/delivery", "it words notifications"},
	{"services/notifier/journal", "gen/ pkg/natsstore services/notifier/delivery services/notifier/journal", "it implements delivery's Journal"},
	{"services/notifier", "gen/ pkg/ services/notifier", "it meets the gateway only through gen"},
}

func TestImportRules(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		for _, imported := range words[1:] {
			if strings.HasPrefix(imported, "github.com/nats-io/") && !strings.HasPrefix(pkg, "pkg/natsstore") && !strings.HasPrefix(pkg, "services/notifier/journal") {
				t.Errorf("%s imports %s: NATS is for pkg/natsstore and services/notifier/journal", pkg, imported)
			}
			// What tests import stands in lists of its own.
			if imported == module+"pkg/natsstore/natstest" {
				t.Errorf("%s imports %s, which is for tests", pkg, imported)
			}
			if !strings.HasPrefix(imported, module) {
				continue
			}
			seen++
			imported = strings.TrimPrefix(imported, module)
			for _, r := range importRules {
				if pkg != strings.TrimSuffix(r.pkg, "/") && !strings.HasPrefix(pkg, strings.TrimSuffix(r.pkg, "/")+"/") {
					continue
				}
				allowed := slices.ContainsFunc(strings.Fields(r.may), func(p string) bool {
					return imported == strings.TrimSuffix(p, "/") || strings.HasPrefix(imported, strings.TrimSuffix(p, "/")+"/")
				})
				if !allowed {
					t.Errorf("%s imports %s: %s", pkg, imported, r.why)
				}
				break
			}
		}
	}
	if seen == 0 {
		t.Error("no import of ours was seen: the test looks at nothing")
	}
}
