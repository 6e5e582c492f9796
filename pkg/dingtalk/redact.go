package dingtalk

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxErrmsg is how many characters of DingTalk's text are kept.
	maxErrmsg = 300
	// minSecret is the length from which a token or secret is blotted out wherever it stands. A shorter one
	// protects nothing, and blotting it out would eat into ordinary words.
	minSecret = 4

	blot = "[redacted]"
)

var (
	urlPattern = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>，。；]*`)
	// What a robot's secrets look like, should somebody else's turn up in an answer: query parameters,
	// secrets as DingTalk makes them, tokens, signatures.
	secretPattern = regexp.MustCompile(`(?i)\b(?:access_token|sign|session)=[^\s&"'<>]*|\bSEC[0-9a-f]{32,}\b|\b[0-9a-f]{64}\b|[A-Za-z0-9+/]{43}=`)
)

// redact returns text without URLs and without whatever gives away a robot, on one line and at most
// maxErrmsg characters long.
func (r Robot) redact(text string) string {
	text = urlPattern.ReplaceAllString(text, "[URL]")
	for _, secret := range r.secrets() {
		text = strings.ReplaceAll(text, secret, blot)
	}
	text = secretPattern.ReplaceAllString(text, blot)
	text = strings.Join(strings.FieldsFunc(text, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c)
	}), " ")
	if runes := []rune(text); len(runes) > maxErrmsg {
		text = string(runes[:maxErrmsg-1]) + "…"
	}
	return text
}

// secrets returns the spellings in which the robot's token and secret might turn up, longest first.
func (r Robot) secrets() []string {
	if r.credentials() == nil {
		return nil
	}
	var list []string
	for _, s := range []string{r.credentials().token, r.credentials().secret} {
		for _, spelling := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			if len(s) >= minSecret && !slices.Contains(list, spelling) {
				list = append(list, spelling)
			}
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}
