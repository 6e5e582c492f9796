package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// door answers as the gateway does, after reading the body.
func door(status int, answer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
}

func post(t *testing.T, h http.Handler, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Gitee-Event", "Push Hook")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRecorderRemembersTheWebhookAndItsAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		answer string
		want   Webhook
	}{
		{
			name: "accepted", status: 200,
			answer: `{"event":{"kind":"push","action":"pushed","id":"e-1"},"deliveries":["robots/a/deliveries/3","robots/b/deliveries/4"],"duplicate":true}`,
			want: Webhook{
				Kind: "push", Action: "pushed", EventID: "e-1", Duplicate: true,
				Deliveries: []string{"robots/a/deliveries/3", "robots/b/deliveries/4"},
			},
		},
		{name: "nothing to tell", status: 200, answer: `{"ignored":"a companion"}`, want: Webhook{Ignored: "a companion"}},
		{
			name: "spooled", status: 202, answer: `{"event":{"kind":"issue","action":"opened","id":"e-2"},"spooled":true}`,
			want: Webhook{Kind: "issue", Action: "opened", EventID: "e-2", Spooled: true},
		},
		{
			name: "refused", status: 401, answer: `{"error":{"reason":"ERROR_REASON_NOT_AUTHENTIC","message":"not authentic"}}`,
			want: Webhook{Reason: "ERROR_REASON_NOT_AUTHENTIC", Message: "not authentic"},
		},
		{name: "an answer that is no JSON", status: 502, answer: "<html>", want: Webhook{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := NewRecorder(door(c.status, c.answer))
			before := rec.Changed()
			w := post(t, rec, "/hooks/payments", `{"a":1}`)
			if w.Code != c.status || w.Body.String() != c.answer {
				t.Errorf("the caller got %d %q, want the door's own %d %q", w.Code, w.Body, c.status, c.answer)
			}
			select {
			case <-before:
			default:
				t.Error("Changed was not closed")
			}
			want := c.want
			want.ID, want.Hook, want.EventHeader, want.Status = 1, "payments", "Push Hook", c.status
			want.Size, want.Body = 7, "{\n  \"a\": 1\n}"
			if diff := cmp.Diff([]Webhook{want}, rec.Webhooks(), cmpopts.IgnoreFields(Webhook{}, "Time", "Elapsed")); diff != "" {
				t.Errorf("remembered (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecorderPassesWhatIsNoHookUnrecorded(t *testing.T) {
	rec := NewRecorder(door(404, "{}"))
	if w := post(t, rec, "/favicon.ico", ""); w.Code != 404 {
		t.Errorf("status %d, want the door's 404", w.Code)
	}
	if got := rec.Webhooks(); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

func TestRecorderKeepsTheLast500(t *testing.T) {
	rec := NewRecorder(door(200, `{}`))
	for i := range 503 {
		post(t, rec, fmt.Sprintf("/hooks/h%d", i+1), "{}")
	}
	got := rec.Webhooks()
	if len(got) != 500 || got[0].ID != 4 || got[0].Hook != "h4" || got[499].ID != 503 {
		t.Fatalf("%d webhooks from %d to %d", len(got), got[0].ID, got[len(got)-1].ID)
	}
	for id, want := range map[uint64]bool{0: false, 3: false, 4: true, 503: true, 504: false} {
		if wh, ok := rec.Webhook(id); ok != want || ok && wh.Hook != fmt.Sprintf("h%d", id) {
			t.Errorf("Webhook(%d) = %q, %v, want %v", id, wh.Hook, ok, want)
		}
	}
}

func TestRecorderBoundsWhatItKeeps(t *testing.T) {
	long := strings.Repeat("ж", 1000)
	names, err := json.Marshal(slices.Repeat([]string{long}, 150))
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{
		`{"ignored":"` + long + `","deliveries":["` + long + `"]}`,
		`{"deliveries":` + string(names) + `}`, // longer than what is looked at
		`{"deliveries":["d"` + strings.Repeat(`,"d"`, 149) + `]}`,
	} {
		rec := NewRecorder(door(200, answer))
		post(t, rec, "/hooks/"+long, "{}")
		wh := rec.Webhooks()[0]
		if len(wh.Deliveries) > 100 {
			t.Errorf("kept %d deliveries", len(wh.Deliveries))
		}
		for _, s := range append(wh.Deliveries, wh.Hook, wh.Ignored) {
			if len(s) > maxWord || !utf8.ValidString(s) {
				t.Errorf("kept %d bytes, valid: %v", len(s), utf8.ValidString(s))
			}
		}
	}
}

func TestRecorderLeavesTheRequestAsItIs(t *testing.T) {
	body := strings.Repeat("x", maxCapture+5000)
	var read int
	var err error
	rec := NewRecorder(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b []byte
		b, err = io.ReadAll(r.Body)
		read = len(b)
		if e := http.NewResponseController(w).Flush(); e != nil {
			t.Errorf("the connection can't be reached: %v", e)
		}
	}))
	w := post(t, rec, "/hooks/a", body)
	if err != nil || read != len(body) || w.Code != 200 {
		t.Errorf("the handler read %d of %d bytes, %v; status %d", read, len(body), err, w.Code)
	}
	wh := rec.Webhooks()[0]
	if wh.Status != 200 || wh.Size != int64(len(body)) || !strings.Contains(wh.Body, "too long") {
		t.Errorf("status %d, size %d, body %.80q", wh.Status, wh.Size, wh.Body)
	}
}

func TestBodyIsShownWithoutItsSecrets(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{
			"top level, any spelling, order kept",
			`{"z":1,"password":"hunter2","sign":"c2ln","Access-Token":"tok","access_token":["t",{"o":1}],"a":"ж<&>"}`,
			"{\n  \"z\": 1,\n  \"password\": \"[removed]\",\n  \"sign\": \"[removed]\",\n  \"Access-Token\": \"[removed]\",\n  \"access_token\": \"[removed]\",\n  \"a\": \"ж<&>\"\n}",
		},
		{
			"at depth, and a value that only looks like a name",
			`{"a":[{"token":{"deep":true}},"token"],"b":{"c":"sign","sign":null}}`,
			"{\n  \"a\": [\n    {\n      \"token\": \"[removed]\"\n    },\n    \"token\"\n  ],\n  \"b\": {\n    \"c\": \"sign\",\n    \"sign\": \"[removed]\"\n  }\n}",
		},
		{"the same name twice", `{"sign":"one","sign":"two"}`, "{\n  \"sign\": \"[removed]\",\n  \"sign\": \"[removed]\"\n}"},
		{"an escaped name", `{"si\u0067n":"one"}`, "{\n  \"sign\": \"[removed]\"\n}"},
		{"no JSON", `password=hunter2&hook=x`, "(a body of 23 bytes that is not JSON)"},
		{"half JSON", `{"password":"hunter2"`, "(a body of 21 bytes that is not JSON)"},
		{"blank", "  ", "(a body of 2 bytes that is not JSON)"},
		{"none", "", "(no body was read)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readable([]byte(c.body), int64(len(c.body)))); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongBodyIsCutAtALine(t *testing.T) {
	body := `{"list":[` + strings.Repeat(`"些些些些",`, 9000) + `1]}`
	got := readable([]byte(body), int64(len(body)))
	if len(got) > maxBody || !utf8.ValidString(got) || !strings.HasSuffix(got, "\",\n(cut here)") {
		t.Errorf("%d bytes, valid %v, ends with %q", len(got), utf8.ValidString(got), got[len(got)-40:])
	}
	oneLine := `"` + strings.Repeat("些", 40000) + `"`
	if got := readable([]byte(oneLine), int64(len(oneLine))); len(got) > maxBody || !utf8.ValidString(got) {
		t.Errorf("one line: %d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}

func FuzzReadable(f *testing.F) {
	f.Add(`{"password":"hunter2","a":[1,{"sign":"x"}]}`)
	f.Add(`{"PASS_WORD":{"x":"\ud800"}}`)
	f.Add("\"\xff\"")
	f.Fuzz(func(t *testing.T, body string) {
		// A marker stands as every secret's value: it must never be seen.
		const marker = "do-not-show-this"
		if strings.Contains(body, marker) {
			return
		}
		whole := `{"x":` + body + `,"sign":"` + marker + `","y":{"Token":"` + marker + `"}}`
		got := readable([]byte(whole), int64(len(whole)))
		if len(got) > maxBody || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		if json.Valid([]byte(body)) && strings.Contains(got, marker) {
			t.Errorf("a secret is shown: %s", got)
		}
	})
}
