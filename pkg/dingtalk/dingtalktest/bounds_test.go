package dingtalktest

import (
	"fmt"
	"testing"
	"time"
)

func TestTokensThatAreFollowedAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := paces{rate: Rate{}.complete()}
	for i := range maxPaces {
		p.take(fmt.Sprint(i), now)
	}
	// Those without a call in the window go first.
	later := now.Add(time.Minute)
	p.take("0", later)
	p.take("new", later)
	if len(p.of) != 2 || p.left("0", later) != 19 || p.left("new", later) != 19 {
		t.Errorf("%d tokens followed, want the 2 that called within the window", len(p.of))
	}
	for i := range 2 * maxPaces {
		p.take(fmt.Sprint(i), later)
	}
	if len(p.of) > maxPaces || len(p.of) < maxPaces*3/4 {
		t.Errorf("%d tokens followed, want %d at most", len(p.of), maxPaces)
	}
}

func TestUUIDsThatAreRememberedAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	u := uuids{window: time.Hour}
	key := func(i int) uuidKey { return uuidKey{"t", fmt.Sprint(i)} }
	for i := 1; i <= maxUUIDs+10; i++ {
		if n := u.find(key(i), now); n != 0 {
			t.Fatalf("%d is known as %d", i, n)
		}
		u.remember(key(i), i, now)
	}
	if n := u.find(key(maxUUIDs+10), now); n != maxUUIDs+10 {
		t.Errorf("the newest is %d", n)
	}
	if n := u.find(key(1), now); n != 0 || len(u.first) != maxUUIDs || len(u.order) != maxUUIDs {
		t.Errorf("the oldest is %d of %d, want it forgotten", n, len(u.first))
	}
	if u.find(key(1), now.Add(time.Hour)); len(u.first) != 0 || len(u.order) != 0 {
		t.Errorf("%d are left when their time is over", len(u.first))
	}
}

func TestRefusedCallsDoNotPileUp(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, calls := range []int{-1, 2} {
		p := paces{rate: Rate{Calls: calls, CountRefused: true}.complete()}
		for range 1000 {
			p.take("t", now)
		}
		if n := len(p.of["t"].calls); n != max(0, calls) {
			t.Errorf("%d calls remembered, want %d", n, max(0, calls))
		}
	}
}
