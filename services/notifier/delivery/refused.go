package delivery

import (
	"context"
	"time"

	"go.uber.org/zap"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// longestBackoff is the longest pause between attempts of unknown or no outcome, but for its jitter.
const longestBackoff = 5 * time.Minute

// refused writes down what follows from a refusal of in.
func (l *lane) refused(ctx context.Context, in Intent, r *dingtalk.Refusal) error {
	now := time.Now()
	class := classOf(in, r)
	f := failureOf(r, class)
	rec := l.rec
	switch {
	case class == dingtalk.MessageFault:
		return l.spoiled(ctx, in, r, f)

	case class == dingtalk.RobotFault:
		m := rec.Members[in.Member]
		if m.Suspension == nil && in.Uncertain {
			in.Stuck = now
		}
		m = m.suspended(f, now)
		rec = rec.with(in.Member, m)
		l.log.Error("robot is suspended", zap.String("member", in.Member), zap.Stringer("reason", f.Reason),
			zap.String("advice", f.Message), zap.Time("next_probe", m.Suspension.NextProbe))

	case class == dingtalk.Throttled && (r.RetryAfter == 0 || r.RetryAfter >= momentary):
		rec = l.muted(rec, in.Member, r, now)
		l.rec = rec // also if it can't be written: this process was told
		l.log.Error("robot is muted", zap.String("member", in.Member), zap.Time("until", rec.Members[in.Member].MutedUntil),
			zap.String("advice", f.Message))

	default:
		in.Uncertain = in.Uncertain || class == dingtalk.Unknown
		in.Failure = &f
		in.NextAttempt = now.Add(max(r.RetryAfter, jitter(min(time.Second<<min(in.Attempts-1, 9), longestBackoff))))
		rec.Intent = &in
		return l.save(ctx, rec)
	}

	// The refusal was of the member, not of the message, and nothing was shown. Where another member may be
	// called, the same message goes through that one at once; where none may, what waits is folded anew when
	// one may again. Unless an earlier attempt may have got through: then only the same message under the
	// same UUID through the same member keeps the group from seeing it twice. A refusal for keywords speaks
	// of the very bytes, though: they were refused before as well, and would be for ever.
	in.Failure, in.NextAttempt = &f, time.Time{}
	rec.Intent = nil
	if in.Uncertain && r.Reason == dingtalk.ReasonKeywordMismatch {
		in.Uncertain, in.Stuck = false, time.Time{}
	}
	if in.Uncertain {
		rec.Intent = &in
	} else if _, at := l.next(rec, now); !at.After(now) {
		rec.Intent = &in
	}
	return l.save(ctx, rec)
}

// spoiled writes down what follows from a refusal of the message itself.
func (l *lane) spoiled(ctx context.Context, in Intent, r *dingtalk.Refusal, f Failure) error {
	if m := l.rec.Members[in.Member]; r.Errcode != 0 && m.Suspension != nil {
		m.Suspension = nil // DingTalk looked at the message, so the member is well
		l.rec = l.rec.with(in.Member, m)
	}
	if in.Items-len(in.Folded) <= 1 { // what is folded away into the only one told shares its fate
		l.rec.Suspect = nil // found; if there is another, it will be found as this one was
		return l.buryIntent(ctx, in, f)
	}
	// Some item spoils the whole: halve until it stands alone. The same bytes were refused, so no earlier
	// attempt of them got through either.
	rec := l.rec
	rec.Intent = nil
	rec.Suspect = &Suspect{Until: in.Last, Max: in.Items / 2}
	return l.save(ctx, rec)
}
