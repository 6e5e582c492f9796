package delivery_test

import (
	"slices"
	"strings"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// parts words as lines does, but that it folds by request ids: "pre:x" and "post:x" are told by "main:x", which
// comes after the one and before the other; so are "post:x/1" and so on. "pre:x" is worth waiting for. Either is told by itself where no
// "main:x" is in the same message, or was told lately.
type parts struct {
	lines
	wait time.Duration
}

func (r parts) Hold(batch []delivery.Notification, _ []delivery.Told) time.Duration {
	x, ok := strings.CutPrefix(batch[0].RequestID, "pre:")
	if !ok || slices.ContainsFunc(batch, func(n delivery.Notification) bool { return n.RequestID == "main:"+x }) {
		return 0
	}
	return r.wait
}

func (r parts) Render(batch []delivery.Notification, told []delivery.Told) (delivery.Rendering, error) {
	out, err := r.lines.Render(batch, told)
	if err != nil {
		return out, err
	}
	mains := make(map[string]uint64)
	for _, t := range told {
		mains[t.Mark.Mark] = t.Seq
	}
	for _, n := range batch[:out.Used] {
		if x, ok := strings.CutPrefix(n.RequestID, "main:"); ok {
			mains[x] = n.Seq
			out.Marks = append(out.Marks, delivery.Mark{Seq: n.Seq, Mark: x})
		}
	}
	var seen []string
	for _, n := range batch[:out.Used] {
		kind, x, _ := strings.Cut(n.RequestID, ":")
		x, _, _ = strings.Cut(x, "/")
		if main := mains[x]; main > 0 && (kind == "pre" && main > n.Seq || kind == "post" && main < n.Seq) {
			out.Folded = append(out.Folded, delivery.Fold{Seq: n.Seq, Into: main})
			continue
		}
		if kind == "noted" {
			out.Note = "a note"
		}
		seen = append(seen, n.RequestID)
	}
	if out.Message = (dingtalk.Message{}); len(seen) > 0 {
		out.Message.Content = dingtalk.Text{Content: strings.Join(seen, "\n")}
	}
	return out, nil
}
