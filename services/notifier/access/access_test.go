package access

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

const (
	current  = "hunter2-hunter2-hunter2"
	previous = "swordfish-swordfish"
)

func sum(token string) string {
	d := sha256.Sum256([]byte(token))
	return hex.EncodeToString(d[:])
}

func config(tokens ...*configv1.Token) *configv1.Notifier { return &configv1.Notifier{Tokens: tokens} }

func TestACallerIsKnownByEitherTokenAndByNothingElse(t *testing.T) {
	for name, token := range map[string]*configv1.Token{
		"secrets":              {Secret: current, Previous: &configv1.PreviousToken{Secret: previous}},
		"digests":              {Sha256: sum(current), Previous: &configv1.PreviousToken{Sha256: sum(previous)}},
		"a digest, a secret":   {Sha256: sum(current), Previous: &configv1.PreviousToken{Secret: previous}},
		"without the previous": {Secret: current},
	} {
		t.Run(name, func(t *testing.T) {
			token.Name = "ci"
			ts, err := New(config(&configv1.Token{Name: "other", Secret: "another-caller's-token"}, token))
			if err != nil {
				t.Fatal(err)
			}
			for shown, want := range map[string]bool{
				current: true, previous: token.GetPrevious() != nil, "": false, current + " ": false, " " + current: false, current[:len(current)-1]: false,
				strings.ToUpper(current): false, sum(current): false, strings.Repeat("x", 1<<20): false,
			} {
				c := ts.Caller(shown)
				if got := c != nil && c.Name() == "ci"; got != want {
					t.Errorf("%.40q is the caller's: %v, want %v", shown, got, want)
				}
			}
		})
	}
}

func TestRobotsAreNamesAndPatterns(t *testing.T) {
	for pattern, want := range map[string]map[string]bool{
		"team":   {"team": true, "team-a": false, "tea": false, "": false},
		"team-*": {"team-a": true, "team-": true, "team": false, "a-team-a": false},
		"team-?": {"team-a": true, "team-ab": false},
		"*":      {"team": true, "anything": true},
		"*-prod": {"pay-prod": true, "prod": false},
	} {
		ts, err := New(config(&configv1.Token{Name: "ci", Secret: current, Robots: []string{"none", pattern}}))
		if err != nil {
			t.Fatal(err)
		}
		c := ts.Caller(current)
		for robot, want := range want {
			if got := c.Has(robot); got != want {
				t.Errorf("%s has %q: %v, want %v", pattern, robot, got, want)
			}
		}
		if c.All() != (pattern == "*") {
			t.Errorf("%s is all: %v", pattern, c.All())
		}
	}
}

func TestWhoWasNotAskedMayDoNothing(t *testing.T) {
	nobody := From(t.Context())
	if nobody.Can(Notify, Read, Manage) || nobody.Has("team") || nobody.All() {
		t.Error("where nobody was asked, somebody may do something")
	}
	if c := From(With(t.Context(), Anyone)); !c.Can(Manage) || !c.Has("team") || !c.All() || c.Can() != true {
		t.Error("Anyone may not do something")
	}
}

func TestATokenThatCannotBeUsedIsAnErrorThatDoesNotShowIt(t *testing.T) {
	for name, token := range map[string]*configv1.Token{
		"neither":         {},
		"a short digest":  {Sha256: "abcd"},
		"no digest":       {Sha256: current},
		"a bad previous":  {Secret: current, Previous: &configv1.PreviousToken{Sha256: current}},
		"a bad pattern":   {Secret: current, Robots: []string{"[a"}},
		"an empty second": {Secret: current, Previous: &configv1.PreviousToken{}},
	} {
		token.Name = "ci"
		ts, err := New(config(token))
		if err == nil || ts != nil || !strings.HasPrefix(err.Error(), "token ci: ") || strings.Contains(err.Error(), current) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ts, err := New(config()); err != nil || !ts.Empty() {
		t.Errorf("no tokens: %v", err)
	}
}
