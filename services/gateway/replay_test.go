package gateway

import (
	"encoding/binary"
	"testing"
	"time"
)

func numbered(n int) (d digest) {
	binary.BigEndian.PutUint64(d[:], uint64(n))
	return d
}

func TestReplaysForgetAfterTheWindow(t *testing.T) {
	r := newReplays(10)
	start := time.UnixMilli(1_800_000_000_000)
	if !r.admit(numbered(1), numbered(1), start) {
		t.Fatal("a new signature was refused")
	}
	for _, at := range []time.Duration{0, time.Hour, 2 * time.Hour} {
		if r.admit(numbered(1), numbered(2), start.Add(at)) {
			t.Errorf("another body was admitted after %v", at)
		}
		if !r.admit(numbered(1), numbered(1), start.Add(at)) {
			t.Errorf("the same body was refused after %v", at)
		}
	}
	if !r.admit(numbered(1), numbered(2), start.Add(replayWindow)) {
		t.Error("remembered beyond the window")
	}
}

func TestReplaysAreBoundedAndForgetTheOldest(t *testing.T) {
	const most = 100
	r := newReplays(most)
	now := time.UnixMilli(1_800_000_000_000)
	for n := range 50 * most {
		if !r.admit(numbered(n), numbered(n), now) {
			t.Fatalf("signature %d was refused", n)
		}
		if len(r.seen) > most || len(r.order) > 4*most {
			t.Fatalf("%d entries, %d places, want at most %d", len(r.seen), len(r.order), most)
		}
	}
	if r.admit(numbered(49*most), numbered(1), now) {
		t.Error("one of the newest was forgotten")
	}
	if !r.admit(numbered(0), numbered(1), now) {
		t.Error("the oldest was kept")
	}
}

func TestHashedPartsDoNotRunTogether(t *testing.T) {
	if signatureKey("a", "bc") == signatureKey("ab", "c") {
		t.Error("two hooks' signatures have one key")
	}
}
