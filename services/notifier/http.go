package notifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// NewHTTPHandler returns the API as HTTP/JSON over conn, a connection to the gRPC server that stays the
// caller's; ctx is for setting up alone. The server must be one that asks for tokens, NewGRPCServer's: it gets
// the caller's header Authorization and decides. Errors are google.rpc.Status as JSON, the same as over gRPC. JSON
// fields and query parameters that the API does not know are errors: a typo must not be lost. Requests
// that a browser sends for a page from elsewhere are refused, since without tokens nobody is asked who they are.
func NewHTTPHandler(ctx context.Context, conn *grpc.ClientConn) (http.Handler, error) {
	rules, err := newQueryRules()
	if err != nil {
		return nil, err
	}
	foreign := http.NewCrossOriginProtection()
	var mux *runtime.ServeMux
	checked := func(next runtime.HandlerFunc) runtime.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
			// The pattern of a resource fits also where an action follows its name.
			if method, _ := methodFor(r.URL.Path); method == http.MethodPost && r.Method == http.MethodGet {
				writeRoutingError(r.Context(), mux, nil, w, r, http.StatusMethodNotAllowed)
				return
			}
			err := rules.check(r, path)
			if foreign.Check(r) != nil {
				err = fault.New(codes.PermissionDenied, notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
					"a page from elsewhere may not call this in a browser")
			}
			if err != nil {
				writeError(r.Context(), mux, nil, w, r, err)
				return
			}
			if streams(r) {
				w = newStream(w)
			}
			next(w, r, path)
		}
	}
	mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, wholeJSON{&runtime.JSONPb{
			MarshalOptions:   protojson.MarshalOptions{EmitDefaultValues: true},
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
		}}),
		runtime.WithErrorHandler(writeError),
		runtime.WithRoutingErrorHandler(writeRoutingError),
		runtime.WithStreamErrorHandler(streamError),
		runtime.WithMiddlewares(checked),
		// A POST is a POST, whatever its headers say.
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
	)
	if err := notifierv1.RegisterNotifierServiceHandler(ctx, mux, conn); err != nil {
		return nil, err
	}
	if err := notifierv1.RegisterRobotServiceHandler(ctx, mux, conn); err != nil {
		return nil, err
	}
	return http.MaxBytesHandler(mux, MaxRequest), nil
}

// wholeJSON reads a body as one JSON value; JSONPb alone passes over whatever follows the first.
type wholeJSON struct{ *runtime.JSONPb }

func (j wholeJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		body, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(body)) == 0 {
			return io.EOF
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		var first json.RawMessage
		if dec.Decode(&first) == nil && len(bytes.TrimSpace(body[dec.InputOffset():])) > 0 {
			return errors.New("something follows the JSON object")
		}
		return j.Unmarshal(body, v)
	})
}

// writeError writes err as the service does. What arises in the HTTP layer itself, such as JSON that can't
// be read, gets the same form, and what was not made for callers does not get out.
func writeError(ctx context.Context, mux *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if fault.Reason(err) == notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		err = layerFault(r.Method, status.Convert(err))
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, &runtime.JSONPb{}, challenging{w}, r, err)
}

// challenge is what RFC 6750 wants beside a 401. It is the same whether a token was missing or wrong.
const challenge = `Bearer realm="belfry"`

// challenging puts the challenge where grpc-gateway puts the error's message.
type challenging struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c challenging) WriteHeader(code int) {
	if code == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", challenge)
	}
	c.ResponseWriter.WriteHeader(code)
}

// layerFault words an error that has not come from the service.
func layerFault(method string, st *status.Status) error {
	msg := st.Message()
	switch {
	case strings.Contains(msg, "http: request body too large"), st.Code() == codes.ResourceExhausted && method == http.MethodPost:
		return &runtime.HTTPStatusError{HTTPStatus: http.StatusRequestEntityTooLarge, Err: fault.New(codes.ResourceExhausted,
			notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, "the request is larger than 4 MiB")}
	case st.Code() == codes.Canceled, st.Code() == codes.DeadlineExceeded:
		return st.Err()
	case st.Code() == codes.Unavailable:
		return fault.New(codes.Unavailable, notifierv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN,
			"the notifier is starting or stopping; repeat with the same request_id")
	case st.Code() != codes.InvalidArgument:
		return internal()
	case strings.HasPrefix(msg, "invalid grpc-timeout"):
		return fault.Invalid("", "the header Grpc-Timeout can't be read: it is to be a number and a unit, such as 5S")
	}
	return jsonFault(msg)
}

// jsonFault makes the JSON decoder's errors readable: protojson's begin with "proto:" and a blank that
// changes from build to build.
func jsonFault(msg string) error {
	msg = strings.ReplaceAll(msg, "\u00a0", " ")
	msg = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(msg), "proto:"))
	if _, after, ok := strings.Cut(msg, "unknown field "); ok {
		if quoted, err := strconv.QuotedPrefix(after); err == nil {
			if name, err := strconv.Unquote(quoted); err == nil {
				return fault.Invalid(name, "there is no such field")
			}
		}
	}
	// "google.protobuf.Duration" says nothing to somebody who writes JSON.
	if place, value, ok := strings.Cut(msg, "invalid google.protobuf.Duration value "); ok {
		msg = place + value + ` is no duration: give seconds, such as "5s" or "0.5s"`
	}
	return fault.Invalid("", "the body can't be read: "+msg)
}

// actions are the custom methods, and with which HTTP method each is called.
var actions = map[string]string{
	"preview": http.MethodPost, "redeliver": http.MethodPost, "pause": http.MethodPost, "resume": http.MethodPost, "watch": http.MethodGet,
}

// methodFor returns the HTTP method that path is for; false where it ends in a custom method that there is not.
func methodFor(path string) (string, bool) {
	_, action, _ := strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ":")
	switch {
	case action != "":
		method, ok := actions[action]
		return method, ok
	case strings.HasPrefix(path, "/v1/notifications"):
		return http.MethodPost, true
	}
	return http.MethodGet, true
}

func writeRoutingError(ctx context.Context, mux *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	err := fault.New(codes.NotFound, notifierv1.ErrorReason_ERROR_REASON_NO_SUCH_PATH,
		"nothing is served at this path: see /v1/robots, /v1/notifications, /v1/robots/{robot}/deliveries")
	switch code {
	case http.StatusMethodNotAllowed:
		allowed, ok := methodFor(r.URL.Path)
		if !ok {
			break
		}
		w.Header().Set("Allow", allowed)
		err = &runtime.HTTPStatusError{HTTPStatus: code, Err: fault.New(codes.Unimplemented,
			notifierv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED, "this path is for "+allowed)}
	case http.StatusBadRequest:
		err = fault.Invalid("", "the path can't be read")
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, &runtime.JSONPb{}, w, r, err)
}

// queryRules says what a method's query may hold, by HTTP method and path template: the fields of the
// request; none of them where the body is the whole request.
type queryRules map[string]*queryRule

type queryRule struct {
	request protoreflect.MessageType
	body    bool
}

func newQueryRules() (queryRules, error) {
	rules := queryRules{}
	for _, file := range []protoreflect.FileDescriptor{
		notifierv1.File_belfry_notifier_v1_notifier_service_proto, notifierv1.File_belfry_notifier_v1_robot_service_proto,
	} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			http, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			if !ok {
				return nil, fmt.Errorf("method %s has no google.api.http", m.FullName())
			}
			request, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
			if err != nil {
				return nil, err
			}
			rules["GET "+http.GetGet()] = &queryRule{request: request}
			rules["POST "+http.GetPost()] = &queryRule{request: request, body: http.GetBody() == "*"}
		}
	}
	return rules, nil
}

// check returns what is wrong with r's query. grpc-gateway passes over parameters that no field has, that
// the path has said already, or that a method does not look at.
func (rules queryRules) check(r *http.Request, path map[string]string) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Invalid("", "the query can't be read")
	}
	pattern, _ := runtime.HTTPPattern(r.Context())
	rule := rules[r.Method+" "+pattern.String()]
	seen := make(map[protoreflect.FieldDescriptor]bool)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if rule == nil || rule.body {
			return fault.Invalid(name, "this method takes no query parameters: put it into the body")
		}
		fields := rule.request.Descriptor().Fields()
		field := fields.ByJSONName(name)
		if field == nil {
			field = fields.ByName(protoreflect.Name(name))
		}
		if field == nil {
			return fault.Invalid(name, "there is no such query parameter")
		}
		if _, ok := path[string(field.Name())]; ok {
			return fault.Invalid(name, "the path says it already")
		}
		if seen[field] || len(values[name]) > 1 {
			return fault.Invalid(name, "give it once")
		}
		seen[field] = true
		one := url.Values{name: values[name]}
		if err := runtime.PopulateQueryParameters(rule.request.New().Interface(), one, utilities.NewDoubleArray(nil)); err != nil {
			return fault.Invalid(name, "its value can't be read")
		}
	}
	return nil
}
