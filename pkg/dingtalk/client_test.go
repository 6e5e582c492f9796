package dingtalk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken  = "t0psecrett0ken"
	testSecret = longSecret
)

var hello = Message{Content: Text{"hello"}}

// dial returns a client, and a signing robot at address.
func dial(t *testing.T, address string, opts ...Option) (*Client, Robot) {
	t.Helper()
	r, err := NewRobot(address+"/robot/send?access_token="+testToken, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(opts...)
	t.Cleanup(c.Close)
	return c, r
}

// serve returns the address of a server with that handler.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// refused is what err must be after a failed Send: a Refusal of that class that gives no secret away.
func refused(t *testing.T, err error, class Class, reason Reason) *Refusal {
	t.Helper()
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("error is %T, want a *Refusal", err)
	}
	if r.Class != class || r.Reason != reason {
		t.Errorf("%v, %s: %v; want %v, %s", r.Class, r.Reason, r, class, reason)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		held := struct{ e *Refusal }{r}
		for _, text := range []string{fmt.Sprintf(verb, r), fmt.Sprintf(verb, *r), fmt.Sprintf(verb, held), fmt.Sprintf(verb, r.Unwrap())} {
			for _, secret := range []string{testToken, testSecret, url.QueryEscape(testSecret), "access_token=", "sign="} {
				if strings.Contains(text, secret) {
					t.Errorf("%s shows %q: %s", verb, secret, text)
				}
			}
		}
	}
	return r
}

func TestSendPostsTheExactBodySignedAnew(t *testing.T) {
	seen := make(chan string, 2)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		body, err := io.ReadAll(r.Body)
		ms := q.Get("timestamp")
		var n int64
		if _, scanErr := fmt.Sscan(ms, &n); scanErr != nil || err != nil || q.Get("sign") != Sign(n, testSecret) {
			t.Errorf("timestamp %s, sign %s, %v", ms, q.Get("sign"), err)
		}
		if age := time.Since(time.UnixMilli(n)); age < -time.Second || age > time.Minute {
			t.Errorf("the timestamp is %v old", age)
		}
		if q.Get("access_token") != testToken || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		seen <- string(body)
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	})
	c, r := dial(t, address)
	want, err := Encode(hello, "id-1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Send(t.Context(), r, hello, "id-1"); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != string(want) {
			t.Errorf("body %s, want %s", got, want)
		}
	}
}

func TestSendReusesItsConnection(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c, r := dial(t, s.URL)
	for range 3 {
		if err := c.Send(t.Context(), r, hello, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 3 calls, want 1", n)
	}
}

func TestSendRefusesWithoutACall(t *testing.T) {
	c, r := dial(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was called") }))
	err := c.Send(t.Context(), r, Message{Content: Text{strings.Repeat("x", MaxBody)}}, "")
	refused(t, err, MessageFault, ReasonMessageTooLarge)
	if _, ok := errors.AsType[*SizeError](err); !ok {
		t.Errorf("%v is no SizeError", err)
	}
	err = c.Send(t.Context(), r, Message{Content: Markdown{Title: "x"}}, "")
	refused(t, err, MessageFault, ReasonMessageRefused)
	if !strings.Contains(err.Error(), "markdown.text") {
		t.Errorf("%v does not name the field", err)
	}
	refused(t, c.Send(t.Context(), Robot{}, hello, ""), RobotFault, ReasonTokenUnknown)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = c.Send(ctx, r, hello, "")
	refused(t, err, Transient, ReasonUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
}

func TestNoConnectionIsTransient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	c, r := dial(t, "http://"+address)
	refused(t, c.Send(t.Context(), r, hello, ""), Transient, ReasonUnavailable)

	noName := r.unsent(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "oapi.dingtalk.com", IsNotFound: true}})
	if refused(t, noName, Transient, ReasonUnavailable); !strings.Contains(noName.Advice, "DNS") {
		t.Errorf("a name that can't be resolved: %v", noName)
	}

	// A server without TLS: the handshake fails before the request is sent.
	plain := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was called") })
	c, r = dial(t, strings.Replace(plain, "http:", "https:", 1))
	refused(t, c.Send(t.Context(), r, hello, ""), Transient, ReasonUnavailable)
}

func TestAHandshakeThatHangsIsTransient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, r := dial(t, "https://"+l.Addr().String(), WithTimeout(50*time.Millisecond))
	err = c.Send(t.Context(), r, hello, "")
	refused(t, err, Transient, ReasonUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not context.DeadlineExceeded", err)
	}
}

func TestNoAnswerIsUnknown(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		release := make(chan struct{})
		address := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
		t.Cleanup(func() { close(release) })
		c, r := dial(t, address, WithTimeout(50*time.Millisecond))
		err := c.Send(t.Context(), r, hello, "")
		refused(t, err, Unknown, ReasonUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time") {
			t.Errorf("%v, want a deadline", err)
		}
	})
	t.Run("slow body", func(t *testing.T) {
		release := make(chan struct{})
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"errcode":0`)
			_ = http.NewResponseController(w).Flush()
			<-release
		})
		t.Cleanup(func() { close(release) })
		c, r := dial(t, address, WithTimeout(50*time.Millisecond))
		refused(t, c.Send(t.Context(), r, hello, ""), Unknown, ReasonUnavailable)
	})
	t.Run("called off meanwhile", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		address := serve(t, func(http.ResponseWriter, *http.Request) { cancel(); <-release })
		t.Cleanup(func() { close(release) })
		c, r := dial(t, address)
		err := c.Send(ctx, r, hello, "")
		refused(t, err, Unknown, ReasonUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not context.Canceled", err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		address := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		c, r := dial(t, address)
		refused(t, c.Send(t.Context(), r, hello, ""), Unknown, ReasonUnavailable)
	})
	t.Run("not HTTP, and quoting the request", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		t.Cleanup(func() { _ = l.Close(); <-done })
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			line, _ := bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, line)
		}()
		c, r := dial(t, "http://"+l.Addr().String())
		refused(t, c.Send(t.Context(), r, hello, ""), Unknown, ReasonUnavailable)
	})
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for _, location := range []string{"/elsewhere", "", "://bad"} {
		var calls atomic.Int32
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		c, r := dial(t, address)
		refusal := refused(t, c.Send(t.Context(), r, hello, ""), Throttled, ReasonThrottled)
		if refusal.RetryAfter != 10*time.Minute || calls.Load() != 1 {
			t.Errorf("retry after %v, %d calls", refusal.RetryAfter, calls.Load())
		}
	}
}

func TestAnswerIsReadWithinBounds(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"`)
		for { // until the client has had enough
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	})
	c, r := dial(t, address)
	refused(t, c.Send(t.Context(), r, hello, ""), Unknown, ReasonUnavailable)
}

func TestErrmsgIsRedactedAndBounded(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		echo := strings.Join([]string{
			"refused\n" + testToken, testSecret, url.QueryEscape(testSecret), q.Get("sign"), r.URL.RawQuery,
			"see https://oapi.dingtalk.com" + r.URL.String() + " 。", strings.Repeat("长", 400),
		}, " ")
		_, _ = fmt.Fprintf(w, `{"errcode":310000,"errmsg":%q}`, echo)
	})
	c, r := dial(t, address)
	refusal := refused(t, c.Send(t.Context(), r, hello, ""), RobotFault, ReasonRobotUnavailable)
	if n := len([]rune(refusal.Errmsg)); n != maxErrmsg {
		t.Errorf("errmsg has %d characters, want %d", n, maxErrmsg)
	}
	want := "refused [redacted] [redacted] [redacted] [redacted] [redacted]&[redacted]&timestamp="
	if !strings.HasPrefix(refusal.Errmsg, want) || !strings.Contains(refusal.Errmsg, " see [URL] 。 长") {
		t.Errorf("errmsg %q", refusal.Errmsg)
	}
}

func TestClassesHaveNames(t *testing.T) {
	for class, want := range map[Class]string{
		MessageFault: "message at fault", RobotFault: "robot at fault", Throttled: "throttled",
		Transient: "transient", Unknown: "unknown outcome", 0: "Class(0)",
	} {
		if class.String() != want {
			t.Errorf("%d is %s, want %s", class, class, want)
		}
	}
}
