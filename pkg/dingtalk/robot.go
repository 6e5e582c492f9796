package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Robot is a custom robot of a group: its webhook address and, where signing is on, its secret. Make one
// with [NewRobot]; the zero Robot can't send. A Robot never changes, and may be copied and used from many
// goroutines. Printed in whatever way it shows its host, and neither token nor secret.
type Robot struct {
	// Twice a pointer, because package fmt prints the unexported fields of a struct that holds a Robot
	// without asking the Robot, and goes through one pointer when the verb does not fit. Nil: no robot.
	box **credentials
}

type credentials struct {
	webhook url.URL
	query   url.Values // of webhook, without timestamp and sign
	token   string
	secret  string
}

// NewRobot takes a robot's webhook address, as DingTalk shows it, and the secret of its signature setting,
// which is empty for a robot without that setting. The address must be an absolute http or https URL with
// one access_token, without user name, password and fragment; a timestamp and a sign in it are left out.
// Which hosts may be called is for the caller to decide: see [Robot.Host].
//
// Errors say what to mend and hold nothing of either argument.
func NewRobot(webhook, secret string) (Robot, error) {
	u, err := url.Parse(webhook)
	switch {
	case err != nil: // the error quotes its URL
		return Robot{}, errors.New("webhook is not a URL: copy the robot's whole webhook address from its settings in DingTalk")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return Robot{}, errors.New("webhook is not an absolute http or https URL: copy the robot's whole webhook address, from https:// on")
	case u.User != nil:
		return Robot{}, errors.New("webhook has a user name in it: remove what stands between :// and @")
	case u.Fragment != "" || strings.HasSuffix(webhook, "#"):
		return Robot{}, errors.New("webhook has a # in it: remove it and what follows")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Robot{}, errors.New("webhook has a malformed query: copy the robot's whole webhook address from its settings in DingTalk")
	}
	tokens := query["access_token"]
	switch {
	case len(tokens) == 0 || tokens[0] == "":
		return Robot{}, errors.New("webhook has no access_token: copy the robot's whole webhook address, with what follows the ?")
	case len(tokens) > 1:
		return Robot{}, errors.New("webhook has more than one access_token: keep one")
	case edged(tokens[0]):
		return Robot{}, errors.New("webhook's access_token begins or ends with white space: remove it")
	case edged(secret):
		return Robot{}, errors.New("secret begins or ends with white space: remove it")
	}
	query.Del("timestamp")
	query.Del("sign")
	c := &credentials{webhook: *u, query: query, token: tokens[0], secret: secret}
	return Robot{&c}, nil
}

// edged says whether s begins or ends with white space or a control character.
func edged(s string) bool {
	return s != strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// credentials returns what the box holds; nil for the zero Robot.
func (r Robot) credentials() *credentials {
	if r.box == nil {
		return nil
	}
	return *r.box
}

// Host is the host name of the webhook's address, without a port; empty for the zero Robot.
func (r Robot) Host() string {
	if r.credentials() == nil {
		return ""
	}
	return r.credentials().webhook.Hostname()
}

// Scheme is "http" or "https"; empty for the zero Robot.
func (r Robot) Scheme() string {
	if r.credentials() == nil {
		return ""
	}
	return r.credentials().webhook.Scheme
}

// Signed says whether calls are signed, that is, whether the robot has a secret.
func (r Robot) Signed() bool { return r.credentials() != nil && r.credentials().secret != "" }

// Identity tells the robot from others: a digest of its access token in 12 hexadecimal digits, from which
// the token can't be found. It stays the same when the secret or the host changes; empty for the zero Robot.
func (r Robot) Identity() string {
	if r.credentials() == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(r.credentials().token))
	return hex.EncodeToString(sum[:6])
}

// Equal says whether both are the same robot with the same secret, and takes the same time for all tokens
// and secrets of one length.
func (r Robot) Equal(other Robot) bool {
	a, b := r.credentials(), other.credentials()
	if a == nil || b == nil {
		return a == b
	}
	same := func(x, y string) bool { return subtle.ConstantTimeCompare([]byte(x), []byte(y)) == 1 }
	address := same(r.address(time.Time{}), other.address(time.Time{}))
	return same(a.secret, b.secret) && address
}

// String names the robot's host, and not its token or secret.
func (r Robot) String() string {
	switch {
	case r.credentials() == nil:
		return "no robot"
	case r.Signed():
		return "robot at " + r.Host() + " (signed)"
	default:
		return "robot at " + r.Host()
	}
}

// GoString is the same as String.
func (r Robot) GoString() string { return r.String() }

// Format writes what String returns, whatever the verb.
func (r Robot) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(r.String())) }

// address is the address to post to; signed, where the robot signs and now is not the zero time.
func (r Robot) address(now time.Time) string {
	u := r.credentials().webhook
	query := maps.Clone(r.credentials().query)
	if r.Signed() && !now.IsZero() {
		ms := now.UnixMilli()
		query.Set("timestamp", strconv.FormatInt(ms, 10))
		query.Set("sign", Sign(ms, r.credentials().secret))
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Sign returns the signature of a call at timestampMillis, in milliseconds since 1970, for a robot with
// secret: HMAC-SHA256 in standard base64, not yet encoded for a URL. DingTalk takes it for an hour around
// that time; it covers neither the token nor the body, so that it admits any message (DingTalk document
// customize-robot-security-settings).
func Sign(timestampMillis int64, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(strconv.FormatInt(timestampMillis, 10) + "\n" + secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
