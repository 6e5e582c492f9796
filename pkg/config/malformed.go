package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// wellFormed returns the document, nil for an empty one. It refuses what would otherwise be left out in
// silence: documents after the first, all but the last of keys that are written twice, and tags.
func wellFormed(path string, data []byte) (*yaml.Node, Faults) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := dec.Decode(&first); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, Faults{yamlFault(path, data, err)}
	}
	if err := dec.Decode(&second); err == nil {
		return nil, Faults{{File: path, Line: second.Line, Message: "a second document begins here: the configuration is one document"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, Faults{yamlFault(path, data, err)}
	}
	return &first, append(twice(path, &first, nil), tagged(path, &first)...)
}

// asTag is what to do about a value such as !has(event.push), the first word of which YAML takes for a tag and
// leaves out.
const asTag = "put a value that begins with ! in quotes, or on the line below >-: YAML takes its first word for a tag"

// tagged finds tags that are none of YAML's own: nothing here has a use for one.
func tagged(path string, n *yaml.Node) (faults Faults) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		faults = append(faults, Fault{File: path, Line: n.Line, Column: n.Column, Message: asTag})
	}
	for _, child := range n.Content {
		faults = append(faults, tagged(path, child)...)
	}
	return faults
}

// beforeTag has the beginning of a line up to the ! of a value behind a key.
var beforeTag = regexp.MustCompile(`^(.*?[a-z_]:[ \t]+!)[^!\s]`)

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

var yamlLine = regexp.MustCompile(`(?s)^line (\d+): (.*)$`)

// yamlWords are sentences for what the reader of YAML says.
var yamlWords = []struct {
	prefix, sentence string
	// anew says that its line is that of something around the fault, so that the fault's own is looked for.
	anew bool
}{
	{"unknown anchor", "an alias (*name) refers to nothing: put a value that begins with * in quotes", false}, // its name may be a secret
	{"mapping values are not allowed", "a value holds a colon with a blank after it, or a line is indented too far: put the value in quotes, or mend the indentation", true},
	{"did not find expected key", "a key with its colon is expected here or just before: mend the indentation, and put a value with quotes in it in quotes of the other kind as a whole", true},
	{"did not find expected '-' indicator", "an entry of a list is expected here: mend the indentation, or begin the line with a dash", true},
	{"did not find expected ',' or", "a bracket is not closed, or a comma is missing, here or just before", true},
	{"did not find expected node content", "a bracket or a comma stands here where a value is expected", true},
	{"could not find expected ':'", "a colon with a blank after it is missing behind a key, here or just before", true},
	{"did not find expected comment or line break", "what belongs to a block (| or >) begins on the next line, indented further", false},
	{"block sequence entries are not allowed", "a list begins on the line below its key, and a value that begins with a dash stands in quotes", false},
	{"found unexpected end of stream", "a quote is never closed", false},
	{"found unknown escape character", "in double quotes a backslash begins an escape: use single quotes, or write two backslashes", false},
	{"found character that cannot start any token", "a value can't begin with this character: put it in quotes", false},
}

// yamlFault is for what the reader of YAML says, which knows a line at most.
func yamlFault(path string, data []byte, err error) Fault {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	f := Fault{File: path, Message: msg}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		msg, f.Message = m[2], m[2]
	}
	if strings.Contains(msg, "cannot start any token") || strings.Contains(msg, "a tab character") {
		if at := tab(data); at.line > 0 {
			return Fault{File: path, Line: at.line, Column: at.column, Message: "a tab stands where blanks belong: YAML is indented with blanks alone"}
		}
	}
	for _, w := range yamlWords {
		if strings.HasPrefix(msg, w.prefix) {
			f.Message = w.sentence
			if w.anew {
				f.Line = lineOf(data, w.prefix, f.Line)
			}
		}
	}
	if lines := strings.Split(string(data), "\n"); f.Line > 0 && f.Line <= len(lines) {
		if m := beforeTag.FindStringSubmatch(lines[f.Line-1]); m != nil {
			f.Column, f.Message = utf8.RuneCountInString(m[1]), asTag
		}
	}
	return f
}

// lineOf returns the line at which the reader of YAML stumbles, in the words that begin with prefix: the first
// with which what comes before it is refused so. It is line where that can't be found.
func lineOf(data []byte, prefix string, line int) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	stumbles := func(n int) bool {
		var doc yaml.Node
		err := yaml.Unmarshal(bytes.Join(lines[:n], nil), &doc)
		return err != nil && strings.Contains(err.Error(), prefix)
	}
	n := sort.Search(len(lines), func(i int) bool { return stumbles(i + 1) }) + 1
	if n > len(lines) {
		return line
	}
	return n
}

// tab returns the place of the first tab in the indentation of a line, by which the reader of YAML may have
// stumbled; the zero spot without one.
func tab(data []byte) spot {
	for i, text := range strings.Split(string(data), "\n") {
		indented := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if at := strings.IndexByte(indented, '\t'); at >= 0 && len(indented) < len(text) {
			return spot{i + 1, at + 1}
		}
	}
	return spot{}
}
