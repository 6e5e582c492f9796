package notifier

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestHTTPRefusesWhatItCannotRead has the requests that only HTTP can make; what both doors can be asked
// is in testdata/api.
func TestHTTPRefusesWhatItCannotRead(t *testing.T) {
	invalid := func(field, description string) answer {
		message := description
		if field != "" {
			message = field + ": " + description
		}
		return answer{Code: "InvalidArgument", Reason: "INVALID_REQUEST", Message: message, Fields: []violation{{field, description}}}
	}
	noPath := answer{
		Code: "NotFound", Reason: "NO_SUCH_PATH",
		Message: "nothing is served at this path: see /v1/robots, /v1/notifications, /v1/robots/{robot}/deliveries",
	}
	notThisWay := func(allowed string) answer {
		return answer{Code: "Unimplemented", Reason: "METHOD_NOT_ALLOWED", Message: "this path is for " + allowed}
	}
	foreign := answer{
		Code: "PermissionDenied", Reason: "INVALID_REQUEST", Message: "a page from elsewhere may not call this in a browser",
	}
	s := start(t, plan{idle: true})
	const good = `{"robots":["plain"],"message":{"text":{"content":"x"}}}`
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		want                     answer
	}{
		{name: "a field that is not there", method: "POST", path: "/v1/notifications", body: `{"robot":["plain"]}`, want: invalid("robot", "there is no such field")},
		{name: "a field within that is not there", method: "POST", path: "/v1/notifications", body: `{"robots":["plain"],"message":{"text":{"context":"x"}}}`, want: invalid("context", "there is no such field")},
		{name: "a field that Preview does not have", method: "POST", path: "/v1/notifications:preview", body: `{"robotz":[]}`, want: invalid("robotz", "there is no such field")},
		{name: "JSON that ends early", method: "POST", path: "/v1/notifications", body: `{"robots":["plain"`, want: invalid("", "the body can't be read: unexpected EOF")},
		{name: "no JSON", method: "POST", path: "/v1/notifications", body: `hello`, want: invalid("", "the body can't be read: invalid character 'h' looking for beginning of value")},
		{name: "something after the JSON", method: "POST", path: "/v1/notifications", body: good + `,"wait":"5s"}`, want: invalid("", "the body can't be read: something follows the JSON object")},
		{name: "two JSON values", method: "POST", path: "/v1/notifications", body: good + ` {}`, want: invalid("", "the body can't be read: something follows the JSON object")},
		{name: "a list", method: "POST", path: "/v1/notifications", body: `[]`, want: invalid("", "the body can't be read: syntax error (line 1:1): unexpected token [")},
		{name: "a word for a list", method: "POST", path: "/v1/notifications", body: `{"robots":"plain"}`, want: invalid("", `the body can't be read: syntax error (line 1:11): unexpected token "plain"`)},
		{name: "a duration without unit", method: "POST", path: "/v1/notifications", body: `{"wait":"5"}`, want: invalid("", `the body can't be read: (line 1:9): "5" is no duration: give seconds, such as "5s" or "0.5s"`)},
		{name: "a duration in another unit", method: "POST", path: "/v1/notifications", body: `{"wait":"500ms"}`, want: invalid("", `the body can't be read: (line 1:9): "500ms" is no duration: give seconds, such as "5s" or "0.5s"`)},
		{name: "two contents", method: "POST", path: "/v1/notifications", body: `{"event":{},"message":{}}`, want: invalid("", `the body can't be read: (line 1:13): error parsing "message", oneof belfry.notifier.v1.NotifyRequest.content is already set`)},
		{name: "an empty body", method: "POST", path: "/v1/notifications", want: answer{
			Code: "InvalidArgument", Reason: "INVALID_REQUEST", Message: "give an event or a message",
			Fields: []violation{{"", "give an event or a message"}, {"robots", "must contain at least 1 item(s)"}},
		}},
		{name: "an unknown query parameter", method: "GET", path: "/v1/robots?pagesize=5", want: invalid("pagesize", "there is no such query parameter")},
		{name: "an unknown query parameter with a dot", method: "GET", path: "/v1/robots?page_size.x=5", want: invalid("page_size.x", "there is no such query parameter")},
		{name: "an unknown query parameter with quotes", method: "GET", path: "/v1/robots?%22a%0Ab=1", want: invalid("\"a\nb", "there is no such query parameter")},
		{name: "a query parameter where none is", method: "GET", path: "/v1/robots/plain?view=all", want: invalid("view", "there is no such query parameter")},
		{name: "a query parameter that says what the path says", method: "GET", path: "/v1/robots/plain/deliveries?parent=robots/lax", want: invalid("parent", "the path says it already")},
		{name: "a word for a number", method: "GET", path: "/v1/robots?pageSize=five", want: invalid("pageSize", "its value can't be read")},
		{name: "a query parameter twice", method: "GET", path: "/v1/robots?pageSize=1&pageSize=2", want: invalid("pageSize", "give it once")},
		{name: "a query parameter in both spellings", method: "GET", path: "/v1/robots?pageSize=1&page_size=2", want: invalid("page_size", "give it once")},
		{name: "a query that can't be read", method: "GET", path: "/v1/robots?pageSize=%zz", want: invalid("", "the query can't be read")},
		{name: "a query with a body", method: "POST", path: "/v1/notifications?wait=5s", body: good, want: invalid("wait", "this method takes no query parameters: put it into the body")},
		{name: "a time-out that can't be read", method: "GET", path: "/v1/robots", header: http.Header{"Grpc-Timeout": {"soon"}}, want: invalid("", "the header Grpc-Timeout can't be read: it is to be a number and a unit, such as 5S")},
		{name: "the root", method: "GET", path: "/", want: noPath},
		{name: "an unknown path", method: "GET", path: "/v1/robot", want: noPath},
		{name: "another version", method: "POST", path: "/v2/notifications", body: good, want: noPath},
		{name: "a path beyond a robot", method: "GET", path: "/v1/robots/plain/messages", want: noPath},
		{name: "an unknown action", method: "POST", path: "/v1/notifications:send", body: good, want: noPath},
		{name: "a robot's name that is none", method: "GET", path: "/v1/robots/No_Robot", want: invalid("name", "is no robot's resource name: write robots/NAME, such as robots/payments-team")},
		{name: "GET for POST", method: "GET", path: "/v1/notifications", want: notThisWay("POST")},
		{name: "GET for an action", method: "GET", path: "/v1/robots/plain:pause", want: notThisWay("POST")},
		{name: "GET for an action on a delivery", method: "GET", path: "/v1/robots/plain/deliveries/1:redeliver", want: notThisWay("POST")},
		{name: "an unknown action on a robot", method: "POST", path: "/v1/robots/plain:puase", want: noPath},
		{name: "an unknown action on a delivery", method: "POST", path: "/v1/robots/plain/deliveries/1:redelivr", want: noPath},
		{name: "DELETE for GET", method: "DELETE", path: "/v1/robots/plain", want: notThisWay("GET")},
		{name: "PUT for GET", method: "PUT", path: "/v1/robots/plain/deliveries/1", body: "{}", want: notThisWay("GET")},
		{name: "a form for GET", method: "POST", path: "/v1/robots", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body: "pageSize=1", want: notThisWay("GET")},
		{name: "POST that calls itself GET", method: "POST", path: "/v1/robots", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "X-Http-Method-Override": {"GET"}}, want: notThisWay("GET")},
		{name: "a page from elsewhere", method: "POST", path: "/v1/notifications", body: good, header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, want: foreign},
		{name: "a page from elsewhere in an old browser", method: "POST", path: "/v1/notifications", body: good, header: http.Header{"Origin": {"https://evil.example"}}, want: foreign},
		{name: "more than 4 MiB", method: "POST", path: "/v1/notifications", body: `{"requestId":"` + strings.Repeat("x", MaxRequest) + `"}`, want: answer{Code: "ResourceExhausted", Reason: "INVALID_REQUEST", Message: "the request is larger than 4 MiB"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, s.http.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != nil {
				r.Header = tt.header
			}
			code, body := exchange(t, r)
			if code == http.StatusOK {
				t.Fatalf("answered 200 with %s", body)
			}
			if diff := cmp.Diff(tt.want, httpError(t, code, body), cmpopts.IgnoreUnexported(answer{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, noise := range []string{`"reason":""`, "localizedMessage", "rpc error", "desc ="} {
				if strings.Contains(strings.ReplaceAll(string(body), " ", ""), noise) {
					t.Errorf("the answer holds %q: %s", noise, body)
				}
			}
			if ns, _, err := s.journal.List(t.Context(), "", 0, 10); err != nil || len(ns) != 0 {
				t.Errorf("the journal has %d notifications, %v; want none", len(ns), err)
			}
		})
	}
}

func TestHTTPTakesAPageOfItsOwnAndBothSpellings(t *testing.T) {
	s := start(t, plan{idle: true})
	for _, tt := range []struct {
		method, path, body string
		header             http.Header
	}{
		{"POST", "/v1/notifications", `{"robots":["plain"],"request_id":"snake","message":{"text":{"content":"x"}}}`, nil},
		{"POST", "/v1/notifications", `{"robots":["plain"],"requestId":"camel","message":{"text":{"content":"x"}}}`, http.Header{"Sec-Fetch-Site": {"same-origin"}}},
		{"GET", "/v1/robots?page_size=1", "", nil},
		{"GET", "/v1/robots/-/deliveries?pageSize=1&state=PENDING", "", http.Header{"Sec-Fetch-Site": {"cross-site"}}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, s.http.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.header != nil {
			r.Header = tt.header
		}
		if code, body := exchange(t, r); code != http.StatusOK {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, code, body)
		}
	}
}

func TestHTTPNamesTheMethodThatIsAllowed(t *testing.T) {
	s := start(t, plan{idle: true})
	for path, want := range map[string]string{
		"/v1/notifications": "POST", "/v1/notifications:preview": "POST", "/v1/robots": "GET", "/v1/robots/plain/deliveries": "GET",
		"/v1/robots/plain/deliveries:watch": "GET", "/v1/robots/plain/deliveries/1:redeliver": "POST",
		"/v1/robots/plain:pause": "POST", "/v1/robots/plain:resume": "POST",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.http.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Allow"); resp.StatusCode != http.StatusMethodNotAllowed || got != want {
			t.Errorf("DELETE %s = %d, Allow %q; want 405 and %q", path, resp.StatusCode, got, want)
		}
	}
}
