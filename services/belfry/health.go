package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

const (
	// healthWithin is how long a process may take to say how it is. It asks its own store, for 2 seconds at most.
	healthWithin = 4 * time.Second
	// maxHealth is how much is read of what it says, in bytes.
	maxHealth = 64 << 10
)

type healthCmd struct {
	Admin string `help:"The admin address of the process (default: ${default})." default:"127.0.0.1:9092" placeholder:"ADDRESS"`
}

// Run asks a running Belfry whether it is ready, for machines that have nothing else to ask with. It reads no
// configuration: one that is at fault since it was changed is no reason to call the process unhealthy.
func (c *healthCmd) Run(e *env) error {
	ctx, cancel := context.WithTimeout(e.ctx, healthWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Admin+"/readyz", nil)
	if err != nil {
		return usageError{fmt.Errorf("--admin: %q is not an address: give host:port, as under admin.listen", c.Admin)}
	}
	// It is a neighbour, whatever HTTP_PROXY says.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s does not answer within %v", c.Admin, healthWithin)
	case err != nil:
		return fmt.Errorf("nobody answers at %s, the admin address: %w", c.Admin, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	said := strings.TrimSpace(string(body))
	switch {
	case err != nil:
		return fmt.Errorf("%s broke off: %w", c.Admin, err)
	case resp.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("not ready: %s", said)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s: it is not Belfry's admin address", c.Admin, resp.Status)
	}
	fmt.Fprintln(e.stdout, said)
	return nil
}

// version is set by the linker: go build -ldflags "-X main.version=1.2.3".
var version string

// versionFlag prints the version and ends the command.
type versionFlag bool

// BeforeReset is called by kong, before anything else is asked for.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	fmt.Fprintln(app.Stdout, "belfry", versionName())
	app.Exit(0)
	return nil
}

// versionName is the version of this binary; where the linker was told of none, the one that Go knows from the
// checkout, or else devel.
func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
