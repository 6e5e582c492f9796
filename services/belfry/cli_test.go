package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"gitee.com/belfry/belfry/pkg/config"
)

// called is what came of calling the command within this process.
type called struct {
	code           int
	stdout, stderr string
}

// call does what the command with args does, but for the exit. The end of ctx stands for a signal.
func call(ctx context.Context, args ...string) called {
	return callWith(ctx, "", args...)
}

// callWith is call with something on the standard input.
func callWith(ctx context.Context, stdin string, args ...string) called {
	var stdout, stderr bytes.Buffer
	code := report(&stderr, run(ctx, args, strings.NewReader(stdin), &stdout, &stderr))
	return called{code, stdout.String(), stderr.String()}
}

// initVariables are the environment variables that init.yaml names.
func initVariables(t *testing.T) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]{5,})\}`).FindAllSubmatch(initYAML, -1) {
		t.Setenv(string(m[1]), "SECfor-the-test-"+string(m[1])) // two robots can't have the same token
	}
}

func write(t *testing.T, yaml string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "belfry.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAWrongCallIsToldInOneLine(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
	}{
		{"frob", "belfry: unexpected argument frob (see belfry --help)\n"},
		{"chekc", "belfry: unexpected argument chekc, did you mean \"check\"? (see belfry --help)\n"},
		{"run --frob", "belfry: unknown flag --frob (see belfry --help)\n"},
		{"run extra", "belfry: unexpected argument extra (see belfry --help)\n"},
		{"run -c", "belfry: --config: its value is missing (see belfry --help)\n"},
		{"run --log-level=loud", "belfry: --log-level must be one of \"debug\",\"info\",\"warn\",\"error\" but got \"loud\" (see belfry --help)\n"},
	} {
		if got := call(t.Context(), strings.Fields(tc.args)...); got != (called{2, "", tc.want}) {
			t.Errorf("belfry %s: %+v, want code 2 and %q", tc.args, got, tc.want)
		}
	}
}

func TestWithoutACommandHelpIsShownAndTheCallIsWrong(t *testing.T) {
	got := call(t.Context())
	if got.code != 2 || got.stdout != "" {
		t.Errorf("code %d, stdout %q; want 2 and nothing", got.code, got.stdout)
	}
	for _, want := range []string{"Usage: belfry <command>", "belfry: say what to do: name a command\n"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, got.stderr)
		}
	}
}

func TestHelpNamesCommandsFlagsAndDefaults(t *testing.T) {
	for args, wants := range map[string][]string{
		"--help":           {"demo", "run", "gateway", "notifier", "check", "explain", "init", "migrate", "simulator", "health", "--log-level=LEVEL", "--version"},
		"run --help":       {"-c, --config=FILE", "(default: belfry.yaml)", "(default: info)"},
		"init --help":      {"-o, --out=FILE", "must not exist"},
		"demo --help":      {"--listen=ADDRESS"},
		"explain --help":   {"--hook=NAME", "--event-header=WEBHOOK", "--ping", "--all-locales", "--json", "<file>", "no network is used"},
		"health --help":    {"--admin=ADDRESS", "127.0.0.1:9092"},
		"simulator --help": {"--listen=ADDRESS", "--page=ADDRESS", "--tls=DIR", "--host=NAME", "--token=TEXT", "--keyword=WORD", "plain http"},
		"migrate --help":   {"--from=FILE", "--to=FILE", "All notifiers of both must be stopped", "The source stays as it is"},
	} {
		got := call(t.Context(), strings.Fields(args)...)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("belfry %s: code %d, stderr %q", args, got.code, got.stderr)
		}
		for _, want := range wants {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("belfry %s does not show %q:\n%s", args, want, got.stdout)
			}
		}
	}
}

func TestInitWritesAFileForItsOwnerAndNeverOverwrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.yaml")
	got := call(t.Context(), "init", "-o", file)
	if want := "wrote " + file + "; fill it in, then: belfry check -c " + file + "\n"; got != (called{0, want, ""}) {
		t.Fatalf("%+v, want code 0 and %q", got, want)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, want 0600", info.Mode().Perm())
	}
	initVariables(t)
	if got := call(t.Context(), "check", "-c", file); got.code != 0 {
		t.Errorf("check finds fault with it: %s", got.stderr)
	}

	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	got = call(t.Context(), "init", "-o", file)
	if want := "belfry: " + file + " is there already; give another name with -o\n"; got != (called{1, "", want}) {
		t.Errorf("the second time: %+v, want code 1 and %q", got, want)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("the second time the file became %q, %v", data, err)
	}
}

func TestInitWhereItCannotWriteSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nowhere", "belfry.yaml")
	got := call(t.Context(), "init", "-o", file)
	if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, file+": no such file or directory") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("%+v", got)
	}
}

// option is a line of init.yaml that is commented out. Prose begins with a capital or a "`".
var option = regexp.MustCompile(`(?m)^( *)# ([a-z_]+: .*)$`)

func TestTheInitFileIsGoodForEveryCommand(t *testing.T) {
	initVariables(t)
	remote := strings.Replace(string(initYAML), "# notifier: {address", "notifier: {address", 1)
	for name, tc := range map[string]struct {
		yaml  string
		parts config.Parts
	}{
		"run":      {string(initYAML), config.Parts{Gateway: true, Notifier: true}},
		"notifier": {string(initYAML), config.Parts{Notifier: true}},
		"gateway":  {remote, config.Parts{Gateway: true, Remote: true}},
	} {
		if _, err := config.Parse("init.yaml", []byte(tc.yaml), tc.parts, checks()...); err != nil {
			t.Errorf("belfry %s: %v", name, err)
		}
	}
	if _, err := config.Parse("init.yaml", initYAML, config.Parts{Gateway: true, Remote: true}); err == nil || !strings.Contains(err.Error(), "notifier.address") {
		t.Errorf("belfry gateway as the file stands: %v, want a word about notifier.address", err)
	}
}

// TestEveryOptionOfTheInitFileWorks takes the comment off every option, and off each alone.
func TestEveryOptionOfTheInitFileWorks(t *testing.T) {
	initVariables(t)
	parts := config.Parts{Gateway: true, Notifier: true}
	plain, err := config.Parse("init.yaml", initYAML, parts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("init.yaml", option.ReplaceAll(initYAML, []byte("$1$2")), parts, checks()...); err != nil {
		t.Errorf("all options together:\n%v", err)
	}
	found := option.FindAllSubmatchIndex(initYAML, -1)
	if len(found) < 20 {
		t.Errorf("only %d options were found", len(found))
	}
	for _, at := range found {
		text := initYAML[at[4]:at[5]]
		yaml := bytes.Join([][]byte{initYAML[:at[3]], text, initYAML[at[1]:]}, nil)
		cfg, err := config.Parse("init.yaml", yaml, parts, checks()...)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if proto.Equal(cfg, plain) {
			t.Errorf("%s changes nothing", text)
		}
	}
}

func TestTheInitFileTellsWhichVariablesToSet(t *testing.T) {
	var stderr string
	for range 2 { // without, and with empty ones
		got := call(t.Context(), "check", "-c", write(t, string(initYAML)))
		if got.code != 1 || strings.Count(got.stderr, "\n") != 3 || got.stderr == stderr {
			t.Errorf("%+v", got)
		}
		stderr = got.stderr
		for _, name := range []string{"PAYMENTS_HOOK_SECRET", "PAYMENTS_ROBOT_TOKEN", "PAYMENTS_ROBOT_SECRET"} {
			if !strings.Contains(stderr, "the environment variable "+name+" is") {
				t.Errorf("%s is not named:\n%s", name, stderr)
			}
			t.Setenv(name, "")
		}
	}
}

func TestCheckPrintsEveryFaultWithItsPlaceAndNoSecret(t *testing.T) {
	file := write(t, `gateway:
  listen: nonsense
  hooks:
    - name: Payments
      signature: {secret: hush-hush}
      routes: [{robots: [nobody], when: "kind == 'pull-request'"}]
notifier:
  robots:
    - {name: team, webhook: "https://oapi.dingtalk.com/robot/send?access_token=hush-hush", locale: de}
    - {name: team, webhook: "https://elsewhere.example.com/robot/send?access_token=hush-hush"}
`)
	got := call(t.Context(), "check", "-c", file)
	if got.code != 1 || got.stdout != "" {
		t.Errorf("code %d, stdout %q", got.code, got.stdout)
	}
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	places := []string{":2:11: ", ":4:13: ", ":6:26: ", ":6:50: ", ":9:100: ", ":10:14: ", ":10:29: "}
	if len(lines) != len(places) {
		t.Errorf("%d lines, want %d", len(lines), len(places))
	}
	for i, line := range lines[:min(len(lines), len(places))] {
		if !strings.HasPrefix(line, file+places[i]) {
			t.Errorf("line %d does not begin with FILE%s", i+1, places[i])
		}
	}
	if strings.Contains(got.stderr, "hush") {
		t.Error("a secret is in the output")
	}
	if t.Failed() {
		t.Log(got.stderr)
	}
}

func TestCheckSaysWhatAFileIsGoodFor(t *testing.T) {
	const (
		hooks  = "  hooks: [{name: a, password: {secret: s}, routes: [{robots: [team]}]}]\n"
		gw     = "gateway:\n" + hooks
		remote = "gateway:\n  notifier: {address: 'notifier:9090'}\n" + hooks
		nt     = "notifier:\n  robots: [{name: team, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=t'}]\n"
	)
	for _, tc := range []struct {
		name, yaml string
		code       int
		want       string
	}{
		{"both", gw + nt, 0, "is good for belfry run: 1 hook, 1 robot\n"},
		{"gateway", remote, 0, "is good for belfry gateway: 1 hook, 0 robots\n"},
		{"notifier", nt, 0, "is good for belfry notifier: 0 hooks, 1 robot\n"},
		{"gateway without a notifier", gw, 1, "notifier.address is missing"},
		{"gateway without hooks", "gateway: {notifier: {address: 'n:1'}}\n", 1, "hooks are missing"},
		{"notifier without robots", "notifier: {http: {listen: '127.0.0.1:1'}}\n", 1, "robots are missing"},
		{"neither", "admin: {listen: '127.0.0.1:1'}\n", 1, "has neither a `gateway` nor a `notifier`"},
		{"nothing", "", 1, "has neither a `gateway` nor a `notifier`"},
		{"not YAML", "gateway: [", 1, "belfry.yaml:1: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := call(t.Context(), "check", "-c", write(t, tc.yaml))
			if got.code != tc.code || !strings.Contains(got.stdout+got.stderr, tc.want) {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.want)
			}
			if strings.Count(got.stdout+got.stderr, "\n") != 1 || (got.stdout == "") != (tc.code == 1) {
				t.Errorf("want one line, faults on stderr: %+v", got)
			}
		})
	}
}

func TestAMissingFileIsToldInOneLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nope.yaml")
	for _, command := range []string{"run", "gateway", "notifier", "check"} {
		got := call(t.Context(), command, "-c", file)
		want := "belfry: there is no configuration " + file + ": name one that is there, or let `belfry init` write one\n"
		if got != (called{1, "", want}) {
			t.Errorf("belfry %s: %+v, want %q", command, got, want)
		}
	}
}
