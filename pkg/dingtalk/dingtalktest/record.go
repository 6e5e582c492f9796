package dingtalktest

import (
	"encoding/json"
	"slices"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// Received is a message as the group received it. What its slices hold is shared by all copies and must
// not be changed.
type Received struct {
	// N counts messages, from 1, in the order of acceptance.
	N int `json:"n"`
	// Time is when it was accepted, by the simulator's clock.
	Time time.Time `json:"time"`
	// Group and Token are the robot's.
	Group string `json:"group"`
	Token string `json:"-"`
	// Message is what Body says, as far as package dingtalk has fields for it.
	Message dingtalk.Message `json:"message"`
	// Body is the request's body as it came.
	Body json.RawMessage `json:"body"`
	// UUID is its msgUuid; empty where it has none.
	UUID string `json:"uuid,omitempty"`
	// Shown is the text as the group sees it, markdown still in it, with mobile numbers of people who are
	// not in the group masked; empty for a feedCard.
	Shown string `json:"shown,omitempty"`
	// Mentions are those whom it names in "at", and whether that reaches them.
	Mentions []Mention `json:"mentions,omitempty"`
	// MentionsAll says that it calls everybody.
	MentionsAll bool `json:"mentionsAll,omitempty"`
	// Duplicates counts how often the same msgUuid came again. Such calls are answered with yes and show
	// nothing.
	Duplicates int `json:"duplicates,omitempty"`
	// Warnings are what DingTalk accepts and then ignores or shows badly, in English.
	Warnings []string `json:"warnings,omitempty"`
}

// Mention is one person named in a message's "at".
type Mention struct {
	// Target is a mobile number, or a user id where UserID is set.
	Target string `json:"target"`
	UserID bool   `json:"userId,omitempty"`
	// Effective says that the person is called; else Why says why not.
	Effective bool   `json:"effective"`
	Why       string `json:"why,omitempty"`
}

// Refused is a call that was refused, or that a fault cut short.
type Refused struct {
	// Time is when, by the simulator's clock.
	Time time.Time `json:"time"`
	// Group is that of the robot, empty where none has the token; Token is the call's.
	Group string `json:"group,omitempty"`
	Token string `json:"-"`
	// Errcode and Errmsg are the answer; both zero where the answer was none of DingTalk's own.
	Errcode int    `json:"errcode,omitempty"`
	Errmsg  string `json:"errmsg,omitempty"`
	// Reason is the check that refused it (see Checks), or "fault: " and its name.
	Reason string `json:"reason"`
}

// Messages returns the messages that were accepted, oldest first: the newest 10,000, or as WithKept says.
func (s *Server) Messages() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages.list(func(*Received) bool { return true })
}

// MessagesOf returns those of the robot with token.
func (s *Server) MessagesOf(token string) []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages.list(func(r *Received) bool { return r.Token == token })
}

// Refusals returns the calls that were refused, oldest first: the newest 10,000, or as WithKept says.
func (s *Server) Refusals() []Refused {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals.list(func(*Refused) bool { return true })
}

// Throttled is how many calls were refused as too fast, since the start or the last Reset.
func (s *Server) Throttled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tooFast
}

// Changed returns a channel that is closed at the next message, duplicate, refusal or Reset. To miss
// nothing, take the channel, then look, then wait.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// BudgetLeft is how many calls the robot with token may make now before it is refused as too fast; 0
// during a penalty.
func (s *Server) BudgetLeft(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paces.left(token, s.clock())
}

// history keeps the newest of what it is given.
type history[T any] struct {
	limit int
	items []*T
}

func (h *history[T]) add(item *T) {
	h.items = append(h.items, item)
	// Trimmed now and then rather than each time, since trimming moves them all.
	if over := len(h.items) - h.limit; over > h.limit/8 {
		h.items = slices.Delete(h.items, 0, over)
	}
}

func (h *history[T]) list(wanted func(*T) bool) []T {
	list := []T{}
	for _, item := range h.items[max(0, len(h.items)-h.limit):] {
		if wanted(item) {
			list = append(list, *item)
		}
	}
	return list
}

// uuids remembers which message came with which msgUuid.
type uuids struct {
	window time.Duration
	first  map[uuidKey]uuidUse
	order  []uuidKey // oldest first
}

type uuidKey struct{ token, uuid string }

type uuidUse struct {
	time time.Time
	n    int // Received.N
}

// find returns the number of the message that came with key no longer than the window before now, or 0.
func (u *uuids) find(key uuidKey, now time.Time) int {
	over := 0
	for over < len(u.order) && (now.Sub(u.first[u.order[over]].time) >= u.window || len(u.order)-over > maxUUIDs) {
		delete(u.first, u.order[over])
		over++
	}
	u.order = u.order[over:]
	return u.first[key].n
}

// remember stores message n under key, which find just did not know.
func (u *uuids) remember(key uuidKey, n int, now time.Time) {
	if u.first == nil {
		u.first = make(map[uuidKey]uuidUse)
	}
	u.first[key] = uuidUse{now, n}
	u.order = append(u.order, key)
}
