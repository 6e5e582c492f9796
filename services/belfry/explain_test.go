package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// forExplaining has a robot of every sort. Two of its variables are set in no test, the third is.
const forExplaining = `gateway:
  hooks:
    - name: payments
      signature: {secret: "${EXPLAIN_HOOK_SECRET}"}
      routes:
        - robots: [everything]
        - robots: [release, everything]
          when: kind == "push" && glob(branch, "release/*")
        - robots: [cards]
          when: kind == "pull_request"
    - {name: other, password: {secret: "hush-hush-2"}, routes: [{robots: [everything], when: 'kind == "tag"'}]}
notifier:
  people: [{gitee: zhangwei, user_id: manager7}]
  robots:
    - name: everything
      webhook: https://oapi.dingtalk.com/robot/send?access_token=${EXPLAIN_TOKEN}
      secret: SEChush-hush-3
      locale: en
      keywords: [ship, push]
      templates: [{kind: push, title: "{{.sender}}: push", text: "{{.sender}} pushed to **{{.branch}}**\n\nof {{.repository}}"}]
    - {name: release, webhook: "${EXPLAIN_WEBHOOK}", keywords: [ship]}
    - {name: cards, webhook: "https://oapi.dingtalk.com/robot/send?access_token=hush-hush-4", locale: ru, shape: ACTION_CARD}
`

// bodyOf writes the body of a sample to a file.
func bodyOf(t *testing.T, name string) (file string) {
	t.Helper()
	for _, d := range giteetest.All(time.Unix(1_790_000_000, 0)) {
		if d.Name == name {
			file = filepath.Join(t.TempDir(), name+".json")
			if err := os.WriteFile(file, d.Body, 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}
	}
	t.Fatalf("there is no sample %s", name)
	return ""
}

// explained is the output of explain with these arguments, which must be good and without a secret.
func explained(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("EXPLAIN_TOKEN", "hush-hush-1")
	got := call(t.Context(), append([]string{"explain"}, args...)...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%v: %+v", args, got)
	}
	if strings.Contains(got.stdout, "hush") {
		t.Errorf("%v shows a secret:\n%s", args, got.stdout)
	}
	return got.stdout
}

func TestExplainSaysWhatBecomesOfAWebhook(t *testing.T) {
	file := write(t, forExplaining)
	got := explained(t, "-c", file, "--hook", "payments", bodyOf(t, "push_commits"))
	got = regexp.MustCompile(`(?m)^time {8}20.*$`).ReplaceAllString(got, "time        TIME")
	got = regexp.MustCompile(`(?m)^id {10}push-[0-9a-f]{32}$`).ReplaceAllString(got, "id          ID")
	want := `not set here, so that stand-ins take their place: ${EXPLAIN_HOOK_SECRET}, ${EXPLAIN_WEBHOOK}

kind        push
action      pushed
repository  belltower/payments
branch      feature/refunds
sender      张伟 (zhangwei)
time        TIME
id          ID

routes of hook payments
  1  takes it  everything  (the route has no rule)
  2  does not  release, everything  (when kind == "push" && glob(branch, "release/*"))
       kind == "push" is true: kind is "push"
       glob(branch, "release/*") is false: branch is "feature/refunds"
  3  does not  cards  (when kind == "pull_request")
       kind == "pull_request" is false: kind is "push"

robot everything, en, Markdown, 133 bytes
  title    zhangwei: push
  text     zhangwei pushed to **feature/refunds**

           of belltower/payments
  calls    nobody
  keyword  push is in it
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestExplainSaysWhatQuietHoursDo(t *testing.T) {
	const hours = `{hours: [{from: "22:00", to: "08:00"}, {from: "00:00", to: "24:00", days: [SAT, SUN]}]`
	const held = "\n  quiet    held from 22:00 to 08:00 and from 00:00 to 24:00 on SAT, SUN (Europe/Moscow), and told together after it\n"
	for name, tc := range map[string]struct{ quiet, sample, want string }{
		"all is held":                {hours + "}", "pull_request_opened", held},
		"what calls nobody":          {hours + ", let_through: [MENTIONS]}", "push_commits", held},
		"what calls somebody":        {hours + ", let_through: [URGENT, MENTIONS]}", "pull_request_opened", "\n  quiet    sent in quiet hours, too: it calls somebody\n"},
		"no webhook is urgent":       {hours + ", let_through: [URGENT]}", "pull_request_opened", held},
		"a robot that is never so":   {"", "pull_request_opened", ""},
		"its zone is what it counts": {hours + "}\n      time_zone: UTC", "push_commits", strings.Replace(held, "Europe/Moscow", "UTC", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			robot := "    - name: night\n      webhook: https://oapi.dingtalk.com/robot/send?access_token=hush-hush-5\n      locale: ru\n"
			if tc.quiet != "" {
				robot += "      quiet: " + tc.quiet + "\n"
			}
			file := write(t, strings.Replace(forExplaining, "robots: [everything]\n", "robots: [night]\n", 1)+robot)
			got := explained(t, "-c", file, "--hook", "payments", bodyOf(t, tc.sample))
			_, got, _ = strings.Cut(got, "\nrobot night, ")
			got, _, _ = strings.Cut(got, "\nrobot ")
			if !strings.Contains(got, tc.want) || tc.want == "" && strings.Contains(got, "\n  quiet ") {
				t.Errorf("want %q, got:\n%s", tc.want, got)
			}
		})
	}
}

func TestExplainShowsEachGroupsMessage(t *testing.T) {
	file := write(t, forExplaining)
	pull := explained(t, "-c", file, "--hook", "payments", bodyOf(t, "pull_request_opened"))
	for _, want := range []string{
		"kind        pull_request\naction      opened\n", "  3  takes it  cards  (when kind == \"pull_request\")",
		"\nrobot everything, en, Markdown, ", "\n  keyword  ship is added", "\n  calls    manager7\n", "\nrobot cards, ru, a card, ", "\n  button   [Открыть PR](https://gitee.com/",
	} {
		if !strings.Contains(pull, want) {
			t.Errorf("it lacks %q:\n%s", want, pull)
		}
	}
	all := explained(t, "-c", file, "--hook", "payments", "--all-locales", bodyOf(t, "pull_request_opened"))
	var order []string
	for line := range strings.Lines(all) {
		if rest, ok := strings.CutPrefix(line, "robot "); ok {
			order = append(order, strings.Join(strings.Split(rest, ", ")[:2], " "))
		}
	}
	if want := []string{"everything en", "everything zh-CN", "everything ru", "cards ru", "cards zh-CN", "cards en"}; !slices.Equal(order, want) {
		t.Errorf("the messages are %q, want %q", order, want)
	}
	none := explained(t, "-c", file, "--hook", "other", bodyOf(t, "pull_request_opened"))
	if !strings.HasSuffix(none, "\n\nno route takes it: nobody would be told\n") {
		t.Errorf("without a route it ends with:\n%s", none)
	}
	waits := explained(t, "-c", file, "--hook", "payments", bodyOf(t, "pull_request_assigned"))
	if !strings.Contains(waits, "\n  folding  waits up to 3s for what may tell it as well, and may become part of that\n") {
		t.Errorf("it lacks a word about folding:\n%s", waits)
	}
	alone, _, _ := strings.Cut(forExplaining, "notifier:")
	elsewhere := explained(t, "-c", write(t, alone), "--hook", "payments", bodyOf(t, "push_commits"))
	if !strings.HasSuffix(elsewhere, "\ntold by everything, whose settings are not in this file\n") {
		t.Errorf("without a notifier it ends with:\n%s", elsewhere)
	}
}

func TestExplainTakesATestDeliveryAndTheStandardInput(t *testing.T) {
	file := write(t, forExplaining)
	got := callWith(t.Context(), "{}", "explain", "-c", file, "--hook", "payments", "--ping", "-")
	if got.code != 0 || !strings.Contains(got.stdout, "kind        ping\n") || strings.Count(got.stdout, "takes it") != 3 || strings.Count(got.stdout, "\nrobot ") != 3 {
		t.Errorf("a test delivery: %+v", got)
	}
	body, err := os.ReadFile(bodyOf(t, "push_commits"))
	if err != nil {
		t.Fatal(err)
	}
	nameless := strings.Replace(string(body), `"hook_name":"push_hooks"`, `"hook_name":null`, 1)
	if nameless == string(body) {
		t.Fatal("the sample's hook_name is written in another way")
	}
	if got := callWith(t.Context(), nameless, "explain", "-c", file, "--hook", "payments", "-"); got.code != 1 || !strings.Contains(got.stderr, "the standard input is no webhook of Gitee's: ") {
		t.Errorf("without a name: %+v", got)
	}
	if got := callWith(t.Context(), nameless, "explain", "-c", file, "--hook", "payments", "--event-header", "Push Hook", "-"); got.code != 0 || !strings.Contains(got.stdout, "kind        push\n") {
		t.Errorf("with the name of the header: %+v", got)
	}
}

func TestExplainWritesJSONForMachines(t *testing.T) {
	var x struct {
		Hook   string
		Event  struct{ Kind, Action, ID, Repository, Branch, Sender string }
		Routes []struct {
			Index  int
			When   string
			Robots []string
			Taken  bool
			Why    []string
		}
		Messages []struct {
			Robot, Locale string
			Body          struct{ Msgtype string }
			SizeBytes     int
			Keyword       struct{ Verdict, Keyword string }
		}
		Missing []string
	}
	if err := json.Unmarshal([]byte(explained(t, "-c", write(t, forExplaining), "--hook", "payments", "--json", bodyOf(t, "push_commits"))), &x); err != nil {
		t.Fatal(err)
	}
	if x.Hook != "payments" || x.Event.Kind != "push" || x.Event.Branch != "feature/refunds" || len(x.Missing) != 2 || len(x.Routes) != 3 || len(x.Messages) != 1 {
		t.Fatalf("got %+v", x)
	}
	if r := x.Routes[1]; r.Index != 1 || r.Taken || len(r.Why) != 2 || !strings.HasPrefix(r.When, "kind ==") || len(r.Robots) != 2 {
		t.Errorf("the second route is %+v", r)
	}
	if m := x.Messages[0]; m.Robot != "everything" || m.Locale != "en" || m.Body.Msgtype != "markdown" || m.SizeBytes < 100 || m.Keyword.Verdict != "PRESENT" {
		t.Errorf("the message is %+v", m)
	}
}

func TestExplainSaysWhyItCannot(t *testing.T) {
	file, push := write(t, forExplaining), bodyOf(t, "push_commits")
	at := func(text string) string {
		f := filepath.Join(t.TempDir(), "body.json")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	empty, array, huge := at(""), at("[]"), at(strings.Repeat(" ", 10<<20)+"{}")
	faulty := write(t, strings.Replace(forExplaining, "kind == \"push\"", "kid == \"push\"", 1))
	bare := write(t, "notifier: {robots: [{name: a, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=a'}]}\n")
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown hook":     {[]string{"-c", file, "--hook", "paymnets", push}, 1, "belfry: there is no hook \"paymnets\" in " + file + "; there are other, payments\n"},
		"no hook":             {[]string{"-c", file, push}, 2, "belfry: name the hook with --hook; " + file + " has other, payments\n"},
		"no hooks":            {[]string{"-c", bare, push}, 1, "belfry: " + bare + " has no hooks under `gateway`: there is nothing that a webhook could come to\n"},
		"no body":             {[]string{"-c", file, "--hook", "payments"}, 2, "belfry: expected \"<file>\" (see belfry --help)\n"},
		"no such body":        {[]string{"-c", file, "--hook", "payments", "/no/such.json"}, 1, "belfry: open /no/such.json: no such file or directory\n"},
		"an empty body":       {[]string{"-c", file, "--hook", "payments", empty}, 1, "belfry: " + empty + " is no webhook of Gitee's: "},
		"another body":        {[]string{"-c", file, "--hook", "payments", array}, 1, "belfry: " + array + " is no webhook of Gitee's: "},
		"a body too large":    {[]string{"-c", file, "--hook", "payments", huge}, 1, "belfry: " + huge + " is no webhook of Gitee's: the body is larger than 10 MiB\n"},
		"a faulty file":       {[]string{"-c", faulty, "--hook", "payments", push}, 1, faulty + ":8:17: gateway.hooks[0].routes[1].when: there is no variable `kid`"},
		"no such file":        {[]string{"-c", "/no/such.yaml", "--hook", "payments", push}, 1, "belfry: there is no configuration /no/such.yaml"},
		"a body that is none": {[]string{"-c", file, "--hook", "payments", at("{}")}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t.Context(), append([]string{"explain"}, tc.args...)...)
			if got.code != tc.code || got.stdout != "" || !strings.HasPrefix(got.stderr, tc.want) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.want)
			}
		})
	}
}

func TestExplainSaysWhenThereIsNothingToTell(t *testing.T) {
	body, err := os.ReadFile(bodyOf(t, "push_commits"))
	if err != nil {
		t.Fatal(err)
	}
	unheard := strings.Replace(string(body), `"refs/heads/`, `"refs/notes/`, 1)
	file := write(t, forExplaining)
	got := callWith(t.Context(), unheard, "explain", "-c", file, "--hook", "payments", "-")
	if got.code != 0 || !strings.Contains(got.stdout, "\n\nnothing to tell: ") || strings.Contains(got.stdout, "routes") {
		t.Errorf("%+v", got)
	}
	var x struct{ Hook, Ignored string }
	got = callWith(t.Context(), unheard, "explain", "-c", file, "--hook", "payments", "--json", "-")
	if err := json.Unmarshal([]byte(got.stdout), &x); err != nil || x.Hook != "payments" || x.Ignored == "" {
		t.Errorf("as JSON: %+v, %v", got, err)
	}
}
