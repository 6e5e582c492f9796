package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// maxList is how many notifications List returns at most.
	maxList = 1000
	// listPage is how many messages List asks for at once; listPages bounds how often it asks in one call.
	listPage  = 256
	listPages = 64
	// listBytes is at how many bytes List stops, though not before its first notification.
	listBytes = 16 << 20
	// maxWindow is the widest range of sequences that List looks through at once.
	maxWindow = 1 << 20
)

// Get returns the notification that stands at seq for robot, or ErrNotFound, also where seq is another
// robot's.
func (j *Journal) Get(ctx context.Context, robot string, seq uint64) (delivery.Notification, error) {
	if err := checkRobot(robot); err != nil {
		return delivery.Notification{}, fmt.Errorf("journal: get: %w", err)
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	m, err := j.get(ctx, robot, seq)
	if err != nil {
		return delivery.Notification{}, err
	}
	return decode(m)
}

func (j *Journal) get(ctx context.Context, robot string, seq uint64) (m natsstore.Message, err error) {
	missing := fmt.Errorf("delivery %d of %s: %w", seq, robot, ErrNotFound)
	if seq == 0 {
		return m, missing
	}
	msgs, _, err := j.store.Forward(ctx, logStream, logPrefix+robot, seq, 1, readBytes)
	if err != nil {
		return m, fault("get", err)
	}
	if len(msgs) == 1 && msgs[0].Seq == seq {
		return msgs[0], nil
	}
	if !j.store.Shared() {
		return m, missing
	}
	// Whoever answered may lag behind; the leader doesn't.
	m, found, err := j.fromLeader(ctx, seq)
	switch {
	case err != nil:
		return m, fault("get", err)
	case !found || m.Subject != logPrefix+robot:
		return m, missing
	}
	return m, nil
}

// fromLeader asks the leader of the log, which the client's own call does not where any server may answer.
func (j *Journal) fromLeader(ctx context.Context, seq uint64) (m natsstore.Message, found bool, err error) {
	request, err := json.Marshal(map[string]uint64{"seq": seq})
	if err != nil {
		return m, false, err
	}
	response, err := j.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+logStream, request)
	if err != nil {
		return m, false, err
	}
	var answer struct {
		Message natsstore.Message   `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(response.Data, &answer); err != nil {
		return m, false, fmt.Errorf("answer of the server: %w", err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return m, false, nil
		}
		return m, false, answer.Error
	}
	return answer.Message, true, nil
}

// Outcome returns how the delivery ended, or nil if it hasn't.
func (j *Journal) Outcome(ctx context.Context, robot string, seq uint64) (*delivery.Outcome, error) {
	outcomes, err := j.Outcomes(ctx, []delivery.Notification{{Robot: robot, Seq: seq}})
	if err != nil {
		return nil, err
	}
	return outcomes[0], nil
}

// Outcomes returns the outcome of each of ns, in order, nil where there is none. It looks at their Robot and
// Seq alone.
func (j *Journal) Outcomes(ctx context.Context, ns []delivery.Notification) ([]*delivery.Outcome, error) {
	found := make([]*delivery.Outcome, len(ns))
	if len(ns) == 0 {
		return found, nil
	}
	subjects := make([]string, len(ns))
	for i, n := range ns {
		if err := checkRobot(n.Robot); err != nil {
			return nil, fmt.Errorf("journal: outcome: %w", err)
		}
		subjects[i] = outcomeSubject(n.Robot, n.Seq)
	}
	msgs, err := j.store.LastEach(ctx, outcomeStream, subjects)
	if err != nil {
		return nil, fault("outcomes", err)
	}
	bySubject := make(map[string]*delivery.Outcome, len(msgs))
	for _, m := range msgs {
		o := new(delivery.Outcome)
		if err := json.Unmarshal(m.Data, o); err != nil {
			return nil, fmt.Errorf("journal: outcome at %s can't be read: %w", m.Subject, err)
		}
		bySubject[m.Subject] = o
	}
	for i, subject := range subjects {
		found[i] = bySubject[subject]
	}
	return found, nil
}

// List returns notifications newest first: those of robot, or of all robots when it is "", that stand below
// before, or the newest when that is 0. It returns max of them, at most 1,000, or fewer, even none, when
// that would take long or many megabytes; next is what to pass as before to go on, 0 at the end. On a journal
// that is shared the newest may be missing for moments.
//
// JetStream reads forward only. So List goes backwards in windows of sequences, each of which it reads
// forward; a window in which little was found is followed by a wider one.
func (j *Journal) List(ctx context.Context, robot string, before uint64, max int) (ns []delivery.Notification, next uint64, err error) {
	if robot != "" {
		if err := checkRobot(robot); err != nil {
			return nil, 0, fmt.Errorf("journal: list: %w", err)
		}
	}
	if max < 1 {
		return nil, 0, errors.New("journal: list: ask for 1 notification at least")
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	info, err := j.log.Info(ctx)
	if err != nil {
		return nil, 0, fault("list", err)
	}
	l := lister{store: j.store, subject: logPrefix + "*", max: min(max, maxList), first: info.State.FirstSeq, pages: listPages}
	if robot != "" {
		l.subject = logPrefix + robot
	}
	if end := info.State.LastSeq + 1; before == 0 || before > end {
		before = end
	}
	msgs, next, err := l.run(ctx, before)
	if err != nil {
		return nil, 0, fault("list", err)
	}
	for _, m := range slices.Backward(msgs) {
		n, err := decode(m)
		if err != nil {
			return nil, 0, err
		}
		ns = append(ns, n)
	}
	return ns, next, nil
}

// lister reads a stream backwards.
type lister struct {
	store   *natsstore.Store
	subject string
	max     int
	first   uint64
	// pages is how many requests are left.
	pages int
	// bytes is what has been found so far.
	bytes int
}

// run returns up to max messages below before, ascending, and below what to go on.
func (l *lister) run(ctx context.Context, before uint64) (found []natsstore.Message, next uint64, err error) {
	window := uint64(2 * l.max)
	for before > l.first && len(found) < l.max {
		if l.pages <= 0 || l.bytes >= listBytes {
			return found, before, nil
		}
		low := l.first
		if before-l.first > window {
			low = before - window
		}
		msgs, whole, err := l.window(ctx, low, before)
		if err != nil {
			return nil, 0, err
		}
		if !whole && window > 1 {
			// Too much stands in it. The later part of it is asked for again.
			window = max(window/8, 1)
			l.pages = max(l.pages, 1)
			continue
		}
		if room := l.max - len(found); len(msgs) >= room {
			// The window may have held older ones, too.
			msgs = msgs[len(msgs)-room:]
			low = msgs[0].Seq
		}
		if len(msgs)*4 < l.max {
			window = min(window*4, maxWindow)
		}
		l.bytes += size(msgs)
		found, before = append(msgs, found...), low
	}
	if before <= l.first {
		return found, 0, nil
	}
	return found, before, nil
}

// window returns the newest messages from low up to, and without, high, max of them at most. whole is false
// when that took more requests or bytes than are left, and the result is of no use.
func (l *lister) window(ctx context.Context, low, high uint64) (found []natsstore.Message, whole bool, err error) {
	for from := low; from < high; {
		if l.pages <= 0 {
			return nil, false, nil
		}
		l.pages--
		msgs, more, err := l.store.Forward(ctx, logStream, l.subject, from, int(min(listPage, high-from)), readBytes)
		if err != nil {
			return nil, false, err
		}
		end := len(msgs)
		for end > 0 && msgs[end-1].Seq >= high {
			end--
		}
		found = append(found, msgs[:end]...)
		if drop := len(found) - l.max; drop > 0 {
			found = slices.Delete(found, 0, drop)
		}
		if high-low > 1 && l.bytes+size(found) > listBytes {
			return nil, false, nil
		}
		if end < len(msgs) || more == 0 || len(msgs) == 0 {
			break
		}
		from = msgs[end-1].Seq + 1
	}
	return found, true, nil
}

func size(msgs []natsstore.Message) (bytes int) {
	for _, m := range msgs {
		bytes += len(m.Data)
	}
	return bytes
}
