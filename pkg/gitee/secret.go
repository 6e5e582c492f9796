package gitee

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The headers of a delivery, as http.Header.Get takes them.
const (
	headerToken     = "X-Gitee-Token"
	headerTimestamp = "X-Gitee-Timestamp"
	headerEvent     = "X-Gitee-Event"
	headerOldEvent  = "X-Git-Oschina-Event"
	headerPing      = "X-Gitee-Ping"
)

// SignatureWindow is how far the timestamp of a signed delivery may lie from the receiver's clock, in
// either direction (Gitee help article 4290).
const SignatureWindow = time.Hour

// maxToken is longer than any signature, each of its 44 characters percent-encoded.
const maxToken = 3 * 44

// Secret is what a hook and its receiver share: a password or a signature key. A hook has one or the
// other; which one can't be told from a request, so the receiver must know.
//
// A Secret shows itself to nobody: fmt, encoding/json and loggers see only which of the two it is, also
// where it stands in an unexported field. The zero Secret, and one made of an empty text, admits nothing.
type Secret struct {
	// In a function, because fmt prints what unexported fields hold without asking their methods, and
	// for some verbs follows pointers too.
	reveal func() string
	signs  bool
}

// Password returns the secret of a hook that has a "WebHook password": Gitee sends it as it is.
func Password(s string) Secret { return newSecret(s, false) }

// Signature returns the secret of a hook that has a "signature key": Gitee signs each delivery's
// timestamp with it.
func Signature(s string) Secret { return newSecret(s, true) }

func newSecret(s string, signs bool) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return s }, signs: signs}
}

// IsZero reports whether s is empty, so that nothing can be authentic under it.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Signs reports whether s is a signature key.
func (s Secret) Signs() bool { return s.signs }

// Token returns what Gitee puts into the header X-Gitee-Token of a delivery with the given
// X-Gitee-Timestamp (decimal milliseconds since 1970): the password, or
// base64(HMAC-SHA256(key, timestamp LF key)) (Gitee help article 4290, and seen in real deliveries: the
// header is not percent-encoded). It returns "" for the zero Secret, as Gitee does for a hook without a
// secret. Senders need it, such as tests; what it returns is as secret as s.
func (s Secret) Token(timestamp string) string {
	switch {
	case s.reveal == nil:
		return ""
	case !s.signs:
		return s.reveal()
	}
	mac := hmac.New(sha256.New, []byte(s.reveal()))
	io.WriteString(mac, timestamp)
	io.WriteString(mac, "\n")
	io.WriteString(mac, s.reveal())
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// String returns which kind of secret s is, and nothing of it.
func (s Secret) String() string {
	switch {
	case s.reveal == nil:
		return "no secret"
	case s.signs:
		return "signature key (hidden)"
	default:
		return "password (hidden)"
	}
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns what String does; it never fails. A Secret can't be read back from it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Format writes what String returns, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// Verify returns nil where a delivery with this header was sent by somebody who knows the secret, and
// else ErrNotAuthentic, which never says what is wrong. A signed delivery must also carry a timestamp
// within SignatureWindow of now. Nothing is said about the body, which Gitee does not sign. What the
// comparison takes of time tells nothing about the secret, its length included.
func (s Secret) Verify(header http.Header, now time.Time) error {
	if s.reveal == nil {
		return ErrNotAuthentic
	}
	token, stamp := header.Get(headerToken), header.Get(headerTimestamp)
	if !s.signs {
		if token == "" || !equal(token, s.reveal()) {
			return ErrNotAuthentic
		}
		return nil
	}
	sent, ok := milliseconds(stamp)
	fresh := ok && !sent.Before(now.Add(-SignatureWindow)) && !sent.After(now.Add(SignatureWindow))
	if !equal(plainToken(token), s.Token(stamp)) || !fresh {
		return ErrNotAuthentic
	}
	return nil
}

// SignatureID returns what identifies the signature of a delivery: 64 hexadecimal digits, the SHA-256 of
// its timestamp and token, equal also where the token comes percent-encoded. It returns "" where either
// is missing. It says nothing about the signature being right; it can't be turned back into the token of
// a signed delivery. A password is no signature: don't keep a SignatureID of a hook that has a password.
func SignatureID(header http.Header) string {
	token, stamp := header.Get(headerToken), header.Get(headerTimestamp)
	if token == "" || stamp == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(stamp + "\n" + plainToken(token)))
	return hex.EncodeToString(sum[:])
}

// plainToken undoes the percent-encoding that Gitee's manual speaks of, though no real delivery was seen
// to carry it. Not QueryUnescape: that makes a blank of the base64 "+".
func plainToken(token string) string {
	if len(token) > maxToken {
		return token
	}
	plain, err := url.PathUnescape(token)
	if err != nil {
		return token
	}
	return plain
}

// equal compares digests, so that neither content nor length of b shows in the time it takes.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// milliseconds reads a timestamp of Gitee's: decimal digits, milliseconds since 1970, before the year 10000.
func milliseconds(s string) (time.Time, bool) {
	if s == "" || len(s) > 15 {
		return time.Time{}, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return time.Time{}, false
		}
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 || ms >= 253402300800000 {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}
