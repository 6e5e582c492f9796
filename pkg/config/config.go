// Package config reads belfry.yaml: strictly, with every fault named by file, line and column. What the
// file may hold is said by the schema, belfry.config.v1; what can't be said there is checked here.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// Parts says which services' parts a file must have.
type Parts struct {
	Gateway, Notifier bool
	// Remote says that the gateway's notifier is another process, so that its address is needed.
	Remote bool
}

// maxFile bounds the configuration and the files that it names.
const maxFile = 16 << 20

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

// Load reads the file, puts environment variables and files in place of ${NAME} and ${file:PATH}, checks
// everything, and fills in the defaults. On error the configuration is nil; the error is Faults unless the
// file itself can't be read. checks are asked once the schema is kept.
func Load(path string, parts Parts, checks ...Check) (*configv1.Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return Parse(path, data, parts, checks...)
}

// Parse is Load for a file that was read already; path names it in errors.
func Parse(path string, data []byte, parts Parts, checks ...Check) (*configv1.Config, error) {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, Faults{{File: path, Message: "is not text in UTF-8"}}
	}
	data = []byte(lineBreaks.Replace(string(data)))
	if faults := wellFormed(path, data); faults != nil {
		return nil, faults
	}
	cfg := &configv1.Config{}
	opts := protoyaml.UnmarshalOptions{Path: path, Validator: validator{parts}}
	if err := unmarshal(opts, data, cfg); err != nil {
		return nil, faultsOf(path, err)
	}
	if strings.TrimSpace(string(data)) == "" || proto.Size(cfg) == 0 {
		// protoyaml validates nothing in an empty document.
		if err := (validator{parts}).Validate(cfg); err != nil {
			return nil, faultsOf(path, err)
		}
	}
	fillDefaults(cfg)
	return cfg, nil
}

// unmarshal has a file that makes protoyaml panic, as odd ones did before, refused like any other fault.
func unmarshal(opts protoyaml.UnmarshalOptions, data []byte, cfg *configv1.Config) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("yaml: the file can't be read: look for characters that don't belong in it")
		}
	}()
	return opts.Unmarshal(data, cfg)
}

// lineBreaks makes all that YAML takes for a line break a line feed. protoyaml looks for the line of a fault
// among those that end in one, and panics when YAML counted more.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// validator is what protoyaml calls once the file is decoded. Values are put in place before they are
// checked; all faults go back as violations, whose paths protoyaml turns into lines and columns.
type validator struct{ parts Parts }

func (v validator) Validate(m proto.Message) error {
	cfg, ok := m.(*configv1.Config)
	if !ok {
		return fmt.Errorf("config: %T is not a configuration", m)
	}
	// A command reads its own part: what the other one refers to need not be there.
	if v.parts.Gateway && !v.parts.Notifier {
		cfg.Notifier = nil
	}
	if v.parts.Notifier && !v.parts.Gateway {
		cfg.Gateway = nil
	}
	var all, checked violations
	all.expand(cfg.ProtoReflect(), nil)
	err := protovalidate.Validate(cfg)
	var verr *protovalidate.ValidationError
	switch {
	case errors.As(err, &verr):
		for _, v := range verr.Violations {
			reword(v)
		}
		all.join(verr.Violations)
	case err != nil:
		return err
	}
	full := proto.CloneOf(cfg)
	fillDefaults(full)
	checked.check(full, v.parts)
	all.join(checked)
	if len(all) == 0 {
		return nil
	}
	return &protovalidate.ValidationError{Violations: all}
}

// join adds those of others whose places are without a fault so far. A value that could not be put in place
// is missed by the rules as well, and one that breaks a rule fails the checks; once is enough.
func (vs *violations) join(others violations) {
	before := *vs
	for _, o := range others {
		if !slices.ContainsFunc(before, func(v *protovalidate.Violation) bool { return place(v) == place(o) }) {
			*vs = append(*vs, o)
		}
	}
}

func place(v *protovalidate.Violation) string {
	return protovalidate.FieldPathString(v.Proto.GetField())
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return data, nil
}

// plain takes the operation and the path off a file error: whoever reports it names the file.
func plain(err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		if errors.Is(perr.Err, fs.ErrNotExist) {
			return errors.New("there is no such file")
		}
		return perr.Err
	}
	return err
}

// wellFormed refuses what would otherwise be left out in silence: documents after the first, and all but
// the last of keys that are written twice.
func wellFormed(path string, data []byte) Faults {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := dec.Decode(&first); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return Faults{yamlFault(path, err)}
	}
	if err := dec.Decode(&second); err == nil {
		return Faults{{File: path, Line: second.Line, Message: "a second document begins here: the configuration is one document"}}
	} else if !errors.Is(err, io.EOF) {
		return Faults{yamlFault(path, err)}
	}
	return twice(path, &first, nil)
}

// keyForm is how the schema writes its keys. protoyaml takes other spellings too, under which one key could
// be given twice.
var keyForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func twice(path string, n *yaml.Node, faults Faults) Faults {
	seen := make(map[string]int)
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if !keyForm.MatchString(child.Value) {
				// What stands here may be a value that lacks its key, so it is not shown.
				faults = append(faults, Fault{File: path, Line: child.Line, Column: child.Column,
					Message: "this is no key: keys are written in lower case with underscores, such as max_age, and with a blank after the colon"})
			}
			if line, ok := seen[child.Value]; ok {
				faults = append(faults, Fault{File: path, Line: child.Line, Column: child.Column,
					Message: fmt.Sprintf("the key %q is written twice, first in line %d", child.Value, line)})
			}
			seen[child.Value] = child.Line
		}
		faults = twice(path, child, faults)
	}
	return faults
}

var (
	yamlLine  = regexp.MustCompile(`(?s)^(?:yaml: )?line (\d+): (.*)$`)
	nodePlace = regexp.MustCompile(`^:(\d+):(\d+) (.*)$`)
)

func yamlFault(path string, err error) Fault {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(msg, "unknown anchor") { // its name may be a secret that begins with "*"
		msg = "an alias (*name) refers to nothing: put a value that begins with * in quotes"
	}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return Fault{File: path, Line: line, Message: m[2]}
	}
	return Fault{File: path, Message: msg}
}

// faultsOf takes protoyaml's errors apart. Each prints the faulty line of the file below its first line:
// that is left away, for the line may hold a secret.
func faultsOf(path string, err error) Faults {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var faults Faults
	type position struct{ line, column int }
	misread := make(map[position]bool)
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
			at := position{line, column}
			if !ruleID.MatchString(m[3]) {
				misread[at] = true
			} else if misread[at] {
				continue // the rule misses what could not be read
			}
			faults = append(faults, Fault{File: path, Line: line, Column: column, Message: readable(m[3])})
			continue
		}
		faults = append(faults, yamlFault(path, errors.New(first)))
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return faults
}
