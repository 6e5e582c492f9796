package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const (
	// maxStreams is how many pages may watch at once.
	maxStreams = 32
	// tick is how often the budget, which refills by itself, is looked at.
	tick = time.Second
	// keepalive is after how long a silent stream says that it lives.
	keepalive = 15 * time.Second
	// writeTime is how long a watcher may take to read what it was sent.
	writeTime = 10 * time.Second
)

// serveEvents sends "snapshot" with everything, then "update" with each change, and "bye" when the page
// is closed. It ends when the watcher leaves, reads too slowly, or Close is called.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Too many pages are watching; close one.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy between must not hold events back
	out := stream{w: w, rc: http.NewResponseController(w)}
	if err := out.send("", []byte("retry: 1000\n\n")); err != nil || r.Method == http.MethodHead {
		return
	}
	_ = p.watch(r.Context(), &out) // it ends with the watcher, who needs no word about it
}

func (p *Page) watch(ctx context.Context, out *stream) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	// The channels are taken before the state is read, so that no change falls between.
	changed, recorded := p.source.Changed(), p.recorder.Changed()
	u, revision := p.snapshot(ctx)
	name, spoke := "snapshot", time.Now()
	for {
		if !u.empty() {
			if err := out.sendJSON(name, u); err != nil {
				return err
			}
			spoke = time.Now()
		} else if time.Since(spoke) >= keepalive {
			if err := out.send("", []byte(": here\n\n")); err != nil {
				return err
			}
			spoke = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.closing:
			return out.send("bye", []byte("data: {}\n\n"))
		case <-changed:
		case <-recorded:
		case <-ticker.C:
		}
		changed, recorded = p.source.Changed(), p.recorder.Changed()
		p.timeline.refresh(ctx)
		u, revision = p.timeline.since(revision)
		name = "update"
		if u.Reset {
			group := p.group
			u.Group, name = &group, "snapshot"
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf bytes.Buffer
}

func (s *stream) sendJSON(event string, v any) error {
	var data strings.Builder
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return s.send(event, []byte("data: "+data.String()+"\n")) // Encode ended the line and wrote no other
}

// send writes lines, which end with an empty one, under the event's name, and flushes.
func (s *stream) send(event string, lines []byte) error {
	s.buf.Reset()
	if event != "" {
		s.buf.WriteString("event: " + event + "\n")
	}
	s.buf.Write(lines)
	// A writer without deadlines, as in a test, has nobody who could be slow.
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.rc.Flush()
}
