package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"
)

// serve runs NewServer's server in the bubble of a test, and returns what reaches it. Its connections are this
// process's own: through a socket, a server that answers before it has read everything may break the
// connection before a slow client has seen the answer.
func serve(t *testing.T, g *Gateway) (*http.Client, *bufconn.Listener) {
	t.Helper()
	srv := NewServer(g.Handler(), nopLog)
	lis := bufconn.Listen(64 << 10)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return lis.DialContext(ctx) }}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		<-done
		time.Sleep(time.Second) // the server lingers for half of it after an answer that came before the body's end
	})
	return &http.Client{Transport: transport}, lis
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
	synctest.Test(t, func(t *testing.T) {
		client, _ := serve(t, newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil))
		resp, err := client.Do(webhook(t, "http://gateway", "signed", push(1), header("X-Filler", strings.Repeat("x", 64<<10))))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status = %d, want 431", resp.StatusCode)
		}
	})
}

// TestAWebhookThatTricklesIsCutOff: a sender who knows the secret and never ends its body loses its place.
func TestAWebhookThatTricklesIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
		_, lis := serve(t, g)
		conn, err := lis.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := webhook(t, "http://gateway", "signed", push(1))
		fmt.Fprintf(conn, "POST /hooks/signed HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n")
		if err := r.Header.Write(conn); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		io.WriteString(conn, "\r\n{")
		resp, err := http.ReadResponse(bufio.NewReader(conn), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := readReply(t, resp); got.Status != http.StatusBadRequest || got.Error == nil || got.Error.Reason != "ERROR_REASON_MALFORMED_EVENT" {
			t.Errorf("answer = %+v", got)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("cut off after %v, want 10 s", took)
		}
		if !g.admission.TryAcquire(admissionBytes) {
			t.Error("its place is still taken")
		}
	})
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
