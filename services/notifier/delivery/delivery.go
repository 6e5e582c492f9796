// Package delivery brings notifications to groups: in order, each once, within the robot's budget, and
// whatever happens on the way. It owns the rules (lanes, budget, retries, suspension, dead letters) and
// knows neither a network nor a store: those it is given as a Journal, a Sender and a Renderer.
//
// A lane is one goroutine that owns one robot. All that a lane must remember stands in its LaneRecord, so
// that after any crash the record says where to go on.
package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// Robot is a robot of the configuration.
type Robot struct {
	// Name is its name in the configuration: lower-case letters, digits and "-".
	Name string
	// Webhook is where and how to call it.
	Webhook dingtalk.Robot
	// Keywords are those of which DingTalk wants one in each message, at most 10.
	Keywords []string
	// RejectMissingKeyword says that a message without a keyword is refused rather than mended.
	RejectMissingKeyword bool
	// Locale is the language of its messages, a BCP 47 tag.
	Locale string
}

// Notification is what one robot is to tell. Exactly one of Event and Message is set; neither is changed
// by anybody once the notification is made.
type Notification struct {
	// Seq is its place in the journal, ascending in the order of acceptance, with gaps; 0 until appended.
	Seq        uint64
	Robot      string
	RequestID  string
	CreateTime time.Time
	Event      *eventv1.Event
	Message    *notifierv1.Message
}

// Receipt says where a notification stands in the journal.
type Receipt struct {
	// Seq is the place of the notification, or of the earlier one with the same robot and request id.
	Seq uint64
	// Duplicate says that there was an earlier one, and that nothing was stored.
	Duplicate bool
}

// LaneRecord is all that a lane remembers.
type LaneRecord struct {
	Robot string `json:"robot"`
	// Revision is the store's, for compare-and-set; 0 for a record that was never saved.
	Revision uint64 `json:"-"`
	// Cursor: everything of the robot's at or below it is settled.
	Cursor uint64 `json:"cursor"`
	// Intent is the message that is being sent; nil between messages.
	Intent *Intent `json:"intent,omitempty"`
	// Calls are the times at which the latest calls to DingTalk ended, oldest first.
	Calls []time.Time `json:"calls,omitempty"`
	// MutedUntil is when DingTalk may be called again after it throttled; Throttles counts the refusals
	// for speed since the last success.
	MutedUntil time.Time `json:"muted_until,omitzero"`
	Throttles  int       `json:"throttles,omitempty"`
	// Suspension is set while DingTalk refuses the robot itself.
	Suspension *Suspension `json:"suspension,omitempty"`
	// Suspect is set after DingTalk refused a digest for what some item in it holds, until the item is found.
	Suspect *Suspect `json:"suspect,omitempty"`
}

// Suspect is a stretch of the backlog that holds an item which DingTalk refuses. Folds within it stay
// small, and grow smaller with each refusal, until the item stands alone.
type Suspect struct {
	// Until is the last place of the stretch, Max the most items that a fold in it may have.
	Until uint64 `json:"until"`
	Max   int    `json:"max"`
}

// Intent is a message that is on its way: written down before its first attempt, so that every later
// attempt, also after a crash, is of the same message under the same UUID.
type Intent struct {
	// First and Last are the places of the first and last notification in it, Items their number; they
	// are the Items notifications of the robot's that follow the cursor.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Items int    `json:"items"`
	// Newest is when the last of them was accepted.
	Newest time.Time `json:"newest,omitzero"`
	// UUID is the msgUuid.
	UUID string `json:"uuid"`
	// Body is the message as package dingtalk encodes it.
	Body json.RawMessage `json:"body"`
	// Attempts counts the calls that were begun and ended.
	Attempts int `json:"attempts"`
	// Uncertain says that some attempt may have reached the group although nobody said so.
	Uncertain bool `json:"uncertain,omitempty"`
	// NextAttempt is when to try again, and Failure what the attempt before came to.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Failure     *Failure  `json:"failure,omitempty"`
}

// Failure is why something was refused, in the words of the API.
type Failure struct {
	Reason  notifierv1.ErrorReason `json:"reason"`
	Message string                 `json:"message"`
	Errcode int                    `json:"errcode,omitempty"`
}

// Suspension is a robot's rest after DingTalk refused the robot itself.
type Suspension struct {
	Failure   Failure   `json:"failure"`
	Since     time.Time `json:"since"`
	NextProbe time.Time `json:"next_probe"`
	Probes    int       `json:"probes"`
}

// Outcome is how a notification ended.
type Outcome struct {
	Robot string `json:"robot"`
	Seq   uint64 `json:"seq"`
	// Delivered tells the two endings apart; when false, Failure says why.
	Delivered bool     `json:"delivered"`
	Failure   *Failure `json:"failure,omitempty"`
	// UUID and Items tell of the message it went in; empty where none was sent.
	UUID     string    `json:"uuid,omitempty"`
	Items    int       `json:"items,omitempty"`
	Attempts int       `json:"attempts"`
	Time     time.Time `json:"time"`
}

// ErrFenced is what SaveLane returns when the record was changed by somebody else: this lane is no longer
// ours.
var ErrFenced = errors.New("lane record was changed by another owner")

// Journal is the durable record. Its methods may be called from any goroutine.
type Journal interface {
	// Append makes all of ns durable, or none of them, and returns a receipt for each, in order. One
	// whose robot and request id are known within the dedup window is not stored again; an empty request
	// id is never known. An error leaves the outcome unknown: the caller repeats with the same ids.
	Append(ctx context.Context, ns []Notification) ([]Receipt, error)
	// Read returns the first max notifications of robot beyond after, or as many as there are, ascending
	// and without gaps; none is no error.
	Read(ctx context.Context, robot string, after uint64, max int) ([]Notification, error)
	// Lane returns the robot's record; one with Revision 0 where none was saved.
	Lane(ctx context.Context, robot string) (LaneRecord, error)
	// SaveLane replaces the record if it still stands at rec.Revision, else it returns ErrFenced. On nil
	// the record is durable, and the one returned carries the new revision. Any other error leaves the
	// outcome unknown.
	SaveLane(ctx context.Context, rec LaneRecord) (LaneRecord, error)
	// Outcome returns the outcome that Settle was given last for the robot's notification at seq; nil if none.
	Outcome(ctx context.Context, robot string, seq uint64) (*Outcome, error)
	// Settle makes outcomes durable; one for a notification that has one already replaces it.
	Settle(ctx context.Context, outcomes []Outcome) error
}

// Sender makes one attempt.
type Sender interface {
	// Send returns nil when DingTalk said yes, and otherwise a *dingtalk.Refusal that tells the class.
	// It returns within a bounded time.
	Send(ctx context.Context, robot dingtalk.Robot, m dingtalk.Message, uuid string) error
}

// Renderer words notifications. It is pure: the same arguments give the same result.
type Renderer interface {
	// Render folds the longest useful prefix of batch, which is not empty, into one message, and returns
	// how many notifications that prefix has, at least 1. An error is about the first of them alone: it
	// can't be told by this robot.
	Render(robot Robot, batch []Notification) (m dingtalk.Message, used int, err error)
}
