package gitee_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// idOf sends d at the given time through a hook and returns the event's id.
func idOf(t *testing.T, secret gitee.Secret, hook string, d giteetest.Delivery, at time.Time) string {
	t.Helper()
	req, err := giteetest.NewRequest(t.Context(), "http://127.0.0.1/", secret, d, at)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	e, err := gitee.Parse(secret, hook, req.Header, body, at)
	if err != nil {
		t.Fatal(err)
	}
	return e.GetId()
}

func TestTheSameEventHasTheSameIDWhenSentAgainOrThroughAnotherHook(t *testing.T) {
	password, key := gitee.Password("слово"), gitee.Signature("密钥")
	for _, d := range giteetest.All(sent) {
		if d.Ping {
			continue
		}
		want := idOf(t, password, "payments", d, sent)
		for _, later := range []time.Duration{0, 137 * time.Millisecond, 106 * time.Second, 5 * time.Hour, 22 * time.Hour} {
			if got := idOf(t, password, "payments", d, sent.Add(later)); got != want {
				t.Errorf("%s, sent again %v later: id %s, was %s", d.Name, later, got, want)
			}
		}
		other := d
		other.Event = strings.ToLower(strings.ReplaceAll(d.Event, " ", "_")) + "s"
		other.Body = []byte(strings.NewReplacer(
			`"hook_id":1310227`, `"hook_id":42`, "payments/hooks/1310227", "belltower/hooks/42", `"push_data":null,`, "",
		).Replace(string(d.Body)))
		other.Body = append(other.Body[:len(other.Body)-1], `,"token":"leaked-query"}`...)
		if got := idOf(t, key, "everything", other, sent.Add(time.Second)); got != want {
			t.Errorf("%s, through another hook: id %s, was %s", d.Name, got, want)
		}
	}
}

func TestDifferentEventsHaveDifferentIDs(t *testing.T) {
	branch := func(before, after, pushed string) string {
		return fmt.Sprintf(`{"ref":"refs/heads/x","before":%q,"after":%q,"repository":{"id":1,"path_with_namespace":"a/b","pushed_at":%q}}`, before, after, pushed)
	}
	issue := func(more string) string {
		return `{"action":"update","issue":{"id":5,"number":"I5","title":"t","updated_at":"2026-05-20T17:41:05+08:00"` + more + `},` + repo + `}`
	}
	pull := func(more string) string {
		return `{"action":"update","pull_request":{"id":5,"number":5,"title":"t","updated_at":"2026-05-20T17:41:05+08:00"` + more + `},` + repo + `}`
	}
	note := func(id int, action, body, more string) string {
		return fmt.Sprintf(`{"action":%q,"comment":{"id":%d,"body":%q,"created_at":"2026-05-20T17:41:05+08:00"%s},%s}`, action, id, body, more, repo)
	}
	const updated = `,"updated_at":"2026-05-20T17:41:06+08:00"`
	const zero = "00000000"
	for name, group := range map[string]struct {
		event  string
		bodies []string
	}{
		"a branch back and forth": {pushHook, []string{
			branch("a1", "b2", "2026-05-20T17:41:00+08:00"), branch("b2", "a1", "2026-05-20T17:41:02+08:00"),
			branch("a1", "b2", "2026-05-20T17:41:04+08:00"), branch("b2", "a1", "2026-05-20T17:41:05+08:00"),
		}},
		"a branch made and removed again and again": {pushHook, []string{
			branch(zero, "a1", "2026-05-20T17:41:00+08:00"), branch("a1", zero, "2026-05-20T17:41:01+08:00"),
			branch(zero, "a1", "2026-05-20T17:41:02+08:00"), branch("a1", zero, "2026-05-20T17:41:03+08:00"),
		}},
		"branch, tag, repository and host": {pushHook, []string{
			barePush, strings.Replace(barePush, "main", "Main", 1), strings.Replace(barePush, "heads", "tags", 1),
			strings.Replace(barePush, `"id":77`, `"id":78`, 1), strings.Replace(barePush, "gitee.com", "gitee.ru", 1),
			strings.Replace(barePush, `"id":77,`, "", 1), strings.Replace(barePush, `"id":77,"path_with_namespace":"колокол/`, `"path_with_namespace":"`, 1),
		}},
		"issues": {issueHook, []string{
			bareIssue, with(bareIssue, `"action":"delete"`), strings.Replace(bareIssue, `"id":5`, `"id":6`, 1), strings.Replace(bareIssue, "I5AB", "I5AC", 1),
			issue(""), issue(`,"state":"open"`), issue(`,"state":"x"`), issue(`,"title":"u"`), issue(`,"body":"b"`), issue(`,"body":"` + strings.Repeat("b", 30000) + `"`), issue(`,"body":"` + strings.Repeat("b", 30001) + `"`),
			issue(`,"labels":[{"name":"l"}]`), issue(`,"labels":[{"name":"l"},{"name":"m"}]`), issue(`,"assignee":{"login":"a"}`), issue(`,"collaborators":[{"login":"a"}]`),
			issue(`,"milestone":{"title":"m"}`), issue(updated), with(issue(""), `"sender":{"login":"a"}`), strings.Replace(issue(""), "update", "state_change", 1),
		}},
		"pull requests": {pullHook, []string{
			barePull, with(barePull, `"action":"merge"`), with(barePull, `"action":"close"`), strings.Replace(barePull, `"id":6`, `"id":7`, 1), strings.Replace(barePull, `"id":6,`, "", 1),
			pull(""), pull(`,"state":"open"`), pull(`,"title":"u"`), pull(`,"body":"b"`), pull(`,"labels":[{"name":"l"}]`), pull(`,"assignees":[{"login":"a"}]`), pull(`,"testers":[{"login":"a"}]`),
			pull(`,"head":{"sha":"1"}`), pull(`,"base":{"ref":"1"}`), pull(`,"head":{"ref":"1"}`), pull(updated), with(pull(""), `"sender":{"login":"a"}`), with(pull(""), `"action_desc":"update_label"`),
			with(pull(""), `"action":"open"`), with(pull(""), `"action":"open","action_desc":"assign"`), with(pull(""), `"action":"open","action_desc":"test"`),
			with(pull(""), `"action":"assign"`), with(pull(""), `"action":"assign","action_desc":"assign"`), with(pull(""), `"action":"test"`),
			strings.Replace(pull(""), "update", "approved", 1), strings.Replace(pull(""), "update", "tested", 1), with(strings.Replace(pull(""), "update", "approved", 1), `"sender":{"login":"b"}`),
		}},
		"comments": {noteHook, []string{
			note(1, "comment", "x", ""), note(2, "comment", "x", ""), note(1, "deleted", "x", ""), note(1, "edited", "x", ""), note(1, "edited", "y", ""), note(1, "edited", "x", updated),
			note(0, "comment", "x", ""), note(0, "comment", "y", ""), note(0, "comment", "x", updated),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]int{}
			for i, body := range group.bodies {
				id := mustParse(t, headers(group.event), body).GetId()
				if j, ok := seen[id]; ok {
					t.Errorf("bodies %d and %d have the id %s:\n%s\n%s", j, i, id, group.bodies[j], body)
				}
				seen[id] = i
			}
		})
	}
}

func TestWhatHappensOnceHasOneIDWhateverElseChanges(t *testing.T) {
	for _, pair := range [][3]string{
		{issueHook, bareIssue, `{"action":"open","issue":{"id":5,"number":"I5AB","title":"later","labels":[{"name":"x"}],"updated_at":"2026-05-20T17:41:06+08:00"},` + repo + `}`},
		{pullHook, with(barePull, `"action":"merge"`), `{"action":"merge","pull_request":{"id":6,"number":12,"body":"later"},` + repo + `,"sender":` + olga + `}`},
		{noteHook, bareNote, `{"action":"comment","comment":{"id":7,"body":"好 (cut)"},` + repo + `}`},
	} {
		a, b := mustParse(t, headers(pair[0]), pair[1]).GetId(), mustParse(t, headers(pair[0]), pair[2]).GetId()
		if a != b {
			t.Errorf("%s: ids %s and %s", pair[1], a, b)
		}
	}
	a := mustParse(t, headers(issueHook), `{"action":"update","issue":{"number":"I5","labels":[{"name":"x"},{"name":"y"}]}}`)
	b := mustParse(t, headers(issueHook), `{"action":"update","issue":{"number":"I5","labels":[{"name":"y"},{"name":"x"}]}}`)
	if a.GetId() != b.GetId() {
		t.Error("the order of labels changes the id")
	}
}

func TestWithoutATimeOfTheHostTheDeliverysTellsEventsApart(t *testing.T) {
	at := func(d time.Duration) string { return strconv.FormatInt(sent.Add(d).UnixMilli(), 10) }
	for _, pushed := range []string{`null`, `"2026-05-01T00:00:00+08:00"`, `"soon"`} {
		body := `{"ref":"refs/heads/x","before":"0","after":"b2","repository":{"id":1,"path_with_namespace":"a/b","pushed_at":` + pushed + `}}`
		id := func(d time.Duration) string {
			return mustParse(t, headers(pushHook, "X-Gitee-Timestamp", at(d)), body).GetId()
		}
		if id(0) != id(2*time.Second) {
			t.Errorf("pushed_at %s: another id two seconds later", pushed)
		}
		if id(0) == id(15*time.Minute) {
			t.Errorf("pushed_at %s: the same id fifteen minutes later", pushed)
		}
	}
}
