package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// attempt makes one call for the intent, through the member that it names, and writes down what came of it.
// batch is what the message holds; nil where that is yet to be read.
func (l *lane) attempt(ctx context.Context, member Member, batch []Notification) error {
	in := *l.rec.Intent
	if in.silent() {
		return l.conclude(ctx, in, batch)
	}
	var m dingtalk.Message
	if err := json.Unmarshal(in.Body, &m); err != nil {
		return l.refused(ctx, in, &dingtalk.Refusal{
			Class: dingtalk.MessageFault, Reason: dingtalk.ReasonMessageRefused, Advice: "the message in the journal can't be read: " + err.Error(),
		})
	}
	if l.d.blind.Load() {
		c, err := l.d.opts.Journal.Control(ctx, l.name)
		if err != nil {
			return err
		}
		l.controlled(c)
	}
	if !l.wanted().PausedSince.IsZero() || l.hushes(in, time.Now()) || l.configuration().version != l.version { // since the step began
		return nil
	}
	start := time.Now() // before the last look at the lease, so that the log tells a call that was held up since
	if err := l.may(); err != nil {
		return err
	}
	call, done, ok := l.leased(ctx)
	if !ok {
		return errNotMine
	}
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
	state := l.rec.Members[member.ID]
	state.Suspension, state.Throttles, state.MutedUntil = nil, 0, time.Time{}
	l.rec = l.rec.with(member.ID, state)
	return l.conclude(ctx, in, batch)
}

// conclude settles what in holds as delivered. batch begins with that; nil where it is yet to be read.
func (l *lane) conclude(ctx context.Context, in Intent, batch []Notification) error {
	if batch == nil {
		var err error
		if batch, err = l.items(ctx, in); err != nil {
			return err
		}
	}
	if in.silent() {
		if err := l.may(); err != nil { // no call was made, and asked before it
			return err
		}
		l.log.Info("delivery.folded", zap.Int("items", in.Items), zap.Uint64("first", in.First), zap.Uint64("last", in.Last))
	}
	return l.settle(ctx, batch[:min(len(batch), in.Items)], &in, nil)
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
	a := Attempt{Robot: l.name, Class: "ok", Items: in.Items, Elapsed: elapsed}
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
