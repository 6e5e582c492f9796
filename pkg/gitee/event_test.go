package gitee_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// The people and the repository of the bodies below, as Gitee writes them.
const (
	olga   = `{"id":31,"name":"Ольга 🐈","email":"o@example.com","username":"olga-k","user_name":"olga-k","login":"olga-k","url":"https://gitee.com/olga-k","html_url":"https://gitee.com/olga-k","avatar_url":"https://gitee.com/a.png","type":"User","site_admin":false,"remark":"Кот"}`
	wangfu = `{"id":32,"name":"王芙","email":"w@example.com","username":"wangfu","user_name":"wangfu","url":"https://gitee.com/wangfu"}`
	clocks = `{"id":9001,"name":"钟表","path":"clocks","full_name":"Kolokol/钟表","private":true,"html_url":"https://gitee.com/kolokol/clocks","url":"https://gitee.com/kolokol/clocks","pushed_at":"2026-05-20T17:41:06+08:00","updated_at":"2026-05-20T17:41:06+08:00","default_branch":"main","namespace":"kolokol","path_with_namespace":"kolokol/clocks"}`
	tail   = `"repository":` + clocks + `,"project":` + clocks + `,"sender":` + olga + `,"enterprise":{"name":"Колокол","url":"https://gitee.com/kolokol"},"hook_id":5,"hook_url":"https://gitee.com/kolokol/clocks/hooks/5/edit","password":"` + password + `","timestamp":"` + sentAt + `","sign":""}`

	commitA = `{"id":"aaa1","tree_id":"t1","parent_ids":["b0"],"distinct":true,"message":"走时校准 ±1 s\n\nСигнал раз в час.\n","timestamp":"2026-05-20T17:30:00+08:00","url":"https://gitee.com/kolokol/clocks/commit/aaa1","author":{"time":"2026-05-20T17:30:00+08:00","id":32,"name":"王芙","email":"w@example.com","username":"wangfu","user_name":"wangfu","url":"https://gitee.com/wangfu","remark":null},"committer":{"name":"Gitee","email":"noreply@gitee.com"},"added":["часы/ход.go"],"removed":[],"modified":null}`
	commitB = `{"id":"bbb2","tree_id":"t2","parent_ids":["aaa1"],"distinct":true,"message":"Merge tower","timestamp":"2026-05-20T17:40:00+08:00","url":"https://gitee.com/kolokol/clocks/commit/bbb2","author":{"time":"2026-05-20T17:40:00+08:00","name":"Nobody Known","email":"n@example.com"},"committer":null,"added":null,"removed":["old.go"],"modified":["go.mod","钟.go"]}`

	wantRepository = `repository{id:9001 path:"kolokol/clocks" name:"钟表" url:"https://gitee.com/kolokol/clocks" private:true default_branch:"main"} enterprise{name:"Колокол" url:"https://gitee.com/kolokol"} hook:"payments" `
	wantOlga       = `{login:"olga-k" name:"Ольга 🐈" remark:"Кот" url:"https://gitee.com/olga-k"} `
	wantWangfu     = `{login:"wangfu" name:"王芙" url:"https://gitee.com/wangfu"} `
	wantA          = `{id:"aaa1" message:"走时校准 ±1 s\n\nСигнал раз в час.\n" url:"https://gitee.com/kolokol/clocks/commit/aaa1" author` + wantWangfu + ` create_time{seconds:1779269400} added:"часы/ход.go"} `
	wantB          = `{id:"bbb2" message:"Merge tower" url:"https://gitee.com/kolokol/clocks/commit/bbb2" author{name:"Nobody Known"} create_time{seconds:1779270000} removed:"old.go" modified:"go.mod" modified:"钟.go"} `

	issueBody = `{"id":501,"number":"I5ZZ","title":"时钟慢了 & <b>","body":"第一行\r\n\r\n- второй пункт\r\n","html_url":"https://gitee.com/kolokol/clocks/issues/I5ZZ","state":"progressing","state_name":"进行中","type_name":"缺陷","user":` + wangfu + `,"assignee":` + olga + `,"collaborators":[` + wangfu + `,null,` + wangfu + `],"labels":[{"id":1,"name":"срочно","color":"FF00aa"},{"id":2,"name":"钟","color":"#0e8a16"},{"id":3,"name":"odd","color":"red"},{"id":4,"name":null}],"milestone":{"id":4,"title":"Башня 2.0"},"comments":3,"created_at":"2026-05-19T10:00:00+08:00","updated_at":"2026-05-20T17:41:05+08:00"}`
	wantIssue = `{id:501 number:"I5ZZ" title:"时钟慢了 & <b>" body:"第一行\n\n- второй пункт\n" url:"https://gitee.com/kolokol/clocks/issues/I5ZZ" state:"progressing" state_name:"进行中" type_name:"缺陷" author` + wantWangfu + ` assignee` + wantOlga + ` collaborators` + wantWangfu + ` labels{name:"срочно" color:"FF00aa"} labels{name:"钟" color:"0e8a16"} labels{name:"odd"} milestone:"Башня 2.0"} `

	pullBody = `{"id":601,"number":7,"title":"Chime hourly 🔔","body":null,"html_url":"https://gitee.com/kolokol/clocks/pulls/7","state":"open","merged":false,"merge_status":"can_be_merged","user":` + wangfu + `,"assignee":` + wangfu + `,"assignees":[` + olga + `,` + wangfu + `],"tester":[` + olga + `],"testers":[],"labels":[{"name":"钟","color":"0e8a16"}],"milestone":{"title":"Башня 2.0"},"head":{"label":"王芙:chime/x","ref":"chime/x","sha":"cafe7","repo":{"id":8,"path_with_namespace":"wangfu/clocks"}},"base":{"ref":"main","repo":` + clocks + `},"commits":2,"additions":40,"deletions":"3","changed_files":5,"mergeable":null,"created_at":"2026-05-20T17:00:00+08:00","updated_at":"2026-05-20T17:41:05+08:00"}`
	wantPull = `{id:601 number:7 title:"Chime hourly 🔔" url:"https://gitee.com/kolokol/clocks/pulls/7" state:"open" source_branch:"chime/x" source_repository:"wangfu/clocks" target_branch:"main" head:"cafe7" author` + wantWangfu + ` assignees` + wantOlga + ` assignees` + wantWangfu + ` testers` + wantOlga + ` labels{name:"钟" color:"0e8a16"} milestone:"Башня 2.0" commits:2 additions:40 deletions:3 changed_files:5 merge_status:"can_be_merged"} `
)

func TestEventsHoldAllThatGiteeTells(t *testing.T) {
	tests := []struct{ name, event, body, want string }{
		{
			"push", pushHook,
			`{"ref":"refs/heads/релиз/2.0 #1","before":"b0","after":"bbb2","total_commits_count":2,"commits_more_than_ten":false,"created":false,"deleted":false,"compare":"https://gitee.com/kolokol/clocks/compare/b0...bbb2","commits":[` + commitA + `,` + commitB + `],"head_commit":` + commitB + `,"user_name":"Ольга 🐈",` + tail,
			`action:ACTION_PUSHED occur_time{seconds:1779270066} sender` + wantOlga + wantRepository + `push{branch:"релиз/2.0 #1" branch_url:"https://gitee.com/kolokol/clocks/tree/%D1%80%D0%B5%D0%BB%D0%B8%D0%B7/2.0%20%231" before:"b0" after:"bbb2" commits` + wantA + `commits` + wantB + `total_commits:2 compare_url:"https://gitee.com/kolokol/clocks/compare/b0...bbb2" head_commit` + wantB + `}`,
		},
		{
			"push, newest commit first", pushHook,
			`{"ref":"refs/heads/main","before":"b0","after":"bbb2","total_commits_count":14,"commits_more_than_ten":true,"compare":"https://gitee.com/kolokol/clocks/compare/b0...bbb2","commits":[` + commitB + `,` + commitA + `],"head_commit":` + commitB + `,` + tail,
			`action:ACTION_PUSHED occur_time{seconds:1779270066} sender` + wantOlga + wantRepository + `push{branch:"main" branch_url:"https://gitee.com/kolokol/clocks/tree/main" before:"b0" after:"bbb2" commits` + wantA + `commits` + wantB + `total_commits:14 compare_url:"https://gitee.com/kolokol/clocks/compare/b0...bbb2" head_commit` + wantB + ` truncated:true}`,
		},
		{
			"new branch without a list", pushHook,
			`{"ref":"refs/heads/x","before":"0000000000000000000000000000000000000000","after":"bbb2","total_commits_count":13,"commits_more_than_ten":false,"created":true,"compare":"https://gitee.com/kolokol/clocks/compare/0...bbb2","commits":null,"head_commit":` + commitB + `,` + tail,
			`action:ACTION_CREATED occur_time{seconds:1779270066} sender` + wantOlga + wantRepository + `push{branch:"x" branch_url:"https://gitee.com/kolokol/clocks/tree/x" after:"bbb2" total_commits:13 head_commit` + wantB + ` truncated:true}`,
		},
		{
			"removed branch", pushHook,
			`{"ref":"refs/heads/x","before":"bbb2","after":"0000000000000000000000000000000000000000","total_commits_count":null,"commits_more_than_ten":null,"deleted":true,"compare":"https://gitee.com/kolokol/clocks/compare/bbb2...0","commits":[],"head_commit":null,` + tail,
			`action:ACTION_DELETED occur_time{seconds:1779270066} sender` + wantOlga + wantRepository + `push{branch:"x" before:"bbb2"}`,
		},
		{
			"tag", tagHook,
			`{"ref":"refs/tags/v2/β","before":"00000000","after":"bbb2","created":true,"deleted":false,"commits":null,"head_commit":` + commitB + `,` + tail,
			`action:ACTION_CREATED occur_time{seconds:1779270066} sender` + wantOlga + wantRepository + `tag{name:"v2/β" url:"https://gitee.com/kolokol/clocks/tree/v2/%CE%B2" after:"bbb2" commit` + wantB + `}`,
		},
		{
			"issue", issueHook,
			`{"action":"state_change","issue":` + issueBody + `,"assignee":null,"iid":"I5ZZ","title":"old","state":"closed","milestone":"Башня 2.0","url":"https://gitee.com/kolokol/clocks/issues/I5ZZ","target_user":null,` + tail,
			`action:ACTION_STATE_CHANGED host_action:"state_change" occur_time{seconds:1779270065} sender` + wantOlga + wantRepository + `issue` + wantIssue,
		},
		{
			"pull request", pullHook,
			`{"action":"update","action_desc":"update_label","pull_request":` + pullBody + `,"number":7,"body":"из верхнего уровня","source_branch":"other","target_branch":"other",` + tail,
			`action:ACTION_UPDATED host_action:"update" host_action_detail:"update_label" occur_time{seconds:1779270065} sender` + wantOlga + wantRepository + `pull_request` + wantPull[:len(wantPull)-2] + ` body:"из верхнего уровня"}`,
		},
		{
			"comment on an issue", noteHook,
			`{"action":"comment","comment":{"id":701,"body":"@olga-k 看一下 👀\r\n","html_url":"https://gitee.com/kolokol/clocks/issues/I5ZZ#note_701","user":` + wangfu + `,"created_at":"2026-05-20T17:41:04+08:00","updated_at":"2026-05-20T17:41:04+08:00"},"noteable_type":"Issue","issue":` + issueBody + `,"pull_request":null,"short_commit_id":null,` + tail,
			`action:ACTION_CREATED host_action:"comment" occur_time{seconds:1779270064} sender` + wantOlga + wantRepository + `comment{id:701 body:"@olga-k 看一下 👀\n" url:"https://gitee.com/kolokol/clocks/issues/I5ZZ#note_701" author` + wantWangfu + ` issue` + wantIssue + `}`,
		},
		{
			"comment on a pull request, changed", noteHook,
			`{"action":"edited","comment":{"id":702,"body":"LGTM","user":` + olga + `,"created_at":"2026-05-20T17:00:00+08:00","updated_at":"2026-05-20T17:41:03+08:00"},"url":"https://gitee.com/kolokol/clocks/pulls/7#note_702","noteable_type":"PullRequest","pull_request":` + pullBody + `,` + tail,
			`action:ACTION_EDITED host_action:"edited" occur_time{seconds:1779270063} sender` + wantOlga + wantRepository + `comment{id:702 body:"LGTM" url:"https://gitee.com/kolokol/clocks/pulls/7#note_702" author` + wantOlga + ` pull_request` + wantPull + `}`,
		},
		{
			"comment on a commit, removed", noteHook,
			`{"action":"deleted","comment":{"id":703,"body":"нет","html_url":"https://gitee.com/kolokol/clocks/commit/bbb2#note_703","user":` + wangfu + `,"position":"f00d_0_42","commit_id":"bbb2","created_at":"2026-05-20T17:00:00+08:00","updated_at":"2026-05-20T17:00:00+08:00"},"noteable_type":"Commit","noteable_id":null,"short_commit_id":"bbb",` + tail,
			`action:ACTION_DELETED host_action:"deleted" occur_time{seconds:1779270067 nanos:125000000} sender` + wantOlga + wantRepository + `comment{id:703 body:"нет" url:"https://gitee.com/kolokol/clocks/commit/bbb2#note_703" author` + wantWangfu + ` commit{id:"bbb2" position:"f00d_0_42"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := &eventv1.Event{}
			if err := prototext.Unmarshal([]byte(tt.want), want); err != nil {
				t.Fatal(err)
			}
			got := mustParse(t, headers(tt.event), tt.body)
			if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want, "id")); diff != "" {
				t.Errorf("the event differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnIssueMayBelongToNoRepository(t *testing.T) {
	for _, hook := range []struct{ event, body string }{
		{issueHook, `{"action":"open","repository":null,"project":null,"enterprise":{"name":"Колокол"},"issue":` + issueBody + `}`},
		{noteHook, `{"action":"comment","repository":null,"enterprise":{"name":"Колокол"},"comment":{"id":1,"body":"x"},"noteable_type":"Issue","issue":` + issueBody + `}`},
	} {
		e := mustParse(t, headers(hook.event), hook.body)
		if e.GetRepository() != nil || e.GetEnterprise().GetName() != "Колокол" {
			t.Errorf("got %v", e)
		}
	}
}

func TestTheTimeOfAnEventIsTheHostsBestWord(t *testing.T) {
	const atCommit = `"head_commit":{"id":"b2","timestamp":"2024-01-02T03:04:05+08:00"}`
	pushedAt := func(s string) string {
		return `{"ref":"refs/heads/x","before":"a1","after":"b2",` + atCommit + `,"repository":{"path_with_namespace":"a/b","pushed_at":` + s + `}}`
	}
	pull := func(action, more string) string {
		return `{"action":"` + action + `","pull_request":{"number":1,"updated_at":"2026-05-20T17:41:01+08:00"` + more + `},` + repo + `}`
	}
	for _, tt := range []struct {
		name, event, body, timestamp, want string
	}{
		{"pushed_at", pushHook, pushedAt(`"2026-05-20T17:41:06+08:00"`), sentAt, "2026-05-20T09:41:06Z"},
		{"pushed_at of a UTC installation", pushHook, pushedAt(`"2026-05-20T09:41:06Z"`), sentAt, "2026-05-20T09:41:06Z"},
		{"pushed_at with a lost plus", pushHook, pushedAt(`"2026-05-20T17:41:06 08:00"`), sentAt, "2026-05-20T09:41:06Z"},
		{"pushed_at of another push", pushHook, pushedAt(`"2026-05-18T17:41:06+08:00"`), sentAt, "2026-05-20T09:41:07.125Z"},
		{"no pushed_at", pushHook, pushedAt(`null`), sentAt, "2026-05-20T09:41:07.125Z"},
		{"old pushed_at, no timestamp", pushHook, pushedAt(`"2026-05-18T17:41:06+08:00"`), "-", "2026-05-18T09:41:06Z"},
		{"no pushed_at, no timestamp", pushHook, pushedAt(`"вчера"`), "-", "2024-01-01T19:04:05Z"},
		{"issue opened", issueHook, `{"action":"open","issue":{"number":"I1","created_at":"2026-05-20T17:40:00+08:00","updated_at":"2026-05-20T17:41:00+08:00"}}`, sentAt, "2026-05-20T09:40:00Z"},
		{"issue removed", issueHook, `{"action":"delete","issue":{"number":"I1","updated_at":"2026-05-20T17:40:00+08:00"}}`, sentAt, "2026-05-20T09:41:07.125Z"},
		{"issue without times", issueHook, `{"action":"open","issue":{"number":"I1"}}`, sentAt, "2026-05-20T09:41:07.125Z"},
		{"timestamp in the body only", issueHook, `{"action":"open","timestamp":` + sentAt + `,"issue":{"number":"I1"}}`, "-", "2026-05-20T09:41:07.125Z"},
		{"nothing at all", issueHook, `{"action":"open","timestamp":null,"issue":{"number":"I1","created_at":"0000-00-00"}}`, "-", ""},
		{"merged", pullHook, pull("merge", `,"merged_at":"2026-05-20T17:40:30+08:00"`), sentAt, "2026-05-20T09:40:30Z"},
		{"closed", pullHook, pull("close", `,"closed_at":"2026-05-20T17:40:40+08:00","merged_at":null`), sentAt, "2026-05-20T09:40:40Z"},
		{"closed, time missing", pullHook, pull("close", `,"closed_at":null`), sentAt, "2026-05-20T09:41:01Z"},
		{"updated", pullHook, pull("update", `,"closed_at":"2026-05-20T17:40:40+08:00"`), sentAt, "2026-05-20T09:41:01Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := mustParse(t, headers(tt.event, "X-Gitee-Timestamp", tt.timestamp), tt.body)
			got := ""
			if e.GetOccurTime() != nil {
				got = e.GetOccurTime().AsTime().Format(time.RFC3339Nano)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhoDidItIsTakenFromWhereGiteeSaysIt(t *testing.T) {
	for _, tt := range []struct{ name, event, body, want string }{
		{"short user of a push", pushHook, with(barePush, `"sender":null,"pusher":`+wangfu), "wangfu 王芙"},
		{"display name of a push", pushHook, with(barePush, `"user_name":"王芙"`), " 王芙"},
		{"login only", pushHook, with(barePush, `"sender":{"login":"wangfu"}`), "wangfu wangfu"},
		{"user_name before login", pushHook, with(barePush, `"sender":{"user_name":"wangfu","login":"x","name":" "}`), "wangfu wangfu"},
		{"updated_by of an issue", issueHook, with(bareIssue, `"sender":{},"updated_by":`+wangfu), "wangfu 王芙"},
		{"updated_by of a pull request", pullHook, with(barePull, `"updated_by":`+wangfu), "wangfu 王芙"},
		{"author of a comment", noteHook, with(bareNote, `"author":`+wangfu), "wangfu 王芙"},
		{"nobody", noteHook, bareNote, " "},
		{"a query of the hook's address", pushHook, with(barePush, `"sender":`+wangfu+`,"sender":"?","pusher":7`), "wangfu 王芙"},
	} {
		if e := mustParse(t, headers(tt.event), tt.body); e.GetSender().GetLogin()+" "+e.GetSender().GetName() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, e.GetSender(), tt.want)
		}
	}
}
