package render

import (
	"fmt"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

// This file has the types of the functions that take values of several types: mostly those of text/template.

const anyNumber = 1 << 30

func (c *checker) defaultCall(f parse.Node, args []operand) typ {
	if !c.count(f, args, 2, 2) {
		return typ{}
	}
	t := args[0].either(args[1].typ)
	if t.is == isMixed {
		c.fail(f.Position(), "default gives one of two values, and these can't be used in the same way: %s, and %s", args[0].typ, args[1].typ)
		return typ{}
	}
	return t
}

// andCall is for and and or.
func (c *checker) andCall(f parse.Node, args []operand) typ {
	if !c.count(f, args, 1, anyNumber) {
		return typ{}
	}
	t := args[0].typ
	for _, a := range args[1:] {
		t = t.either(a.typ)
	}
	if t.is == isObject && f.String() == "and" {
		t.is = isMixed // it may be nothing
	}
	return t
}

func (c *checker) notCall(f parse.Node, args []operand) typ {
	c.count(f, args, 1, 1)
	return typ{is: isTruth}
}

func (c *checker) lenCall(f parse.Node, args []operand) typ {
	if c.count(f, args, 1, 1) && args[0].is != isList && args[0].is != isText {
		c.refuse(f, args[0], "a list or a text")
	}
	return aNumber
}

func (c *checker) indexCall(f parse.Node, args []operand) typ {
	switch {
	case !c.count(f, args, 2, 2):
	case args[0].is != isList:
		c.refuse(f, args[0], "a list")
	case args[1].is != isNumber:
		c.refuse(f, args[1], "a number behind the list")
	default:
		return *args[0].elem
	}
	return typ{}
}

func (c *checker) sliceCall(f parse.Node, args []operand) typ {
	if !c.count(f, args, 2, 3) {
		return typ{}
	}
	if args[0].is != isList && args[0].is != isText {
		c.refuse(f, args[0], "a list or a text")
		return typ{}
	}
	for _, a := range args[1:] {
		if a.is != isNumber {
			c.refuse(f, a, "numbers behind the list")
		}
	}
	return args[0].typ
}

func (c *checker) compareCall(f parse.Node, args []operand) typ {
	name, most := f.String(), 2
	if name == "eq" {
		most = anyNumber
	}
	result := typ{is: isTruth}
	if !c.count(f, args, 2, most) {
		return result
	}
	for i, a := range args {
		switch {
		case !a.isScalar():
			c.refuse(f, a, "texts and numbers")
			return result
		case a.is == isTruth && name != "eq" && name != "ne":
			c.refuse(f, a, "texts and numbers")
			return result
		case i > 0 && a.is != args[0].is:
			c.fail(start(a.node), "%s compares values of one type, and these are %s and %s", name, args[0].typ, a.typ)
			return result
		}
	}
	return result
}

func (c *checker) printCall(f parse.Node, args []operand) typ {
	if !c.count(f, args, 1, anyNumber) {
		return aText
	}
	c.scalars(f, args)
	return aText
}

func (c *checker) scalars(f parse.Node, args []operand) {
	for _, a := range args {
		switch {
		case a.isScalar():
		case a.is == isMarked || a.is == isWords || a.is == isBlock:
			c.fail(start(a.node), "%s makes plain text, and this is finished Markdown: give each an action of its own", f)
		default:
			c.refuse(f, a, "texts and numbers")
		}
	}
}

// printfCall holds the verbs of a format against the values for them: text/template would put a wrong one's
// complaint into the message.
func (c *checker) printfCall(f parse.Node, args []operand) typ {
	if !c.count(f, args, 1, anyNumber) {
		return aText
	}
	format, ok := args[0].node.(*parse.StringNode)
	if !ok {
		c.fail(start(args[0].node), "the first value of printf is a text in quotes, in which %%s and %%d stand for the others")
		return aText
	}
	c.scalars(f, args[1:])
	verbs, fault := verbsOf(format.Text)
	switch {
	case fault != "":
		c.fail(format.Pos, "%s", fault)
	case len(verbs) != len(args)-1:
		c.fail(format.Pos, "this text has room for %s, and %d follow it", plural(fmt.Sprint(len(verbs)), "value"), len(args)-1)
	default:
		for i, v := range verbs {
			if a := args[i+1]; a.isScalar() && a.is != isUnknown && !strings.ContainsRune(verbTypes[v], rune(typeLetters[a.is])) {
				c.fail(start(a.node), "%%%c does not go with %s; %%v goes with everything", v, a.typ)
			}
		}
	}
	return aText
}

// verbTypes are the verbs of printf, each with the types that it goes with, as typeLetters has them.
var (
	verbTypes   = map[byte]string{'v': "tnfb", 's': "t", 'q': "t", 'd': "n", 'x': "tn", 'X': "tn", 'o': "n", 'b': "n", 'c': "n", 'e': "f", 'f': "f", 'g': "f", 't': "b"}
	typeLetters = map[form]byte{isText: 't', isNumber: 'n', isFraction: 'f', isTruth: 'b'}
)

// verbsOf returns the verbs of a format that takes values, in their order, or what is wrong with it. Widths
// have at most two digits, so that no value becomes much longer than it is.
func verbsOf(format string) (verbs []byte, fault string) {
	for {
		_, after, found := strings.Cut(format, "%")
		if !found {
			return verbs, ""
		}
		rest := strings.TrimLeft(after, "+-# 0")
		width := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		rest = rest[width:]
		precision := 0
		if strings.HasPrefix(rest, ".") {
			precision = len(rest[1:]) - len(strings.TrimLeft(rest[1:], "0123456789"))
			rest = rest[1+precision:]
		}
		switch {
		case rest == "":
			return nil, "the text ends with an unfinished %; write %% for a % of its own"
		case width > 2 || precision > 2:
			return nil, "a width has at most two digits"
		case rest[0] == '%' && len(after) == len(rest):
		case verbTypes[rest[0]] == "":
			r, _ := utf8.DecodeRuneInString(rest)
			return nil, fmt.Sprintf("there is no %%%c; there are %%s, %%d and %%v, and %%%% is a %% of its own", r)
		default:
			verbs = append(verbs, rest[0])
		}
		format = rest[1:]
	}
}
