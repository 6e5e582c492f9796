package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Gitee's signature covers its timestamp and nothing else (Gitee help article 4290), so whoever sees one
// could send any body with it until it goes stale. replays holds that off: the first body that comes with
// a signature is the only one.
const (
	// replayWindow is how long a signature is remembered. One is good from an hour before its timestamp
	// to an hour after it.
	replayWindow = 2*time.Hour + time.Minute
	// replayEntries is how many are remembered; beyond it the oldest is forgotten. An entry takes about
	// 200 bytes.
	replayEntries = 65_536
)

// digest is a SHA-256.
type digest [sha256.Size]byte

// replays knows which content came with which signature. It holds hashes only, and is safe for use by
// several goroutines.
type replays struct {
	max int

	mu   sync.Mutex
	seen map[digest]digest
	// order has the keys of seen, oldest first, from head on.
	order []seenAt
	head  int
}

type seenAt struct {
	key   digest
	until time.Time
}

func newReplays(entries int) *replays {
	return &replays{max: entries, seen: make(map[digest]digest)}
}

// admit reports whether content may come with the signature: it is the first that does, or the same again.
func (r *replays) admit(signature, content digest, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.head < len(r.order) && !now.Before(r.order[r.head].until) {
		r.forget()
	}
	if known, ok := r.seen[signature]; ok {
		return known == content
	}
	if len(r.seen) >= r.max {
		r.forget()
	}
	r.seen[signature] = content
	r.order = append(r.order, seenAt{signature, now.Add(replayWindow)})
	return true
}

// forget drops the oldest entry. The caller holds r.mu.
func (r *replays) forget() {
	delete(r.seen, r.order[r.head].key)
	r.head++
	if r.head > len(r.order)/2 {
		r.order = slices.Delete(r.order, 0, r.head)
		r.head = 0
	}
}

// signatureKey names a signature of a hook. Hooks may share a secret, and Gitee then sends each of them a
// webhook of its own, so what came through one says nothing about another.
func signatureKey(hook, signatureID string) digest {
	return sumOf([]byte(hook), []byte(signatureID))
}

// contentOf names what a webhook says: its body, and the headers that change what the body means.
func contentOf(header http.Header, body []byte) digest {
	return sumOf(
		[]byte(header.Get("X-Gitee-Event")),
		[]byte(header.Get("X-Git-Oschina-Event")),
		[]byte(header.Get("X-Gitee-Ping")),
		body,
	)
}

// sumOf hashes parts so that no other parts have the same sum.
func sumOf(parts ...[]byte) digest {
	h := sha256.New()
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	var sum digest
	h.Sum(sum[:0])
	return sum
}
