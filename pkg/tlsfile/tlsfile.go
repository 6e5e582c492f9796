// Package tlsfile makes TLS of certificates in files, and follows the files: who renews a certificate writes
// the new one into its place, and needs nobody to be told. TLS 1.2 is the least that is spoken.
package tlsfile

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// lookEvery is how often, at most, the files are read.
	lookEvery = time.Second
	// maxFile bounds a file, in bytes.
	maxFile = 4 << 20
)

// Files are paths of files in PEM.
type Files struct {
	// Cert and Key are our own certificate, with what leads to its authority, and its key; a client may have
	// neither.
	Cert, Key string
	// CA holds the authorities of which one must have signed the other side's certificate. Empty means, for a
	// server, that callers need no certificate, and for a client the system's authorities.
	CA string
}

// Source is what the files say. It reads them when somebody connects, and keeps what they said before while
// they make no sense. It has no goroutine and needs no closing; it may be used from any goroutine.
type Source struct {
	files Files
	log   *zap.Logger
	every time.Duration

	// looking is held by the one who reads the files.
	looking sync.Mutex
	looked  time.Time
	fault   string

	mu  sync.Mutex
	sum [sha256.Size]byte
	now *loaded
}

// loaded is what the files said at one time. It does not change.
type loaded struct {
	server, client *tls.Config
}

// Open reads the files. The error names the one at fault. log gets a line when they have changed, and when what
// they have become can't be used; it should say whose they are.
func Open(files Files, log *zap.Logger) (*Source, error) {
	s := &Source{files: files, log: log, every: lookEvery, looked: time.Now()}
	sum, next, err := s.read()
	if err != nil {
		return nil, err
	}
	s.sum, s.now = sum, next.loaded
	return s, nil
}

// current returns what the files say, as of a second ago at most, or what they said when they last made sense.
func (s *Source) current() *loaded {
	if s.looking.TryLock() { // another one's look is as good
		if time.Since(s.looked) >= s.every {
			s.look()
			s.looked = time.Now()
		}
		s.looking.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// look reads the files; the caller holds looking.
func (s *Source) look() {
	sum, next, err := s.read()
	if err != nil {
		if err.Error() != s.fault {
			s.fault = err.Error()
			s.log.Error("tls.refused: the files are not as they should be; what they held before stays in use", zap.Error(err))
		}
		return
	}
	s.fault = ""
	s.mu.Lock()
	changed := sum != s.sum
	if changed {
		s.sum, s.now = sum, next.loaded
	}
	s.mu.Unlock()
	if changed {
		s.log.Info("tls.taken", zap.Time("not_after", next.notAfter))
	}
}

// reading is what one reading of the files brought.
type reading struct {
	*loaded
	// notAfter is when our own certificate ends; zero without one.
	notAfter time.Time
}

func (s *Source) read() (sum [sha256.Size]byte, r reading, err error) {
	h := sha256.New()
	content := func(path string) ([]byte, error) {
		if path == "" {
			return nil, nil
		}
		data, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", path, err)
		}
		fmt.Fprintf(h, "%d:", len(data))
		h.Write(data)
		return data, nil
	}
	var pems [3][]byte
	for i, path := range []string{s.files.Cert, s.files.Key, s.files.CA} {
		if pems[i], err = content(path); err != nil {
			return sum, r, err
		}
	}
	r.loaded = &loaded{server: newConfig(), client: newConfig()}
	if s.files.Cert != "" || s.files.Key != "" {
		pair, err := tls.X509KeyPair(pems[0], pems[1])
		if err != nil {
			return sum, r, fmt.Errorf("files %s and %s: are no certificate and its key in PEM", s.files.Cert, s.files.Key)
		}
		r.server.Certificates, r.client.Certificates = []tls.Certificate{pair}, []tls.Certificate{pair}
		r.notAfter = pair.Leaf.NotAfter
	}
	if s.files.CA != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pems[2]) {
			return sum, r, fmt.Errorf("file %s: holds no certificate in PEM", s.files.CA)
		}
		r.client.RootCAs = pool
		r.server.ClientCAs, r.server.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return [sha256.Size]byte(h.Sum(nil)), r, nil
}

// newConfig returns what all have in common. Sessions are not resumed: one could outlive the certificates under
// which it was made.
func newConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no such file")
		}
		return nil, plain(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(data) > maxFile {
		return nil, errors.New("is larger than 4 MiB")
	}
	return data, nil
}

// plain takes the operation and the path off a file error: whoever reports it names the file.
func plain(err error) error {
	if perr, ok := errors.AsType[*fs.PathError](err); ok {
		return perr.Err
	}
	return err
}
