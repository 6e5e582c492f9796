package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

var mark = regexp.MustCompile(`mark(\d{4})end`)

// seen returns the numbers that the group saw, in order; one message counts each number once.
func (s *stage) seen(g *group) (all []int, messages, repeats int) {
	for _, m := range s.sim.Messages() {
		if !slices.Contains(g.tokens, m.Token) {
			continue
		}
		messages, repeats = messages+1, repeats+m.Duplicates
		in := map[int]bool{}
		for _, found := range mark.FindAllStringSubmatch(m.Message.Content.(dingtalk.Markdown).Text, -1) {
			n, _ := strconv.Atoi(found[1])
			if !in[n] {
				in[n] = true
				all = append(all, n)
			}
		}
	}
	return all, messages, repeats
}

// drain waits until every group saw as many as were taken, at most as long as the wait says.
func (s *stage) drain(wait time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), wait)
	defer cancel()
	for {
		changed := s.sim.Changed()
		if !slices.ContainsFunc(s.groups, func(g *group) bool { all, _, _ := s.seen(g); return len(all) < g.count() }) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// check holds what the groups saw, and what the notifier at grpc tells, against what was taken.
func (s *stage) check(grpcAddress string) {
	s.t.Helper()
	var accepted, shown, twice, messages, repeats, spooled, repeated int
	for _, g := range s.groups {
		all, m, r := s.seen(g)
		accepted, spooled, repeated = accepted+g.taken, spooled+g.spooled, repeated+g.repeated
		messages, repeats = messages+m, repeats+r
		times := map[int]int{}
		for _, n := range all {
			if times[n]++; times[n] > 1 {
				twice++
			}
		}
		shown += len(times)
		if err := inOrder(all, g.taken); err != nil {
			s.t.Errorf("%s: %v", g.name, err)
		}
		if err := neverBack(s.callsOf(g), s.late); err != nil {
			s.t.Errorf("%s: %v", g.name, err)
		}
	}
	delivered, dead, open := s.endings(grpcAddress)
	s.t.Logf("%s: round 1, seed %d: %d accepted / %d delivered / %d dead / %d duplicated; %d faults, %d through the spool, %d sent again, "+
		"%d shown in %d messages, %d repeats hidden by msgUuid, in %v", s.t.Name(), s.seed, accepted, delivered, dead, twice, s.faults, spooled, repeated,
		shown, messages, repeats, time.Since(s.began).Round(time.Second))
	if accepted == 0 || delivered != accepted || dead != 0 || open != 0 {
		s.t.Errorf("of %d accepted the notifier says that %d were delivered, %d are dead and %d neither", accepted, delivered, dead, open)
	}
}

// inOrder returns an error unless seen is 0, 1, 2 and so on up to n.
func inOrder(seen []int, n int) error {
	for i, got := range seen {
		if got != i {
			return fmt.Errorf("at place %d of %d the group saw webhook %d", i, len(seen), got)
		}
	}
	if len(seen) != n {
		return fmt.Errorf("%d webhooks were taken and %d shown", n, len(seen))
	}
	return nil
}

// neverBack returns an error if a message is called for again after another one was, unless late excuses that:
// it is given the call, and how many its caller has made for the message by then.
func neverBack(calls []knockOnDingTalk, late func(c knockOnDingTalk, n int) bool) error {
	present, next := "", map[string]string{} // next is by message who called for the one after
	made := map[knockOnDingTalk]int{}
	for _, c := range calls {
		if c.uuid == "" {
			return errors.New("a call has no msgUuid")
		}
		who := knockOnDingTalk{caller: c.caller, uuid: c.uuid}
		made[who]++
		if by, over := next[c.uuid]; over {
			if !late(c, made[who]) {
				return fmt.Errorf("%s called again for message %s, after %s had called for the next one", c.caller, c.uuid, by)
			}
			continue
		}
		if present != "" && present != c.uuid {
			next[present] = c.caller
		}
		present = c.uuid
	}
	return nil
}

// endings asks the notifier how the groups' deliveries ended, until all have or patience is over.
func (s *stage) endings(address string) (delivered, dead, open int) {
	s.t.Helper()
	client, ctx := s.client(address)
	for deadline := time.Now().Add(patience); ; s.wait(100 * time.Millisecond) {
		delivered, dead, open = 0, 0, 0
		for _, g := range s.groups {
			for _, d := range g.deliveries(ctx, s, client) {
				switch d.GetState() {
				case "DELIVERED":
					delivered++
				case "DEAD":
					dead++
				default:
					open++
				}
			}
		}
		if open == 0 || time.Now().After(deadline) {
			return delivered, dead, open
		}
	}
}

// deliveries returns all that the notifier knows of for the group.
func (g *group) deliveries(ctx context.Context, s *stage, client notifierv1.NotifierServiceClient) (all []*notifierv1.Delivery) {
	s.t.Helper()
	for req := (&notifierv1.ListDeliveriesRequest{Parent: "robots/" + g.name, PageSize: 1000}); ; {
		resp, err := client.ListDeliveries(ctx, req)
		if err != nil {
			s.t.Fatalf("listing deliveries: %v", err)
		}
		all = append(all, resp.GetDeliveries()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// client returns a client of the notifier at that address, and a context for its calls.
func (s *stage) client(address string) (notifierv1.NotifierServiceClient, context.Context) {
	s.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	s.t.Cleanup(cancel)
	return notifierv1.NewNotifierServiceClient(conn), ctx
}

func TestWhatFaultRunsLookForIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		seen []int
		ok   bool
	}{
		"all in order":  {[]int{0, 1, 2}, true},
		"one lost":      {[]int{0, 2}, false},
		"the last lost": {[]int{0, 1}, false},
		"one twice":     {[]int{0, 1, 1, 2}, false},
		"one too many":  {[]int{0, 1, 2, 3}, false},
		"two swapped":   {[]int{0, 2, 1}, false},
	} {
		if err := inOrder(tc.seen, 3); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tc := range map[string]struct {
		uuids []string
		late  int // the call of that number is excused
		ok    bool
	}{
		"nothing":                            {nil, 0, true},
		"each once":                          {[]string{"a", "b", "c"}, 0, true},
		"again until the answer comes":       {[]string{"a", "a", "b", "b", "b"}, 0, true},
		"again after the next":               {[]string{"a", "b", "a"}, 0, false},
		"long after":                         {[]string{"a", "b", "c", "d", "b"}, 0, false},
		"without a msgUuid":                  {[]string{"a", ""}, 0, false},
		"late":                               {[]string{"a", "b", "a"}, 2, true},
		"late, and the present one again":    {[]string{"a", "b", "a", "b", "c"}, 2, true},
		"late, and once more":                {[]string{"a", "b", "a", "a"}, 2, false},
		"late, and then again after a third": {[]string{"a", "b", "a", "c", "b"}, 2, false},
	} {
		var calls []knockOnDingTalk
		for i, uuid := range tc.uuids {
			calls = append(calls, knockOnDingTalk{uuid: uuid, time: time.Unix(int64(i), 0)})
		}
		late := func(c knockOnDingTalk, n int) bool { return c.time.Equal(time.Unix(int64(tc.late), 0)) && n == 2 }
		if err := neverBack(calls, late); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	asleep := nap{from: time.Unix(100, 0), to: time.Unix(108, 0)}
	for name, tc := range map[string]struct {
		attempts []string // of message a: from second to second
		calls    int
		ok       bool
	}{
		"begun before":                        {[]string{"99 108"}, 1, true},
		"one more, and begun before":          {[]string{"97 98", "99 108"}, 2, true},
		"begun after":                         {[]string{"108 109"}, 1, false},
		"one before, and one after":           {[]string{"99 108", "108 109"}, 2, false},
		"answered before, then begun anew":    {[]string{"98 99", "108 109"}, 2, false},
		"begun before, but for another":       {nil, 1, false},
		"begun before, with two calls for it": {[]string{"99 108"}, 2, false},
	} {
		log := `{"msg":"delivery.attempted","uuid":"b","time":"1970-01-01T00:01:48Z","elapsed_ms":9000}` + "\n"
		for _, a := range tc.attempts {
			var began, ended int64
			_, _ = fmt.Sscan(a, &began, &ended)
			log += fmt.Sprintf(`{"msg":"delivery.attempted","uuid":"a","time":%q,"elapsed_ms":%d}`+"\n",
				time.Unix(ended, 0).UTC().Format(time.RFC3339Nano), (ended-began)*1000)
		}
		if asleep.covers(log, "a", tc.calls) != tc.ok {
			t.Errorf("%s: want %t for\n%s", name, tc.ok, log)
		}
	}
}
