package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"
)

// The functions that the checker puts in. Templates can't name them: they are not among functions.
const (
	fnEmit    = "belfry_emit"
	fnPresent = "belfry_present"
	fnCharge  = "belfry_charge"
)

// call is the call of a function without arguments, or of what is handed to it.
func call(at parse.Pos, name string, args ...parse.Node) *parse.CommandNode {
	id := parse.NewIdentifier(name).SetPos(at)
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: at, Args: append([]parse.Node{id}, args...)}
}

// charge is an action that prints nothing and takes n off the steps that are left.
func charge(at parse.Pos, n int) *parse.ActionNode {
	number := &parse.NumberNode{NodeType: parse.NodeNumber, Pos: at, IsInt: true, Int64: int64(n), Text: fmt.Sprint(n)}
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: at, Cmds: []*parse.CommandNode{call(at, fnCharge, number)}}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: at, Pipe: pipe}
}

// present is n, or nothing where n is an absent object.
func present(n parse.Node) *parse.PipeNode {
	at := n.Position()
	first := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: at, Args: []parse.Node{n}}
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: at, Cmds: []*parse.CommandNode{first, call(at, fnPresent)}}
}

// signature is what a function takes and returns. The last argument is the one that | hands on.
type signature struct {
	// usage is how it is written, for messages.
	usage string
	// takes are the types of its arguments; the last optional of them may be left out.
	takes    []typ
	optional int
	returns  typ
	// text says that it makes Markdown, which no title has; kind is the only kind of event that it is for,
	// where there is one.
	text bool
	kind string
	// types is for functions whose types depend on those of their arguments, instead of takes and returns.
	types func(c *checker, f parse.Node, args []operand) typ
}

var (
	aText   = typ{is: isText}
	aNumber = typ{is: isNumber}
)

func aUser() typ { return typ{is: isObject, fields: userFields(), from: "a user"} }

// signatures are the functions of templates: all of them.
func signatures() map[string]signature {
	user := aUser()
	return map[string]signature{
		"link":      {usage: "link TEXT URL", takes: []typ{aText, aText}, returns: typ{is: isMarked}, text: true},
		"bold":      {usage: "bold TEXT", takes: []typ{{is: isWords}}, returns: typ{is: isMarked}, text: true},
		"quote":     {usage: "quote TEXT [URL]", takes: []typ{aText, aText}, optional: 1, returns: typ{is: isBlock}, text: true},
		"commits":   {usage: "commits COUNT", takes: []typ{aNumber}, returns: typ{is: isBlock}, text: true, kind: "push"},
		"name":      {usage: "name USER", takes: []typ{user}, returns: typ{is: isWords}},
		"names":     {usage: "names USERS", takes: []typ{{is: isList, elem: &user}}, returns: typ{is: isWords}},
		"clip":      {usage: "clip COUNT TEXT", takes: []typ{aNumber, aText}, returns: aText},
		"firstLine": {usage: "firstLine TEXT", takes: []typ{aText}, returns: aText},
		"short":     {usage: "short HASH", takes: []typ{aText}, returns: aText},
		"date":      {usage: "date TIME", takes: []typ{{is: isTime}}, returns: aText},
		"join":      {usage: `join ", " LIST`, takes: []typ{aText, {is: isList, elem: &aText}}, returns: aText},
		"default":   {usage: "default INSTEAD VALUE", types: (*checker).defaultCall},
		"print":     {usage: "print VALUE …", types: (*checker).printCall},
		"printf":    {usage: `printf "…%s…" VALUE …`, types: (*checker).printfCall},
		"len":       {usage: "len LIST", types: (*checker).lenCall},
		"index":     {usage: "index LIST NUMBER", types: (*checker).indexCall},
		"slice":     {usage: "slice LIST FROM [TO]", types: (*checker).sliceCall},
		"and":       {usage: "and VALUE VALUE …", types: (*checker).andCall},
		"or":        {usage: "or VALUE VALUE …", types: (*checker).andCall},
		"not":       {usage: "not VALUE", types: (*checker).notCall},
		"eq":        {usage: "eq VALUE OTHER …", types: (*checker).compareCall},
		"ne":        {usage: "ne VALUE OTHER", types: (*checker).compareCall},
		"lt":        {usage: "lt VALUE OTHER", types: (*checker).compareCall},
		"le":        {usage: "le VALUE OTHER", types: (*checker).compareCall},
		"gt":        {usage: "gt VALUE OTHER", types: (*checker).compareCall},
		"ge":        {usage: "ge VALUE OTHER", types: (*checker).compareCall},
	}
}

// missing says why functions of text/template, and words of other languages, are not there.
var missing = map[string]string{
	"html":     "html is not here: what a template puts in is escaped already",
	"js":       "js is not here: what a template puts in is escaped already",
	"urlquery": "urlquery is not here: link makes an address fit where it has to",
	"call":     "call is not here: no value is a function",
	"println":  "println is not here: write print, and line breaks between the actions",
	"elseif":   "elseif is written {{else if …}}",
	"elif":     "elif is written {{else if …}}",
	"endif":    "endif is written {{end}}",
	"for":      "for is written {{range …}}",
	"foreach":  "foreach is written {{range …}}",
}

// call checks the call of a function and returns the type of what it returns.
func (c *checker) call(cmd *parse.CommandNode, id *parse.IdentifierNode, before *operand) typ {
	all := signatures()
	f, ok := all[id.Ident]
	if !ok {
		message := missing[id.Ident]
		if message == "" {
			names := slices.Sorted(maps.Keys(all))
			message = fmt.Sprintf("there is no function %q; there are: %s", clip(id.Ident, maxQuoted), nearest(id.Ident, names))
		}
		c.fail(id.Pos, "%s", message)
	}
	var args []operand
	for _, n := range cmd.Args[1:] {
		args = append(args, operand{c.value(n), n})
	}
	if before != nil {
		args = append(args, *before)
	}
	switch {
	case !ok:
		return typ{}
	case f.text && c.title:
		c.fail(id.Pos, "%s makes Markdown, and a title is plain text: use the value itself", id.Ident)
		return typ{}
	case f.kind != "" && f.kind != c.kind:
		c.fail(id.Pos, "%s is for templates of kind %s only", id.Ident, f.kind)
		return typ{}
	case f.types == nil:
		c.take(id, f, args)
		if f.returns.is == isWords && c.title {
			return aText
		}
		return f.returns
	}
	for _, a := range args {
		if a.is == isUnknown {
			return typ{}
		}
	}
	result := f.types(c, id, args)
	if id.Ident == "and" || id.Ident == "or" {
		for i, n := range cmd.Args[1:] {
			// The last value of or is what it returns, absent or not.
			if t := args[i]; (t.is == isObject || t.is == isMixed) && (id.Ident == "and" || i < len(args)-1) {
				cmd.Args[i+1] = present(n)
			}
		}
	}
	return result
}

// count checks how many arguments there are.
func (c *checker) count(f parse.Node, args []operand, least, most int) bool {
	if len(args) >= least && len(args) <= most {
		return true
	}
	takes := fmt.Sprint(least)
	switch {
	case most > 1000:
		takes = fmt.Sprintf("at least %d", least)
	case most > least:
		takes = fmt.Sprintf("%d to %d", least, most)
	}
	name := f.String()
	c.fail(f.Position(), "%s takes %s, not %d: {{%s}}", name, plural(takes, "value"), len(args), signatures()[name].usage)
	return false
}

func plural(n, noun string) string {
	if n == "1" || strings.HasSuffix(n, " 1") {
		return n + " " + noun
	}
	return n + " " + noun + "s"
}

// take checks arguments against a signature.
func (c *checker) take(id *parse.IdentifierNode, f signature, args []operand) {
	if !c.count(id, args, len(f.takes)-f.optional, len(f.takes)) {
		return
	}
	for i, a := range args {
		want := f.takes[i]
		fits := a.is == isUnknown || a.same(want) || want.is == isWords && (a.is == isText || a.is == isMarked)
		switch {
		case fits:
		case want.is == isText && (a.is == isMarked || a.is == isWords || a.is == isBlock):
			c.fail(start(a.node), "%s takes plain text, and this is finished Markdown: {{%s}}", id.Ident, f.usage)
		case a.is == isNumber && want.is == isText:
			c.fail(start(a.node), "%s takes a text here, and this is a number: write (print %s)", id.Ident, asWritten(a.node))
		default:
			c.fail(start(a.node), "%s takes %s here, and this is %s: {{%s}}", id.Ident, describe(want), a.typ, f.usage)
		}
	}
}

// describe is a type that a function takes.
func describe(t typ) string {
	switch {
	case t.is == isWords:
		return "a text"
	case t.is == isList && t.elem.is == isObject:
		return "a list of users"
	}
	return t.String()
}

// refuse says that an argument is not what a function takes.
func (c *checker) refuse(f parse.Node, a operand, takes string) {
	name := f.String()
	c.fail(start(a.node), "%s takes %s, and this is %s: {{%s}}", name, takes, a.typ, strings.TrimSpace(signatures()[name].usage))
}
