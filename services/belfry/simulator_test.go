package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// simulated is a running belfry simulator.
type simulated struct {
	page, robot string
	ended       chan called
	stop        context.CancelFunc
}

var simulatorSays = regexp.MustCompile(`The group +(http://\S+)[^\n]*\n +The robot +(\S+)`)

// simulate starts belfry simulator within this process, and ends it with the test.
func simulate(t *testing.T, args ...string) *simulated {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &simulated{ended: make(chan called, 1), stop: stop}
	go func() {
		var stderr bytes.Buffer
		code := report(&stderr, run(ctx, append([]string{"simulator", "--listen=127.0.0.1:0", "--page=127.0.0.1:0"}, args...), nil, w, &stderr))
		s.ended <- called{code: code, stderr: stderr.String()}
		_ = w.CloseWithError(io.EOF)
	}()
	t.Cleanup(stop)
	var said strings.Builder
	for buf := make([]byte, 4096); ; {
		n, err := r.Read(buf)
		said.Write(buf[:n])
		if m := simulatorSays.FindStringSubmatch(said.String()); m != nil {
			s.page, s.robot = m[1], m[2]
			return s
		}
		if err != nil {
			t.Fatalf("it says %q and %+v", said.String(), <-s.ended)
		}
	}
}

func TestTheSimulatorShowsWhatARobotWasSent(t *testing.T) {
	s := simulate(t, "--token=t0k3n", "--secret=SECsim", "--keyword=Gitee", "--keyword=码云", "--host=127.0.0.1")
	client := dingtalk.NewClient()
	defer client.Close()
	for secret, good := range map[string]bool{"SECsim": true, "SECother": false} {
		robot, err := dingtalk.NewRobot(s.robot, secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Send(t.Context(), robot, dingtalk.Message{Content: dingtalk.Text{Content: "码云: hello"}}, "u-"+secret); (err == nil) != good {
			t.Errorf("with the secret %s: %v", secret, err)
		}
	}
	if code, body := look(t, s.page+"/api/messages"); code != http.StatusOK || strings.Count(body, "码云: hello") != 1 || strings.Contains(body, "t0k3n") {
		t.Errorf("the page: %d %s", code, body)
	}
	if code, body := look(t, s.page+"/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("readyz: %d %q", code, body)
	}
	s.stop()
	if got := <-s.ended; got.code != 0 {
		t.Errorf("told to stop: %+v", got)
	}
}

// TestTheSimulatorKeepsItsCertificate starts it several times with one folder: who trusts the file trusts it
// each time, for that host alone.
func TestTheSimulatorKeepsItsCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	var first []byte
	for range 2 {
		s := simulate(t, "--tls="+dir, "--host=sim.example")
		file := filepath.Join(dir, certificateFile)
		pem, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key can be read by others: %v, %v", info.Mode(), err)
		}
		if first == nil {
			first = pem
		} else if !bytes.Equal(first, pem) {
			t.Error("the second start has made another certificate")
		}
		robot, ok := strings.CutPrefix(s.robot, "https://sim.example:")
		if !ok {
			t.Fatalf("the robot is at %s", s.robot)
		}
		port, _, _ := strings.Cut(robot, "/")
		trust := x509.NewCertPool()
		trust.AppendCertsFromPEM(pem)
		for name, good := range map[string]bool{"sim.example": true, "oapi.dingtalk.com": false} {
			conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: trust, ServerName: name}}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
			if (err == nil) != good {
				t.Errorf("as %s: %v", name, err)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
		s.stop()
		<-s.ended
	}
	for name, tc := range map[string]struct {
		host string
		at   time.Time
	}{
		"another host": {"127.0.0.1", time.Now()},
		"too old":      {"127.0.0.1", time.Now().Add(2 * certificateLife)},
	} {
		cert, err := keptCertificate(dir, tc.host, tc.at)
		if err != nil || cert.Leaf.VerifyHostname(tc.host) != nil || tc.at.After(cert.Leaf.NotAfter) {
			t.Errorf("%s: %v, good for %v until %v", name, err, cert.Leaf.IPAddresses, cert.Leaf.NotAfter)
		}
	}
}

func TestTheSimulatorSaysWhyItDoesNotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free := "--page=127.0.0.1:0"
	for args, want := range map[string]called{
		"--page=" + taken.Addr().String():                   {1, "", "belfry: --page: " + taken.Addr().String() + " is in use already"},
		free + " --listen=" + taken.Addr().String():         {1, "", "belfry: --listen: " + taken.Addr().String() + " is in use already"},
		free + " --listen=127.0.0.1:0 --tls=" + file:        {1, "", "belfry: --tls: "},
		free + " --token=":                                  {2, "", "belfry: --token is empty"},
		free + strings.Repeat(" --keyword=a", 11):           {2, "", "belfry: --keyword is there 11 times"},
		free + " --listen=127.0.0.1:0 --tls=" + file + "/x": {1, "", "belfry: --tls: "},
	} {
		got := call(t.Context(), append([]string{"simulator"}, strings.Fields(args)...)...)
		if got.code != want.code || got.stdout != "" || !strings.HasPrefix(got.stderr, want.stderr) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %+v", args, got, want)
		}
	}
}
