package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// fakePreview words every event as its id, in three languages.
func fakePreview(_ context.Context, shape string, e *eventv1.Event) ([]*notifierv1.Preview, error) {
	var all []*notifierv1.Preview
	for _, locale := range []string{"zh-CN", "en", "ru"} {
		title := locale + " " + e.GetSender().GetLogin()
		text := "### " + title + "\n\n" + e.GetId() + " @0266 "
		m := dingtalk.Message{Content: dingtalk.Markdown{Title: title, Text: text}, Mentions: dingtalk.Mentions{UserIDs: []string{"0266"}}}
		if shape == ShapeActionCard {
			m.Content = dingtalk.ActionCard{Title: title, Text: text, SingleTitle: "open", SingleURL: "https://gitee.com/"}
		}
		body, err := m.MarshalJSON()
		if err != nil {
			return nil, err
		}
		all = append(all, &notifierv1.Preview{
			Robot: "robots/demo", Locale: locale, Body: string(body), SizeBytes: int32(len(body)),
			Keyword: &notifierv1.KeywordVerdict{Verdict: "APPENDED", Keyword: "Gitee"},
		})
	}
	return all, nil
}

// lookAt sends a body to the page, as the page's scripts do.
func lookAt(t *testing.T, p *Page, shape, body string, header map[string]string) (*httptest.ResponseRecorder, lookView) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/look?shape="+shape, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, r)
	var view lookView
	if ct := w.Header().Get("Content-Type"); ct == "application/json" {
		if err := json.Unmarshal(w.Body.Bytes(), &view); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
	}
	return w, view
}

func sampleNamed(t *testing.T, name string) giteetest.Delivery {
	t.Helper()
	for _, s := range giteetest.All(time.Now()) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no sample %q", name)
	return giteetest.Delivery{}
}

func TestEverySampleCanBeLookedAt(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	var list []sampleView
	if err := json.Unmarshal(get(t, p.Handler(), http.MethodGet, "/api/samples").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(p.samples) || len(list) < 20 {
		t.Fatalf("%d samples are listed, the page has %d", len(list), len(p.samples))
	}
	for _, s := range list {
		body := get(t, p.Handler(), http.MethodGet, "/api/samples/"+s.Name+"/body").Body.String()
		header := map[string]string{"X-Gitee-Event": s.Event, "X-Gitee-Ping": fmt.Sprint(s.Ping)}
		for _, shape := range []string{ShapeMarkdown, ShapeActionCard} {
			w, view := lookAt(t, p, shape, body, header)
			switch {
			case w.Code != http.StatusOK || view.Fault != "":
				t.Errorf("%s as %s: %d %s", s.Name, shape, w.Code, view.Fault)
			case s.Kind == "" && view.Ignored == "":
				t.Errorf("%s has nothing to tell, and the page doesn't say so: %s", s.Name, w.Body)
			case s.Kind != "" && (len(view.Previews) != 3 || view.Event.Kind != s.Kind || view.Event.Action != s.Action):
				t.Errorf("%s is shown as %+v with %d previews", s.Name, view.Event, len(view.Previews))
			}
		}
	}
	if w := get(t, p.Handler(), http.MethodGet, "/api/samples/none/body"); w.Code != http.StatusNotFound {
		t.Errorf("a sample that there is not: %d", w.Code)
	}
}

func TestALookTellsWhatTheGroupWouldSee(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	s := sampleNamed(t, "issue_opened")
	w, view := lookAt(t, p, ShapeActionCard, string(s.Body), map[string]string{"Sec-Fetch-Site": "same-origin"})
	if w.Code != http.StatusOK || view.Event.Kind != "issue" || view.Event.Action != "opened" || view.Event.Repository != "belltower/payments" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	ru := view.Previews[2]
	want := messageView{
		Type: "actionCard", Title: "ru " + view.Event.Sender, Text: "### ru " + view.Event.Sender + "\n\n" + view.Event.ID + " @0266 ",
		Buttons: []linkView{{Title: "open", URL: "https://gitee.com/"}}, Bytes: ru.Bytes,
		Mentions: []mentionView{{Target: "0266", Name: "李娜", UserID: true, Effective: true}},
	}
	if diff := cmp.Diff(&want, ru.Message); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if ru.Locale != "ru" || ru.Keyword != "the keyword Gitee was added" || ru.Bytes != len(ru.Body)+49 {
		t.Errorf("the preview is %+v", ru)
	}
}

func TestALookSaysInPlainWordsWhatIsWrong(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	for name, c := range map[string]struct {
		shape, body string
		header      map[string]string
		code        int
		want        string
	}{
		"nothing":            {ShapeMarkdown, " \n", nil, 400, "paste the body of a webhook"},
		"no JSON":            {ShapeMarkdown, "{\n  \"a\": 1,\n  b\n}", nil, 400, "(line 3, column 3)"},
		"no webhook":         {ShapeMarkdown, `{"a":1}`, nil, 400, "hook_name"},
		"two webhooks":       {ShapeMarkdown, `{"hook_name":"push_hooks"}`, map[string]string{"X-Gitee-Event": "Note Hook"}, 400, "different webhooks"},
		"an unknown webhook": {ShapeMarkdown, `{"hook_name":"wiki_hooks"}`, nil, 200, "wiki_hooks"},
		"too much":           {ShapeMarkdown, strings.Repeat(" ", gitee.MaxBody+1), nil, 413, "larger than 10 MiB"},
		"a form":             {ShapeMarkdown, "{}", map[string]string{"Content-Type": "text/plain"}, 415, "application/json"},
		"no shape":           {"feedCard", "{}", nil, 400, "markdown or actionCard"},
		"another page":       {ShapeMarkdown, "{}", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, ""},
		"another page, as older browsers tell it": {ShapeMarkdown, "{}", map[string]string{"Origin": "https://evil.example"}, 403, ""},
	} {
		w, view := lookAt(t, p, c.shape, c.body, c.header)
		if said := view.Fault + view.Ignored; w.Code != c.code || !strings.Contains(said, c.want) || view.Previews != nil {
			t.Errorf("%s: %d %q, want %d with %q", name, w.Code, said, c.code, c.want)
		}
	}
	p.preview = func(context.Context, string, *eventv1.Event) ([]*notifierv1.Preview, error) {
		return nil, status.Error(codes.Unavailable, "the journal is full")
	}
	if w, view := lookAt(t, p, ShapeMarkdown, string(sampleNamed(t, "push_commits").Body), nil); w.Code != 502 || !strings.Contains(view.Fault, "the journal is full") || view.Event == nil {
		t.Errorf("a notifier that refuses: %d %s", w.Code, w.Body)
	}
}

func TestALookShowsNoSecretOfTheBody(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	body := strings.Replace(string(sampleNamed(t, "push_commits").Body), `"password":""`, `"password":"hunter2"`, 1)
	if !strings.Contains(body, "hunter2") {
		t.Fatal("the sample has no password to fill in")
	}
	if w, _ := lookAt(t, p, ShapeMarkdown, body, nil); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLooksAreBounded(t *testing.T) {
	p, _ := newTestPage(t, newFakeGroup(), saying(nil), new(lookup))
	for range maxLooks {
		p.looks <- struct{}{}
	}
	w, view := lookAt(t, p, ShapeMarkdown, "{}", nil)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(view.Fault, "try again") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	<-p.looks
	if w, _ := lookAt(t, p, ShapeMarkdown, "{}", nil); w.Code != http.StatusBadRequest {
		t.Errorf("with a place free: %d", w.Code)
	}
	if len(p.looks) != maxLooks-1 {
		t.Error("a look keeps its place when it is over")
	}
}
