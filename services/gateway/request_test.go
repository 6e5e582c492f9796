package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"gitee.com/belfry/belfry/pkg/gitee"
)

// Edits of a request.

func method(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }

func path(p string) func(*http.Request) {
	return func(r *http.Request) { r.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: p} }
}

func query(q string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = q } }

func timestampOf(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

func tokenOf(hookName, stamp string) string {
	if hookName == "plain" {
		return gitee.Password(testPassword).Token(stamp)
	}
	return gitee.Signature(testKey).Token(stamp)
}

// zapLine is how a log would show the entry.
func zapLine(entry observer.LoggedEntry) (string, error) {
	buf, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}).EncodeEntry(entry.Entry, entry.Context)
	if err != nil {
		return "", err
	}
	defer buf.Free()
	return buf.String(), nil
}

var nopLog = zap.NewNop()
