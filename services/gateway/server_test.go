package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serve starts NewServer's server on a port of its own and returns its address.
func serve(t *testing.T, g *Gateway, edit func(*http.Server)) string {
	t.Helper()
	srv := NewServer(g.Handler(), nopLog)
	if edit != nil {
		edit(srv)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return lis.Addr().String()
}

func TestTheServerHasEveryLimit(t *testing.T) {
	srv := NewServer(http.NotFoundHandler(), nopLog)
	for name, limit := range map[string]time.Duration{
		"ReadHeaderTimeout": srv.ReadHeaderTimeout, "ReadTimeout": srv.ReadTimeout,
		"WriteTimeout": srv.WriteTimeout, "IdleTimeout": srv.IdleTimeout,
	} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("%s = %v", name, limit)
		}
	}
	if srv.WriteTimeout < srv.ReadTimeout+acceptBudget+admissionWait {
		t.Errorf("WriteTimeout = %v, too short for the answer to a webhook that takes its time", srv.WriteTimeout)
	}
}

func TestTheServerRefusesAHugeHeader(t *testing.T) {
	address := serve(t, newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil), nil)
	r := webhook(t, "http://"+address, "signed", push(1), header("X-Filler", strings.Repeat("x", 64<<10)))
	resp, err := new(http.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status = %d, want 431", resp.StatusCode)
	}
}

// TestAWebhookThatTricklesIsCutOff: a sender who knows the secret and never ends its body loses its place.
func TestAWebhookThatTricklesIsCutOff(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	address := serve(t, g, func(srv *http.Server) { srv.ReadTimeout = 200 * time.Millisecond })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := webhook(t, "http://"+address, "signed", push(1))
	fmt.Fprintf(conn, "POST /hooks/signed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n")
	if err := r.Header.Write(conn); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "\r\n{")
	resp, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := readReply(t, resp); got.Status != http.StatusBadRequest || got.Error == nil || got.Error.Reason != "ERROR_REASON_MALFORMED_EVENT" {
		t.Errorf("answer = %+v", got)
	}
	if !g.admission.TryAcquire(admissionBytes) {
		t.Error("its place is still taken")
	}
}

// FuzzDoor sends any body with any headers: no panic, always an answer of the table, and never an event
// without the secret.
func FuzzDoor(f *testing.F) {
	f.Add("POST", "/hooks/signed", "application/json", "Push Hook", "false", "", true, []byte(push(1)))
	f.Add("POST", "/hooks/plain", "application/json;charset=utf-8", "", "true", "identity", true, []byte(`{"hook_name":"note_hooks"}`))
	f.Add("GET", "/hooks/", "text/plain", "push_hooks", "", "gzip", false, []byte(`{`))
	f.Add("POST", "/hooks/solo", "application/json", "Issue Hook", "", "", false, []byte(`null`))
	f.Fuzz(func(t *testing.T, method, path, kind, event, ping, coding string, authentic bool, body []byte) {
		notifier := &fakeNotifier{}
		g := newGateway(t, notifier, &fakeSpool{}, nil)
		r := webhook(t, "http://gateway", "solo", "")
		r.Method, r.URL.Path = method, path
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Content-Encoding", coding)
		r.Header.Set("X-Gitee-Event", event)
		r.Header.Set("X-Gitee-Ping", ping)
		switch {
		case !authentic:
			r.Header.Set("X-Gitee-Token", string(body))
		case path == "/hooks/plain":
			r.Header.Set("X-Gitee-Token", testPassword)
		}
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, r)
		got := readReply(t, w.Result())
		switch got.Status {
		case 200:
			if !authentic && string(body) != testPassword {
				t.Errorf("accepted without the secret: %+v", got)
			}
			if (got.Ignored == "") == (len(got.Deliveries) == 0) {
				t.Errorf("answer = %+v, want an event or why there is none", got)
			}
		case 400, 401, 404, 405, 415:
			if got.Error == nil || got.Error.Message == "" || !strings.HasPrefix(got.Error.Reason, "ERROR_REASON_") {
				t.Errorf("answer = %+v", got)
			}
		default:
			t.Errorf("status = %d", got.Status)
		}
		if calls := notifier.callsMade(); (len(calls) > 0) != (len(got.Deliveries) > 0) {
			t.Errorf("%d calls and answer %+v", len(calls), got)
		}
	})
}
