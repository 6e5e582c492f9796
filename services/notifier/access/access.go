// Package access says who calls the notifier and what they may do. A caller shows a token; the notifier has
// the SHA-256 of each, and what is compared is digests, so that neither a token nor how near a guess came to
// one shows in the time that it takes.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// Right is what a token can be good for, in the configuration's spelling.
type Right string

// The rights.
const (
	// Notify is to tell robots something.
	Notify Right = "NOTIFY"
	// Read is to see robots and deliveries.
	Read Right = "READ"
	// Manage is to pause and resume robots.
	Manage Right = "MANAGE"
)

// Caller is who makes a call. It does not change.
type Caller struct {
	name   string
	all    bool
	robots []string // patterns
	can    []Right
}

// Anyone is a caller who may do everything: where there are no tokens, and within the process.
var Anyone = &Caller{all: true}

// Name is that of the caller's token; empty for Anyone.
func (c *Caller) Name() string { return c.name }

// All reports whether the caller has every robot, also one that is added later.
func (c *Caller) All() bool { return c.all || slices.Contains(c.robots, "*") }

// Has reports whether robot is one of the caller's.
func (c *Caller) Has(robot string) bool {
	return c.all || slices.ContainsFunc(c.robots, func(pattern string) bool {
		ok, err := path.Match(pattern, robot)
		return ok && err == nil
	})
}

// Equal reports whether c and d may do the same under the same name.
func (c *Caller) Equal(d *Caller) bool {
	return c.name == d.name && c.all == d.all && slices.Equal(c.robots, d.robots) && slices.Equal(c.can, d.can)
}

// Can reports whether the caller has one of the rights.
func (c *Caller) Can(rights ...Right) bool {
	return c.all || slices.ContainsFunc(rights, func(r Right) bool { return slices.Contains(c.can, r) })
}

// Tokens knows the callers by their tokens. It does not change.
type Tokens struct{ entries []entry }

type entry struct {
	digest [sha256.Size]byte
	caller *Caller
}

// New returns the tokens of a configuration that package config has checked. The error names the token at
// fault, and never shows what it is.
func New(cfg *configv1.Notifier) (*Tokens, error) {
	ts := &Tokens{}
	for _, t := range cfg.GetTokens() {
		c := &Caller{name: t.GetName(), robots: slices.Clone(t.GetRobots())}
		for _, right := range t.GetCan() {
			c.can = append(c.can, Right(right))
		}
		for _, pattern := range c.robots {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("token %s: robots: %q is no pattern", c.name, pattern)
			}
		}
		if err := ts.add(t, c); err != nil {
			return nil, fmt.Errorf("token %s: %w", c.name, err)
		}
		if p := t.GetPrevious(); p != nil {
			if err := ts.add(p, c); err != nil {
				return nil, fmt.Errorf("token %s: previous: %w", c.name, err)
			}
		}
	}
	return ts, nil
}

// Token is a token in a configuration: itself or, instead, its SHA-256.
type Token interface {
	GetSecret() string
	GetSha256() string
}

func (ts *Tokens) add(t Token, c *Caller) error {
	digest, err := Digest(t)
	if err != nil {
		return err
	}
	ts.entries = append(ts.entries, entry{digest, c})
	return nil
}

// Digest returns the SHA-256 of t. The error says that t has none.
func Digest(t Token) (digest [sha256.Size]byte, err error) {
	if t.GetSecret() != "" {
		return sha256.Sum256([]byte(t.GetSecret())), nil
	}
	sum, err := hex.DecodeString(t.GetSha256())
	if err != nil || len(sum) != len(digest) {
		return digest, errors.New("give its secret or its sha256, 64 hexadecimal digits")
	}
	return [sha256.Size]byte(sum), nil
}

// Empty reports whether there are no tokens, so that nobody is asked for one.
func (ts *Tokens) Empty() bool { return len(ts.entries) == 0 }

// Caller returns whose token it is, and nil where it is nobody's. Every entry is compared, whichever fits.
func (ts *Tokens) Caller(token string) *Caller {
	digest := sha256.Sum256([]byte(token))
	var found *Caller
	for i := range ts.entries {
		if subtle.ConstantTimeCompare(ts.entries[i].digest[:], digest[:]) == 1 {
			found = ts.entries[i].caller
		}
	}
	return found
}

type key struct{}

// With returns a ctx in which c calls.
func With(ctx context.Context, c *Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns who calls in ctx. Where nobody was asked, that is somebody who may do nothing.
func From(ctx context.Context) *Caller {
	if c, ok := ctx.Value(key{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}
