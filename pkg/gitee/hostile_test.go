package gitee_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// check says what is wrong with an event as such.
func check(e *eventv1.Event) error {
	if err := protovalidate.Validate(e); err != nil {
		return err
	}
	if n := proto.Size(e); n > 3<<19 {
		return fmt.Errorf("takes %d bytes", n)
	}
	return checkTexts(e.ProtoReflect())
}

func checkTexts(m protoreflect.Message) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		each := func(v protoreflect.Value) {
			switch {
			case f.Message() != nil:
				err = errors.Join(err, checkTexts(v.Message()))
			case f.Kind() == protoreflect.StringKind:
				err = errors.Join(err, checkText(f, v.String()))
			}
		}
		if f.IsList() {
			for i := range v.List().Len() {
				each(v.List().Get(i))
			}
		} else {
			each(v)
		}
		return true
	})
	return err
}

func checkText(f protoreflect.FieldDescriptor, s string) error {
	lines := f.Name() == "body" || f.Name() == "message"
	bad := strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t'))
	})
	link := strings.HasSuffix(string(f.Name()), "url") && !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://")
	if bad || link || !utf8.ValidString(s) {
		return fmt.Errorf("%s is %.80q", f.FullName(), s)
	}
	return nil
}

// wide returns text longer than n characters, of the widest kind, with line ends and control characters
// among them.
func wide(n int) string {
	return strings.Repeat("🔔", n/2) + strings.Repeat(`🔔\r\n\u0000\u0007\u009f\ud800`, n/4) + strings.Repeat("🔔", n/2)
}

func wideUsers() string {
	users := make([]string, 110)
	for i := range users {
		users[i] = fmt.Sprintf(`{"username":"%d%s","name":"%s","remark":"%s","html_url":"https://gitee.com/%s"}`, i, wide(200), wide(200), wide(200), strings.Repeat("钟", 660))
	}
	return "[" + strings.Join(users, ",") + "]"
}

func TestEventsStayWithinTheirLimitsWhateverTheBody(t *testing.T) {
	longURL := `"https://gitee.com/` + strings.Repeat("钟", 660) + `"`
	user := `{"username":"` + wide(200) + `","name":"` + wide(200) + `","remark":"` + wide(200) + `","url":` + longURL + `}`
	path := `"` + strings.Repeat("каталог/", 200) + `"`
	paths := "[" + strings.TrimSuffix(strings.Repeat(path+",", 40), ",") + "]"
	commit := func(i int) string {
		return fmt.Sprintf(`{"id":"c%d","parent_ids":["c%d"],"message":"%d %s","url":%s,"author":%s,"added":%s}`, i, i-1, i, wide(4000), longURL, user, `["a"]`)
	}
	commits := make([]string, 120)
	for i := range commits {
		commits[i] = commit(i)
	}
	labels := `[` + strings.TrimSuffix(strings.Repeat(`{"name":"`+wide(200)+`","color":"ffffff"},`, 300), ",") + `]`
	issue := `{"id":1,"number":"` + wide(50) + `","title":"` + wide(20000) + `","body":"` + wide(20000) + `","state":"` + wide(100) + `","html_url":` + longURL + `,"user":` + user + `,"assignee":` + user + `,"collaborators":` + wideUsers() + `,"labels":` + labels + `,"milestone":"` + wide(20000) + `"}`
	pull := `{"id":9223372036854775807,"number":9223372036854775807,"commits":1e300,"additions":99999999999,"deletions":-4,"title":"` + wide(20000) + `","body":"` + wide(20000) + `","html_url":` + longURL + `,"user":` + user + `,"assignees":` + wideUsers() + `,"testers":` + wideUsers() + `,"labels":` + labels + `}`
	push := func(members string) string {
		return `{"ref":"refs/heads/` + wide(20000) + `","before":"` + wide(20000) + `","after":"` + wide(20000) + `","sender":` + user + `,` + members + `,"total_commits_count":4294967296,` + repo + `}`
	}
	for _, tt := range []struct{ name, event, body string }{
		{"push of wide commits", pushHook, push(`"commits":[` + strings.Join(commits, ",") + `],"head_commit":` + commits[9])},
		{"push of empty commits", pushHook, push(`"commits":[` + strings.Repeat(`{"id":"x"},`, 500000) + `{"id":"x"}]`)},
		{"push of nothing but commas", pushHook, push(`"commits":[` + strings.Repeat(`0,`, 3000000) + `0]`)},
		{"push of many paths", pushHook, push(`"commits":[{"id":"c","added":` + paths + `,"removed":` + paths + `},{"id":"d","modified":[` + strings.Repeat(`"x",`, 1000000) + `"y"]}]`)},
		{"tag of a wide commit", tagHook, strings.Replace(push(`"head_commit":`+commits[9]), "heads", "tags", 1)},
		{"issue", issueHook, `{"action":"` + wide(20000) + `","action_desc":"` + wide(20000) + `","issue":` + issue + `,` + repo + `}`},
		{"pull request", pullHook, `{"action":"update","action_desc":"` + wide(20000) + `","pull_request":` + pull + `,` + repo + `}`},
		{"comment on a pull request", noteHook, `{"action":"comment","noteable_type":"PullRequest","comment":{"id":1,"body":"` + wide(20000) + `","user":` + user + `},"pull_request":` + pull + `,` + repo + `}`},
		{"comment on a commit", noteHook, `{"comment":{"commit_id":"` + wide(20000) + `","position":"` + wide(20000) + `","body":"` + wide(20000) + `"},` + repo + `}`},
		{"repository and enterprise", issueHook, `{"issue":{"number":1},"enterprise":{"name":"` + wide(20000) + `","url":` + longURL + `},"repository":{"path_with_namespace":"` + wide(20000) + `","name":"` + wide(20000) + `","default_branch":"` + wide(20000) + `","html_url":` + longURL + `}}`},
		{"nested as deep as can be", issueHook, `{"x":` + strings.Repeat(`[`, 9000) + strings.Repeat("]", 9000) + `,"issue":{"number":1,"user":` + strings.Repeat(`{"user":`, 900) + "1" + strings.Repeat("}", 900) + `}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.body) > gitee.MaxBody {
				t.Fatalf("the body has %d bytes", len(tt.body))
			}
			e, err := parse(headers(tt.event, "X-Gitee-Event", tt.event), tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if err := check(e); err != nil {
				t.Error(err)
			}
			if p := e.GetPush(); p != nil && !p.GetTruncated() {
				t.Error("what was left out is not told")
			}
		})
	}
}

func TestTheNewestCommitsAreKeptWithAllOfTheirFirstLines(t *testing.T) {
	commits := make([]string, 480)
	for i := range commits {
		commits[i] = fmt.Sprintf(`{"id":"c%03d","parent_ids":["c%03d"],"message":"step %d\n%s","added":["dir/%d"]}`, i, i-1, i, strings.Repeat("Очень длинное описание. ", 150), i)
	}
	for name, order := range map[string]func([]string){"oldest first": func([]string) {}, "newest first": slices.Reverse[[]string]} {
		list := slices.Clone(commits)
		order(list)
		e := mustParse(t, headers(pushHook), with(barePush, `"commits":[`+strings.Join(list, ",")+`],"total_commits_count":480`))
		p := e.GetPush()
		if len(p.GetCommits()) == 0 || p.GetCommits()[len(p.GetCommits())-1].GetId() != "c479" || p.GetTotalCommits() != 480 {
			t.Fatalf("%s: %d commits are kept", name, len(p.GetCommits()))
		}
		first := 480 - len(p.GetCommits())
		for i, c := range p.GetCommits() {
			if c.GetId() != fmt.Sprintf("c%03d", first+i) || !strings.HasPrefix(c.GetMessage(), fmt.Sprintf("step %d\n", first+i)) {
				t.Fatalf("%s: in place %d stands %s %.20q", name, i, c.GetId(), c.GetMessage())
			}
		}
		if err := check(e); err != nil {
			t.Error(err)
		}
	}
}

func TestTextsAreCutAtCharactersAndCleaned(t *testing.T) {
	body := "{\"issue\":{\"number\":\" I\\t1 \",\"title\":\"\\r\\n a\\tb\\u0000\\r\\nc\xff\xfe \",\"body\":\"a\\r\\nb\\rc\\u001b[0m\\td\\ud83d\\ud83d\\udd14\xc3\",\"state\":\"" + strings.Repeat("钟", 101) + "\",\"html_url\":\"https://gitee.com/a b\"}}"
	i := mustParse(t, headers(issueHook), body).GetIssue()
	if i.GetNumber() != "I 1" || i.GetTitle() != "a b c\ufffd\ufffd" || i.GetBody() != "a\nb\nc[0m\td\ufffd🔔\ufffd" || i.GetState() != strings.Repeat("钟", 100) || i.GetUrl() != "" {
		t.Errorf("got %q", i)
	}
}

func TestAddressesThatAreNoLinksAreLeftOut(t *testing.T) {
	for address, kept := range map[string]bool{
		"https://gitee.com/a/b?x=1#note_2": true, "http://gitee.internal:8080/钟": true, "HTTPS://gitee.com/": true,
		"javascript:alert(1)": false, "ftp://gitee.com/": false, "//gitee.com/": false, "/a/b": false, "https://": false, "https:///a": false,
		"https://gitee.com@evil.example.com/": false, "https://u:p@gitee.com/": false, "https://gitee.com/a b": false, `https://gitee.com/a\nb`: false, "https://[::1": false,
		"https://gitee.com/" + strings.Repeat("a", 1982): true, "https://gitee.com/" + strings.Repeat("a", 1983): false, "https://gitee.com/" + strings.Repeat("钟", 700): false,
	} {
		i := mustParse(t, headers(issueHook), `{"issue":{"number":1,"html_url":"`+address+`"}}`).GetIssue()
		if (i.GetUrl() != "") != kept {
			t.Errorf("%.60s: got %.60q", address, i.GetUrl())
		}
	}
}

func TestAnyFieldMayBeNullOrMissingOrOfAnotherType(t *testing.T) {
	names := []string{
		"ping", "push_new_branch", "push_moved", "push_branch_deleted", "tag_created", "issue_assigned",
		"pull_request_opened", "comment_issue", "comment_pull_request", "comment_commit",
	}
	for _, d := range giteetest.All(sent) {
		if !slices.Contains(names, d.Name) {
			continue
		}
		var body any
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		refused := map[string]bool{}
		mutate(body, "", func(path string) {
			raw, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			e, err := gitee.Parse(gitee.Password(password), "payments", headers(d.Event, "X-Gitee-Ping", fmt.Sprint(d.Ping)), raw, sent)
			if _, ok := errors.AsType[*gitee.MalformedError](err); ok {
				refused[path] = true
			} else if _, ok := errors.AsType[*gitee.IgnoredError](err); err != nil && !ok {
				t.Errorf("%s without %s: %v", d.Name, path, err)
			} else if err == nil {
				if err := check(e); err != nil {
					t.Errorf("%s without %s: %v", d.Name, path, err)
				}
			}
		})
		// Only what makes it an event may be missed.
		may := map[string][]string{
			"push": {"/ref", "/before", "/after", "/hook_name"}, "tag": {"/ref", "/before", "/after", "/hook_name"},
			"issue": {"/issue", "/hook_name"}, "pull_request": {"/pull_request", "/hook_name"}, "comment": {"/comment", "/hook_name"},
		}[d.Kind]
		for _, path := range slices.Sorted(maps.Keys(refused)) {
			if !slices.Contains(may, path) {
				t.Errorf("%s is refused for %s", d.Name, path)
			}
		}
	}
}

// unread are members that Parse does not look at, or that stand in the same form elsewhere.
var unread = []string{
	"project", "owner", "repo", "source_repo", "target_repo", "committer", "email", "avatar_url", "type", "site_admin",
	"ssh_url", "clone_url", "svn_url", "homepage", "language", "languages", "license", "fork", "has_issues", "has_wiki", "has_pages",
	"updated_by", "user_id", "pusher", "head_commit", "diff_url", "patch_url",
}

// mutate calls visit after each change of one value in v, and undoes the change.
func mutate(v any, path string, visit func(path string)) {
	change := func(path string, get func() any, set func(any), remove func()) {
		old := get()
		for _, other := range []any{nil, true, "x", []any{"x", nil, 3}, map[string]any{"x": "y"}} {
			set(other)
			visit(path)
		}
		if remove != nil {
			remove()
			visit(path)
		}
		set(old)
		mutate(old, path, visit)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if slices.Contains(unread, key) || strings.HasSuffix(key, "_count") || strings.HasPrefix(key, "git_") || path == "/sender" {
				continue
			}
			change(path+"/"+key, func() any { return v[key] }, func(x any) { v[key] = x }, func() { delete(v, key) })
		}
	case []any:
		for i := range min(len(v), 1) {
			change(path+"/0", func() any { return v[i] }, func(x any) { v[i] = x }, nil)
		}
	}
}

func TestKeysThatComeTwiceAreTolerated(t *testing.T) {
	e := mustParse(t, headers(pushHook), with(barePush, `"repository":"?","ref":null,"before":{},"commits":"x","token":"s3cr3t","key":"s3cr3t"`))
	if e.GetPush().GetBranch() != "main" || e.GetRepository().GetId() != 77 {
		t.Errorf("got %v", e)
	}
}

func TestParseKeepsNoneOfItsArguments(t *testing.T) {
	body := []byte(with(barePush, `"head_commit":`+commitA))
	h := headers(pushHook)
	e, err := gitee.Parse(gitee.Password(password), "payments", h, body, sent)
	if err != nil {
		t.Fatal(err)
	}
	was := proto.Clone(e)
	copy(body, bytes.Repeat([]byte("#"), len(body)))
	clear(map[string][]string(http.Header(h)))
	if !proto.Equal(was, e) {
		t.Error("the event changes with the body that it was read from")
	}
}
