package render

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container without a system has no zones

	"go.yaml.in/yaml/v3"
	cldr "golang.org/x/text/feature/plural"
	xlanguage "golang.org/x/text/language"
	"golang.org/x/text/message"
)

// The catalogues are read here and not by go-i18n: with x/text for plurals and figures, it would be a
// dependency for the sake of finding files and of a lookup by string on every call.

// readLanguage reads the catalogue of a language from the YAML of file, whose name without its ending is the
// language's BCP 47 tag. The error tells every fault, each with its line.
func readLanguage(file string, source []byte) (*language, error) {
	tag, err := xlanguage.Parse(strings.TrimSuffix(file, ".yaml"))
	if err != nil {
		return nil, fmt.Errorf("%s: the file's name is not that of a language: name it after a BCP 47 tag, such as pt-BR.yaml", file)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("%s: the file is empty", file)
	}
	l := &language{tag: tag, printer: message.NewPrinter(tag)}
	l.plainFigures = l.printer.Sprint(123) == "123"
	r := &catalogueReader{file: file, categories: categoriesOf(tag)}
	r.read(doc.Content[0], "", "", reflect.ValueOf(&l.words).Elem())
	if err := errors.Join(r.faults...); err != nil {
		return nil, err
	}
	l.digestRoom = l.roomInDigest()
	return l, nil
}

// categories are the names that CLDR has for plural categories.
var categories = [...]string{
	cldr.Other: "other", cldr.Zero: "zero", cldr.One: "one", cldr.Two: "two", cldr.Few: "few", cldr.Many: "many",
}

// categoriesOf returns the categories into which the whole numbers fall in a language; "other" among them
// only if it is of whole numbers.
func categoriesOf(tag xlanguage.Tag) map[string]cldr.Form {
	found := make(map[string]cldr.Form)
	note := func(n int) {
		f := cldr.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)
		found[categories[f]] = f
	}
	for n := range 1000 {
		note(n)
	}
	note(1_000_000)
	return found
}

// catalogueReader fills a catalogue, and collects what is wrong.
type catalogueReader struct {
	file       string
	categories map[string]cldr.Form
	faults     []error
}

func (r *catalogueReader) fault(n *yaml.Node, path, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s:%d: %s: %s", r.file, n.Line, cmp.Or(path, "the file"), fmt.Sprintf(format, args...)))
}

// read fills v, which stands at path and has places for nouns, from n.
func (r *catalogueReader) read(n *yaml.Node, path, nouns string, v reflect.Value) {
	switch to := v.Addr().Interface().(type) {
	case *sentence:
		*to = r.sentence(n, path, nouns, true)
	case *plainSentence:
		to.sentence = r.sentence(n, path, nouns, false)
	case *term:
		*to = term(r.term(n, path, true))
	case *plainTerm:
		*to = plainTerm(r.term(n, path, false))
	case *amount:
		r.amount(n, path, to)
	case *[12]term:
		r.months(n, path, to)
	case *timeZone:
		zone, err := time.LoadLocation(r.text(n, path))
		if err != nil || n.Value == "" || n.Value == "Local" {
			r.fault(n, path, "there is no time zone %q: give a name of the IANA database, such as Asia/Shanghai", n.Value)
		}
		to.Location = zone
	case *clockLayout:
		*to = clockLayout(r.text(n, path))
		at := time.Date(2026, 1, 2, 21, 47, 0, 0, time.UTC)
		if got, err := time.Parse(n.Value, at.Format(n.Value)); err != nil || got.Hour() != at.Hour() || got.Minute() != at.Minute() {
			r.fault(n, path, "%q does not tell the time of day: write it as Go's package time does, such as 15:04", n.Value)
		}
	default:
		r.section(n, path, v)
	}
}

// section fills the fields of v.
func (r *catalogueReader) section(n *yaml.Node, path string, v reflect.Value) {
	given := r.mapping(n, path)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("key")
		at := strings.TrimPrefix(path+"."+key, ".")
		value, ok := given[key]
		if !ok {
			r.fault(n, at, "is missing")
			continue
		}
		delete(given, key)
		r.read(value, at, f.Tag.Get("nouns"), v.Field(i))
	}
	r.leftOver(given, path)
}

// mapping returns the values of n by their keys.
func (r *catalogueReader) mapping(n *yaml.Node, path string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "is to have keys below it")
		return nil
	}
	values := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, ok := values[key.Value]; ok {
			r.fault(key, path, "%s stands there twice", key.Value)
		}
		values[key.Value] = n.Content[i+1]
	}
	return values
}

func (r *catalogueReader) leftOver(given map[string]*yaml.Node, path string) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		r.fault(given[key], strings.TrimPrefix(path+"."+key, "."), "is no key of a catalogue: correct its name, or remove it")
	}
}

// text returns the text at n.
func (r *catalogueReader) text(n *yaml.Node, path string) string {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		r.fault(n, path, "is to be a text: put it between quotes")
		return ""
	case strings.TrimSpace(n.Value) == "":
		r.fault(n, path, "says nothing")
	}
	return n.Value
}

// term returns the text at n, which has no places for nouns.
func (r *catalogueReader) term(n *yaml.Node, path string, markdown bool) string {
	s := r.text(n, path)
	if strings.ContainsAny(s, "{}") {
		r.fault(n, path, "this text has no places for nouns")
	}
	r.harmless(n, path, s, markdown)
	return s
}

// harmless reports what a text may not hold: what would be Markdown, alone or together with nouns beside it,
// which are escaped only each by itself.
func (r *catalogueReader) harmless(n *yaml.Node, path, s string, markdown bool) {
	if c := firstOf(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\u2028' || c == '\u2029' || isInvisible(c) }); c != "" {
		r.fault(n, path, "holds the control character %q", c)
	}
	if !markdown {
		return
	}
	// A semicolon makes an entity of a noun that ends in "&lt".
	if i := strings.IndexAny(s, "\\*_`[]~|<>#&@;"); i >= 0 {
		r.fault(n, path, "holds %q, which means something in Markdown", s[i:i+1])
		return
	}
	if strings.HasSuffix(s, ":") || strings.HasPrefix(s, "//") {
		r.fault(n, path, "%q can become part of an address: put a blank after the colon", s)
	}
	if t := strings.TrimLeft(s, "0123456789"); strings.HasPrefix(s, "- ") || strings.HasPrefix(s, "+ ") || t != s && endsNumber(t) {
		r.fault(n, path, "%q begins a list in Markdown", s)
	}
}

// endsNumber tells whether s, after a number at the beginning of a line, makes a list of it.
func endsNumber(s string) bool { return strings.HasPrefix(s, ". ") || strings.HasPrefix(s, ") ") }

func firstOf(s string, is func(rune) bool) string {
	if i := strings.IndexFunc(s, is); i >= 0 {
		for _, c := range s[i:] {
			return string(c)
		}
	}
	return ""
}

func (r *catalogueReader) months(n *yaml.Node, path string, to *[12]term) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != len(to) {
		r.fault(n, path, "is to be a list of the 12 months")
		return
	}
	for i, m := range n.Content {
		to[i] = term(r.term(m, path, true))
	}
}

// amount reads a text for each category of the language, or the one text of a language without plurals.
func (r *catalogueReader) amount(n *yaml.Node, path string, to *amount) {
	form := func(n *yaml.Node, path string, f cldr.Form) {
		to.forms[f] = r.sentence(n, path, "n", true)
	}
	if len(r.categories) == 1 {
		for _, f := range r.categories {
			form(n, path, f)
		}
		return
	}
	given := r.mapping(n, path)
	if given == nil {
		return
	}
	for _, category := range slices.Sorted(maps.Keys(r.categories)) {
		value, ok := given[category]
		if !ok {
			r.fault(n, path+"."+category, "is missing: the language has the plural categories %s", strings.Join(slices.Sorted(maps.Keys(r.categories)), ", "))
			continue
		}
		delete(given, category)
		form(value, path+"."+category, r.categories[category])
	}
	r.leftOver(given, path)
}
