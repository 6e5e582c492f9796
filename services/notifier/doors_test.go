package notifier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// answer is what either door says to a call, in one form.
type answer struct {
	Code     string            `json:"code"`
	Reason   string            `json:"reason,omitempty"`
	Message  string            `json:"message,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Fields   []violation       `json:"fields,omitempty"`
	Response any               `json:"response,omitempty"`
	// token is the answer's next_page_token, or the last resume_token.
	token string
}

type violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// answerOf puts what a door gave into the one form.
func answerOf(t testing.TB, resp proto.Message, err error) answer {
	t.Helper()
	st := status.Convert(err)
	a := answer{Code: st.Code().String()}
	if err == nil {
		data, err := protojson.Marshal(resp)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &a.Response); err != nil {
			t.Fatal(err)
		}
		a.Response = a.normal("", a.Response)
		return a
	}
	a.Message = strings.ReplaceAll(st.Message(), "\u00a0", " ")
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			a.Reason = strings.TrimPrefix(d.GetReason(), "ERROR_REASON_")
			a.Metadata = d.GetMetadata()
			if d.GetDomain() != fault.Domain {
				t.Errorf("the error's domain is %q", d.GetDomain())
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				a.Fields = append(a.Fields, violation{v.GetField(), v.GetDescription()})
			}
		default:
			t.Errorf("an error has the unexpected detail %T", d)
		}
	}
	return a
}

// muted is how a mute's end is told; around midnight with the date.
var muted = regexp.MustCompile(`静音至 (\d+月\d+日 )?\d\d:\d\d`)

// normal replaces what differs from run to run, by the name of its field.
func (a *answer) normal(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		// The plan is made a moment after the state that it follows from.
		delete(v, "nextSendTime")
		for k, e := range v {
			v[k] = a.normal(k, e)
		}
	case []any:
		for i, e := range v {
			v[i] = a.normal(name, e)
		}
	case string:
		switch {
		case strings.HasSuffix(name, "Time"):
			return "TIME"
		case name == "uuid":
			return "UUID"
		case name == "message" && muted.MatchString(v):
			return muted.ReplaceAllString(v, "静音至 TIME")
		case len(v) > 10_000:
			return fmt.Sprintf("%s… and so on, %d bytes in all", v[:40], len(v))
		case name == "nextPageToken", name == "resumeToken":
			a.token = v
			return "TOKEN"
		}
	}
	return v
}

// into reads the response of a into v.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	data, err := json.Marshal(a.Response)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil || a.Code != "OK" {
		t.Fatalf("the answer %+v: %v", a, err)
	}
}

// A door brings a call, its request as JSON, to a stack.
type door func(t testing.TB, s *stack, method string, request []byte) answer

var doors = []struct {
	name string
	call door
}{{"gRPC", callGRPC}, {"HTTP", callHTTP}}

func methodNamed(t testing.TB, name string) protoreflect.MethodDescriptor {
	t.Helper()
	for _, f := range []protoreflect.FileDescriptor{
		notifierv1.File_belfry_notifier_v1_notifier_service_proto, notifierv1.File_belfry_notifier_v1_robot_service_proto,
	} {
		if m := f.Services().Get(0).Methods().ByName(protoreflect.Name(name)); m != nil {
			return m
		}
	}
	t.Fatalf("there is no method %s", name)
	return nil
}

func newMessage(t testing.TB, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return mt.New().Interface()
}

func callGRPC(t testing.TB, s *stack, method string, request []byte) answer {
	t.Helper()
	m := methodNamed(t, method)
	in, out := newMessage(t, m.Input()), newMessage(t, m.Output())
	if err := protojson.Unmarshal(request, in); err != nil {
		t.Fatalf("request of %s: %v", method, err)
	}
	if m.IsStreamingServer() {
		return streamGRPC(t, s, m, in)
	}
	err := s.conn.Invoke(s.showing(t.Context()), fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), in, out)
	checkSecrets(t, "an answer over gRPC", fmt.Sprint(status.Convert(err).Proto(), out))
	return answerOf(t, out, err)
}

var pathField = regexp.MustCompile(`\{(\w+)=[^}]*\}`)

func callHTTP(t testing.TB, s *stack, method string, request []byte) answer {
	t.Helper()
	m := methodNamed(t, method)
	rule := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	var r *http.Request
	var err error
	fields := map[string]any{}
	intoPath := func(template string) string {
		return pathField.ReplaceAllStringFunc(template, func(f string) string {
			name := pathField.FindStringSubmatch(f)[1]
			value := fmt.Sprint(fields[name])
			delete(fields, name)
			return value
		})
	}
	switch template := rule.GetPost(); {
	case pathField.MatchString(template):
		if err := json.Unmarshal(request, &fields); err != nil {
			t.Fatal(err)
		}
		path := intoPath(template)
		// What the path does not take goes into the body.
		if request, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+path, bytes.NewReader(request))
	case template != "":
		r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+template, bytes.NewReader(request))
	default:
		// What the path does not take goes into the query.
		if err := json.Unmarshal(request, &fields); err != nil {
			t.Fatal(err)
		}
		path := intoPath(rule.GetGet())
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, fmt.Sprint(value))
		}
		r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, s.http.URL+path+"?"+query.Encode(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	if m.IsStreamingServer() {
		return streamHTTP(t, s, m, r)
	}
	code, body := exchange(t, r)
	if code != http.StatusOK {
		return httpError(t, code, body)
	}
	out := newMessage(t, m.Output())
	into := out
	if f := rule.GetResponseBody(); f != "" {
		into = out.ProtoReflect().Mutable(m.Output().Fields().ByName(protoreflect.Name(f))).Message().Interface()
	}
	if err := protojson.Unmarshal(body, into); err != nil {
		t.Fatalf("%s over HTTP answered %q: %v", method, body, err)
	}
	return answerOf(t, out, nil)
}

// exchange sends r and returns the answer, which is to be JSON.
func exchange(t testing.TB, r *http.Request) (code int, body []byte) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: the answer is %q", r.Method, r.URL.Path, got)
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "Grpc-") {
			t.Errorf("%s %s: the answer has the header %s", r.Method, r.URL.Path, name)
		}
	}
	checkSecrets(t, "an answer over HTTP", string(body))
	return resp.StatusCode, body
}

// httpError reads an error, whose code must fit the HTTP status.
func httpError(t testing.TB, code int, body []byte) answer {
	t.Helper()
	var st spb.Status
	if err := protojson.Unmarshal(body, &st); err != nil {
		t.Fatalf("the error %q: %v", body, err)
	}
	err := status.ErrorProto(&st)
	want := runtime.HTTPStatusFromCode(status.Code(err))
	switch fault.Reason(err) {
	case notifierv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED:
		want = http.StatusMethodNotAllowed
	case notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST:
		if code == http.StatusRequestEntityTooLarge {
			want = code
		}
	}
	if code != want {
		t.Errorf("HTTP %d goes with %s; want %d", code, body, want)
	}
	return answerOf(t, nil, err)
}
