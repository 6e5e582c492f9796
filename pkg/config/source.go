package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// Source is a configuration file as it was read. It stays the same whatever becomes of the file; what the
// file names with ${} is looked up anew each time. It may be used from one goroutine at a time.
type Source struct {
	path string
	// data is the text, each line of which ends in a line feed; doc is what it says, nil for an empty file
	// and for one that is faulty.
	data   []byte
	doc    *yaml.Node
	faults Faults
}

// Read reads the file at path. The error says why it can't be; that it makes no sense is not said here.
func Read(path string) (*Source, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return newSource(path, data), nil
}

func newSource(path string, data []byte) *Source {
	s := &Source{path: path}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		s.faults = Faults{{File: path, Message: "is not text in UTF-8"}}
		return s
	}
	s.data = []byte(lineBreaks.Replace(string(data)))
	if s.doc, s.faults = wellFormed(path, s.data); s.faults != nil {
		s.doc = nil
	}
	return s
}

// Config is Load for what was read.
func (s *Source) Config(parts Parts, checks ...Check) (*configv1.Config, error) {
	return s.read(&validator{parts: parts, checks: checks})
}

// Draft is Config for somebody who has the file but not what it needs to run: a variable that is not set,
// or a file that can't be read, has a stand-in, and is named in missing in the file's spelling; a value with
// a stand-in keeps every rule. Files that a cluster needs are not looked for.
func (s *Source) Draft(checks ...Check) (cfg *configv1.Config, missing []string, err error) {
	v := &validator{checks: checks, draft: true}
	cfg, err = s.read(v)
	slices.Sort(v.missing)
	return cfg, slices.Compact(v.missing), err
}

func (s *Source) read(v *validator) (*configv1.Config, error) {
	if s.faults != nil {
		return nil, s.faults
	}
	cfg := &configv1.Config{}
	err := unmarshal(protoyaml.UnmarshalOptions{Path: s.path, Validator: v}, s.data, cfg)
	if err == nil && (len(bytes.TrimSpace(s.data)) == 0 || proto.Size(cfg) == 0) {
		// protoyaml validates nothing in an empty document.
		err = v.Validate(cfg)
	}
	faults := s.faultsOf(err)
	problems := append(v.problems, s.emptyRules(cfg.GetGateway())...)
	if cfg.GetNotifier() != nil {
		problems = append(problems, s.emptyRoles()...)
	}
	for _, p := range problems {
		at, node := s.node(p.Path)
		if at && slices.ContainsFunc(faults, func(f Fault) bool { return f.Line == node.Line && f.Column == node.Column }) {
			continue // it could not even be read
		}
		faults = append(faults, s.place(p))
	}
	if len(faults) > 0 {
		faults.sort()
		return nil, faults
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

// Named returns the files that the text names as ${file:PATH}, each once.
func (s *Source) Named() []string {
	var names []string
	eachText(s.doc, func(text string) {
		for _, ref := range reference.FindAllString(text, -1) {
			if m := file.FindStringSubmatch(ref); m != nil {
				names = append(names, m[1])
			}
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// Sum tells the text, with the files that it names as they are now, from any other.
func (s *Source) Sum() [sha256.Size]byte {
	h := sha256.New()
	add := func(kind byte, data []byte) { fmt.Fprintf(h, "%c%d:%s", kind, len(data), data) }
	add('c', s.data)
	for _, f := range s.faults { // of a text that is none
		add('f', []byte(f.Message))
	}
	for _, name := range s.Named() {
		data, err := readFile(name)
		if err != nil {
			add('e', []byte(err.Error()))
			continue
		}
		add('d', data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// eachText calls f with every text of n, keys included.
func eachText(n *yaml.Node, f func(text string)) {
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		f(n.Value)
	}
	for _, child := range n.Content {
		eachText(child, f)
	}
}

// validator is what protoyaml calls once the file is decoded. Values are put in place before they are
// checked; faults go back as violations, whose paths protoyaml turns into lines and columns, and what checks
// find stays here as problems, whose places are within the values.
type validator struct {
	parts    Parts
	checks   []Check
	problems []Problem
	// draft says to put stand-ins where something is missing, which is then named in missing.
	draft   bool
	missing []string
}

func (v *validator) Validate(m proto.Message) error {
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
	x := expander{draft: v.draft}
	x.expand(cfg.ProtoReflect(), nil)
	all := x.faults
	err := protovalidate.Validate(cfg)
	var verr *protovalidate.ValidationError
	switch {
	case errors.As(err, &verr):
		verr.Violations = slices.DeleteFunc(verr.Violations, toldBetter)
		for _, v := range verr.Violations {
			reword(v)
		}
		all.join(verr.Violations)
	case err != nil:
		return err
	}
	full := proto.CloneOf(cfg)
	fillDefaults(full)
	var checked violations
	checked.check(full, v.parts, v.draft)
	all.join(checked)
	all = slices.DeleteFunc(all, func(o *protovalidate.Violation) bool { return x.stood[place(o)] })
	v.missing = x.missing
	v.problems = nil
	for _, check := range v.checks {
		for _, p := range check(full) {
			if !x.stood[p.Path] && !all.concern(p.Path) {
				v.problems = append(v.problems, p)
			}
		}
	}
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

// concern says whether the value at path is at fault already, itself or as part of what it stands in.
func (vs *violations) concern(path string) bool {
	return slices.ContainsFunc(*vs, func(v *protovalidate.Violation) bool {
		at := place(v)
		return at == path || at == path[:max(0, strings.LastIndexByte(path, '.'))]
	})
}

func place(v *protovalidate.Violation) string {
	return protovalidate.FieldPathString(v.Proto.GetField())
}
