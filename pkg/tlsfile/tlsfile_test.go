package tlsfile

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"gitee.com/belfry/belfry/pkg/tlsfile/tlstest"
)

// pair is a server and a client of one authority, each with its files in a folder of its own.
type pair struct {
	dir            string
	ca             *tlstest.Authority
	server, client Files
}

func newPair(t *testing.T, name string) pair {
	t.Helper()
	dir := t.TempDir()
	in := func(file string) string { return filepath.Join(dir, file) }
	p := pair{dir: dir, ca: tlstest.NewAuthority(t, dir, name)}
	p.server = Files{Cert: in("server.pem"), Key: in("server.key"), CA: p.ca.File}
	p.client = Files{Cert: in("client.pem"), Key: in("client.key"), CA: p.ca.File}
	p.ca.Issue(t, p.server.Cert, p.server.Key)
	p.ca.Issue(t, p.client.Cert, p.client.Key)
	return p
}

// open returns a source that reads its files at every handshake.
func open(t *testing.T, files Files) (*Source, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s, err := Open(files, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	s.every = 0
	return s, logs
}

// served serves grpc.health.v1 until the test ends, and returns the address.
func served(t *testing.T, creds credentials.TransportCredentials) string {
	t.Helper()
	srv := grpc.NewServer(grpc.Creds(creds))
	healthv1.RegisterHealthServer(srv, health.NewServer())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	return ln.Addr().String()
}

// ask makes one call over a connection of its own.
func ask(t *testing.T, address string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	return err
}

func TestBothSidesCheckEachOther(t *testing.T) {
	ours, theirs := newPair(t, "ours"), newPair(t, "theirs")
	server, _ := open(t, ours.server)
	address := served(t, server.ServerCredentials())
	_, port, _ := net.SplitHostPort(address)
	for name, tt := range map[string]struct {
		files               Files
		address, serverName string
		want                codes.Code
	}{
		"one of ours":                         {ours.client, address, "", codes.OK},
		"by another name":                     {ours.client, "localhost:" + port, "", codes.OK},
		"by a name that is given":             {ours.client, address, "notifier.test", codes.OK},
		"by a name that the server lacks":     {ours.client, address, "other.test", codes.Unavailable},
		"without a certificate":               {Files{CA: ours.ca.File}, address, "", codes.Unavailable},
		"with a certificate of theirs":        {Files{Cert: theirs.client.Cert, Key: theirs.client.Key, CA: ours.ca.File}, address, "", codes.Unavailable},
		"that trusts theirs":                  {Files{Cert: ours.client.Cert, Key: ours.client.Key, CA: theirs.ca.File}, address, "", codes.Unavailable},
		"that trusts the system's alone":      {Files{Cert: ours.client.Cert, Key: ours.client.Key}, address, "", codes.Unavailable},
		"without a certificate, for anything": {Files{}, address, "", codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := open(t, tt.files)
			if err := ask(t, tt.address, client.ClientCredentials(tt.serverName)); status.Code(err) != tt.want {
				t.Errorf("a client %s: %v, want %v", name, err, tt.want)
			}
		})
	}
}

func TestAServerWithoutAnAuthorityAsksForNoCertificate(t *testing.T) {
	p := newPair(t, "ours")
	server, _ := open(t, Files{Cert: p.server.Cert, Key: p.server.Key})
	client, _ := open(t, Files{CA: p.ca.File})
	if err := ask(t, served(t, server.ServerCredentials()), client.ClientCredentials("")); err != nil {
		t.Error(err)
	}
}

// TestEverythingMayBeRenewed changes certificates, keys and authorities of both sides while they run.
func TestEverythingMayBeRenewed(t *testing.T) {
	p, next := newPair(t, "first"), newPair(t, "second")
	server, logs := open(t, p.server)
	client, _ := open(t, p.client)
	address := served(t, server.ServerCredentials())
	check := func(step string, want codes.Code) {
		t.Helper()
		if err := ask(t, address, client.ClientCredentials("")); status.Code(err) != want {
			t.Errorf("%s: %v, want %v", step, err, want)
		}
	}
	check("at first", codes.OK)
	p.ca.Issue(t, p.server.Cert, p.server.Key)
	check("with another certificate of the server", codes.OK)
	p.ca.Issue(t, p.client.Cert, p.client.Key)
	check("with another certificate of the client", codes.OK)
	if n := logs.FilterMessage("tls.taken").Len(); n != 1 {
		t.Errorf("%d changes of the server's files are logged, want 1", n)
	}

	both := append(content(t, p.ca.File), content(t, next.ca.File)...)
	replace(t, p.ca.File, both)
	check("with both authorities", codes.OK)
	next.ca.Issue(t, p.server.Cert, p.server.Key)
	check("with the server at the second one", codes.OK)
	replace(t, p.ca.File, content(t, next.ca.File))
	check("with the second authority alone, and a client of the first", codes.Unavailable)
	next.ca.Issue(t, p.client.Cert, p.client.Key)
	check("with both at the second one", codes.OK)
}

func TestFilesThatMakeNoSenseChangeNothing(t *testing.T) {
	p := newPair(t, "ours")
	server, logs := open(t, p.server)
	client, _ := open(t, p.client)
	address := served(t, server.ServerCredentials())
	for what, file := range map[string]string{"certificate": p.server.Cert, "key": p.server.Key, "authority": p.server.CA} {
		before := content(t, file)
		for _, bad := range []string{"hunter2", "", "gone"} {
			if replace(t, file, []byte(bad)); bad == "gone" {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := ask(t, address, client.ClientCredentials("")); err != nil {
					t.Errorf("with %q for a %s: %v", bad, what, err)
				}
			}
		}
		replace(t, file, before)
		if err := ask(t, address, client.ClientCredentials("")); err != nil {
			t.Errorf("with the %s back: %v", what, err)
		}
		refused := logs.FilterMessageSnippet("tls.refused").TakeAll()
		for _, e := range refused {
			if text := e.ContextMap()["error"].(string); strings.Contains(text, "hunter2") || !strings.Contains(text, file) {
				t.Errorf("a bad %s is logged as %s", what, text)
			}
		}
		if n := len(refused); n < 2 || n > 3 {
			t.Errorf("three bad states of a %s are logged in %d lines; each is to be told once", what, n)
		}
		logs.TakeAll()
	}
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	p := newPair(t, "ours")
	junk := filepath.Join(p.dir, "junk")
	replace(t, junk, []byte("hunter2"))
	for name, tt := range map[string]struct {
		files Files
		want  string
	}{
		"no certificate":   {Files{Cert: p.dir + "/no", Key: p.server.Key}, "file " + p.dir + "/no: there is no such file"},
		"a folder":         {Files{Cert: p.dir, Key: p.server.Key}, "file " + p.dir + ": is a directory"},
		"junk":             {Files{Cert: junk, Key: p.server.Key}, "files " + junk + " and " + p.server.Key + ": are no certificate and its key in PEM"},
		"another's key":    {Files{Cert: p.server.Cert, Key: p.client.Key}, "files " + p.server.Cert + " and " + p.client.Key + ": are no certificate and its key in PEM"},
		"a junk authority": {Files{CA: junk}, "file " + junk + ": holds no certificate in PEM"},
		"a missing one":    {Files{CA: p.dir + "/no"}, "file " + p.dir + "/no: there is no such file"},
		"a key alone":      {Files{Key: p.server.Key}, "files  and " + p.server.Key + ": are no certificate and its key in PEM"},
	} {
		if s, err := Open(tt.files, zap.NewNop()); s != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestHTTPIsServedFromTLS12On(t *testing.T) {
	p := newPair(t, "ours")
	server, _ := open(t, p.server)
	client, _ := open(t, p.client)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Proto))
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(server.Listener(ln)) }()
	defer func() { _ = srv.Close(); <-done }()
	for name, tt := range map[string]struct {
		change func(*tls.Config)
		good   bool
	}{
		"TLS 1.3":                   {func(*tls.Config) {}, true},
		"TLS 1.2":                   {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		"TLS 1.1":                   {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		"no certificate":            {func(c *tls.Config) { c.Certificates = nil }, false},
		"HTTP/2 is not spoken here": {func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, true},
	} {
		config := client.current().client.Clone()
		tt.change(config)
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+ln.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if resp.ProtoMajor != 1 {
				t.Errorf("%s: %s", name, resp.Proto)
			}
			_ = resp.Body.Close()
		}
		transport.CloseIdleConnections()
	}
}

func content(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func replace(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
