package rules

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	// maxPattern is how many characters a pattern may have, maxAlternatives how many patterns its braces may
	// stand for.
	maxPattern      = 500
	maxAlternatives = 100
)

// pattern is a compiled glob pattern: the patterns without braces that it stands for, whose meaning is that of
// doublestar.Match. The braces are taken apart here because the work doubles with each pair of them, so that
// their number needs a bound.
type pattern []string

// match reports whether the whole text fits.
func (p pattern) match(text string) bool {
	for _, plain := range p {
		if doublestar.MatchUnvalidated(plain, text) {
			return true
		}
	}
	return false
}

// size returns how many bytes all that p stands for has.
func (p pattern) size() (n int) {
	for _, plain := range p {
		n += len(plain)
	}
	return n
}

// compilePattern compiles a glob pattern. The error says, for people, what is wrong with it.
func compilePattern(s string) (pattern, error) {
	if utf8.RuneCountInString(s) > maxPattern {
		return nil, fmt.Errorf("it is longer than %d characters", maxPattern)
	}
	p, err := alternatives(s)
	if err != nil {
		return nil, err
	}
	for _, plain := range p {
		if !doublestar.ValidatePattern(plain) {
			return nil, fmt.Errorf("%q can't be read", plain)
		}
	}
	return p, nil
}

// alternatives returns the patterns without braces that s stands for.
func alternatives(s string) ([]string, error) {
	var plain []string
	queue := []string{s}
	for len(queue) > 0 {
		if len(plain)+len(queue) > maxAlternatives {
			return nil, fmt.Errorf("its braces stand for more than %d patterns", maxAlternatives)
		}
		next := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		open, commas, end, err := braces(next)
		if err != nil {
			return nil, err
		}
		if open < 0 {
			plain = append(plain, next)
			continue
		}
		from := open + 1
		for _, to := range append(commas, end) {
			queue = append(queue, next[:open]+next[from:to]+next[end+1:])
			from = to + 1
		}
	}
	return plain, nil
}

// braces finds the first brace of s, the commas that divide what it holds, and its end; open is -1 where
// there is none.
func braces(s string) (open int, commas []int, end int, err error) {
	open = -1
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s) {
				return 0, nil, 0, errors.New(`it ends with a single \; write \\ for one that is meant as it stands`)
			}
		case '[':
			size := classSize(s[i:])
			if size == 0 {
				return 0, nil, 0, fmt.Errorf("%q has no ] after it, or nothing before that", s[i:])
			}
			i += size - 1
		case '{':
			if depth++; open < 0 {
				open = i
			}
		case ',':
			if depth == 1 {
				commas = append(commas, i)
			}
		case '}':
			if depth == 0 {
				return 0, nil, 0, errors.New(`} has no { before it; write \} where it is meant as it stands`)
			}
			if depth--; depth == 0 {
				return open, commas, i, nil
			}
		}
	}
	if depth > 0 {
		return 0, nil, 0, fmt.Errorf("%q has no } after it", s[open:])
	}
	return -1, nil, 0, nil
}

// classSize returns how many bytes the class at the beginning of s takes, 0 if it is none.
func classSize(s string) int {
	i := 1
	if i < len(s) && (s[i] == '!' || s[i] == '^') {
		i++
	}
	for start := i; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == ']':
			if i == start {
				return 0
			}
			return i + 1
		}
	}
	return 0
}
