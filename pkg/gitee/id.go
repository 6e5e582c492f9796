package gitee

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// Gitee gives a delivery no id, and the same event comes once for each hook that wants it, with other
// timestamps, secrets and hooks in it. So an event's id is made of what the event is: never of
// timestamp, sign, password, hook_id or hook_url.
//
// What happens to a thing but once (it is opened, merged, deleted) is told by the thing alone. All else
// can happen again and again, to and fro, and is told by the whole state after it and by the time that
// the host gives: updated_at, and for pushes the repository's pushed_at. In the real pushes and tags that
// are known, pushed_at lies within two minutes before the delivery, mostly within seconds. Where that time
// is missing, or so far from the delivery that it can't be this event's, the time of the delivery takes
// part, in steps of coarseStep: rather the same event twice than one of two lost.

const (
	coarseStep = 10 * time.Minute
	staleAfter = 24 * time.Hour
)

// key gathers what makes an event itself.
type key struct {
	h   hash.Hash
	buf [8]byte
}

// newKey starts a key of the given kind of subject on the given host.
func newKey(kind, host string) *key {
	k := &key{h: sha256.New()}
	k.str(kind, host)
	return k
}

func (k *key) num(n int64) {
	binary.BigEndian.PutUint64(k.buf[:], uint64(n))
	k.h.Write(k.buf[:])
}

// str adds strings, each after its length, so that no two lists of them look alike.
func (k *key) str(s ...string) {
	for _, v := range s {
		k.num(int64(len(v)))
		k.h.Write([]byte(v))
	}
}

func (k *key) text(s ...text) {
	for _, v := range s {
		k.str(string(v))
	}
}

// set adds strings whose order says nothing.
func (k *key) set(s []string) {
	slices.Sort(s)
	k.num(int64(len(s)))
	k.str(s...)
}

func (k *key) people(users ...*eventv1.User) {
	var logins []string
	for _, u := range users {
		logins = append(logins, u.GetLogin()+"\n"+u.GetName())
	}
	k.set(logins)
}

func (k *key) labels(l []*eventv1.Label) {
	var names []string
	for _, label := range l {
		names = append(names, label.GetName())
	}
	k.set(names)
}

// moment adds the time of the event by the host, and where that is no good, the time of the delivery.
func (k *key) moment(host text, delivered time.Time) {
	t, ok := clock(host)
	if ok {
		k.num(t.Unix())
	}
	if !delivered.IsZero() && (!ok || delivered.Sub(t).Abs() > staleAfter) {
		k.num(delivered.Truncate(coarseStep).Unix())
	}
}

// id returns the event's id: the kind and 128 bits of the hash.
func (k *key) id(kind string) string {
	return kind + "-" + hex.EncodeToString(k.h.Sum(nil)[:16])
}
