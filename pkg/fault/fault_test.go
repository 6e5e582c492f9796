package fault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

const (
	unspecified   = notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	robotNotFound = notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND
	invalid       = notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST
	inner         = notifierv1.ErrorReason_ERROR_REASON_INTERNAL
)

// check compares err with a status of these parts.
func check(t *testing.T, err error, code codes.Code, message string, details ...proto.Message) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code || st.Message() != message {
		t.Errorf("the error is %v %q, want %v %q", st.Code(), st.Message(), code, message)
	}
	var got []proto.Message
	for _, d := range st.Details() {
		m, ok := d.(proto.Message)
		if !ok {
			t.Fatalf("a detail can't be read: %v", d)
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(details, got, protocmp.Transform()); diff != "" {
		t.Errorf("details: (-want +got)\n%s", diff)
	}
}

func TestNewNamesReasonDomainAndMetadata(t *testing.T) {
	err := fault.New(codes.NotFound, robotNotFound, "there is no robot", "robot", "ops", "hint", "look")
	check(t, err, codes.NotFound, "there is no robot", &errdetails.ErrorInfo{
		Reason: "ERROR_REASON_ROBOT_NOT_FOUND", Domain: "belfry", Metadata: map[string]string{"robot": "ops", "hint": "look"},
	})
	check(t, fault.New(codes.Internal, inner, "it broke"), codes.Internal, "it broke", &errdetails.ErrorInfo{
		Reason: "ERROR_REASON_INTERNAL", Domain: "belfry",
	})
}

func TestInvalidNamesTheField(t *testing.T) {
	info := &errdetails.ErrorInfo{Reason: "ERROR_REASON_INVALID_REQUEST", Domain: "belfry"}
	check(t, fault.Invalid("page_token", "it is stale"), codes.InvalidArgument, "page_token: it is stale", info,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "page_token", Description: "it is stale"}}})
	check(t, fault.Invalid("", "the body is empty"), codes.InvalidArgument, "the body is empty", info,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Description: "the body is empty"}}})
}

func TestInvalidRequestNamesEachFieldByItsPath(t *testing.T) {
	verr := protovalidate.Validate(&notifierv1.NotifyRequest{
		Robots: []string{"ops", "Ops"},
		Content: &notifierv1.NotifyRequest_Message{Message: &notifierv1.Message{
			Content: &notifierv1.Message_FeedCard{FeedCard: &notifierv1.FeedCard{Links: []*notifierv1.FeedLink{
				{Title: "t", MessageUrl: "https://a", PicUrl: "https://b"}, {Title: "", MessageUrl: "https://a", PicUrl: "https://b"},
			}}},
		}},
	})
	err := fault.InvalidRequest(fmt.Errorf("checked: %w", verr))
	if fault.Reason(err) != invalid || status.Code(err) != codes.InvalidArgument {
		t.Fatalf("the error is %v", err)
	}
	var fields []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
				if v.GetDescription() == "" {
					t.Errorf("%s has no description", v.GetField())
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"robots[1]", "message.feed_card.links[1].title"}, fields); diff != "" {
		t.Errorf("fields: (-want +got)\n%s", diff)
	}
	if msg := status.Convert(err).Message(); !strings.HasPrefix(msg, "robots[1]: ") {
		t.Errorf("the message is %q, and does not begin with the first field", msg)
	}
}

func TestInvalidRequestIsBounded(t *testing.T) {
	links := make([]*notifierv1.FeedLink, 10_000)
	for i := range links {
		links[i] = &notifierv1.FeedLink{}
	}
	err := fault.InvalidRequest(protovalidate.Validate(&notifierv1.FeedCard{Links: links}))
	if size := proto.Size(status.Convert(err).Proto()); size > 8<<10 {
		t.Errorf("the error for 30,000 faults has %d bytes; headers take 8 KiB", size)
	}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) != 20 {
			t.Errorf("%d faults are named, want 20", len(bad.GetFieldViolations()))
		}
	}
}

func TestAnErrorThatIsNoVerdictIsInternalAndKeptSecret(t *testing.T) {
	for _, err := range []error{errors.New("no rules for pkg.Secret"), &protovalidate.ValidationError{}} {
		got := fault.InvalidRequest(err)
		if strings.Contains(got.Error(), "pkg.Secret") {
			t.Errorf("the error shows its cause: %v", got)
		}
		if r := fault.Reason(got); r != inner && r != invalid {
			t.Errorf("the reason is %v", r)
		}
	}
	if got := fault.InvalidRequest(errors.New("x")); status.Code(got) != codes.Internal || fault.Reason(got) != inner {
		t.Errorf("an error that is no verdict comes out as %v", got)
	}
}

func TestReasonKnowsOnlyErrorsOfThisDomain(t *testing.T) {
	foreign, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.ErrorInfo{Reason: "ERROR_REASON_ROBOT_NOT_FOUND", Domain: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.ErrorInfo{Reason: "ERROR_REASON_OF_A_LATER_VERSION", Domain: fault.Domain})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		err  error
		want notifierv1.ErrorReason
	}{
		{"ours", fault.New(codes.NotFound, robotNotFound, "x"), robotNotFound},
		{"ours, wrapped", fmt.Errorf("calling: %w", fault.New(codes.NotFound, robotNotFound, "x")), robotNotFound},
		{"a field's", fault.Invalid("name", "x"), invalid},
		{"none", nil, unspecified},
		{"not a status", errors.New("x"), unspecified},
		{"a cancelled context", context.Canceled, unspecified},
		{"a status without details", status.Error(codes.NotFound, "x"), unspecified},
		{"another domain's", foreign.Err(), unspecified},
		{"one that this version does not know", unknown.Err(), unspecified},
	} {
		if got := fault.Reason(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
