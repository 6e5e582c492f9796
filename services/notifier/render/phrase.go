package render

import "strings"

// A phrase is a sentence whose nouns are known, so that it can be said as the plain title of a message, as
// its heading with every noun a link, and as one line of a digest.
type phrase []span

// span is a piece of a phrase.
type span struct {
	kind kind
	// text is what to show: of a literal or of commits the catalogue's own words, of anything else text
	// from outside, as it came.
	text string
	// url is where it leads; may be empty or useless.
	url string
}

// kind is what a span names. In a digest, only the span of the highest kind that has an address is a link.
type kind int

const (
	literal    kind = iota
	word            // a state, a type, the name of a hook
	person          // somebody's name
	repository      // the path of a repository
	ref             // a branch, a tag, a commit
	subject         // an issue or a pull request: number and title
	commits         // "3 commits"
	remark          // "commented"
)

// style is how to say a phrase.
type style int

const (
	asTitle style = iota // plain text
	asHead               // Markdown, every noun a link
	asLine               // Markdown, one link
	asTerse              // the same, with the nouns cut short
)

// lengths bounds nouns, in characters: as a title, as a heading, in a digest, and in one that is full.
var lengths = [...][4]int{
	literal:    {200, 200, 200, 200},
	word:       {20, 40, 20, 12},
	person:     {20, 40, 20, 14},
	repository: {36, 80, 40, 40},
	ref:        {36, 80, 36, 24},
	subject:    {60, 120, 60, 30},
	commits:    {200, 200, 200, 200},
	remark:     {200, 200, 200, 200},
}

// maxTitle is the length of a title, in characters: what a phone shows of a notification.
const maxTitle = 60

func noun(k kind, text, url string) phrase { return phrase{{kind: k, text: text, url: url}} }

func lit(text string) phrase { return phrase{{text: text}} }

// isEmpty tells of a noun that is not there.
func (p phrase) isEmpty() bool { return len(p) == 0 }

// title says p as plain text of at most maxTitle characters.
func (p phrase) title() string { return clip(p.markup(asTitle), maxTitle) }

func (p phrase) markup(s style) string {
	primary := -1
	if s == asLine || s == asTerse {
		for i, x := range p {
			if x.kind > person && (primary < 0 || x.kind > p[primary].kind) && target(x.url) != "" {
				primary = i
			}
		}
	}
	var b strings.Builder
	for i, x := range p {
		text := x.show(s)
		if s == asHead || i == primary {
			text = link(text, x.url)
		}
		b.WriteString(text)
	}
	return b.String()
}

func (x span) show(s style) string {
	switch x.kind {
	case literal, commits, remark:
		return x.text
	}
	text := clip(nounText(x.text), lengths[x.kind][s])
	if s == asTitle {
		return text
	}
	return escape(text)
}
