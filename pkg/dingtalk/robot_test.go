package dingtalk

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

const longSecret = "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// The signatures were computed with Python's hmac and hashlib.
func TestSignMatchesKnownSignatures(t *testing.T) {
	for _, test := range []struct {
		millis            int64
		secret, raw, sent string
	}{
		{1577262236757, "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA=", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA%3D"},
		{1577262236757, "this is secret", "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM=", "hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D"},
		{1700000000000, "SECtest", "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g=", "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D"},
		{1700000000000, longSecret, "bTgY2yDbep+wesS7jKiNj+srsHoADES4+C4f8LCHFtU=", "bTgY2yDbep%2BwesS7jKiNj%2BsrsHoADES4%2BC4f8LCHFtU%3D"},
		{1700000000001, longSecret, "EOH6gRcXbhX8/4ToIvjEQxB0jCBt2HvRs6LScwt0eqs=", "EOH6gRcXbhX8%2F4ToIvjEQxB0jCBt2HvRs6LScwt0eqs%3D"},
		{1700000000004, longSecret, "ZeaJlNY30xUaF/p+hFzRR5gZ4qFj+i4uxCJUEwchUXQ=", "ZeaJlNY30xUaF%2Fp%2BhFzRR5gZ4qFj%2Bi4uxCJUEwchUXQ%3D"},
	} {
		if got := Sign(test.millis, test.secret); got != test.raw {
			t.Errorf("Sign(%d, %q) = %s, want %s", test.millis, test.secret, got, test.raw)
		}
		r, err := NewRobot("https://oapi.dingtalk.com/robot/send?access_token=abc", test.secret)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("https://oapi.dingtalk.com/robot/send?access_token=abc&sign=%s&timestamp=%d", test.sent, test.millis)
		if got := r.address(time.UnixMilli(test.millis)); got != want {
			t.Errorf("address %s, want %s", got, want)
		}
	}
}

func TestAddressReplacesAnOldSignature(t *testing.T) {
	for _, secret := range []string{"", "SECtest"} {
		r, err := NewRobot("http://127.0.0.1:8080/robot/send?sign=old&access_token=abc&timestamp=1&timestamp=2&x=y", secret)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			u, err := url.Parse(r.address(time.UnixMilli(1700000000000)))
			if err != nil {
				t.Fatal(err)
			}
			want := "access_token=abc&x=y"
			if secret != "" {
				want = "access_token=abc&sign=aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D&timestamp=1700000000000&x=y"
			}
			if u.RawQuery != want {
				t.Errorf("query %s, want %s", u.RawQuery, want)
			}
		}
		if r.Host() != "127.0.0.1" || r.Scheme() != "http" || r.Signed() != (secret != "") {
			t.Errorf("host %s, scheme %s, signed %t", r.Host(), r.Scheme(), r.Signed())
		}
	}
}

func TestNewRobotRefusesWithoutEchoing(t *testing.T) {
	const token = "t0psecrett0ken"
	for _, test := range []struct{ webhook, secret, want string }{
		{"", "", "not an absolute"},
		{token, "", "not an absolute"},
		{token + "://x", "", "not an absolute"},
		{"://x?access_token=" + token, "", "not a URL"},
		{"https://x/%zz?access_token=" + token, "", "not a URL"},
		{"https://x/\n?access_token=" + token, "", "not a URL"},
		{"/robot/send?access_token=" + token, "", "not an absolute"},
		{"ftp://x/?access_token=" + token, "", "not an absolute"},
		{"https://:443/?access_token=" + token, "", "not an absolute"},
		{"https://user:" + token + "@x/?access_token=" + token, "", "user name"},
		{"https://x/?access_token=" + token + "#", "", "#"},
		{"https://x/?access_token=" + token + "#" + token, "", "#"},
		{"https://x/?access_token=%zz" + token, "", "malformed query"},
		{"https://x/?token=" + token, "", "no access_token"},
		{"https://x/?access_token=", "", "no access_token"},
		{"https://x/?access_token=" + token + "&access_token=" + token, "", "more than one"},
		{"https://x/?access_token=" + token + "%20", "", "white space"},
		{"https://x/?access_token=" + token, token + "\n", "white space"},
	} {
		r, err := NewRobot(test.webhook, test.secret)
		if err == nil {
			t.Errorf("%q gave %v", test.webhook, r)
			continue
		}
		if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), token) {
			t.Errorf("%q: error %q, want %q in it and no token", test.webhook, err, test.want)
		}
	}
}

func TestRobotIsPrintedWithoutSecrets(t *testing.T) {
	const token, secret = "t0psecrett0ken", "SECs3cret"
	r, err := NewRobot("https://oapi.dingtalk.com/robot/send?access_token="+token, secret)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Public Robot
		hidden Robot
		list   []Robot
		named  map[string]Robot
		any    any
	}
	h := holder{r, r, []Robot{r}, map[string]Robot{"x": r}, r}
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{r.String(), string(asJSON), fmt.Sprint(r, &r, h), fmt.Errorf("x: %v", r).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out = append(out, fmt.Sprintf(verb, r), fmt.Sprintf(verb, &r), fmt.Sprintf(verb, h), fmt.Sprintf(verb, &h))
	}
	for _, text := range out {
		for _, s := range []string{token, secret, fmt.Sprintf("%x", token), fmt.Sprintf("%x", secret)} {
			if strings.Contains(text, s) {
				t.Errorf("%q shows %q", text, s)
			}
		}
	}
	if want := "robot at oapi.dingtalk.com (signed)"; fmt.Sprintf("%#v", r) != want {
		t.Errorf("printed %#v, want %s", r, want)
	}
}

func TestRobotsAreEqualBySettings(t *testing.T) {
	robot := func(token, secret string) Robot {
		t.Helper()
		r, err := NewRobot("https://x/?access_token="+token, secret)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := robot("abc", "s")
	for _, test := range []struct {
		other Robot
		want  bool
	}{{robot("abc", "s"), true}, {a, true}, {robot("abd", "s"), false}, {robot("abc", "t"), false}, {robot("abc", ""), false}, {Robot{}, false}} {
		if a.Equal(test.other) != test.want || test.other.Equal(a) != test.want {
			t.Errorf("Equal is not %t", test.want)
		}
	}
	if !(Robot{}).Equal(Robot{}) {
		t.Error("two zero robots differ")
	}
}

func TestIdentityIsTheTokensAndShowsNothingOfIt(t *testing.T) {
	identity := func(webhook, secret string) string {
		t.Helper()
		r, err := NewRobot(webhook, secret)
		if err != nil {
			t.Fatal(err)
		}
		return r.Identity()
	}
	a := identity("https://x/?access_token=abc", "")
	if len(a) != 12 || strings.Contains(a, "abc") || a != identity("https://y/send?access_token=abc&sign=1", "s") {
		t.Errorf("identity = %q", a)
	}
	if a == identity("https://x/?access_token=abd", "") || (Robot{}).Identity() != "" {
		t.Error("different robots have the same identity")
	}
}
