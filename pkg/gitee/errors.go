package gitee

import (
	"errors"
	"fmt"
)

// ErrNotAuthentic says that a delivery does not carry the hook's secret, or that its signature is stale.
// Which of them, it never says: that would help only somebody who guesses.
var ErrNotAuthentic = errors.New("gitee: the delivery is not authentic: its X-Gitee-Token does not fit the hook's secret, or its timestamp is more than an hour off")

// MalformedError says that an authentic delivery is not a Gitee event.
type MalformedError struct {
	// Reason is what is wrong, for people. It holds nothing of the body but field names.
	Reason string
	// Offset is how many bytes into the body the fault is, where the body is not JSON; else -1.
	Offset int64
}

// Error says what is wrong, and where.
func (e *MalformedError) Error() string {
	if e.Offset >= 0 {
		return fmt.Sprintf("gitee: malformed delivery: %s, at byte %d", e.Reason, e.Offset)
	}
	return "gitee: malformed delivery: " + e.Reason
}

// IgnoredError says that a delivery is genuine and whole, and that there is nothing to tell about it.
type IgnoredError struct {
	// Why is the reason, for people.
	Why string
}

// Error says why.
func (e *IgnoredError) Error() string { return "gitee: nothing to tell: " + e.Why }

func malformed(format string, args ...any) error {
	return &MalformedError{Reason: fmt.Sprintf(format, args...), Offset: -1}
}

func ignored(format string, args ...any) error {
	return &IgnoredError{Why: fmt.Sprintf(format, args...)}
}
