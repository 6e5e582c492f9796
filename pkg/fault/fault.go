// Package fault makes the errors that Belfry's services show to their callers: gRPC statuses with an
// ErrorInfo of the domain "belfry", and BadRequest where fields are at fault. Nothing else in the tree
// makes statuses, so that whatever has not gone through here is known to be unfit for callers' eyes.
package fault

import (
	"errors"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// Domain is the domain of every ErrorInfo.
const Domain = "belfry"

// maxViolations bounds the violations that an error names: a status travels in headers, which have a limit.
const maxViolations = 20

// New returns an error with the code, an ErrorInfo of the reason, and message, a sentence for the person
// who called. meta is the ErrorInfo's metadata as pairs of key and value.
func New(code codes.Code, reason notifierv1.ErrorReason, message string, meta ...string) error {
	info := &errdetails.ErrorInfo{Reason: reason.String(), Domain: Domain}
	for i := 0; i+1 < len(meta); i += 2 {
		if info.Metadata == nil {
			info.Metadata = make(map[string]string, len(meta)/2)
		}
		info.Metadata[meta[i]] = meta[i+1]
	}
	st := status.New(code, message)
	if with, err := st.WithDetails(info); err == nil {
		st = with
	}
	return st.Err()
}

// Invalid returns INVALID_ARGUMENT for one field of a request, named by its path.
func Invalid(field, message string) error {
	return invalid([]*errdetails.BadRequest_FieldViolation{{Field: field, Description: message}})
}

// InvalidRequest returns INVALID_ARGUMENT for what protovalidate said of a request: one violation for
// each field at fault, the first 20 of them. An error that is no verdict on the request comes out as INTERNAL.
func InvalidRequest(err error) error {
	var verr *protovalidate.ValidationError
	if !errors.As(err, &verr) {
		return New(codes.Internal, notifierv1.ErrorReason_ERROR_REASON_INTERNAL, "the request could not be checked; the log tells more")
	}
	violations := verr.Violations[:min(len(verr.Violations), maxViolations)]
	fields := make([]*errdetails.BadRequest_FieldViolation, 0, len(violations))
	for _, v := range violations {
		fields = append(fields, &errdetails.BadRequest_FieldViolation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: describe(v),
		})
	}
	return invalid(fields)
}

func invalid(fields []*errdetails.BadRequest_FieldViolation) error {
	message := "the request is invalid"
	if len(fields) > 0 {
		f := fields[0]
		if message = f.GetDescription(); f.GetField() != "" {
			message = f.GetField() + ": " + message
		}
	}
	info := &errdetails.ErrorInfo{Reason: notifierv1.ErrorReason_ERROR_REASON_INVALID_REQUEST.String(), Domain: Domain}
	st := status.New(codes.InvalidArgument, message)
	if with, err := st.WithDetails(info, &errdetails.BadRequest{FieldViolations: fields}); err == nil {
		st = with
	}
	return st.Err()
}

// Reason returns what the error's ErrorInfo of our domain names; UNSPECIFIED for an error without one.
func Reason(err error) notifierv1.ErrorReason {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return notifierv1.ErrorReason(notifierv1.ErrorReason_value[info.GetReason()])
		}
	}
	return notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED
}
