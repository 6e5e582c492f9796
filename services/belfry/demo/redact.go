package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxBody is the longest body that is kept for the page, in bytes.
	maxBody = 64 << 10
	// removed stands where a secret stood.
	removed = "[removed]"
)

// secretNames are the members that are never shown, lower-case and without "-" and "_". Gitee puts its
// password and signature into the body as well as into the header (Gitee help article 4186), and merges
// the query of the hook's address into it (seen in real deliveries).
var secretNames = map[string]bool{
	"password": true, "sign": true, "signature": true, "token": true, "secret": true,
	"accesstoken": true, "privatetoken": true, "refreshtoken": true, "xgiteetoken": true,
	"clientsecret": true, "apikey": true, "authorization": true,
}

func isSecret(name string) bool {
	return secretNames[strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))]
}

// readable returns a body for people: the JSON indented, its members in their order, and secrets at any
// depth replaced. A body of size bytes of which not all is at hand, or that is no JSON, is described in a
// line instead: what can't be parsed can't be rid of its secrets.
func readable(body []byte, size int64) string {
	switch {
	case size == 0:
		return "(no body was read)"
	case int64(len(body)) < size:
		return fmt.Sprintf("(a body of %d bytes, too long to be shown)", size)
	}
	var out bytes.Buffer
	if err := redact(&out, body); err != nil {
		return fmt.Sprintf("(a body of %d bytes that is not JSON)", size)
	}
	text := strings.TrimSuffix(out.String(), "\n")
	if len(text) <= maxBody {
		return text
	}
	const note = "\n(cut here)"
	text = cut(text, maxBody-len(note))
	if end := strings.LastIndexByte(text, '\n'); end > maxBody/2 {
		text = text[:end]
	}
	return text + note
}

// redact copies the JSON in body to out. A body without any is an error.
func redact(out *bytes.Buffer, body []byte) error {
	opts := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	dec := jsontext.NewDecoder(bytes.NewReader(body), opts...)
	enc := jsontext.NewEncoder(out, append(opts, jsontext.WithIndent("  "))...)
	for {
		token, err := dec.ReadToken()
		if err != nil {
			if errors.Is(err, io.EOF) && out.Len() > 0 {
				return nil
			}
			return err
		}
		if err := enc.WriteToken(token); err != nil {
			return err
		}
		if kind, n := dec.StackIndex(dec.StackDepth()); kind != '{' || n%2 == 0 || !isSecret(token.String()) {
			continue // not the name of a secret: a name is each odd token of an object
		}
		if err := dec.SkipValue(); err != nil {
			return err
		}
		if err := enc.WriteToken(jsontext.String(removed)); err != nil {
			return err
		}
	}
}
