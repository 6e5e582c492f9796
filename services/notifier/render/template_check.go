package render

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
)

// checker finds what is wrong with a part without running it: everything in a template has a type that is
// known from the schema of events and from what functions return. On its way it rewrites the tree, so that
// running it is safe:
//
//	{{X}}             becomes {{X | emit}}, which escapes
//	{{if X}}          becomes {{if X | present}} where X is an object, as with with, and, or and default:
//	                  an absent one is a full object, so that its fields are there, and yet counts as nothing
//	{{range X}}BODY   becomes {{range X}}{{charge N}}BODY, which stops loops without end
type checker struct {
	part   *part
	kind   string
	title  bool
	dot    typ
	vars   []variable
	depth  int
	faults []*TemplateError
}

type variable struct {
	name string
	typ
}

// maxDepth is how deep blocks and brackets may be nested. An {{else if}} is one deeper.
const maxDepth = 100

func (c *checker) check() {
	c.dot = typ{is: isObject, fields: rootFields()}
	c.vars = []variable{{"$", c.dot}}
	c.list(c.part.tree.Root)
}

// fail tells of a fault at an offset.
func (c *checker) fail(at parse.Pos, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, c.part.fault(int(at), fmt.Sprintf(format, args...)))
	}
}

// deeper counts a level of nesting until its result is called; ok is false where there are too many.
func (c *checker) deeper(at parse.Pos) (back func(), ok bool) {
	if c.depth++; c.depth == maxDepth {
		c.fail(at, "this is nested too deep: at most %d levels are possible", maxDepth)
	}
	return func() { c.depth-- }, c.depth < maxDepth
}

func (c *checker) list(l *parse.ListNode) (weight int) {
	if l == nil {
		return 0
	}
	back, ok := c.deeper(l.Pos)
	defer back()
	if !ok {
		return 0
	}
	for _, n := range l.Nodes {
		weight++
		switch n := n.(type) {
		case *parse.ActionNode:
			weight += c.action(n)
		case *parse.IfNode:
			weight += c.branch(&n.BranchNode, false)
		case *parse.WithNode:
			weight += c.branch(&n.BranchNode, true)
		case *parse.RangeNode:
			weight += c.loop(n)
		case *parse.TextNode, *parse.BreakNode, *parse.ContinueNode, *parse.CommentNode:
		default:
			c.fail(n.Position(), "%s is not available", n)
		}
	}
	return weight
}

func (c *checker) action(n *parse.ActionNode) (weight int) {
	t := c.pipe(n.Pipe)
	if len(n.Pipe.Decl) > 0 {
		c.declare(n.Pipe, t)
		return len(n.Pipe.Cmds)
	}
	switch {
	case t.same(aUser()):
		c.fail(start(n.Pipe), "this is a user: write {{name %s}}", asWritten(n.Pipe))
	case t.is == isObject:
		whole := asWritten(n.Pipe)
		if strings.ContainsRune(whole, ' ') { // what a function gives
			whole = "(" + whole + ")"
		}
		c.fail(start(n.Pipe), "%s has several fields: say which, as in {{%s.%s}}", t, whole, t.fields.names[0])
	case t.is == isList && t.elem.same(aUser()):
		c.fail(start(n.Pipe), "this is a list of users: write {{names %s}}", asWritten(n.Pipe))
	case t.is == isList && t.elem.is == isText:
		c.fail(start(n.Pipe), `this is a list: write {{join ", " %s}}`, asWritten(n.Pipe))
	case t.is == isList:
		c.fail(start(n.Pipe), "this is a list: go through it, {{range %s}} … {{end}}", asWritten(n.Pipe))
	case t.is == isTime:
		c.fail(start(n.Pipe), "this is a time: write {{date %s}}", asWritten(n.Pipe))
	case t.is == isMixed:
		c.fail(start(n.Pipe), "this can be one of several things: use {{if}} and {{else}}")
	}
	n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pipe.Pos, fnEmit))
	return len(n.Pipe.Cmds)
}

// asWritten is a short value as it stands in the source, and "…" for others.
func asWritten(n parse.Node) string {
	if s := n.String(); len(s) <= maxQuoted {
		return s
	}
	return "…"
}

// branch checks an if or a with.
func (c *checker) branch(n *parse.BranchNode, with bool) (weight int) {
	defer c.leave(len(c.vars))
	t := c.pipe(n.Pipe)
	if t.is == isObject || t.is == isMixed {
		n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pipe.Pos, fnPresent))
	}
	c.declare(n.Pipe, t)
	inside, dot := len(c.vars), c.dot
	if with {
		c.dot = t
	}
	weight = len(n.Pipe.Cmds) + c.list(n.List)
	c.leave(inside)
	c.dot = dot
	return weight + c.list(n.ElseList)
}

// loop checks a range. Its body pays for itself, each time.
func (c *checker) loop(n *parse.RangeNode) (weight int) {
	vars, dot := len(c.vars), c.dot
	t := c.pipe(n.Pipe)
	index, elem := typ{is: isNumber}, typ{}
	switch t.is {
	case isUnknown:
	case isList:
		elem = *t.elem
	case isNumber:
		elem = typ{is: isNumber}
		if len(n.Pipe.Decl) > 1 {
			c.fail(start(n.Pipe), "{{range}} over a number makes one variable only")
		}
	case isObject:
		c.fail(start(n.Pipe), "{{range}} goes through a list, and %s is none; to look into it, write {{with %s}}", t, asWritten(n.Pipe))
	default:
		c.fail(start(n.Pipe), "{{range}} goes through a list, and this is %s", t)
	}
	switch decl := n.Pipe.Decl; {
	case len(decl) == 1:
		c.set(n.Pipe, decl[0], elem)
	case len(decl) == 2:
		c.set(n.Pipe, decl[0], index)
		c.set(n.Pipe, decl[1], elem)
	}
	inside := len(c.vars)
	c.dot = elem
	body := c.list(n.List)
	c.dot = dot
	c.leave(inside)
	n.List.Nodes = slices.Insert(n.List.Nodes, 0, parse.Node(charge(n.List.Pos, body+1)))
	weight = c.list(n.ElseList) + len(n.Pipe.Cmds)
	c.leave(vars)
	return weight
}

// leave forgets the variables of a block.
func (c *checker) leave(n int) { c.vars = c.vars[:n] }

func (c *checker) declare(p *parse.PipeNode, t typ) {
	for _, v := range p.Decl {
		c.set(p, v, t)
	}
}

// set makes a variable, or puts another value into one.
func (c *checker) set(p *parse.PipeNode, v *parse.VariableNode, t typ) {
	name := v.Ident[0]
	if name == "$" {
		c.fail(v.Pos, "$ is what the template was given: choose a longer name for your own, such as $x")
		return
	}
	if !p.IsAssign {
		c.vars = append(c.vars, variable{name, t})
		return
	}
	for i := len(c.vars) - 1; i >= 0; i-- {
		if c.vars[i].name != name {
			continue
		}
		u := c.vars[i].typ
		both := u.either(t)
		if both.is == isMixed && u.is != isMixed {
			c.fail(v.Pos, "%s was made with %s, and %s can't be put into it", clip(name, maxQuoted), u, t)
		}
		c.vars[i].typ = both
		return
	}
	c.noVariable(v.Pos, name)
}

func (c *checker) noVariable(at parse.Pos, name string) {
	name = clip(name, maxQuoted)
	c.fail(at, "there is no variable %s here: one is known from where it is made, as in {{%[1]s := …}}, to the end of the block around it", name)
}

// operand is a value that a function is given, and where it stands.
type operand struct {
	typ
	node parse.Node
}

// pipe returns the type of a pipeline.
func (c *checker) pipe(p *parse.PipeNode) typ {
	back, ok := c.deeper(p.Pos)
	defer back()
	if !ok {
		return typ{}
	}
	var before *operand
	var cmds []*parse.CommandNode
	for _, cmd := range p.Cmds {
		if before != nil && takesAbsent(cmd) && (before.is == isObject || before.is == isMixed) {
			cmds = append(cmds, call(cmd.Pos, fnPresent))
		}
		before = &operand{c.command(cmd, before), cmd}
		cmds = append(cmds, cmd)
	}
	p.Cmds = cmds
	return before.typ
}

// takesAbsent tells of the call of and, which must not take an absent object for something.
func takesAbsent(cmd *parse.CommandNode) bool {
	id, ok := cmd.Args[0].(*parse.IdentifierNode)
	return ok && id.Ident == "and"
}

// command returns the type of one command; before is what is handed to it, or nil.
func (c *checker) command(cmd *parse.CommandNode, before *operand) typ {
	if id, ok := cmd.Args[0].(*parse.IdentifierNode); ok {
		return c.call(cmd, id, before)
	}
	first := cmd.Args[0]
	switch {
	case before != nil:
		c.fail(start(first), "| hands a value on to a function, and %s is none", asWritten(first))
		return typ{}
	case len(cmd.Args) > 1:
		c.fail(start(first), "only functions take arguments, and %s is none", asWritten(first))
		return typ{}
	}
	return c.value(first)
}

// value returns the type of an argument.
func (c *checker) value(n parse.Node) typ {
	switch n := n.(type) {
	case *parse.DotNode:
		return c.dot
	case *parse.FieldNode:
		return c.fieldsOf(c.dot, int(start(n)), n.Ident)
	case *parse.VariableNode:
		for i := len(c.vars) - 1; i >= 0; i-- {
			if v := c.vars[i]; v.name == n.Ident[0] {
				return c.fieldsOf(v.typ, int(start(n))+len(v.name), n.Ident[1:])
			}
		}
		c.noVariable(start(n), n.Ident[0])
	case *parse.ChainNode:
		return c.fieldsOf(c.value(n.Node), int(n.Pos), n.Field)
	case *parse.PipeNode:
		return c.pipe(n)
	case *parse.IdentifierNode:
		return c.call(&parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{n}}, n, nil)
	case *parse.StringNode:
		return typ{is: isText}
	case *parse.BoolNode:
		return typ{is: isTruth}
	case *parse.NumberNode:
		return c.number(n)
	case *parse.NilNode:
		c.fail(n.Pos, "nil can't be used here: to ask whether something is there, write {{if .event.issue}}")
	}
	return typ{}
}

func (c *checker) number(n *parse.NumberNode) typ {
	switch {
	case n.Text[0] == '\'':
		c.fail(n.Pos, "%s is no text: texts stand in double quotes", n.Text)
		return typ{}
	case n.IsFloat && strings.ContainsAny(n.Text, ".eEpP") && !strings.HasPrefix(strings.ToLower(n.Text), "0x"):
		return typ{is: isFraction}
	case n.IsInt:
		return typ{is: isNumber}
	}
	c.fail(n.Pos, "%s is no number that can be used here", n.Text)
	return typ{}
}

// fieldsOf follows a chain of fields, the first of which has its dot at an offset.
func (c *checker) fieldsOf(t typ, at int, names []string) typ {
	for _, name := range names {
		if t.is == isUnknown {
			return t
		}
		if t.is != isObject {
			c.fail(parse.Pos(at), "%s has no fields, and no .%s", t, clip(name, maxQuoted))
			return typ{}
		}
		f, ok := t.field(name)
		if !ok {
			c.noField(at, t, name)
			return typ{}
		}
		t, at = f, at+len(".")+len(name)
	}
	return t
}

func (c *checker) noField(at int, t typ, name string) {
	short := clip(name, maxQuoted)
	if t.from == "" {
		c.fail(parse.Pos(at), `there is no ".%s"; there are: %s`, short, nearest(name, t.fields.names))
		return
	}
	hint := ""
	if _, ok := rootFields().of[name]; ok {
		hint = fmt.Sprintf("; inside {{with}} and {{range}}, the event's own is $.%s", name)
	}
	c.fail(parse.Pos(at), "there is no field %q in %s; it has: %s%s", short, t.from, nearest(name, t.fields.names), hint)
}

// start is where a value begins. Fields and variables have the place of their second name.
func start(n parse.Node) parse.Pos {
	switch n := n.(type) {
	case *parse.FieldNode:
		if len(n.Ident) > 1 {
			return n.Pos - parse.Pos(len(".")+len(n.Ident[0]))
		}
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			return n.Pos - parse.Pos(len(n.Ident[0]))
		}
	case *parse.ChainNode:
		return start(n.Node)
	case *parse.PipeNode:
		return start(n.Cmds[0])
	case *parse.CommandNode:
		return start(n.Args[0])
	}
	return n.Position()
}
