package render

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// A mark remembers something that the group was told: what, of which thing, and of whom or what of it, such
// as "called <key> <items>". Things and items are hashes, so that a mark keeps to the 80 bytes it may have and
// nobody's name stands in a lane's record.
const (
	// markOpened: the opening of a pull request by somebody, with its people.
	markOpened = "opened"
	// markMerged: a merge into a branch, with what its push may show of it.
	markMerged = "merged"
	// markGone: the merge of a branch, which may be removed now.
	markGone = "gone"
	// markCalled: people who were called, and what about.
	markCalled = "called"
)

const (
	// keyLen and itemLen are the lengths of hashes: 96 bits of what nothing else may be taken for, and 30 of
	// what is told apart within that.
	keyLen  = 16
	itemLen = 5
	// itemsPerMark is how many items fit: with the longest word for what it is, a mark has 79 bytes.
	itemsPerMark = 11
	// maxMarksOf is how many marks of one sort a notification leaves: of 44 people. A lane remembers 64 marks.
	maxMarksOf = 4
)

// markKey is the hash of parts, of which no two lists have the same.
func markKey(parts ...string) string { return digestOf(parts)[:keyLen] }

func markItem(s string) string { return digestOf([]string{s})[:itemLen] }

func digestOf(parts []string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// marksOf appends what is to be remembered of items, of the notification at seq.
func marksOf(marks []delivery.Mark, seq uint64, what, key string, items []string) []delivery.Mark {
	for n := 0; len(items) > 0 && n < maxMarksOf; n++ {
		var b strings.Builder
		b.WriteString(what + " " + key + " ")
		count := min(len(items), itemsPerMark)
		for _, item := range items[:count] {
			b.WriteString(markItem(item))
		}
		items = items[count:]
		marks = append(marks, delivery.Mark{Seq: seq, Mark: b.String()})
	}
	return marks
}

// lately is what a group was told lately. A nil one is empty.
type lately struct{ told []delivery.Told }

func newLately(told []delivery.Told) *lately {
	if len(told) == 0 {
		return nil
	}
	return &lately{told: told}
}

func (l *lately) isEmpty() bool { return l == nil }

// find returns the last that was told with that item; nil for none.
func (l *lately) find(what, key, item string) *delivery.Told {
	if l == nil {
		return nil
	}
	head, hash := what+" "+key+" ", markItem(item)
	for i := len(l.told) - 1; i >= 0; i-- {
		items, ok := strings.CutPrefix(l.told[i].Mark.Mark, head)
		for ; ok && len(items) >= itemLen; items = items[itemLen:] {
			if items[:itemLen] == hash {
				return &l.told[i]
			}
		}
	}
	return nil
}

func (l *lately) has(what, key, item string) bool { return l.find(what, key, item) != nil }

// marks returns what to remember of n, which was told and called c.
func (r *Renderer) marks(marks []delivery.Mark, n delivery.Notification, c calls) []delivery.Mark {
	e := n.Event
	if e == nil {
		return marks
	}
	if pull := e.GetPullRequest(); pull != nil {
		switch e.GetAction() {
		case eventv1.Action_ACTION_OPENED:
			if r.opts.Folding.Companions {
				marks = marksOf(marks, n.Seq, markOpened, openingKey(e), append([]string{anOpening}, peopleOf(pull)...))
			}
		case eventv1.Action_ACTION_MERGED:
			if r.opts.Folding.MergePushes {
				marks = marksOf(marks, n.Seq, markMerged, branchKey(e.GetRepository().GetPath(), pull.GetTargetBranch()), mergeSigns(pull))
			}
			if r.opts.Folding.MergedBranches && pull.GetSourceBranch() != "" {
				marks = marksOf(marks, n.Seq, markGone, branchKey(pull.GetSourceRepository(), pull.GetSourceBranch()), []string{aBranch})
			}
		}
	}
	if len(c.about) > 0 {
		marks = marksOf(marks, n.Seq, markCalled, callAbout(e), c.about)
	}
	return marks
}

// anOpening and aBranch are items of what has no other.
const (
	anOpening = "opening"
	aBranch   = "branch"
)

func branchKey(repository, branch string) string { return markKey("branch", repository, branch) }

// openingKey is what an opening and the assignments that came along with it have in common.
func openingKey(e *eventv1.Event) string {
	number := strconv.FormatInt(e.GetPullRequest().GetNumber(), 10)
	return markKey("pull", e.GetRepository().GetPath(), number, identity(actor(e)))
}

// identity tells u from other people, as far as the host does.
func identity(u *eventv1.User) string {
	if u.GetLogin() != "" {
		return strings.ToLower(u.GetLogin())
	}
	return " " + nameOf(u)
}

// peopleOf are those who have to do with a pull request, each as role and identity.
func peopleOf(p *eventv1.PullRequest) []string {
	var all []string
	for _, u := range p.GetAssignees() {
		all = append(all, "reviewer "+identity(u))
	}
	for _, u := range p.GetTesters() {
		all = append(all, "tester "+identity(u))
	}
	return all
}
