package dingtalktest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

const jsonType = "application/json"

const (
	// bodyTimeout is how long the body of a call may take to arrive.
	bodyTimeout = 30 * time.Second
	// maxDiscarded is how much of a body is read beyond what DingTalk takes.
	maxDiscarded = 4 << 20
)

// answer is what a call gets.
type answer struct {
	status      int
	contentType string
	location    string
	body        []byte
	errcode     int
	errmsg      string
}

// refusal is an answer of DingTalk's own, always with HTTP 200.
func refusal(errcode int, errmsg string) *answer {
	body, err := json.Marshal(struct {
		Errcode int    `json:"errcode"`
		Errmsg  string `json:"errmsg"`
	}{errcode, errmsg})
	if err != nil {
		panic(err) // a number and a string can always be written
	}
	return &answer{status: http.StatusOK, contentType: jsonType, body: body, errcode: errcode, errmsg: errmsg}
}

func redirectAnswer() *answer {
	return &answer{status: http.StatusFound, location: "/blocked"}
}

func punishAnswer(wait int) *answer {
	return &answer{status: http.StatusOK, contentType: jsonType,
		body: []byte(`{"status":1111,"wait":` + strconv.Itoa(wait) + `,"source":"x5","punish":"deny","uuid":"5b3a0c61d2f94e7a8c10"}`)}
}

// withString is a with its errcode as a string.
func (a *answer) withString() *answer {
	b := *a
	code := strconv.Itoa(a.errcode)
	b.body = bytes.Replace(a.body, []byte(`"errcode":`+code), []byte(`"errcode":"`+code+`"`), 1)
	return &b
}

// write sends a with a Content-Length.
func (a *answer) write(w http.ResponseWriter) {
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// ServeHTTP answers /robot/send as DingTalk does, and anything else with 404. After Close it cuts the
// connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.calls.Done()
	if r.URL.Path != path {
		http.NotFound(w, r)
		return
	}
	// The deadline is for the body alone: net/http takes one that passes later for a caller who has gone.
	// Not every ResponseWriter knows deadlines; a recorder in a test needs none.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	// One byte more shows that there are too many.
	body, err := io.ReadAll(io.LimitReader(r.Body, dingtalk.MaxBody+1))
	if err != nil {
		return // the caller has gone, or sent something that is not HTTP
	}
	// A body far too large is read, within reason, so that its sender comes to read the answer.
	_, _ = io.CopyN(io.Discard, r.Body, maxDiscarded)
	_ = control.SetReadDeadline(time.Time{})
	c := &call{
		Server:  s,
		method:  r.Method,
		query:   r.URL.Query(),
		header:  r.Header,
		address: s.addressOf(r),
		body:    body,
	}
	s.serve(w, r, c)
}

// serve takes c through its fault and the checks to its answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, c *call) {
	s.mu.Lock()
	fault := s.nextFault(c.query.Get("access_token"), false)
	s.mu.Unlock()

	if fault != nil && !fault.late {
		switch fault.effect {
		case effectDelay:
			// Without r's context: a request that has arrived is handled though its caller has gone.
			if !s.pause(context.WithoutCancel(r.Context()), fault.delay) {
				cut(w)
				return
			}
		case effectAnswer, effectReset:
			s.record(c, fault)
			if fault.effect == effectReset {
				cut(w)
			} else {
				fault.answer.write(w)
			}
			return
		}
	}
	c.fault = fault
	a := s.handle(c)
	if fault == nil || !fault.late {
		a.write(w)
		return
	}
	switch {
	case fault.effect == effectDelay:
		if !s.pause(r.Context(), fault.delay) {
			cut(w)
			return
		}
		a.write(w)
	case fault.effect == effectReset:
		cut(w)
	case fault.answer == nil:
		a.withString().write(w)
	default:
		fault.answer.write(w)
	}
}

// handle runs the checks.
func (s *Server) handle(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.clock()
	return c.run()
}

// record notes that a fault kept c from the checks.
func (s *Server) record(c *call, fault *armed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.clock()
	c.token = c.query.Get("access_token")
	c.robot = s.robots[c.token]
	c.refused(&answer{}, fault.reason())
}

// addressOf is the address that r comes from, without its port.
func (s *Server) addressOf(r *http.Request) string {
	if s.addressHeader != "" {
		if address := r.Header.Get(s.addressHeader); address != "" {
			return address
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// cut closes the connection of w without an answer, with a reset where that is possible.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
