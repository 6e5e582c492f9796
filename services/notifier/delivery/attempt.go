package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// fold makes a message of the beginning of batch. While there is budget to spare, each notification gets a
// message of its own; when more is waiting than that, they are folded.
func (l *lane) fold(batch []Notification, now time.Time) (*Intent, error) {
	if len(batch) <= l.spare(now) {
		batch = batch[:1]
	}
	if s := l.rec.Suspect; s != nil && batch[0].Seq <= s.Until {
		batch = batch[:min(len(batch), s.Max)]
	}
	m, used, err := l.render(batch)
	if err != nil {
		return nil, err
	}
	body, err := m.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return &Intent{
		First:  batch[0].Seq,
		Last:   batch[used-1].Seq,
		Items:  used,
		Newest: batch[used-1].CreateTime,
		UUID:   uuid.NewString(),
		Body:   body,
	}, nil
}

// spare is how many notifications may go out alone now.
func (l *lane) spare(now time.Time) int { return budget(l.rec.Calls).left(now) - callReserve }

// render asks the renderer. A panic in there, which would otherwise end the process again and again, makes
// a dead letter of the one notification that brings it about.
func (l *lane) render(batch []Notification) (m dingtalk.Message, used int, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		l.log.Error("wording panicked", zap.Uint64("first", batch[0].Seq), zap.Int("items", len(batch)), zap.Any("panic", p), zap.Stack("stack"))
		if len(batch) > 1 {
			m, used, err = l.render(batch[:1])
			return
		}
		err = errors.New("the wording of it failed; the log tells more")
	}()
	return l.opts.Renderer.Render(l.robot, batch)
}

// attempt makes one call for the intent and writes down what came of it.
func (l *lane) attempt(ctx context.Context) error {
	in := *l.rec.Intent
	var m dingtalk.Message
	if err := json.Unmarshal(in.Body, &m); err != nil {
		return l.refused(ctx, in, &dingtalk.Refusal{
			Class: dingtalk.MessageFault, Reason: dingtalk.ReasonMessageRefused, Advice: "the message in the journal can't be read: " + err.Error(),
		})
	}
	start := time.Now()
	err := l.opts.Sender.Send(ctx, l.robot.Webhook, m, in.UUID)
	end := time.Now()
	in.Attempts++
	l.rec.Calls = budget(l.rec.Calls).spend(end)

	var refusal *dingtalk.Refusal
	if err != nil && !errors.As(err, &refusal) {
		refusal = &dingtalk.Refusal{Class: dingtalk.Unknown, Reason: dingtalk.ReasonUnavailable, Advice: err.Error()}
	}
	class := "ok"
	if refusal != nil {
		class = refusal.Class.String()
	}
	fields := []zap.Field{
		zap.String("uuid", in.UUID), zap.Int("items", in.Items), zap.Uint64("first", in.First), zap.Uint64("last", in.Last),
		zap.Int("attempt", in.Attempts), zap.String("class", class), zap.Int64("elapsed_ms", end.Sub(start).Milliseconds()),
	}
	if refusal != nil {
		fields = append(fields, zap.String("reason", string(refusal.Reason)), zap.Int("errcode", refusal.Errcode),
			zap.String("errmsg", refusal.Errmsg), zap.String("advice", refusal.Advice))
	}
	l.log.Info("delivery.attempted", fields...)
	if l.opts.Observe != nil {
		l.opts.Observe(Attempt{Robot: l.robot.Name, Class: class, Items: in.Items, Elapsed: end.Sub(start)})
	}
	if refusal != nil {
		return l.refused(ctx, in, refusal)
	}
	batch, err := l.items(ctx, in)
	if err != nil {
		return err
	}
	l.rec.Suspension, l.rec.Throttles, l.rec.MutedUntil = nil, 0, time.Time{}
	return l.settle(ctx, batch, &in, nil)
}

// items reads the notifications of an intent. Those that the journal no longer holds, for their age, are
// settled by the cursor alone.
func (l *lane) items(ctx context.Context, in Intent) ([]Notification, error) {
	var batch []Notification
	err := l.persist(ctx, func() (err error) {
		batch, err = l.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, in.Items)
		return err
	})
	if err != nil {
		return nil, err
	}
	for len(batch) > 0 && batch[len(batch)-1].Seq > in.Last {
		batch = batch[:len(batch)-1]
	}
	if len(batch) == 0 || batch[len(batch)-1].Seq != in.Last {
		batch = append(batch, Notification{Seq: in.Last, Robot: l.robot.Name})
	}
	return batch, nil
}

// refused writes down what follows from a refusal of in.
func (l *lane) refused(ctx context.Context, in Intent, r *dingtalk.Refusal) error {
	now := time.Now()
	f := failureOf(r)
	rec := l.rec
	class := r.Class
	if in.Uncertain && r.Reason == dingtalk.ReasonUnknownRefusal {
		// A code of no list says nothing about the attempt before, which may have got through.
		class = dingtalk.Unknown
	}
	switch class {
	case dingtalk.MessageFault:
		if r.Errcode != 0 { // DingTalk looked at the message, so the robot is well
			rec.Suspension, l.rec.Suspension = nil, nil
		}
		if in.Items == 1 {
			batch, err := l.items(ctx, in)
			if err != nil {
				return err
			}
			l.rec.Suspect = nil // found; if there is another, it will be found as this one was
			return l.bury(ctx, batch, f, &in)
		}
		// Some item spoils the whole: halve until it stands alone. The same bytes were refused, so no
		// earlier attempt of them got through either.
		rec.Intent = nil
		rec.Suspect = &Suspect{Until: in.Last, Max: in.Items / 2}
		return l.save(ctx, rec)

	case dingtalk.RobotFault:
		s := Suspension{Failure: f, Since: now}
		if old := rec.Suspension; old != nil {
			s.Since, s.Probes = old.Since, old.Probes+1
		}
		s.NextProbe = now.Add(jitter(probePauses[min(s.Probes, len(probePauses)-1)]))
		rec.Suspension = &s
		l.log.Error("robot is suspended", zap.String("reason", f.Reason.String()), zap.String("advice", f.Message),
			zap.Time("next_probe", s.NextProbe))

	case dingtalk.Throttled:
		rec.Throttles++
		pause := max(r.RetryAfter, throttlePauses[min(rec.Throttles, len(throttlePauses))-1])
		if r.RetryAfter > 0 && r.RetryAfter < time.Minute {
			// Not the robot is too fast but the organisation or all of DingTalk, for a moment.
			pause = jitter(min(r.RetryAfter<<min(rec.Throttles, 9), longestBackoff))
		}
		rec.MutedUntil = now.Add(pause)
		l.log.Error("robot is muted", zap.Time("until", rec.MutedUntil), zap.String("advice", f.Message))

	default:
		in.Uncertain = in.Uncertain || class == dingtalk.Unknown
		in.Failure = &f
		in.NextAttempt = now.Add(max(r.RetryAfter, jitter(min(time.Second<<min(in.Attempts-1, 9), longestBackoff))))
		rec.Intent = &in
		return l.save(ctx, rec)
	}

	// The refusal was of the robot, not of the message: nothing was shown, so what waits may be folded
	// anew when the robot is well again. Unless an earlier attempt may have got through: then only the
	// same message under the same UUID keeps the group from seeing it twice. A refusal for keywords
	// speaks of the very bytes, though, and they would be refused for ever.
	if in.Uncertain && r.Reason != dingtalk.ReasonKeywordMismatch {
		in.Failure = &f
		rec.Intent = &in
	} else {
		rec.Intent = nil
	}
	return l.save(ctx, rec)
}

// probePauses are the pauses before a suspended robot is tried again.
var probePauses = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute}

// longestProbePause is the longest of them with its jitter; a later probe means that the clock was set back.
const longestProbePause = 40 * time.Minute

// longestBackoff is the longest pause between attempts of unknown or no outcome, but for its jitter.
const longestBackoff = 5 * time.Minute

// throttlePauses: a robot that DingTalk throttles is left alone for a minute, and when that was not enough
// for the ten minutes of the penalty.
var throttlePauses = []time.Duration{time.Minute, longestMute}

const longestMute = 10 * time.Minute

// failureOf puts a refusal into the words of the API.
func failureOf(r *dingtalk.Refusal) Failure {
	reason, ok := notifierv1.ErrorReason_value["ERROR_REASON_"+string(r.Reason)]
	if !ok {
		reason = int32(notifierv1.ErrorReason_ERROR_REASON_UNKNOWN_REFUSAL)
	}
	return Failure{Reason: notifierv1.ErrorReason(reason), Message: r.Advice, Errcode: r.Errcode}
}

// persist repeats a write until it succeeds, is fenced, or ctx ends: what happened at DingTalk must be
// written down before anything else may happen.
func (l *lane) persist(ctx context.Context, write func() error) error {
	for failures := 0; ; failures++ {
		err := write()
		if err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		l.log.Warn("journal is in trouble; trying again", zap.Error(err))
		t := time.NewTimer(jitter(min(100*time.Millisecond<<min(failures, 6), 5*time.Second)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// saved writes rec to the journal. A write that failed may have happened all the same; then the next one
// finds the revision moved on, and what is found tells whether it was our own.
func (l *lane) saved(ctx context.Context, rec LaneRecord) (LaneRecord, error) {
	var got LaneRecord
	unsure := false
	err := l.persist(ctx, func() (err error) {
		got, err = l.opts.Journal.SaveLane(ctx, rec)
		if errors.Is(err, ErrFenced) && unsure {
			found, lerr := l.opts.Journal.Lane(ctx, rec.Robot)
			if lerr != nil {
				return lerr
			}
			if sameRecord(found, rec) {
				got = found
				return nil
			}
		}
		unsure = unsure || err != nil
		return err
	})
	return got, err
}

func sameRecord(a, b LaneRecord) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
