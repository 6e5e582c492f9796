package gitee_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// FuzzParse gives Parse any event name and body, with the secrets where Gitee puts them. Its seeds are
// large: -fuzzminimizetime 5x keeps the fuzzer from spending its time on making inputs smaller.
func FuzzParse(f *testing.F) {
	for _, d := range giteetest.All(sent) {
		f.Add(d.Event, d.Ping, d.Body)
	}
	for _, body := range []string{"", "{}", "null", barePush, bareTag, bareIssue, barePull, bareNote, demoBody, `{"ref":"refs/heads/\ud800"}`, "{\"ref\":\"\xff\"}"} {
		f.Add("", false, []byte(body))
	}
	secret := gitee.Signature(password)
	token := secret.Token(sentAt)
	f.Fuzz(func(t *testing.T, event string, ping bool, body []byte) {
		if bytes.Contains(body, []byte(password)) || bytes.Contains(body, []byte(token)) || strings.Contains(event, password) {
			return // the secret is where Gitee never puts it
		}
		if i := bytes.LastIndexByte(body, '}'); i > 0 {
			comma := ","
			if len(bytes.TrimSpace(body[:i])) == 1 {
				comma = ""
			}
			body = append(body[:i:i], comma+`"password":"`+password+`","sign":"`+token+`","timestamp":"`+sentAt+`"}`...)
		}
		h := headers(event, "X-Gitee-Token", token)
		if ping {
			h.Set("X-Gitee-Ping", "true")
		}
		e, err := gitee.Parse(secret, "payments", h, body, sent)
		if err != nil {
			_, malformed := errors.AsType[*gitee.MalformedError](err)
			_, ignored := errors.AsType[*gitee.IgnoredError](err)
			if e != nil || malformed == ignored {
				t.Errorf("got %v and %v", e, err)
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), token) {
				t.Errorf("the error tells the secret: %v", err)
			}
			if ignored && !json.Valid(body) && bytes.Equal(bytes.ToValidUTF8(body, nil), body) {
				t.Errorf("ignored what is not JSON: %v", err)
			}
		} else {
			if err := check(e); err != nil {
				t.Errorf("%v in %v", err, e)
			}
			if s := prototext.Format(e); strings.Contains(s, password) || strings.Contains(s, token) {
				t.Errorf("the event tells the secret: %s", s)
			}
			again, err := gitee.Parse(secret, "payments", h, body, sent)
			if err != nil || again.GetId() != e.GetId() {
				t.Errorf("the second time: got %v and %v", again.GetId(), err)
			}
		}
		for _, token := range []string{"", password, token[:43], token + "=", " " + token} {
			h := h.Clone()
			h.Set("X-Gitee-Token", token)
			if e, err := gitee.Parse(secret, "payments", h, body, sent); e != nil || err != gitee.ErrNotAuthentic {
				t.Errorf("token %q: got %v and %v", token, e, err)
			}
		}
	})
}

// FuzzVerify gives any token and timestamp to a verifier: only its own are authentic.
func FuzzVerify(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.token, v.timestamp)
	}
	f.Add("%2", "1e3")
	f.Add(password, "")
	signature, plain := gitee.Signature(password), gitee.Password(password)
	f.Add(signature.Token(sentAt), sentAt)
	f.Fuzz(func(t *testing.T, token, timestamp string) {
		h := http.Header{"X-Gitee-Token": {token}, "X-Gitee-Timestamp": {timestamp}}
		if err := signature.Verify(h, sent); err == nil && token != signature.Token(timestamp) && !strings.Contains(token, "%") {
			t.Errorf("token %q of %q is authentic", token, timestamp)
		}
		if err := plain.Verify(h, sent); (err == nil) != (token == password) {
			t.Errorf("password %q: got %v", token, err)
		}
		if id := gitee.SignatureID(h); id != "" && (len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "") {
			t.Errorf("signature id of %q and %q is %q", token, timestamp, id)
		}
	})
}
