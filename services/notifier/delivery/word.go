package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// word makes an intent of as much of batch as the renderer takes.
func (l *lane) word(batch []Notification) (*Intent, error) {
	r, err := l.render(batch)
	if err != nil {
		return nil, err
	}
	in := &Intent{
		First:  batch[0].Seq,
		Last:   batch[r.Used-1].Seq,
		Items:  r.Used,
		Newest: batch[r.Used-1].CreateTime,
		UUID:   uuid.NewString(),
		Folded: r.Folded,
		Marks:  r.Marks[max(len(r.Marks)-toldMax, 0):],
		Note:   r.Note,
	}
	if r.Note != "" {
		l.log.Warn("template.failed: the built-in wording stands in", zap.Uint64("delivery", in.First), zap.String("why", r.Note))
	}
	if r.Message.Content == nil {
		return in, nil
	}
	in.Body, err = r.Message.MarshalJSON()
	return in, err
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
	if r, err = l.robot.Renderer.Render(batch, recent(l.rec.Told, time.Now())); err != nil {
		return r, err
	}
	return r, r.check(batch, l.rec.done)
}

// check returns what is wrong with r as a rendering of batch, where settled says what ended before: what a
// rendering says is written down, and what it folds away nobody sees unless something else tells it.
func (r Rendering) check(batch []Notification, settled func(seq uint64) bool) error {
	if r.Used < 1 || r.Used > len(batch) {
		return fmt.Errorf("the wording of it uses %d of %d notifications", r.Used, len(batch))
	}
	used := make(map[uint64]bool, r.Used)
	for _, n := range batch[:r.Used] {
		used[n.Seq] = true
	}
	folded := make(map[uint64]bool, len(r.Folded))
	for _, f := range r.Folded {
		folded[f.Seq] = used[f.Seq] && !folded[f.Seq] && (used[f.Into] || f.Into > 0 && settled(f.Into))
		if !folded[f.Seq] {
			return fmt.Errorf("the wording of it folds %d into %d, which it doesn't tell", f.Seq, f.Into)
		}
	}
	for _, f := range r.Folded {
		if folded[f.Into] {
			return fmt.Errorf("the wording of it folds %d into %d, which is folded away itself", f.Seq, f.Into)
		}
	}
	if r.Message.Content == nil && len(folded) < r.Used {
		return errors.New("the wording of it is empty, although not all is folded away")
	}
	for _, m := range r.Marks {
		if len(m.Mark) > markMax {
			return fmt.Errorf("the wording of it has a mark of %d bytes", len(m.Mark))
		}
	}
	return nil
}

// calling asks the renderer whether n calls somebody; what it panics over does not.
func (l *lane) calling(n Notification) (calls bool) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("wording panicked", zap.Uint64("first", n.Seq), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	return l.robot.Renderer.Calls(n, recent(l.rec.Told, time.Now()))
}

// worth asks the renderer for how long to wait for more; for nothing that it panics over.
func (l *lane) worth(batch []Notification, told []Told) (wait time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("wording panicked", zap.Uint64("first", batch[0].Seq), zap.Int("items", len(batch)), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	return l.robot.Renderer.Hold(batch, told)
}
