package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// A folding says how much of what waits goes in one message.
type folding struct {
	// all folds as much as the renderer takes; otherwise the first goes alone.
	all bool
	// upTo is the last place that may be in it; 0 for no bound.
	upTo uint64
}

// intend makes a message of the beginning of batch, or of more where f wants that, and writes down that it
// is to go through member. False: there is nothing to send after all. What can't be worded becomes a dead
// letter.
func (l *lane) intend(ctx context.Context, batch []Notification, f folding, member Member, now time.Time) (bool, error) {
	var in *Intent
	var unworded error
	var err error
	if f.all {
		in, unworded, err = l.fold(ctx, batch, f, now)
	} else {
		in, unworded = l.word(batch[:1])
	}
	switch {
	case err != nil:
		return false, err
	case unworded != nil:
		return false, l.bury(ctx, batch[:1], unwordable(unworded), nil)
	}
	in.Member = member.ID
	rec := l.rec
	rec.Intent = in
	return true, l.save(ctx, rec)
}

// fold reads as far as a message can reach and words it. It keeps nothing of what it read, which is much
// where many lanes do so; batch is what was read before.
func (l *lane) fold(ctx context.Context, batch []Notification, f folding, now time.Time) (in *Intent, unworded, err error) {
	defer l.d.enter()()
	ahead, err := l.ahead(ctx, batch)
	if err != nil {
		return nil, nil, err
	}
	in, unworded = l.word(l.together(ahead, f, now))
	return in, unworded, nil
}

// ahead reads as far as a message can reach. What was read before counts where it is more: another server of
// a shared journal may have answered, and lag behind.
func (l *lane) ahead(ctx context.Context, batch []Notification) ([]Notification, error) {
	more, err := l.d.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, batchMax)
	if len(more) < len(batch) {
		more = batch
	}
	return more, err
}

// together returns the beginning of batch that may go in one message: what becomes a dead letter does so
// in its turn.
func (l *lane) together(batch []Notification, f folding, now time.Time) []Notification {
	n := 1
	for n < len(batch) && batch[n].Refusal == nil && !l.tooOld(batch[n], now) && (f.upTo == 0 || batch[n].Seq <= f.upTo) {
		n++
	}
	if s := l.rec.Suspect; s != nil && batch[0].Seq <= s.Until {
		n = min(n, s.Max)
	}
	return batch[:n]
}

// word makes an intent of as much of batch as the renderer takes.
func (l *lane) word(batch []Notification) (*Intent, error) {
	r, err := l.render(batch)
	if err != nil {
		return nil, err
	}
	body, err := r.Message.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return &Intent{
		First:  batch[0].Seq,
		Last:   batch[r.Used-1].Seq,
		Items:  r.Used,
		Newest: batch[r.Used-1].CreateTime,
		UUID:   uuid.NewString(),
		Body:   body,
	}, nil
}

// render asks the renderer. A panic in there, which would otherwise end the process again and again, makes
// a dead letter of the one notification that brings it about.
func (l *lane) render(batch []Notification) (r Rendering, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		l.log.Error("wording panicked", zap.Uint64("first", batch[0].Seq), zap.Int("items", len(batch)), zap.Any("panic", p), zap.Stack("stack"))
		if len(batch) > 1 {
			r, err = l.render(batch[:1])
			return
		}
		err = errors.New("the wording of it failed; the log tells more")
	}()
	return l.robot.Renderer.Render(batch, nil)
}

// attempt makes one call for the intent, through the member that it names, and writes down what came of it.
// batch is what the message holds; nil where that is yet to be read.
func (l *lane) attempt(ctx context.Context, member Member, batch []Notification) error {
	in := *l.rec.Intent
	var m dingtalk.Message
	if err := json.Unmarshal(in.Body, &m); err != nil {
		return l.refused(ctx, in, &dingtalk.Refusal{
			Class: dingtalk.MessageFault, Reason: dingtalk.ReasonMessageRefused, Advice: "the message in the journal can't be read: " + err.Error(),
		})
	}
	if l.d.blind.Load() {
		c, err := l.d.opts.Journal.Control(ctx, l.robot.Name)
		if err != nil {
			return err
		}
		l.controlled(c)
	}
	if !l.wanted().PausedSince.IsZero() { // since the step began
		return nil
	}
	if err := l.may(); err != nil {
		return err
	}
	call, done, ok := l.leased(ctx)
	if !ok {
		return errNotMine
	}
	start := time.Now()
	err := l.d.opts.Sender.Send(call, member.Webhook, m, in.UUID)
	end := time.Now()
	done()
	in.Attempts++
	l.rec = l.rec.spent(member.ID, end)

	var refusal *dingtalk.Refusal
	if err != nil && !errors.As(err, &refusal) {
		refusal = &dingtalk.Refusal{Class: dingtalk.Unknown, Reason: dingtalk.ReasonUnavailable, Advice: err.Error()}
	}
	if counts(refusal) {
		l.rec = l.rec.counted(l.robot.Allowance, end)
	}
	l.tell(in, member, refusal, end.Sub(start))
	if refusal != nil {
		return l.refused(ctx, in, refusal)
	}
	if batch == nil {
		if batch, err = l.items(ctx, in); err != nil {
			return err
		}
	} else {
		batch = batch[:in.Items]
	}
	state := l.rec.Members[member.ID]
	state.Suspension, state.Throttles, state.MutedUntil = nil, 0, time.Time{}
	l.rec = l.rec.with(member.ID, state)
	return l.settle(ctx, batch, &in, nil)
}

// counts says whether a call that ended so counts against the month's allowance. DingTalk's billing document
// says that calls which failed for throttling or in the network don't count, and leaves the rest open; what
// is open is taken to count, as is a call that may have been answered, so that the plan errs on the side of
// making the allowance last. A call that was refused because nothing was left can't have taken anything.
func counts(r *dingtalk.Refusal) bool {
	switch {
	case r == nil, r.Class == dingtalk.Unknown:
		return true
	case r.Class == dingtalk.Throttled, r.Class == dingtalk.Transient, r.Reason == dingtalk.ReasonQuotaExhausted:
		return false
	}
	return r.Errcode != 0 // else the message was never sent
}

// tell logs an attempt, and has it counted.
func (l *lane) tell(in Intent, member Member, r *dingtalk.Refusal, elapsed time.Duration) {
	a := Attempt{Robot: l.robot.Name, Class: "ok", Items: in.Items, Elapsed: elapsed}
	if r != nil {
		class := classOf(in, r)
		a.Class, a.Verdict = class.String(), failureOf(r, class).Verdict
	}
	fields := []zap.Field{
		zap.String("uuid", in.UUID), zap.String("member", member.ID), zap.Int("items", in.Items), zap.Uint64("first", in.First),
		zap.Uint64("last", in.Last), zap.Int("attempt", in.Attempts), zap.String("class", a.Class), zap.Int64("elapsed_ms", elapsed.Milliseconds()),
	}
	if r != nil {
		fields = append(fields, zap.String("verdict", string(a.Verdict)), zap.String("reason", string(r.Reason)), zap.Int("errcode", r.Errcode),
			zap.String("errmsg", r.Errmsg), zap.String("advice", r.Advice))
	}
	l.log.Info("delivery.attempted", fields...)
	if l.d.opts.Observe != nil {
		l.d.opts.Observe(a)
	}
}

// classOf returns the class that a refusal of in is treated as.
func classOf(in Intent, r *dingtalk.Refusal) dingtalk.Class {
	if in.Uncertain && r.Reason == dingtalk.ReasonUnknownRefusal {
		// A code of no list says nothing about the attempt before, which may have got through.
		return dingtalk.Unknown
	}
	return r.Class
}
