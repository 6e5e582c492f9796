package render

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// Template is a robot's own wording of one kind of event, in Go's text/template. What it may use stands in
// the manual, under "Templates".
type Template struct {
	// Kind is push, tag, issue, pull_request, comment or ping.
	Kind string
	// Title and Text word the two parts of a message; an empty one leaves its part to the built-in wording.
	Title, Text string
}

// TemplateError is one thing wrong with a template: found when it is compiled, or when it is run.
type TemplateError struct {
	// Index is the template's place in its list, Field the part at fault: "title", "text" or "kind".
	Index int
	Field string
	// Line and Column, in code points, count from 1 within the part; both are 0 for the part as a whole.
	Line, Column int
	// Message says for people what is wrong and what to do. No text of an event stands in it.
	Message string
}

func (e *TemplateError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("templates[%d].%s: %s", e.Index, e.Field, e.Message)
	}
	return fmt.Sprintf("templates[%d].%s:%d:%d: %s", e.Index, e.Field, e.Line, e.Column, e.Message)
}

// templates are a robot's wordings by kind of event, compiled. They may be used from any goroutine.
type templates map[string]compiled

type compiled struct{ title, text *part }

// part is a title or a text, checked and rewritten: its actions escape, and its loops are counted.
type part struct {
	index int
	field string
	source
	tree *parse.Tree
}

// The bounds of a part. The schema has the same for the length of its source.
const (
	maxTitleSource = 2000
	maxTextSource  = 20000
	// maxOutput is what a part may write, in bytes.
	maxOutput = 20000
	// maxFaults is how many faults of one part are told.
	maxFaults = 20
)

// compileTemplates compiles ts, whose kinds differ, and tells all their faults that can be seen without an
// event: what is no template, misspelt names, values that don't fit where they stand. A part with a fault is
// left out of the result.
func compileTemplates(ts []Template) (templates, []*TemplateError) {
	all, faults := make(templates, len(ts)), []*TemplateError(nil)
	for i, t := range ts {
		if !slices.Contains(kinds(), t.Kind) {
			faults = append(faults, &TemplateError{
				Index: i, Field: "kind",
				Message: fmt.Sprintf("there is no kind %q; there are: %s", t.Kind, nearest(t.Kind, kinds())),
			})
			continue
		}
		var c compiled
		var wrong []*TemplateError
		c.title, wrong = compilePart(i, "title", t.Kind, t.Title, maxTitleSource)
		faults = append(faults, wrong...)
		c.text, wrong = compilePart(i, "text", t.Kind, t.Text, maxTextSource)
		faults = append(faults, wrong...)
		all[t.Kind] = c
	}
	return all, faults
}

// compilePart returns nil without faults for a part that is not given.
func compilePart(index int, field, kind, text string, longest int) (*part, []*TemplateError) {
	if text == "" {
		return nil, nil
	}
	p := &part{index: index, field: field, source: newSource(text)}
	if len(text) > longest {
		return nil, []*TemplateError{p.fault(-1, fmt.Sprintf("the template has %d bytes; at most %d are possible", len(text), longest))}
	}
	tree, at, message := p.parse()
	if message != "" {
		return nil, []*TemplateError{p.fault(at, message)}
	}
	p.tree = tree
	c := checker{part: p, kind: kind, title: field == "title"}
	c.check()
	if len(c.faults) > 0 {
		return nil, c.faults[:min(len(c.faults), maxFaults)]
	}
	return p, nil
}

// fault is about what stands at a byte offset of the part, or about the part as a whole where that is
// negative.
func (p *part) fault(at int, message string) *TemplateError {
	e := &TemplateError{Index: p.index, Field: p.field, Message: message}
	if at >= 0 {
		e.Line, e.Column = p.spot(at)
	}
	return e
}

// words tells e by the robot's own template: title, as plain text of one line and as long as built-in ones
// are at most, and text, as Markdown. Each is empty where the robot leaves it to the built-in wording. With
// an error, a *TemplateError, both are to be.
func (t templates) words(w wording, e *eventv1.Event) (title, text string, err error) {
	c := t[eventKind(e)]
	if c.title != nil {
		if title, err = c.title.run(w, e); err != nil {
			return "", "", err
		}
	}
	if c.text != nil {
		if text, err = c.text.run(w, e); err != nil {
			return "", "", err
		}
	}
	if n := jsonLen(title) + jsonLen(text); n > maxBody-envelope {
		return "", "", c.text.fault(-1, fmt.Sprintf("the message would have %d bytes; %d are possible", n, maxBody-envelope))
	}
	return title, text, nil
}

// run words one part of e.
func (p *part) run(w wording, e *eventv1.Event) (words string, err error) {
	r := &run{w: w, event: e, title: p.field == "title", left: maxSteps}
	defer func() {
		if x := recover(); x != nil {
			words, err = "", p.fault(-1, "the template could not be run, which is a fault of Belfry: please report it")
		}
	}()
	t, err := template.New(templateName).Funcs(r.functions()).Option("missingkey=error").AddParseTree(templateName, p.tree)
	if err != nil {
		return "", p.fault(-1, err.Error())
	}
	if err := t.Execute(&r.page, root(e)); err != nil {
		return "", p.executionFault(err)
	}
	if r.title {
		words = clip(oneLine(string(r.page.b)), maxTitle)
	} else {
		words = tidy(string(r.page.b))
	}
	if words == "" {
		return "", p.fault(-1, "the "+p.field+" comes out empty; give it words for every event of its kind, such as in {{else}}")
	}
	return words, nil
}

// executionFault is what Execute returned, with its place in the source.
func (p *part) executionFault(err error) *TemplateError {
	if errors.Is(err, errTooLong) {
		return p.fault(-1, errTooLong.Error())
	}
	// "template: NAME:LINE:COLUMN: executing "NAME" at <SOURCE>: " comes first, with the column in bytes
	// from 0, and then the fault.
	at, message := -1, err.Error()
	var line, column int
	if _, serr := fmt.Sscanf(message, "template: "+templateName+":%d:%d:", &line, &column); serr == nil {
		at = p.offset(line, column)
	}
	if mine, ok := errors.AsType[*callError](err); ok {
		return p.fault(at, mine.message)
	}
	if i := strings.LastIndex(message, ">: "); i >= 0 {
		message = message[i+len(">: "):]
	}
	return p.fault(at, clip(oneLine(message), maxDetail))
}

// TryTemplates compiles ts and runs each on those of samples that are of its kind, in the language of
// locale. A part that comes out empty on a sample is at fault too. Of the faults that show only when a part
// is run, the first of each part is told. The samples are not changed.
func TryTemplates(locale string, ts []Template, samples []*eventv1.Event) []*TemplateError {
	all, faults := compileTemplates(ts)
	w := wordingFor(locale)
	for _, t := range ts {
		c := all[t.Kind]
		for _, p := range []*part{c.title, c.text} {
			if p == nil {
				continue
			}
			for _, e := range samples {
				if eventKind(e) != t.Kind {
					continue
				}
				_, err := p.run(w, e)
				if fault, ok := errors.AsType[*TemplateError](err); ok {
					fault.Message += fmt.Sprintf(" (seen with a sample: %s, %s)", t.Kind, actionWord(e.GetAction()))
					faults = append(faults, fault)
					break
				}
			}
		}
	}
	slices.SortStableFunc(faults, func(a, b *TemplateError) int { return a.Index - b.Index })
	return faults
}

// tidy returns text, which is Markdown, as DingTalk wants it: a line break that is to be seen has two blanks
// before it, and paragraphs are set off by one empty line, whatever the template's control structures left.
func tidy(text string) string {
	var b bytes.Buffer
	blank := true
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			blank = true
			continue
		}
		switch {
		case b.Len() == 0:
		case blank:
			b.WriteString(paragraphBreak)
		default:
			b.WriteString(lineBreak)
		}
		blank = false
		b.WriteString(line)
	}
	return b.String()
}
