package dingtalktest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"
)

const (
	// defaultKept is how many messages are kept, and how many refusals.
	defaultKept = 10_000
	// defaultUUIDWindow is how long a msgUuid is remembered; DingTalk states nothing.
	defaultUUIDWindow = 24 * time.Hour
	// maxUUIDs is how many msgUuids are remembered at most, the newest.
	maxUUIDs = 100_000
	// path is where robots are called.
	path = "/robot/send"
)

// Server is the simulator. Its methods may be called from any goroutine.
type Server struct {
	settings

	closing chan struct{}  // closed by Close: ends what waits
	calls   sync.WaitGroup // of ServeHTTP and of the listener's goroutine
	http    *http.Server

	mu       sync.Mutex // guards what follows
	closed   bool
	base     string // scheme and host of webhooks
	clock    func() time.Time
	robots   map[string]*RobotConfig
	paces    paces
	seen     uuids
	faults   []*armed
	messages history[Received]
	refusals history[Refused]
	tooFast  int
	accepted int
	changed  chan struct{}
}

// settings are what Options change; they stay as they are from then on.
type settings struct {
	now           func() time.Time
	rate          Rate
	kept          int
	uuidWindow    time.Duration
	unknownToken  int
	addressHeader string
	unsafe        Unsafe
}

// Option changes a new Server.
type Option func(*settings)

// WithClock makes now the simulator's clock: of the signature's check, of the rate window and the penalty,
// of a msgUuid's life and of what is recorded. Without it that is time.Now. Delays of faults take real time.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.now = now } }

// WithRate replaces the pace that robots are held to; see Rate for what its zero fields mean.
func WithRate(r Rate) Option { return func(s *settings) { s.rate = r } }

// WithKept sets how many messages, and how many refusals, are kept: the newest n, at least 1. Without it
// these are 10,000 each.
func WithKept(n int) Option { return func(s *settings) { s.kept = max(n, 1) } }

// WithUUIDWindow sets for how long a msgUuid is recognised. Without it that is 24 hours; DingTalk states
// nothing. At most the newest 100,000 are remembered.
func WithUUIDWindow(d time.Duration) Option { return func(s *settings) { s.uuidWindow = d } }

// WithUnknownToken sets the errcode for a token that no robot has: 300005, which is what is seen today and
// what holds without this option, 300001 as until about 2021, or 400101 as documented.
func WithUnknownToken(errcode int) Option { return func(s *settings) { s.unknownToken = errcode } }

// WithAddressHeader takes the caller's address, for a robot's AllowedIPs, from the header of that name
// where a request has it, instead of from the connection.
func WithAddressHeader(name string) Option { return func(s *settings) { s.addressHeader = name } }

// Unsafe is what the content check refuses, by kind. DingTalk's own rules are not known.
type Unsafe struct {
	// Links are matched with addresses that a message opens, and with its text: 430101.
	Links []*regexp.Regexp
	// Text is matched with what a message says, titles included: 430102.
	Text []*regexp.Regexp
	// Pictures are matched with addresses of pictures, and with its text: 430103.
	Pictures []*regexp.Regexp
	// Other is matched with the whole body as it came: 430104.
	Other []*regexp.Regexp
}

// WithUnsafe turns the content check on.
func WithUnsafe(u Unsafe) Option { return func(s *settings) { s.unsafe = u } }

// NewServer returns a simulator that listens on a free port of 127.0.0.1, over http. It panics if there is
// none. The caller closes it.
func NewServer(opts ...Option) *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("dingtalktest: no port to listen on: %v", err))
	}
	s := NewUnstarted(opts...)
	s.Start(l)
	return s
}

// NewUnstarted returns a simulator that does not listen: give it a listener with Start, or use it as an
// http.Handler. The caller closes it.
func NewUnstarted(opts ...Option) *Server {
	s := &Server{
		settings: settings{
			now:          time.Now,
			kept:         defaultKept,
			uuidWindow:   defaultUUIDWindow,
			unknownToken: 300005,
		},
		closing: make(chan struct{}),
		robots:  make(map[string]*RobotConfig),
		base:    "http://127.0.0.1",
	}
	for _, opt := range opts {
		opt(&s.settings)
	}
	s.rate = s.rate.complete()
	s.clock = s.now
	s.reset()
	return s
}

// Start serves on l, which is the Server's from then on, until Close. Webhook gives addresses on l. It is
// to be called once.
func (s *Server) Start(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.http != nil {
		_ = l.Close()
		panic("dingtalktest: Start of a server that is started or closed")
	}
	s.base = "http://" + l.Addr().String()
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.calls.Go(func() { _ = s.http.Serve(l) })
}

// Close cuts all connections, ends what waits, and returns when all of the simulator's goroutines have.
// What was recorded can still be read. Closing again does nothing.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	server := s.http
	s.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
	s.calls.Wait()
}

// URL is the address of the simulator, without a path.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// Webhook is the webhook address of the robot with token, whether or not there is one. It holds the token.
func (s *Server) Webhook(token string) string {
	return s.URL() + path + "?access_token=" + url.QueryEscape(token)
}

// SetClock replaces the clock; see WithClock.
func (s *Server) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = now
}

// Reset forgets messages, refusals, msgUuids, the pace and penalties, and faults that are armed; robots
// and the clock stay. Received.N begins at 1 again.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset()
}

func (s *Server) reset() {
	s.messages = history[Received]{limit: s.kept}
	s.refusals = history[Refused]{limit: s.kept}
	s.seen = uuids{window: s.uuidWindow}
	s.paces = paces{rate: s.rate}
	s.faults = nil
	s.tooFast, s.accepted = 0, 0
	s.announce()
}

// announce wakes those who wait on Changed. The caller holds mu, or has s for itself.
func (s *Server) announce() {
	if s.changed != nil {
		close(s.changed)
	}
	s.changed = make(chan struct{})
}

// enter counts a call in, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.calls.Add(1)
	return true
}

// pause waits for d of real time, and says whether it passed: Close and the end of ctx cut it short.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.closing:
		return false
	}
}
