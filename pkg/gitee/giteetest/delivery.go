// Package giteetest makes webhook deliveries as Gitee makes them, for tests, demonstrations and load. It
// stands to package gitee as net/http/httptest stands to net/http.
//
// People, repositories and texts are invented; the fields and their order, types, nulls and headers are
// those seen in real deliveries.
package giteetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
)

// Delivery is one delivery of Gitee's, before it is addressed and stamped.
type Delivery struct {
	// Name identifies it among those of All: lower-case words joined by "_", such as "push_new_branch".
	Name string
	// Title says what happened, in English, such as "a new branch".
	Title string
	// Event is the value of the header X-Gitee-Event.
	Event string
	// Ping says that it stands for a press of the test button: X-Gitee-Ping is true.
	Ping bool
	// Body is compact JSON; its password and sign are empty.
	Body []byte
	// Kind and Action are what gitee.Parse makes of it: the name of the event's subject, such as
	// "pull_request", and of its action in lower case without the prefix, such as "opened".
	Kind, Action string
}

// NewRequest returns the request that Gitee would send at the time now, to url, for a hook with the given
// secret: a POST with all headers of a real delivery, and d.Body with its timestamp, password and sign
// filled in. d stays as it is. The zero Secret makes the delivery of a hook without a secret. The error
// says that url can't be requested, or that d.Body is not a JSON object.
func NewRequest(ctx context.Context, url string, secret gitee.Secret, d Delivery, now time.Time) (*http.Request, error) {
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	token := secret.Token(timestamp)
	password, sign := token, ""
	if secret.Signs() {
		password, sign = "", token
	}
	body, err := fill(d.Body, object{{"password", password}, {"timestamp", timestamp}, {"sign", sign}})
	if err != nil {
		return nil, fmt.Errorf("delivery %q: %w", d.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Accept":              "*/*",
		"Accept-Encoding":     "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
		"Content-Type":        "application/json",
		"User-Agent":          "git-oschina-hook",
		"X-Gitee-Token":       token,
		"X-Gitee-Timestamp":   timestamp,
		"X-Gitee-Ping":        strconv.FormatBool(d.Ping),
		"X-Gitee-Event":       d.Event,
		"X-Git-Oschina-Event": d.Event,
	} {
		req.Header.Set(name, value)
	}
	return req, nil
}

// Events returns what gitee.Parse makes of the deliveries of All, sent at the time now through a hook named
// payments: one sample of everything that an event can be.
func Events(now time.Time) []*eventv1.Event {
	var events []*eventv1.Event
	for _, d := range All(now) {
		event, err := read(d, now)
		if err != nil {
			panic(fmt.Sprintf("giteetest: %s: %v", d.Name, err)) // the story is the same each time
		}
		events = append(events, event)
	}
	return events
}

func read(d Delivery, now time.Time) (*eventv1.Event, error) {
	req, err := NewRequest(context.Background(), "http://127.0.0.1/hooks/payments", gitee.Secret{}, d, now)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	return gitee.Read("payments", req.Header, body, now)
}

// fill returns body with the given members in place of those of the same names; what it lacks is added.
func fill(body []byte, members object) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		return nil, errors.New("the body is not a JSON object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	out := make(object, 0, 40)
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if !members.has(key) {
			out = append(out, member{key, value.Clone()})
		}
	}
	return append(out, members...).append(nil), nil
}
