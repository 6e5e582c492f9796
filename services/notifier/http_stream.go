package notifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// watchSuffix is how the path of the only method ends that streams.
const watchSuffix = "/deliveries:watch"

// stream is the answer to a method that streams: newline-delimited JSON, of which each line is flushed. The
// server's bounds on how long a whole request may take don't hold for it; each line has one of its own.
type stream struct {
	http.ResponseWriter
	rc *http.ResponseController
	// refused says that the answer is an error, told before any line.
	refused bool
}

// newStream returns w as a stream. Where w knows no deadlines, as in tests, there are none.
func newStream(w http.ResponseWriter) *stream {
	s := &stream{ResponseWriter: w, rc: http.NewResponseController(w)}
	_ = s.rc.SetReadDeadline(time.Time{})
	s.extend()
	return s
}

func (s *stream) extend() { _ = s.rc.SetWriteDeadline(time.Now().Add(stallLimit)) }

// WriteHeader implements http.ResponseWriter.
func (s *stream) WriteHeader(code int) {
	s.refused = code != http.StatusOK
	if code == http.StatusUnauthorized {
		s.Header().Set("WWW-Authenticate", challenge)
	}
	s.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter. grpc-gateway wraps each line of a stream; an error before the first
// one gets the form that errors have elsewhere. Who hangs up is no error, and grpc-gateway would log it as
// one: the request's context ends then, and with it the stream.
func (s *stream) Write(line []byte) (int, error) {
	s.extend()
	n := len(line)
	if s.refused {
		var wrapped struct{ Error json.RawMessage }
		if json.Unmarshal(line, &wrapped) == nil && len(wrapped.Error) > 0 {
			line = bytes.TrimSpace(wrapped.Error)
		}
	}
	_, _ = s.ResponseWriter.Write(line)
	return n, nil
}

// FlushError is what http.ResponseController calls.
func (s *stream) FlushError() error {
	if err := s.rc.Flush(); errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// StreamContentType is what a stream's lines are.
func (wholeJSON) StreamContentType(any) string { return "application/x-ndjson" }

// streams says whether r is for a method that streams.
func streams(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, watchSuffix) }

// streamError words an error that ends a stream as writeError does others.
func streamError(_ context.Context, err error) *status.Status {
	if fault.Reason(err) == notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		err = layerFault(http.MethodGet, status.Convert(err))
	}
	return status.Convert(err)
}
