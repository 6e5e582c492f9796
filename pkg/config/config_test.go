package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/config"
)

var both = config.Parts{Gateway: true, Notifier: true}

const good = `
gateway:
  hooks:
    - name: payments
      signature: {secret: "${HOOK_SECRET}"}
      routes: [{robots: [team]}]
notifier:
  robots:
    - name: team
      webhook: https://oapi.dingtalk.com/robot/send?access_token=${ROBOT_TOKEN}
      secret: "${file:SECRETFILE}"
      keywords: [Gitee]
`

func TestLoadPutsValuesAndDefaultsInPlace(t *testing.T) {
	t.Setenv("HOOK_SECRET", `quote " and: colon # hash`)
	t.Setenv("ROBOT_TOKEN", "0123abcd")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("SECfile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "belfry.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(good, "SECRETFILE", secret)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, both)
	if err != nil {
		t.Fatal(err)
	}
	robot := cfg.GetNotifier().GetRobots()[0]
	for _, c := range []struct{ name, got, want string }{
		{"variable with YAML's own characters", cfg.GetGateway().GetHooks()[0].GetSignature().GetSecret(), `quote " and: colon # hash`},
		{"variable inside a text", robot.GetWebhook(), "https://oapi.dingtalk.com/robot/send?access_token=0123abcd"},
		{"file without its last line feed", robot.GetSecret(), "SECfile"},
		{"missing_keyword", robot.GetMissingKeyword(), "APPEND"},
		{"locale", robot.GetLocale(), "zh-CN"},
		{"admin", cfg.GetAdmin().GetListen(), "127.0.0.1:9092"},
		{"door", cfg.GetGateway().GetListen(), "127.0.0.1:8080"},
		{"spool", cfg.GetGateway().GetSpool().GetDir(), "data/gateway"},
		{"gRPC", cfg.GetNotifier().GetGrpc().GetListen(), "127.0.0.1:9090"},
		{"HTTP", cfg.GetNotifier().GetHttp().GetListen(), "127.0.0.1:9091"},
		{"store", cfg.GetNotifier().GetStore().GetEmbedded().GetDir(), "data/notifier"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
	if got := cfg.GetNotifier().GetDedupWindow().AsDuration(); got != 24*time.Hour {
		t.Errorf("dedup_window: %v", got)
	}
	if got := cfg.GetNotifier().GetMaxAge().AsDuration(); got != 24*time.Hour {
		t.Errorf("max_age: %v", got)
	}
}

// Each row changes one thing of a good file; want is the beginning of one of the errors.
func TestFaultsNamePlaceAndFix(t *testing.T) {
	base := strings.ReplaceAll(good, "${file:SECRETFILE}", "SECtest")
	rep := func(old, new string) string {
		if !strings.Contains(base, old) {
			t.Fatalf("the good file has no %q", old)
		}
		return strings.Replace(base, old, new, 1)
	}
	for name, c := range map[string]struct {
		yaml  string
		parts config.Parts
		want  string
	}{
		"unknown key":                {rep("keywords:", "keyword:"), both, `b.yaml:12:7: notifier.robots[0]: there is no key "keyword" here; there are: keywords, webhook, `},
		"not YAML":                   {rep("hooks:", "hooks: ]"), both, "b.yaml:"},
		"a tab":                      {rep("      keywords: [Gitee]", "\tkeywords: [Gitee]"), both, "b.yaml:12:1: a tab stands where blanks belong: YAML is indented with blanks alone"},
		"a tab behind blanks":        {rep("      signature:", "     \tsignature:"), both, "b.yaml:5:6: a tab stands where blanks belong"},
		"a colon in a value":         {rep("robots: [team]", "robots: [team], when: a: b"), both, "b.yaml:6: a bracket is not closed, or a comma is missing, here or just before"},
		"a colon in a plain value":   {rep("      keywords: [Gitee]", "      allowance: a: b"), both, "b.yaml:12: a value holds a colon with a blank after it"},
		"a quote that ends early":    {rep("SECtest", "SEC\"test"), both, "b.yaml:11: a key with its colon is expected here or just before"},
		"a quote that never ends":    {rep("\"SECtest\"", "\"SECtest"), both, "b.yaml:11: a quote is never closed"},
		"a bracket that never ends":  {rep("[Gitee]", "[Gitee"), both, "b.yaml:12: a bracket is not closed"},
		"a lone word":                {rep("keywords: [Gitee]", "keywords"), both, "b.yaml:12: a colon with a blank after it is missing behind a key"},
		"a backslash":                {rep("SECtest", "SEC\\d"), both, "b.yaml:11: in double quotes a backslash begins an escape"},
		"a value that begins oddly":  {rep("\"SECtest\"", "@SECtest"), both, "b.yaml:11: a value can't begin with this character: put it in quotes"},
		"a rule that is a tag":       {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: !has(event.push)"), both, "b.yaml:8:17: put a value that begins with ! in quotes, or on the line below >-: YAML takes its first word for a tag"},
		"a tag before a rule":        {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: !(kind == \"push\")"), both, "b.yaml:8:17: put a value that begins with ! in quotes, or on the line below >-"},
		"a tag and a bracket":        {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: !(\"ж, a\")"), both, "b.yaml:8:17: put a value that begins with ! in quotes"},
		"a tag with quotes":          {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: !glob(branch, \"wip/**\")"), both, "b.yaml:8:17: put a value that begins with ! in quotes, or on the line below >-"},
		"a tag without a blank":      {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: !glob(branch,\"wip/**\")"), both, "b.yaml:8:17: put a value that begins with ! in quotes, or on the line below >-"},
		"a rule that is empty":       {rep("robots: [team]", "robots: [team], when: ''"), both, "b.yaml:6:39: gateway.hooks[0].routes[0].when: an empty rule says nothing: leave it out to take every event"},
		"a rule that is not there":   {rep("robots: [team]", "robots: [team], when: "), both, "b.yaml:6:39: gateway.hooks[0].routes[0].when: an empty rule says nothing: leave it out to take every event"},
		"a block on one line":        {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: >- kind"), both, "b.yaml:8: what belongs to a block (| or >) begins on the next line, indented further"},
		"a dash behind a key":        {rep("routes: [{robots: [team]}]", "routes:\n        - robots: [team]\n          when: - kind"), both, "b.yaml:8: a list begins on the line below its key, and a value that begins with a dash stands in quotes"},
		"a dash out of line":         {rep("      routes:", "     - routes:"), both, "b.yaml:6: an entry of a list is expected here: mend the indentation, or begin the line with a dash"},
		"a key of the whole file":    {base + "hooks: []\n", both, `b.yaml:13:1: there is no key "hooks" here; there are: `},
		"other line breaks":          {"\rr\u0085\u2028\u2029x", both, "b.yaml:2:1: keys with values belong here"},
		"second document":            {base + "---\nnotifier: {}\n", both, "b.yaml:13: a second document begins here"},
		"key written twice":          {rep("      keywords: [Gitee]", "      name: team2"), both, `b.yaml:12:7: the key "name" is written twice, first in line 9`},
		"empty file":                 {"", both, "b.yaml: the part `gateway` is missing"},
		"unset variable":             {rep("${ROBOT_TOKEN}", "${NO_SUCH}"), both, "b.yaml:10:16: notifier.robots[0].webhook: the environment variable NO_SUCH is not set: set it where Belfry is started"},
		"empty variable":             {rep("${ROBOT_TOKEN}", "${EMPTY}"), both, "b.yaml:10:16: notifier.robots[0].webhook: the environment variable EMPTY is empty: set it where Belfry is started"},
		"empty file of a secret":     {rep("SECtest", "${file:/dev/null}"), both, "b.yaml:11:15: notifier.robots[0].secret: file /dev/null is empty: write the value into it"},
		"missing file":               {rep("SECtest", "${file:/no/such}"), both, "b.yaml:11:15: notifier.robots[0].secret: file /no/such: there is no such file"},
		"odd reference":              {rep("SECtest", "${a-b}"), both, "b.yaml:11:15: notifier.robots[0].secret: a reference is ${NAME}"},
		"both secrets":               {rep("signature:", "password: {secret: x}\n      signature:"), both, "b.yaml:"},
		"no secret":                  {rep(`signature: {secret: "${HOOK_SECRET}"}`, ""), both, "b.yaml:4:7: gateway.hooks[0]: give signature: {secret: ...}, or password: {secret: ...}"},
		"a rule of another type":     {rep("robots: [team]", "robots: [team], when: [push]"), both, "b.yaml:6:39: gateway.hooks[0].routes[0].when: a single value belongs here"},
		"robot of a route unknown":   {rep("{robots: [team]}", "{robots: [teem]}"), both, `b.yaml:6:26: gateway.hooks[0].routes[0].robots[0]: there is no robot "teem" under notifier.robots; there are: team`},
		"robot unknown, one twice":   {rep("{robots: [team]}", "{robots: [teem]}") + strings.Repeat("    - name: team\n      webhook: https://oapi.dingtalk.com/robot/send?access_token=x\n", 2) + "    - name: ops\n", both, `b.yaml:6:26: gateway.hooks[0].routes[0].robots[0]: there is no robot "teem" under notifier.robots; there are: team, ops`},
		"bad name":                   {rep("- name: team", "- name: Team"), both, "b.yaml:9:13: notifier.robots[0].name: a name is 1 to 63 lower-case letters"},
		"two robots of one name":     {base + "    - name: team\n      webhook: https://oapi.dingtalk.com/robot/send?access_token=x\n", both, "b.yaml:13:13: notifier.robots[1].name: is the name of robots[0] as well: give each its own name"},
		"one robot under two names":  {base + "    - name: twin\n      webhook: https://oapi.dingtalk.com/robot/send?access_token=${ROBOT_TOKEN}\n", both, "b.yaml:14:16: notifier.robots[1].webhook: is the webhook of robot team as well"},
		"one robot in two spellings": {base + "    - name: twin\n      webhook: https://OAPI.dingtalk.io:443/robot/send?x=1&access_token=${ROBOT_TOKEN}\n", both, "b.yaml:14:16: notifier.robots[1].webhook: is the webhook of robot team as well"},
		"key in another spelling":    {base + "  maxAge: 2h\n", both, "b.yaml:13:3: this is no key"},
		"key without its blank":      {rep("{secret: \"${HOOK_SECRET}\"}", "{secret:robot-token-value}"), both, "b.yaml:5:19: this is no key"},
		"value in a key's place":     {rep("{secret: \"${HOOK_SECRET}\"}", "{hunter2}"), both, "b.yaml:5:19: gateway.hooks[0].signature: there is no such key here; there are: secret"},
		"value taken for an alias":   {rep(`"SECtest"`, "*hook-secret-value"), both, "b.yaml: an alias (*name) refers to nothing"},
		"UTF-16":                     {"\xfe\xff\x00a", both, "b.yaml: is not text in UTF-8"},
		"unset variable and more":    {rep("${ROBOT_TOKEN}", "${NO_SUCH}") + "      locale: de\n", both, "b.yaml:13:15: notifier.robots[0].locale: give one of zh-CN, en, ru"},
		"one folder for two":         {rep("hooks:", "spool: {dir: ./data/notifier}\n  hooks:"), both, "b.yaml:3:16: gateway.spool.dir: is the folder of notifier.store as well"},
		"default address used twice": {rep("hooks:", "listen: localhost:9091\n  hooks:"), both, "b.yaml:3:11: gateway.listen: localhost:9091 is used twice"},
		"token":                      {rep("hooks:", "notifier: {address: 127.0.0.1:1, token: x}\n  hooks:"), both, "b.yaml:3:43: gateway.notifier.token: a token is 16 to 500 letters, digits and -._~+/="},
		"eleven keywords":            {rep("[Gitee]", "[a,b,c,d,e,f,g,h,i,j,k]"), both, "b.yaml:12:17: notifier.robots[0].keywords: holds more than 10: remove some"},
		"other locale":               {rep("keywords: [Gitee]", "locale: en_US"), both, "b.yaml:12:15: notifier.robots[0].locale: give one of zh-CN, en, ru"},
		"other missing_keyword":      {rep("keywords: [Gitee]", "missing_keyword: append"), both, "b.yaml:12:24: notifier.robots[0].missing_keyword: give one of APPEND, REJECT"},
		"foreign host":               {rep("oapi.dingtalk.com", "evil.example"), both, "b.yaml:10:16: notifier.robots[0].webhook: the host evil.example is not one of DingTalk's"},
		"plain http":                 {rep("https://oapi", "http://oapi"), both, "b.yaml:10:16: notifier.robots[0].webhook: the webhook must be https"},
		"plain http to a named host": {rep("https://oapi.dingtalk.com", "http://sim.example") + "  allowed_webhook_hosts: [sim.example]\n", both, "b.yaml:10:16: notifier.robots[0].webhook: the webhook must be https"},
		"webhook without token":      {rep("access_token=", "token="), both, "b.yaml:10:16: notifier.robots[0].webhook: "},
		"open door":                  {base + "  grpc: {listen: 0.0.0.0:9090}\n", both, "b.yaml:13:18: notifier.grpc.listen: without notifier.tokens the notifier asks nobody who they are"},
		"not an address":             {base + "  grpc: {listen: nine}\n", both, "b.yaml:13:18: notifier.grpc.listen: give host:port, such as"},
		"address used twice":         {rep("hooks:", "listen: 127.0.0.1:7\n  hooks:") + "admin: {listen: 127.0.0.1:7}\n", both, "b.yaml:14:17: admin.listen: 127.0.0.1:7 is used twice"},
		"window below age":           {base + "  dedup_window: 1h\n  max_age: 2h\n", both, "b.yaml:13:17: notifier.dedup_window: is shorter than max_age"},
		"age out of range":           {base + "  max_age: 1s\n", both, "b.yaml:13:12: notifier.max_age: is not between 1m and 168h"},
		"gateway alone":              {base, config.Parts{Gateway: true, Remote: true}, "b.yaml:3:3: gateway: notifier.address is missing"},
		"part missing":               {"notifier: {robots: []}", both, "b.yaml:1:1: the part `gateway` is missing"},
		"no robots":                  {"notifier: {robots: []}", config.Parts{Notifier: true}, "b.yaml:1:11: notifier: robots are missing"},
	} {
		t.Run(name, func(t *testing.T) { wantFault(t, c.yaml, c.parts, c.want) })
	}
}

// wantFault wants yaml refused, with a line that begins with want, and no secret shown.
func wantFault(t *testing.T, yaml string, parts config.Parts, want string) {
	t.Helper()
	t.Setenv("HOOK_SECRET", "hook-secret-value")
	t.Setenv("ROBOT_TOKEN", "robot-token-value")
	t.Setenv("EMPTY", "")
	cfg, err := config.Parse("b.yaml", []byte(yaml), parts)
	if err == nil || cfg != nil {
		t.Fatal("accepted")
	}
	found := false
	for _, line := range strings.Split(err.Error(), "\n") {
		found = found || strings.HasPrefix(line, want)
	}
	if !found {
		t.Errorf("got:\n%v\nwant a line that begins with:\n%s", err, want)
	}
	for _, secret := range []string{"hook-secret-value", "robot-token-value", "SECtest", "hunter2"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestAllFaultsComeAtOnceInTheOrderOfTheFile(t *testing.T) {
	yaml := strings.NewReplacer("payments", "Pay ments", "team", "Team", "${HOOK_SECRET}", "x", "${ROBOT_TOKEN}", "x", "${file:SECRETFILE}", "x").Replace(good)
	_, err := config.Parse("b.yaml", []byte(yaml), both)
	faults, ok := err.(config.Faults)
	if !ok || len(faults) < 3 {
		t.Fatalf("got %v", err)
	}
	for i := 1; i < len(faults); i++ {
		if faults[i].Line < faults[i-1].Line {
			t.Errorf("fault %d is out of order:\n%v", i, err)
		}
	}
}

func TestLiteralReferenceCanBeWritten(t *testing.T) {
	yaml := strings.NewReplacer("${HOOK_SECRET}", "$${x}", "${ROBOT_TOKEN}", "x", "${file:SECRETFILE}", "x").Replace(good)
	cfg, err := config.Parse("b.yaml", []byte(yaml), both)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.GetGateway().GetHooks()[0].GetSignature().GetSecret(); got != "${x}" {
		t.Errorf("got %q", got)
	}
}

func TestNamedLoopbackHostMayBePlainHTTP(t *testing.T) {
	yaml := strings.NewReplacer("${HOOK_SECRET}", "x", "https://oapi.dingtalk.com", "http://127.0.0.1:4242", "${ROBOT_TOKEN}", "x", "${file:SECRETFILE}", "x").Replace(good) +
		"  allowed_webhook_hosts: [127.0.0.1]\n"
	if _, err := config.Parse("b.yaml", []byte(yaml), both); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("notifier: {robots: [{name: a, webhook: '${X}'}]}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("gateway: {hooks: [{routes: [{when: &a 'x\n\n §'}, {when: *a}]}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := config.Parse("b.yaml", data, config.Parts{}, findMarks)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("configuration %v with error %v", cfg, err)
		}
	})
}

func TestACommandNeedsTheValuesOfItsOwnPartOnly(t *testing.T) {
	t.Setenv("HOOK_SECRET", "x")
	if cfg, err := config.Parse("b.yaml", []byte(good), config.Parts{Gateway: true}); err != nil || cfg.GetNotifier() != nil {
		t.Errorf("gateway: %v", err)
	}
	t.Setenv("ROBOT_TOKEN", "x")
	yaml := strings.NewReplacer("${HOOK_SECRET}", "${NO_SUCH}", "${file:SECRETFILE}", "x").Replace(good)
	if cfg, err := config.Parse("b.yaml", []byte(yaml), config.Parts{Notifier: true}); err != nil || cfg.GetGateway() != nil {
		t.Errorf("notifier: %v", err)
	}
}
