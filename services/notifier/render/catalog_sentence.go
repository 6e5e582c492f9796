package render

import (
	"strings"
	"unicode/utf8"
)

// sentence is a text of a catalogue that has places for nouns, ready to be said. locales/zh-CN.yaml tells how
// one is written. What it writes itself may stand in Markdown as it is.
type sentence struct {
	parts []stretch
	// size is the number of its pieces, literal the length of its own words in bytes, or a little more.
	size, literal int
}

// plainSentence is a sentence that never stands in Markdown.
type plainSentence struct{ sentence }

// term is a text without places that may stand in Markdown, plainTerm one that never stands there as it is.
type (
	term      string
	plainTerm string
)

// stretch is a stretch of a sentence: said, if all the nouns that it needs are known; otherwise, the other is.
type stretch struct {
	needs []int
	said  []piece
	other []piece
}

// piece is literal text, or the place of a noun.
type piece struct {
	// text is the literal; at a place, the words to show in the noun's stead, or empty for its own.
	text string
	// noun is the noun's number among the arguments; -1 for a literal.
	noun int
}

// of returns what is to be said of p, when isThere tells which nouns are known.
func (p *stretch) of(isThere func(noun int) bool) []piece {
	for _, n := range p.needs {
		if !isThere(n) {
			return p.other
		}
	}
	return p.said
}

// say puts nouns into their places, in the order of the catalogue's declaration of s. An empty phrase is a
// noun that is not known.
func (s *sentence) say(nouns ...phrase) phrase {
	p := make(phrase, 0, s.size+2)
	for i := range s.parts {
		for _, x := range s.parts[i].of(func(n int) bool { return !nouns[n].isEmpty() }) {
			switch {
			case x.noun < 0:
				p = p.joined(span{text: x.text})
			case x.text != "":
				if n := nouns[x.noun]; !n.isEmpty() {
					p = p.joined(span{kind: n[0].kind, text: x.text, url: n[0].url})
				}
			default:
				for i, n := range nouns[x.noun] {
					if i == 0 {
						p = p.joined(n)
					} else {
						p = append(p, n)
					}
				}
			}
		}
	}
	return p
}

// with puts texts into their places, as say does with nouns.
func (s *sentence) with(texts ...string) string {
	var b strings.Builder
	n := s.literal
	for _, text := range texts {
		n += len(text)
	}
	b.Grow(n)
	for i := range s.parts {
		for _, x := range s.parts[i].of(func(n int) bool { return texts[n] != "" }) {
			switch {
			case x.noun < 0 || x.text != "":
				b.WriteString(x.text)
			default:
				b.WriteString(texts[x.noun])
			}
		}
	}
	return b.String()
}

// joined returns p with s at its end, and a blank between them where a Chinese character and a Latin letter
// or a digit would meet: which of them a noun from outside begins with, no catalogue can know.
func (p phrase) joined(s span) phrase {
	if len(p) > 0 && wantBlank(p[len(p)-1].text, s.text) {
		p = append(p, span{text: " "})
	}
	return append(p, s)
}

func wantBlank(before, after string) bool {
	if before == "" || after == "" {
		return false
	}
	if c := after[0]; isLetter(c) || isDigit(c) {
		r, _ := utf8.DecodeLastRuneInString(before)
		return isHan(r)
	}
	if c := before[len(before)-1]; isLetter(c) || isDigit(c) {
		r, _ := utf8.DecodeRuneInString(after)
		return isHan(r)
	}
	return false
}

func isHan(r rune) bool { return 0x4e00 <= r && r < 0xa000 || 0x3400 <= r && r < 0x4dc0 }
