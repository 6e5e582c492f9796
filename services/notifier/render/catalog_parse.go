package render

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// slot is a place that a sentence must have.
type slot struct {
	name string
	// worded says that it shows the sentence's own words.
	worded bool
	// group is equal for the slots of which the sentence must have one; others are groups of their own.
	group int
}

// slotsOf reads a nouns tag.
func slotsOf(nouns string) []slot {
	var slots []slot
	for group, name := range strings.Fields(nouns) {
		for name := range strings.SplitSeq(name, "/") {
			bare, worded := strings.CutSuffix(name, ":")
			slots = append(slots, slot{name: bare, worded: worded, group: group})
		}
	}
	return slots
}

// sentence reads a sentence with the places of a nouns tag.
func (r *catalogueReader) sentence(n *yaml.Node, path, nouns string, markdown bool) sentence {
	p := &sentenceParser{r: r, n: n, path: path, slots: slotsOf(nouns), markdown: markdown, rest: r.text(n, path)}
	s := p.parse()
	if p.failed {
		return sentence{}
	}
	met := make(map[int]int)
	for _, i := range p.used {
		met[p.slots[i].group]++
	}
	var missing []string
	for i, s := range p.slots {
		if met[s.group] == 0 && !slices.Contains(missing, s.text()) && (i == 0 || p.slots[i-1].group != s.group) {
			missing = append(missing, s.text())
		}
	}
	if len(missing) > 0 && n.Value != "" {
		r.fault(n, path, "%q has no place for %s", n.Value, strings.Join(missing, ", "))
	}
	for i := range p.used {
		for _, j := range p.used[:i] {
			if a, b := p.slots[p.used[i]], p.slots[j]; a.group == b.group && a.name != b.name {
				r.fault(n, path, "%q has places for both %s and %s: it is to have one of them", n.Value, b.text(), a.text())
			}
		}
	}
	return s
}

// text is the slot as a translator writes it.
func (s slot) text() string {
	if s.worded {
		return "{" + s.name + ":…}"
	}
	return "{" + s.name + "}"
}

// sentenceParser takes a sentence apart.
type sentenceParser struct {
	r        *catalogueReader
	n        *yaml.Node
	path     string
	slots    []slot
	markdown bool
	rest     string
	used     []int
	failed   bool
}

func (p *sentenceParser) fault(format string, args ...any) {
	p.failed = true
	p.r.fault(p.n, p.path, format, args...)
}

// parse reads stretches that are always said, and between brackets those that are not.
func (p *sentenceParser) parse() (s sentence) {
	s.literal = len(p.rest)
	for p.rest != "" && !p.failed {
		if !strings.HasPrefix(p.rest, "[") {
			always := stretch{said: p.pieces("[")}
			s.parts = append(s.parts, always)
			s.size += len(always.said)
			continue
		}
		p.rest = p.rest[1:]
		maybe := stretch{said: p.pieces("|]")}
		for _, x := range maybe.said {
			if x.noun >= 0 {
				maybe.needs = append(maybe.needs, x.noun)
			}
		}
		if strings.HasPrefix(p.rest, "|") {
			p.rest = p.rest[1:]
			maybe.other = p.pieces("]")
		}
		switch {
		case p.failed:
		case !strings.HasPrefix(p.rest, "]"):
			p.fault("%q has a bracket that is not closed", p.n.Value)
		case len(maybe.needs) == 0:
			p.fault("%q has brackets without a place for a noun: they are for what is said only if that is known", p.n.Value)
		default:
			p.rest = p.rest[1:]
		}
		s.parts = append(s.parts, maybe)
		s.size += max(len(maybe.said), len(maybe.other))
	}
	return s
}

// pieces reads literals and places up to one of the characters of end, or the end.
func (p *sentenceParser) pieces(end string) (found []piece) {
	for p.rest != "" && !p.failed {
		i := strings.IndexAny(p.rest, "{}[]|")
		if i < 0 {
			i = len(p.rest)
		}
		if i > 0 {
			text := p.rest[:i]
			p.r.harmless(p.n, p.path, text, p.markdown)
			if len(found) > 0 && p.markdown && endsNumber(text) && p.isNumber(found[len(found)-1]) {
				p.fault("%q makes a list in Markdown, where it begins a line: leave out the %q after the number", p.n.Value, text[:1])
			}
			found = append(found, piece{text: text, noun: -1})
			p.rest = p.rest[i:]
			continue
		}
		switch c := p.rest[:1]; {
		case strings.Contains(end, c):
			return found
		case c != "{":
			p.fault("%q has a %q that belongs to nothing", p.n.Value, c)
		default:
			name, rest, closed := strings.Cut(p.rest[1:], "}")
			if !closed {
				p.fault("%q has a brace that is not closed", p.n.Value)
				return nil
			}
			p.rest = rest
			found = append(found, p.place(name))
		}
	}
	return found
}

// isNumber tells whether a number comes to stand at x.
func (p *sentenceParser) isNumber(x piece) bool {
	return x.noun >= 0 && (p.slots[x.noun].name == "n" || p.slots[x.noun].name == "day")
}

// place reads what stands between braces.
func (p *sentenceParser) place(text string) piece {
	name, words, worded := strings.Cut(text, ":")
	i := slices.IndexFunc(p.slots, func(s slot) bool { return s.name == name })
	switch {
	case i < 0:
		var known []string
		for _, s := range p.slots {
			known = append(known, s.text())
		}
		p.fault("%q has a place {%s}: it may have %s", p.n.Value, text, strings.Join(known, ", "))
		return piece{noun: -1}
	case worded != p.slots[i].worded || worded && strings.TrimSpace(words) == "":
		p.fault("%q has a place {%s}: write it as %s", p.n.Value, text, p.slots[i].text())
	}
	p.r.harmless(p.n, p.path, words, p.markdown)
	p.used = append(p.used, i)
	return piece{text: words, noun: i}
}
