package gateway

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

// fakeSpool keeps Spool's contract in memory.
type fakeSpool struct {
	mu    sync.Mutex
	next  uint64
	items []natsstore.Item
	// fault is asked before each operation, by its name.
	fault func(op string) (apply bool, err error)
}

func (s *fakeSpool) ask(op string) (bool, error) {
	s.mu.Lock()
	ask := s.fault
	s.mu.Unlock()
	if ask == nil {
		return true, nil
	}
	return ask(op)
}

func (s *fakeSpool) setFault(ask func(op string) (bool, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = ask
}

func (s *fakeSpool) Append(ctx context.Context, lane string, data []byte) error {
	apply, err := s.ask("append")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if apply {
		s.mu.Lock()
		s.next++
		s.items = append(s.items, natsstore.Item{Seq: s.next, Lane: lane, Data: slices.Clone(data), Time: time.Now()})
		s.mu.Unlock()
	}
	return err
}

func (s *fakeSpool) Lanes(context.Context) (map[string]uint64, error) {
	if _, err := s.ask("lanes"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	depths := make(map[string]uint64)
	for _, item := range s.items {
		depths[item.Lane]++
	}
	return depths, nil
}

func (s *fakeSpool) Next(_ context.Context, lane string, limit int) ([]natsstore.Item, error) {
	if _, err := s.ask("next"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []natsstore.Item
	for _, item := range s.items {
		if item.Lane == lane && len(items) < limit {
			items = append(items, item)
		}
	}
	return items, nil
}

func (s *fakeSpool) Oldest(ctx context.Context, lane string) (time.Time, bool, error) {
	items, err := s.Next(ctx, lane, 1)
	if err != nil || len(items) == 0 {
		return time.Time{}, false, err
	}
	return items[0].Time, true, nil
}

func (s *fakeSpool) Remove(_ context.Context, seqs ...uint64) error {
	apply, err := s.ask("remove")
	if apply {
		s.mu.Lock()
		s.items = slices.DeleteFunc(s.items, func(item natsstore.Item) bool { return slices.Contains(seqs, item.Seq) })
		s.mu.Unlock()
	}
	return err
}

func (s *fakeSpool) Depth(context.Context) (items, bytes uint64, err error) {
	if _, err := s.ask("depth"); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range s.items {
		bytes += uint64(len(item.Data))
	}
	return uint64(len(s.items)), bytes, nil
}

// laggingSpool is one whose Next may lack the newest of n items for a moment: it returns as many as shown says.
type laggingSpool struct {
	*fakeSpool
	shown func(n int) int
}

func (s laggingSpool) Next(ctx context.Context, lane string, limit int) ([]natsstore.Item, error) {
	items, err := s.fakeSpool.Next(ctx, lane, limit)
	return items[:s.shown(len(items))], err
}

// heldFor returns the ids of what the spool holds for robot, in order.
func (s *fakeSpool) heldFor(t *testing.T, robot string) []string {
	t.Helper()
	items, err := s.Next(t.Context(), robot, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(items, func(a, b natsstore.Item) int { return cmp.Compare(a.Seq, b.Seq) })
	var ids []string
	for _, item := range items {
		var req notifierv1.NotifyRequest
		if err := proto.Unmarshal(item.Data, &req); err != nil {
			t.Fatal(err)
		}
		if want := []string{robot}; !slices.Equal(req.GetRobots(), want) {
			t.Errorf("an item of lane %s is for %v", robot, req.GetRobots())
		}
		ids = append(ids, req.GetRequestId())
	}
	return ids
}
