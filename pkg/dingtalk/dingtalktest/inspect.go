package dingtalktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Inspection returns a handler by which people and other processes look into the simulator; it is not
// served beside /robot/send unless somebody does that. It asks nobody who they are.
//
//	GET  /messages         what Messages returns
//	GET  /refusals         what Refusals returns
//	POST /reset            Reset
//	POST /clock            {"time":"2026-11-22T08:00:00Z"} stops the clock there; {} lets time.Now go on
//	POST /robots/state     {"group":"payments","state":"disabled"} for all robots of a group, with a name
//	                       that State.String gives
//
// Tokens are in no answer, which is why robots go by their group. Reports are JSON; a fault in a request is
// 400 with {"error":"…"}.
func (s *Server) Inspection() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, _ *http.Request) { report(w, s.Messages()) })
	mux.HandleFunc("GET /refusals", func(w http.ResponseWriter, _ *http.Request) { report(w, s.Refusals()) })
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		report(w, struct{}{})
	})
	mux.HandleFunc("POST /clock", order(func(o struct{ Time *time.Time }) error {
		if o.Time == nil {
			s.SetClock(time.Now)
		} else {
			s.SetClock(func() time.Time { return *o.Time })
		}
		return nil
	}))
	mux.HandleFunc("POST /robots/state", order(func(o struct{ Group, State string }) error {
		return s.setGroupState(o.Group, o.State)
	}))
	return mux
}

// setGroupState sets the state, given by name, of all robots of a group.
func (s *Server) setGroupState(group, name string) error {
	for state := StateActive; state <= StateQuotaExhausted; state++ {
		if state.String() != name {
			continue
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		found := false
		for _, robot := range s.robots {
			if robot.Group == group {
				robot.State = state
				found = true
			}
		}
		if !found {
			return fmt.Errorf("no robot is in the group %q", group)
		}
		return nil
	}
	return fmt.Errorf("there is no state %q: see State", name)
}

// order decodes a request's JSON and does what it says.
func order[T any](do func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o T
		d := json.NewDecoder(io.LimitReader(r.Body, 4096))
		d.DisallowUnknownFields()
		err := d.Decode(&o)
		if err == nil {
			err = do(o)
		}
		if err != nil {
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(http.StatusBadRequest)
			report(w, map[string]string{"error": err.Error()})
			return
		}
		report(w, struct{}{})
	}
}

func report(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", jsonType)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}
