package dingtalk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// DefaultTimeout is how long one attempt may take in all.
	DefaultTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read. DingTalk's own have about 300 bytes.
	maxAnswer = 64 << 10
	// maxConns is how many calls to one host may be under way; more wait for their turn.
	maxConns = 64
)

// Client sends messages. It may be used from many goroutines, and is meant to be shared, since it keeps
// connections for reuse. It goes through the proxy that HTTPS_PROXY and its like name. Close it when done.
type Client struct {
	transport *http.Transport
	timeout   time.Duration
}

// Option changes a new Client.
type Option func(*Client)

// WithTimeout sets how long one attempt may take, from looking up the host to the end of the answer;
// d must be above 0. Without it an attempt may take [DefaultTimeout].
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// NewClient returns a Client with connections of its own.
func NewClient(opts ...Option) *Client {
	// HTTP/1.1 only: with one call per connection it is certain whether a call that failed was ever sent.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	c := &Client{
		timeout: DefaultTimeout,
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			Protocols:              &protocols,
			DisableCompression:     true,
			MaxIdleConns:           maxConns,
			MaxIdleConnsPerHost:    maxConns / 4,
			MaxConnsPerHost:        maxConns,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxAnswer,
		},
	}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// Close closes the connections that are idle. Attempts under way end as they would have.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Send makes one attempt to send m through r, with uuid as its msgUuid. It signs with the time of the call
// and follows no redirects. It returns within the client's timeout, or when ctx ends if that is sooner.
//
// It returns nil only if DingTalk answered with errcode 0, and otherwise always a *Refusal. A message that
// can't be encoded (see [Encode]) and a zero Robot are refused without a call.
func (c *Client) Send(ctx context.Context, r Robot, m Message, uuid string) error {
	if r.credentials() == nil {
		return &Refusal{Class: RobotFault, Reason: ReasonTokenUnknown, Advice: "the robot has no webhook address: make it with NewRobot"}
	}
	body, err := Encode(m, uuid)
	if err != nil {
		return unencodable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	status, answer, err := c.post(ctx, r, body)
	if err != nil {
		return err
	}
	if refusal := classify(status, answer); refusal != nil {
		refusal.Errmsg = r.redact(refusal.Errmsg)
		return refusal
	}
	return nil
}

// post makes the call and returns the answer's status and body. An error is a *Refusal.
func (c *Client) post(ctx context.Context, r Robot, body []byte) (status int, answer []byte, err error) {
	// Until there is a connection, handshake included, nothing of the request can have left.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.address(time.Now()), bytes.NewReader(body))
	if err != nil {
		return 0, nil, r.unsent(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Belfry")

	// RoundTrip rather than http.Client: it follows no redirects, which would turn the POST into a GET.
	resp, err := c.transport.RoundTrip(req)
	switch {
	case err != nil && connected.Load():
		return 0, nil, r.unanswered(err)
	case err != nil:
		return 0, nil, r.unsent(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, r.unanswered(err)
	case len(answer) > maxAnswer:
		return 0, nil, r.unanswered(fmt.Errorf("HTTP %d with an answer over %d bytes", resp.StatusCode, maxAnswer))
	}
	return resp.StatusCode, answer, nil
}

// unencodable is the refusal of a message that Encode refused.
func unencodable(err error) *Refusal {
	r := &Refusal{Class: MessageFault, Reason: ReasonMessageRefused, cause: err}
	if _, ok := errors.AsType[*SizeError](err); ok {
		r.Reason = ReasonMessageTooLarge
		r.Advice = adviceSize
		return r
	}
	r.Advice = "the message can't be sent as it is: see what follows for the field, and mend it"
	return r
}

// unsent is the refusal of a call for which there was no connection.
func (r Robot) unsent(err error) *Refusal {
	refusal := &Refusal{Class: Transient, Reason: ReasonUnavailable, cause: r.broken(err)}
	_, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled):
		refusal.Advice = "the attempt was called off before anything was sent: send the message again"
	case isDNS:
		refusal.Advice = "DingTalk's host name can't be resolved and nothing was sent: see that this machine has DNS and a way to the internet"
	default:
		refusal.Advice = "DingTalk can't be reached and nothing was sent: see that this machine's network, proxy and firewall let it call DingTalk"
	}
	return refusal
}

// unanswered is the refusal of a call that may have been made, and whose answer was not seen.
func (r Robot) unanswered(err error) *Refusal {
	refusal := &Refusal{Class: Unknown, Reason: ReasonUnavailable, cause: r.broken(err)}
	if errors.Is(err, context.DeadlineExceeded) {
		refusal.Advice = "DingTalk did not answer in time and the message may or may not have arrived: send it again under the same msgUuid"
	} else {
		refusal.Advice = "the call broke off before DingTalk's answer and the message may or may not have arrived: send it again under the same msgUuid"
	}
	return refusal
}

// broken is err with its text redacted.
func (r Robot) broken(err error) *cause { return &cause{text: r.redact(err.Error()), err: err} }
