package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthTellsWhatReadyzSays(t *testing.T) {
	var status int
	var words string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/readyz" {
			t.Errorf("it asks %s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(words))
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	for _, tc := range []struct {
		status int
		words  string
		want   called
	}{
		{200, "ok\n", called{0, "ok\n", ""}},
		{200, "ok\nconfiguration: not taken\n", called{0, "ok\nconfiguration: not taken\n", ""}},
		{503, "the process is starting\n", called{1, "", "belfry: not ready: the process is starting\n"}},
		{503, "a\nb\n", called{1, "", "belfry: not ready: a\nbelfry: b\n"}},
		{404, "what?", called{1, "", "belfry: " + addr + " answers 404 Not Found: it is not Belfry's admin address\n"}},
	} {
		status, words = tc.status, tc.words
		if got := call(t.Context(), "health", "--admin", addr); got != tc.want {
			t.Errorf("%d %q: %+v, want %+v", tc.status, tc.words, got, tc.want)
		}
	}
	srv.Close()
	if got := call(t.Context(), "health", "--admin", addr); got.code != 1 || !strings.HasPrefix(got.stderr, "belfry: nobody answers at "+addr+", the admin address: ") {
		t.Errorf("nobody there: %+v", got)
	}
	if got := call(t.Context(), "health", "--admin", "no address"); got.code != 2 || !strings.HasPrefix(got.stderr, `belfry: --admin: "no address" is not an address`) {
		t.Errorf("no address: %+v", got)
	}
}

func TestHealthAsksARunningBelfry(t *testing.T) {
	file := write(t, "admin: {listen: '127.0.0.1:0'}\nnotifier:\n  grpc: {listen: '127.0.0.1:0'}\n  http: {listen: '127.0.0.1:0'}\n"+
		"  robots: [{name: team, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=t'}]\n")
	c := spawn(t, nil, "notifier", "-c", file)
	if got := call(context.Background(), "health", "--admin", c.awaitLog("ready").Admin); got != (called{0, "ok\n", ""}) {
		t.Errorf("%+v", got)
	}
}

func TestTheVersionIsTheLinkersOrOfTheCheckout(t *testing.T) {
	if got := call(t.Context(), "--version"); got.code != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, "belfry ") || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("%+v", got)
	}
	defer func(v string) { version = v }(version)
	version = "1.2.3"
	if got := call(t.Context(), "--version"); got != (called{0, "belfry 1.2.3\n", ""}) {
		t.Errorf("%+v", got)
	}
}
