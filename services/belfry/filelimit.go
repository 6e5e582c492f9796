//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// A write beyond the limit on the size of files (ulimit -f) is to fail like one to a full disk, which is
// survived, and not to end the process, which is what its signal does unless it is ignored.
func init() { signal.Ignore(syscall.SIGXFSZ) }
