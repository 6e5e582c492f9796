package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"buf.build/go/protovalidate"
)

// Faults are all that is wrong with a configuration, in the order of the file.
type Faults []Fault

// Fault is one thing wrong: where, and what to do.
type Fault struct {
	File string
	// Line and Column count from 1; 0 where the fault has no place.
	Line, Column int
	Message      string
}

// Error says "file:line:column: message". No value of the file stands in it, for it may be a secret.
func (f Fault) Error() string {
	switch {
	case f.Line == 0:
		return fmt.Sprintf("%s: %s", f.File, f.Message)
	case f.Column == 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Error has one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// sort brings the faults into the order of the file.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// lineBreaks makes all that YAML takes for a line break a line feed. protoyaml looks for the line of a fault
// among those that end in one, and panics when YAML counted more.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

var nodePlace = regexp.MustCompile(`^:(\d+):(\d+) (.*)$`)

// faultsOf takes protoyaml's errors apart. Each prints the faulty line of the file below its first line:
// that is left away, for the line may hold a secret.
func (s *Source) faultsOf(err error) Faults {
	if err == nil {
		return nil
	}
	path := s.path
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var faults Faults
	misread := make(map[spot]bool)
	for _, err := range list {
		var verr *protovalidate.ValidationError
		if errors.As(err, &verr) && len(list) == 1 {
			for _, v := range verr.Violations {
				faults = append(faults, Fault{File: path, Message: message(v)})
			}
			continue
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		if m := nodePlace.FindStringSubmatch(strings.TrimPrefix(first, path)); m != nil {
			line, _ := strconv.Atoi(m[1])
			column, _ := strconv.Atoi(m[2])
			at := spot{line, column}
			where := s.pathAt(at)
			msg := readable(where, m[3])
			if !ruleID.MatchString(m[3]) {
				misread[at] = true
				if where != "" {
					msg = where + ": " + msg
				}
			} else if misread[at] {
				continue // the rule misses what could not be read
			}
			faults = append(faults, Fault{File: path, Line: line, Column: column, Message: msg})
			continue
		}
		faults = append(faults, yamlFault(path, s.data, errors.New(first)))
	}
	faults.sort()
	return faults
}
