package giteetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

var (
	now     = time.Date(2026, 5, 20, 9, 41, 7, 125e6, time.UTC)
	secrets = map[string]gitee.Secret{
		"password":  gitee.Password("тихий-пароль-7"),
		"signature": gitee.Signature("密钥+/=7"),
	}
)

// send gives d to gitee.Parse the way a server would.
func send(t *testing.T, secret gitee.Secret, d giteetest.Delivery, at time.Time) (*eventv1.Event, error) {
	t.Helper()
	req, err := giteetest.NewRequest(t.Context(), "https://belfry.example.com/hooks/payments", secret, d, at)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return gitee.Parse(secret, "payments", req.Header, body, at)
}

func words(e *eventv1.Event) (kind, action string) {
	m := e.ProtoReflect()
	if field := m.WhichOneof(m.Descriptor().Oneofs().ByName("subject")); field != nil {
		kind = string(field.Name())
	}
	return kind, strings.ToLower(strings.TrimPrefix(e.GetAction().String(), "ACTION_"))
}

func TestEveryDeliveryParsesIntoWhatItPromises(t *testing.T) {
	for mode, secret := range secrets {
		names, ids := map[string]bool{}, map[string]string{}
		var last time.Time
		for _, d := range giteetest.All(now) {
			t.Run(mode+"/"+d.Name, func(t *testing.T) {
				e, err := send(t, secret, d, now)
				if err != nil {
					t.Fatal(err)
				}
				if err := protovalidate.Validate(e); err != nil {
					t.Error(err)
				}
				if kind, action := words(e); kind != d.Kind || action != d.Action {
					t.Errorf("parsed as %s %s, promised is %s %s", kind, action, d.Kind, d.Action)
				}
				if names[d.Name] || d.Title == "" {
					t.Errorf("the name %q or the title %q is not fit", d.Name, d.Title)
				}
				names[d.Name] = true
				if other, ok := ids[e.GetId()]; ok {
					t.Errorf("has the id of %s", other)
				}
				ids[e.GetId()] = d.Name
				if d.Ping {
					return
				}
				at := e.GetOccurTime().AsTime()
				if at.Before(last) || at.After(now) {
					t.Errorf("happened at %v, not between %v and %v", at, last, now)
				}
				if !at.Equal(now.Truncate(time.Millisecond)) { // the time of the delivery, for lack of another
					last = at
				}
				if e.GetSender().GetLogin() == "" || e.GetRepository().GetPath() != "belltower/payments" || e.GetEnterprise().GetName() == "" {
					t.Errorf("lacks a sender, its repository or its enterprise: %v", e)
				}
			})
		}
	}
}

func TestAllCoversEveryActionOfEverySubjectAndEveryTargetOfAComment(t *testing.T) {
	want := map[string][]eventv1.Action{
		"push":         {1, 2, 3, 4},
		"tag":          {2, 3, 4},
		"issue":        {4, 5, 6, 7, 8, 9, 10, 11},
		"pull_request": {5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16},
		"comment":      {2, 4, 17},
		"ping":         {18},
	}
	got := map[string]bool{}
	targets := map[protoreflect.Name]bool{}
	for _, d := range giteetest.All(now) {
		e, err := send(t, secrets["signature"], d, now)
		if err != nil {
			t.Fatal(err)
		}
		kind, action := words(e)
		got[kind+" "+action] = true
		if c := e.GetComment(); c != nil {
			name := protoreflect.Name("repository")
			if f := c.ProtoReflect().WhichOneof(c.ProtoReflect().Descriptor().Oneofs().ByName("target")); f != nil {
				name = f.Name()
			}
			targets[name] = true
		}
	}
	for kind, actions := range want {
		for _, a := range actions {
			word := strings.ToLower(strings.TrimPrefix(a.String(), "ACTION_"))
			if !got[kind+" "+word] {
				t.Errorf("no delivery of %s %s", kind, word)
			}
		}
	}
	for _, name := range []protoreflect.Name{"repository", "issue", "pull_request", "commit"} {
		if !targets[name] {
			t.Errorf("no comment on a %s", name)
		}
	}
}

func TestTheSameMomentTellsTheSameStoryAndAnotherOneDoesNot(t *testing.T) {
	a, b, later := giteetest.All(now), giteetest.All(now), giteetest.All(now.Add(time.Second))
	for i := range a {
		if !bytes.Equal(a[i].Body, b[i].Body) {
			t.Errorf("%s: another body for the same moment", a[i].Name)
		}
		if a[i].Ping {
			continue
		}
		e, err := send(t, secrets["password"], a[i], now)
		if err != nil {
			t.Fatal(err)
		}
		f, err := send(t, secrets["password"], later[i], now)
		if err != nil {
			t.Fatal(err)
		}
		if e.GetId() == f.GetId() {
			t.Errorf("%s: the same id a second later", a[i].Name)
		}
	}
}

func TestRequestsCarryWhatGiteeSends(t *testing.T) {
	d := giteetest.All(now)[1]
	for mode, secret := range secrets {
		req, err := giteetest.NewRequest(t.Context(), "http://127.0.0.1:8080/hooks/a", secret, d, now)
		if err != nil {
			t.Fatal(err)
		}
		stamp := "1779270067125"
		token := secret.Token(stamp)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "git-oschina-hook", "X-Gitee-Token": token,
			"X-Gitee-Timestamp": stamp, "X-Gitee-Ping": "false", "X-Gitee-Event": "Push Hook", "X-Git-Oschina-Event": "Push Hook",
		} {
			if got := req.Header.Get(name); got != want {
				t.Errorf("%s: header %s is %q, want %q", mode, name, got, want)
			}
		}
		if req.Method != http.MethodPost {
			t.Errorf("%s: method is %s", mode, req.Method)
		}
		body, _ := io.ReadAll(req.Body)
		if int64(len(body)) != req.ContentLength || !json.Valid(body) {
			t.Errorf("%s: the body is not what its length says, or not JSON", mode)
		}
		var got struct {
			Password, Timestamp, Sign string
			Ref                       string
			Repository, Project       map[string]any
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		want := [2]string{token, ""}
		if mode == "signature" {
			want = [2]string{"", token}
		}
		if [2]string{got.Password, got.Sign} != want || got.Timestamp != stamp {
			t.Errorf("%s: the body has not the password, sign and timestamp that Gitee sends", mode)
		}
		if got.Ref != "refs/heads/feature/refunds" || len(got.Repository) != 34 || len(got.Project) != 34 {
			t.Errorf("%s: ref %q, %d members of the repository and %d of the project, want 34", mode, got.Ref, len(got.Repository), len(got.Project))
		}
		if n := strings.Count(string(body), `"timestamp":"`+stamp); n != 1 {
			t.Errorf("%s: the timestamp stands %d times in the body", mode, n)
		}
	}
	if bytes.Contains(d.Body, []byte("1779270067125")) {
		t.Error("the delivery was changed by making a request of it")
	}
}

func TestAHookWithoutASecretSendsEmptyTokens(t *testing.T) {
	req, err := giteetest.NewRequest(t.Context(), "http://127.0.0.1/", gitee.Secret{}, giteetest.All(now)[0], now)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := req.Header["X-Gitee-Token"]; !ok || len(v) != 1 || v[0] != "" {
		t.Errorf("X-Gitee-Token is %q, want one empty value", v)
	}
	if req.Header.Get("X-Gitee-Ping") != "true" {
		t.Error("the test delivery does not say that it is one")
	}
}

func TestNewRequestRefusesWhatIsNotABodyOrAnAddress(t *testing.T) {
	ctx := context.Background()
	for _, body := range []string{"", "[]", `"x"`, `{"a":`, `{"a" 1}`} {
		if _, err := giteetest.NewRequest(ctx, "http://127.0.0.1/", gitee.Password("p"), giteetest.Delivery{Body: []byte(body)}, now); err == nil {
			t.Errorf("made a request of the body %q", body)
		}
	}
	if _, err := giteetest.NewRequest(ctx, "http://[", gitee.Password("p"), giteetest.Delivery{Body: []byte("{}")}, now); err == nil {
		t.Error("made a request to no address")
	}
}

func TestPushesAreUniqueToTheirMarkers(t *testing.T) {
	ids := map[string]string{}
	for _, n := range []int{1, 3, 12, 300} {
		for _, marker := range []string{"load-1", "load-2", "负载-3"} {
			d := giteetest.Push(now, "belltower/clocks", "release/1.x", n, marker)
			e, err := send(t, secrets["signature"], d, now)
			if err != nil {
				t.Fatal(err)
			}
			if kind, action := words(e); kind != d.Kind || action != d.Action {
				t.Errorf("parsed as %s %s, promised is %s %s", kind, action, d.Kind, d.Action)
			}
			p := e.GetPush()
			if len(p.GetCommits()) != n || p.GetTotalCommits() != int32(n) || p.GetBranch() != "release/1.x" || e.GetRepository().GetPath() != "belltower/clocks" {
				t.Errorf("%d commits %s: parsed into %d of %d commits on %s of %s", n, marker, len(p.GetCommits()), p.GetTotalCommits(), p.GetBranch(), e.GetRepository().GetPath())
			}
			for _, c := range p.GetCommits() {
				if !strings.HasPrefix(c.GetMessage(), marker+":") {
					t.Errorf("the message %q does not start with %s", c.GetMessage(), marker)
				}
			}
			if other, ok := ids[e.GetId()]; ok {
				t.Errorf("%d commits %s: has the id of %s", n, marker, other)
			}
			ids[e.GetId()] = marker
		}
	}
}

func BenchmarkPushRequest(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		d := giteetest.Push(now, "belltower/clocks", "main", 1, "load")
		if _, err := giteetest.NewRequest(b.Context(), "http://127.0.0.1/", secrets["signature"], d, now); err != nil {
			b.Fatal(err)
		}
	}
}
