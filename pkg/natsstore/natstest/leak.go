package natstest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakPatience is how long goroutines have to end after the last test. goleak's own half second is too short
// for a server that was stopped: on a busy machine some of its goroutines outlive Shutdown by seconds.
const leakPatience = 30 * time.Second

// VerifyTestMain runs the tests of m and ends the process. Where they pass, goroutines that are still there
// after half a minute fail them. It is goleak.VerifyTestMain for packages whose tests stop NATS servers.
func VerifyTestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		deadline := time.Now().Add(leakPatience)
		err := goleak.Find()
		for err != nil && time.Now().Before(deadline) {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "goroutines were left behind: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}
