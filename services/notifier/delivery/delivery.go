// Package delivery brings notifications to groups: in order (but see Quiet), each once, within the robot's
// budget, and whatever happens on the way. It owns the rules (lanes, budget, retries, suspension, dead letters)
// and knows neither a network nor a store: those it is given as a Journal, a Sender and a Renderer.
//
// A lane owns one robot, and has a goroutine while there is something to do for it. All that a lane must
// remember stands in its LaneRecord, so that after any crash the record says where to go on, here or in
// another process that shares the journal.
package delivery

import (
	"context"
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
	// Members are the DingTalk robots of its group, at least one, in the configuration's order.
	Members []Member
	// Renderer words what it tells; nil only for a removed one.
	Renderer Renderer
	// Quiet is when its group is not to be disturbed; nil: never.
	Quiet *Quiet
	// Allowance is the name of the allowance that its calls count against; empty for none.
	Allowance string
}

// Member is one of the DingTalk robots through which a group can be told.
type Member struct {
	// ID tells it from the others of its robot, and stays the same when the configuration puts them in
	// another order: a digest of its access token, which can't be found from it.
	ID string
	// Webhook is where and how to call it.
	Webhook dingtalk.Robot
}

// Allowance is a bound on the calls of a calendar month (Beijing time) that several robots share.
type Allowance struct {
	Name string
	// PerMonth is how many calls a month may have, above 0.
	PerMonth int
	// MaxWait is the longest that anything waits for the allowance's sake.
	MaxWait time.Duration
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
	// Urgent says that it may not wait for an allowance's sake.
	Urgent bool
	// RedeliveryOf is the resource name of the delivery that it repeats; empty for others.
	RedeliveryOf string
	// Refusal, if set, is why it can't be told: in its turn it becomes a dead letter with it.
	Refusal *Failure
}

// Receipt says where a notification stands in the journal.
type Receipt struct {
	// Seq is the place of the notification, or of the earlier one with the same robot and request id.
	Seq uint64
	// Duplicate says that there was an earlier one, and that nothing was stored.
	Duplicate bool
}

// Control is what operators want of a robot. It outlives restarts and is written by the API, not by lanes.
type Control struct {
	Robot string `json:"robot"`
	// Revision is the store's, for compare-and-set; 0 for one that was never saved.
	Revision uint64 `json:"-"`
	// PausedSince is zero unless the robot is paused; Note is why, in the operator's words.
	PausedSince time.Time `json:"paused_since,omitzero"`
	Note        string    `json:"note,omitempty"`
	// Resumed is when somebody last wanted a suspended robot tried at once.
	Resumed time.Time `json:"resumed,omitzero"`
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
	// Into is the place of the notification that tells it as well, where it was folded away; 0 for others.
	Into uint64 `json:"into,omitempty"`
	// Note is the Rendering's.
	Note string `json:"note,omitempty"`
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
	// Control returns what operators want of the robot; one with Revision 0 where nobody wanted anything.
	Control(ctx context.Context, robot string) (Control, error)
	// SaveControl replaces it, as SaveLane does a record.
	SaveControl(ctx context.Context, c Control) (Control, error)
	// Follow tells f of what stands in the journal, and then of what anybody, this process or another that
	// shares the journal, changes in it. It returns nil when ctx ends, and an error when it can't go on;
	// the caller then follows anew. A change may be told twice, and of several changes to one robot only
	// the last, but none is left out for good. What Read, Lane and Control return after f was told is at
	// least as new, but for Read of a journal that is shared: it may lag by moments.
	Follow(ctx context.Context, f Follower) error
}

// Follower is told what happens in a journal. Its methods return at once; they may be called from any
// goroutine, also several at a time.
type Follower interface {
	// Appended: the robot has a notification at seq, and none beyond it that was told of before.
	Appended(robot string, seq uint64)
	// Saved: the robot's record is now rec, which belongs to the follower.
	Saved(rec LaneRecord)
	// Controlled: the robot's control is now c.
	Controlled(c Control)
	// Current: all that stood in the journal when Follow was called has been told.
	Current()
}

// Owner says which robots are this process's to deliver for, where several share a journal.
type Owner interface {
	// Mine reports whether robot is this process's now, and if so until when it may act on that without
	// asking again. The time has a monotonic reading. Mine returns at once: it is asked with locks held.
	Mine(robot string) (until time.Time, ok bool)
	// Changed returns a channel that is closed when answers of Mine may have changed.
	Changed() <-chan struct{}
}

// Sender makes one attempt.
type Sender interface {
	// Send returns nil when DingTalk said yes, and otherwise a *dingtalk.Refusal that tells the class.
	// It returns within a bounded time.
	Send(ctx context.Context, robot dingtalk.Robot, m dingtalk.Message, uuid string) error
}

// Renderer words what one robot tells. It is pure: the same arguments give the same result. It keeps none of
// its arguments.
type Renderer interface {
	// Calls says whether n, told now, calls somebody, so that it may not wait for an allowance's sake. Whom
	// the group saw called for the same lately, as told says, it does not call again.
	Calls(n Notification, told []Told) bool
	// Hold returns for how long after the acceptance of the first of batch it is worth waiting for what it
	// may be told together with; 0 where that is here, or was told, or is not to be expected: then nothing is
	// waited for. Batch is not empty; it is the beginning of what waits.
	Hold(batch []Notification, told []Told) time.Duration
	// Render folds the longest useful prefix of batch, which is not empty, into one message. told is what the
	// group was told lately, oldest first. An error is about the first of batch alone: it can't be told by
	// this robot.
	Render(batch []Notification, told []Told) (Rendering, error)
}

// Rendering is what became of the beginning of a batch.
type Rendering struct {
	// Message is what to send; without Content there is nothing to send: all of Used were folded away.
	Message dingtalk.Message
	// Used is how many notifications of the batch it settles, at least 1.
	Used int
	// Folded are those of them that have no place of their own in the message, because others tell them.
	Folded []Fold
	// Marks are what to remember of the others once they were told.
	Marks []Mark
	// Note says, in English, what went wrong with the robot's own template, so that the built-in wording
	// stands in; mostly empty.
	Note string
}

// Fold says that the notification at Seq is told by the one at Into, of the same robot: in the same message,
// or told before.
type Fold struct {
	Seq  uint64 `json:"seq"`
	Into uint64 `json:"into"`
}

// Mark is something that a renderer wants to know again when what follows is worded: its own words, at most 80 bytes.
type Mark struct {
	Seq  uint64 `json:"seq"`
	Mark string `json:"mark"`
}

// Told is a Mark of something that the group was told, and when. A lane remembers those of the last
// ten minutes, at most 64.
type Told struct {
	Mark
	Time time.Time `json:"time"`
}
