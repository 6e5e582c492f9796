package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/gateway/rules"
)

// answer is what the door says to one request.
type answer struct {
	status int
	body   any
	// outcome is its word for the log.
	outcome string
	// retryAfter is for 503, allow for 405.
	retryAfter time.Duration
	allow      string
}

// The bodies of answers.
type (
	eventBody struct {
		Kind   string `json:"kind"`
		Action string `json:"action"`
		ID     string `json:"id"`
	}
	// acceptedBody goes with 200.
	acceptedBody struct {
		Event      eventBody     `json:"event"`
		Deliveries []string      `json:"deliveries"`
		Duplicate  bool          `json:"duplicate"`
		Refused    []refusedBody `json:"refused,omitempty"`
	}
	// spooledBody goes with 202. Deliveries are those of robots that had it at once.
	spooledBody struct {
		Event      eventBody     `json:"event"`
		Spooled    bool          `json:"spooled"`
		Deliveries []string      `json:"deliveries,omitempty"`
		Refused    []refusedBody `json:"refused,omitempty"`
	}
	// refusedBody is a robot that can't tell the event, although others can.
	refusedBody struct {
		Robot   string `json:"robot"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
		// Delivery is the dead letter that stands for it.
		Delivery string `json:"delivery"`
	}
	ignoredBody struct {
		Ignored string `json:"ignored"`
	}
	errorBody struct {
		Error errorDetail `json:"error"`
	}
	errorDetail struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
)

// fails is an answer with an error.
func fails(code int, outcome string, reason notifierv1.ErrorReason, message string) answer {
	return answer{
		status:  code,
		outcome: outcome,
		body:    errorBody{errorDetail{reason.String(), message}},
	}
}

// later is an answer that asks to send the webhook again.
func later(outcome string, reason notifierv1.ErrorReason, after time.Duration, message string) answer {
	a := fails(http.StatusServiceUnavailable, outcome, reason, message)
	a.retryAfter = after
	return a
}

// answerTo is the answer to an event that accept took.
func answerTo(event *eventv1.Event, a accepted) answer {
	body := eventBody{Kind: rules.Kind(event), Action: rules.Action(event), ID: event.GetId()}
	refused := make([]refusedBody, len(a.refused))
	for i, r := range a.refused {
		refused[i] = refusedBody{r.robot, r.reason, r.message, r.delivery}
	}
	switch {
	case len(a.spooled) > 0:
		return answer{
			status:  http.StatusAccepted,
			outcome: "spooled",
			body:    spooledBody{Event: body, Spooled: true, Deliveries: a.deliveries, Refused: refused},
		}
	case len(a.deliveries) == 0 && len(a.refused) > 0:
		first := a.refused[0]
		return answer{
			status:  http.StatusBadRequest,
			outcome: "refused",
			body:    errorBody{errorDetail{first.reason, first.message}},
		}
	}
	outcome := "accepted"
	if a.duplicate {
		outcome = "duplicate"
	}
	return answer{
		status:  http.StatusOK,
		outcome: outcome,
		body:    acceptedBody{Event: body, Deliveries: a.deliveries, Duplicate: a.duplicate, Refused: refused},
	}
}

// write sends the answer. That the other side has gone is nobody's concern here: the event is safe.
func (a answer) write(w http.ResponseWriter) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a.body); err != nil {
		a.status = http.StatusInternalServerError
		buf.Reset()
		buf.WriteString("{}\n")
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.retryAfter.Seconds())))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(buf.Bytes())
}
