package gitee_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/gitee"
)

func header(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

// The third and the fourth are of real deliveries; the others were computed apart from this package, from
// Gitee help article 4290.
var vectors = []struct{ key, timestamp, token string }{
	{"this is secret", "1576754827988", "2D978FIy4DMMTbiN80zQkNH1Eq/kMBt3gL6OnWfGzzY="},
	{"bBg5lrt03VixkX85CNqYIcecC0SIGASE", "1633679083918", "Xvh4YPVe6l31XpDRL9J2yeaEXabsckIoUUschpXiVck="},
	{"bBg5lrt03VixkX85CNqYIcecC0SIGASE", "1633685873030", "/gLVmA+/dd5q+siOduWu3z6UGhBJ8I5Fe/Gl8zxLU7A="},
	{"437EBE55A75911E8", "1646657144174", "mNR0yK7W4UlZ4E4aehEVtupxLaE73siwbGgDVSloTVE="},
	{"密钥-секрет", "1700000000000", "qSgaO4EsyH44J8QmnfdRp1Y4Q0GTUVRlzfOgpNiYUCg="},
}

func at(timestamp string) time.Time {
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		panic(err)
	}
	return time.UnixMilli(ms)
}

func TestKnownSignaturesAreAuthentic(t *testing.T) {
	for _, v := range vectors {
		s := gitee.Signature(v.key)
		if got := s.Token(v.timestamp); got != v.token {
			t.Errorf("token of %s: got %s, want %s", v.timestamp, got, v.token)
		}
		escaped := strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(v.token)
		for _, token := range []string{v.token, escaped, url.PathEscape(v.token), strings.ReplaceAll(escaped, "%2F", "%2f")} {
			h := header("X-Gitee-Token", token, "X-Gitee-Timestamp", v.timestamp)
			if err := s.Verify(h, at(v.timestamp)); err != nil {
				t.Errorf("token %s of %s: %v", token, v.timestamp, err)
			}
			if got, want := gitee.SignatureID(h), gitee.SignatureID(header("X-Gitee-Token", v.token, "X-Gitee-Timestamp", v.timestamp)); got != want || len(got) != 64 {
				t.Errorf("signature id of %s is %s, want %s", token, got, want)
			}
		}
	}
}

func TestSignaturesAreAuthenticWithinAnHour(t *testing.T) {
	v := vectors[0]
	s, h := gitee.Signature(v.key), header("X-Gitee-Token", v.token, "X-Gitee-Timestamp", v.timestamp)
	for _, off := range []time.Duration{0, time.Hour, -time.Hour, 59 * time.Minute} {
		if err := s.Verify(h, at(v.timestamp).Add(off)); err != nil {
			t.Errorf("%v later: %v", off, err)
		}
	}
	for _, off := range []time.Duration{time.Hour + time.Millisecond, -time.Hour - time.Millisecond, 400 * 24 * time.Hour, -1 << 62} {
		if err := s.Verify(h, at(v.timestamp).Add(off)); !errors.Is(err, gitee.ErrNotAuthentic) {
			t.Errorf("%v later: got %v, want ErrNotAuthentic", off, err)
		}
	}
}

func TestWrongTokensAreNotAuthentic(t *testing.T) {
	v := vectors[2]
	signature, password := gitee.Signature(v.key), gitee.Password("p@ss+слово/%41")
	signed := func(timestamp string) string { return signature.Token(timestamp) }
	tests := []struct {
		name             string
		secret           gitee.Secret
		token, timestamp string
	}{
		{"no token, signature", signature, "", v.timestamp},
		{"no timestamp", signature, v.token, ""},
		{"token of an empty timestamp", signature, signed(""), ""},
		{"another timestamp", signature, v.token, "1633685873031"},
		{"timestamp with a sign", signature, signed("+1633685873030"), "+1633685873030"},
		{"timestamp with a blank", signature, signed(" 1633685873030"), " 1633685873030"},
		{"timestamp with a fraction", signature, signed("1633685873030.0"), "1633685873030.0"},
		{"timestamp in seconds", signature, signed("1633685873"), "1633685873"},
		{"timestamp with other digits", signature, signed("１６３３６８５８７３０３０"), "１６３３６８５８７３０３０"},
		{"timestamp beyond int64", signature, signed("99999999999999999999"), "99999999999999999999"},
		{"cut token", signature, v.token[:43], v.timestamp},
		{"token with more behind it", signature, v.token + "=", v.timestamp},
		{"plus as a blank", signature, strings.ReplaceAll(v.token, "+", " "), v.timestamp},
		{"twice percent-encoded", signature, url.PathEscape(url.PathEscape(v.token)), v.timestamp},
		{"base64 for addresses", signature, strings.NewReplacer("+", "-", "/", "_").Replace(v.token), v.timestamp},
		{"the key itself", signature, v.key, v.timestamp},
		{"another key", gitee.Signature("other"), v.token, v.timestamp},
		{"the key as a password", gitee.Password(v.key), v.token, v.timestamp},
		{"no token, password", password, "", v.timestamp},
		{"wrong password", password, "p@ss+слово/%42", v.timestamp},
		{"password percent-decoded", password, "p@ss+слово/A", v.timestamp},
		{"password percent-encoded", password, url.PathEscape("p@ss+слово/%41"), v.timestamp},
		{"start of the password", password, "p@ss", v.timestamp},
		{"zero secret, no token", gitee.Secret{}, "", v.timestamp},
		{"empty password, no token", gitee.Password(""), "", v.timestamp},
		{"empty key, its token", gitee.Signature(""), "hLainuusBgf6VoO73OHTHDgmsjHvfAKKyAHCjVxtHbw=", v.timestamp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := header("X-Gitee-Token", tt.token, "X-Gitee-Timestamp", tt.timestamp)
			if err := tt.secret.Verify(h, at(v.timestamp)); err != gitee.ErrNotAuthentic {
				t.Errorf("got %v, want exactly ErrNotAuthentic", err)
			}
		})
	}
}

func TestPasswordsNeedNoTimestamp(t *testing.T) {
	for _, p := range []string{"x", "p@ss+слово/%41", strings.Repeat("长", 500)} {
		if err := gitee.Password(p).Verify(header("X-Gitee-Token", p), time.Now()); err != nil {
			t.Errorf("password %.10q: %v", p, err)
		}
	}
}

func TestSignatureIDsDifferWhereSignaturesDo(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range vectors {
		for _, token := range []string{v.token, v.token + "x", "x"} {
			id := gitee.SignatureID(header("X-Gitee-Token", token, "X-Gitee-Timestamp", v.timestamp))
			if token != "x" && strings.Contains(id, token) {
				t.Errorf("the id %s shows the token", id)
			}
			if seen[id] {
				t.Errorf("the id of %s %s was there before", v.timestamp, token)
			}
			seen[id] = true
		}
	}
	for _, h := range []http.Header{{}, header("X-Gitee-Token", "x"), header("X-Gitee-Timestamp", "1")} {
		if id := gitee.SignatureID(h); id != "" {
			t.Errorf("id of %v is %s, want none", h, id)
		}
	}
}

func TestSecretsShowThemselvesToNobody(t *testing.T) {
	const hidden = "s3cr3t-密钥"
	for _, s := range []gitee.Secret{gitee.Password(hidden), gitee.Signature(hidden)} {
		type holder struct {
			Public  gitee.Secret
			private gitee.Secret
			pointer *gitee.Secret
		}
		h := holder{s, s, &s}
		asJSON, err := json.Marshal(map[string]any{"secret": s, "holder": h})
		if err != nil {
			t.Fatal(err)
		}
		shown := []string{string(asJSON), s.String(), s.GoString(), fmt.Sprint(s, &s, h, &h, []any{s, h})}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			shown = append(shown, fmt.Sprintf(verb+verb+verb, s, &s, h))
		}
		for _, out := range shown {
			if strings.Contains(out, hidden) || strings.Contains(out, fmt.Sprintf("%x", hidden)) {
				t.Errorf("shown in %s", out)
			}
		}
	}
}

func TestSecretsSayOfWhichKindTheyAre(t *testing.T) {
	p, k, none := gitee.Password("x"), gitee.Signature("x"), gitee.Password("")
	if p.Signs() || !k.Signs() || none.Signs() || p.IsZero() || k.IsZero() || !none.IsZero() {
		t.Error("Signs or IsZero is wrong")
	}
	if p.String() == k.String() || none.Token("1") != "" || p.Token("1") != "x" {
		t.Error("String or Token is wrong")
	}
}
