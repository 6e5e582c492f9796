package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/gateway/rules"
)

const (
	// maxBody is the largest body that is read, in bytes. Real ones have some 5 to 25 KB.
	maxBody = 10 << 20
	// admissionBytes is how many bytes of bodies may be in work at once. A webhook counts for its body,
	// or for admissionLeast where that is more, so that 256 of common size, or 12 of the largest, are in
	// work together.
	admissionBytes = 128 << 20
	admissionLeast = admissionBytes / 256
	// admissionWait is how long a webhook waits until it is admitted.
	admissionWait = 250 * time.Millisecond
)

// record is what the log says about a request.
type record struct {
	requestID string
	hook      string
	event     *eventv1.Event
	bytes     int
}

// serve answers one request and writes its line to the log.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := record{requestID: requestID(r.Header)}
	a := g.guarded(w, r, &rec)
	w.Header().Set("X-Request-Id", rec.requestID)
	a.write(w)
	fields := []zap.Field{
		zap.String("request_id", rec.requestID),
		zap.String("hook", rec.hook),
		zap.Int("status", a.status),
		zap.String("outcome", a.outcome),
		zap.Int("bytes", rec.bytes),
		zap.Float64("elapsed_ms", float64(time.Since(start).Microseconds())/1000),
	}
	if rec.event != nil {
		fields = append(fields,
			zap.String("kind", rules.Kind(rec.event)),
			zap.String("action", rules.Action(rec.event)),
			zap.String("event_id", rec.event.GetId()))
	}
	g.log.Info("webhook.handled", fields...)
	g.metrics.webhooks.WithLabelValues(a.outcome).Inc()
}

// guarded is handle, with a panic made into an answer.
func (g *Gateway) guarded(w http.ResponseWriter, r *http.Request, rec *record) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("webhook.panic", zap.String("request_id", rec.requestID), zap.String("hook", rec.hook),
				zap.String("panic", shortened(fmt.Sprint(p))), zap.ByteString("stack", debug.Stack()))
			a = fails(http.StatusInternalServerError, "panic", notifierv1.ErrorReason_ERROR_REASON_INTERNAL,
				"a fault in Belfry; its log tells more under request id "+rec.requestID)
		}
	}()
	return g.handle(w, r, rec)
}

// handle takes a webhook all the way. Whoever can't prove to be Gitee is turned away before any body is
// read, unless its announced size or type is wrong anyhow.
func (g *Gateway) handle(w http.ResponseWriter, r *http.Request, rec *record) answer {
	name, ok := strings.CutPrefix(r.URL.Path, "/hooks/")
	if !ok {
		return fails(http.StatusNotFound, "no_such_path", notifierv1.ErrorReason_ERROR_REASON_NO_SUCH_PATH,
			"there is nothing here; webhooks go to /hooks/ and the hook's name")
	}
	h := g.setup.Load().hooks[name] // and none that comes meanwhile
	if h == nil {
		if isName(name) {
			rec.hook = name
		}
		return fails(http.StatusNotFound, "hook_not_found", notifierv1.ErrorReason_ERROR_REASON_HOOK_NOT_FOUND,
			"there is no hook of this name; compare the address in Gitee's form with the names in belfry.yaml")
	}
	rec.hook = h.name
	if r.Method != http.MethodPost {
		a := fails(http.StatusMethodNotAllowed, "method_not_allowed", notifierv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED,
			"a hook takes POST only; it is for Gitee to call, not for a browser")
		a.allow = http.MethodPost
		return a
	}
	if fault := mediaFault(r.Header); fault != "" {
		return fails(http.StatusUnsupportedMediaType, "unsupported_media_type",
			notifierv1.ErrorReason_ERROR_REASON_UNSUPPORTED_MEDIA_TYPE, fault)
	}
	if r.ContentLength > maxBody {
		return tooLarge()
	}
	secret, ok := h.secretFor(r.Header, time.Now())
	if !ok {
		return notAuthentic("not_authentic")
	}

	weight := int64(maxBody)
	if r.ContentLength >= 0 {
		weight = r.ContentLength
	}
	weight = max(weight, admissionLeast)
	if !g.admit(r.Context(), weight) {
		return later("busy", notifierv1.ErrorReason_ERROR_REASON_BUSY, time.Second,
			"too many webhooks at once; send this one again")
	}
	defer g.admission.Release(weight)

	buf := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	body := buf.Bytes()
	rec.bytes = len(body)
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return tooLarge()
		}
		return malformed("the body broke off after %d bytes; send the webhook again", len(body))
	}
	// Whether the caller hangs up does not matter from here on: Gitee does not send the event again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptBudget)
	defer cancel()
	event, a, ok := g.parse(h, secret, r.Header, body, rec)
	if !ok {
		return a
	}
	rec.event = event
	robots := g.route(h, rec.requestID, event)
	if len(robots) == 0 {
		return unrouted(h, event)
	}
	result, err := g.accept(ctx, rec.requestID, robots, event)
	if err != nil {
		g.log.Error("webhook.not_accepted", zap.String("request_id", rec.requestID), zap.String("hook", h.name),
			zap.String("event_id", event.GetId()), zap.Error(err))
		return notAccepted(err)
	}
	return answerTo(event, result)
}

// notAccepted is the answer to an event for which accept returned err.
func notAccepted(err error) answer {
	const reason = notifierv1.ErrorReason_ERROR_REASON_NOT_ACCEPTED
	if overdue, is := errors.AsType[*overdueError](err); is {
		return later("overdue", reason, time.Minute, overdue.Error())
	}
	if errors.Is(err, natsstore.ErrQueueFull) {
		return later("spool_full", reason, time.Minute,
			"the notifier does not take the event now, and the gateway's spool is full; send it again when the notifier is back")
	}
	return later("not_accepted", reason, 5*time.Second,
		"neither the notifier nor the gateway's spool could take the event; send it again")
}

// parse makes an event of a webhook under the hook's secret; where ok is false, a says why there is none.
func (g *Gateway) parse(h *hook, secret gitee.Secret, header http.Header, body []byte, rec *record) (event *eventv1.Event, a answer, ok bool) {
	now := time.Now()
	event, err := gitee.Parse(secret, h.name, header, body, now)
	if errors.Is(err, gitee.ErrNotAuthentic) {
		return nil, notAuthentic("not_authentic"), false
	}
	if secret.Signs() && !g.replays.admit(signatureKey(h.name, gitee.SignatureID(header)), contentOf(header, body), now) {
		g.log.Warn("webhook.replayed: a signature came a second time with another body; somebody may have listened",
			zap.String("request_id", rec.requestID), zap.String("hook", h.name))
		return nil, notAuthentic("replayed"), false
	}
	if err == nil {
		event.Hook = h.name
		return event, answer{}, true
	}
	if ignored, is := errors.AsType[*gitee.IgnoredError](err); is {
		return nil, answer{status: http.StatusOK, outcome: "ignored", body: ignoredBody{ignored.Why}}, false
	}
	if bad, is := errors.AsType[*gitee.MalformedError](err); is {
		return nil, malformed("%s", bad.Error()), false
	}
	panic(fmt.Sprintf("gitee.Parse returned an error of a kind it does not document: %T", err))
}

// admit waits until the webhook may be worked on, and reports whether it may; the caller releases then.
func (g *Gateway) admit(ctx context.Context, weight int64) bool {
	if g.admission.TryAcquire(weight) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, admissionWait)
	defer cancel()
	return g.admission.Acquire(ctx, weight) == nil
}

// mediaFault says what is wrong with the kind of body that header announces; "" if nothing is.
func mediaFault(header http.Header) string {
	const want = `send the webhook as application/json; in Gitee's form, don't choose the old format`
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return "the body's type is not application/json: " + want
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return "the body's type has a parameter other than charset=utf-8: " + want
		}
	}
	for _, coding := range header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return "the body is compressed; send it as it is"
		}
	}
	return ""
}

func tooLarge() answer {
	return fails(http.StatusRequestEntityTooLarge, "too_large", notifierv1.ErrorReason_ERROR_REASON_BODY_TOO_LARGE,
		"the body is larger than 10 MiB")
}

func malformed(format string, args ...any) answer {
	return fails(http.StatusBadRequest, "malformed", notifierv1.ErrorReason_ERROR_REASON_MALFORMED_EVENT,
		fmt.Sprintf(format, args...))
}

// notAuthentic never says what is wrong; outcome is for the log alone.
func notAuthentic(outcome string) answer {
	return fails(http.StatusUnauthorized, outcome, notifierv1.ErrorReason_ERROR_REASON_NOT_AUTHENTIC,
		"the webhook is not authentic; compare the secret in Gitee's form, and its kind, with the hook in belfry.yaml, and check this machine's clock")
}

// requestID returns the caller's X-Request-Id where it is fit for a log, else one of its own. Gitee sends
// none; a proxy before the gateway may.
func requestID(header http.Header) string {
	id := header.Get("X-Request-Id")
	if len(id) < 1 || len(id) > 64 {
		return rand.Text()
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return rand.Text()
		}
	}
	return id
}
