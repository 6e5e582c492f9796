package gitee

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The types below take JSON as Gitee sends it: a null or a value of another type than the expected one
// leaves them as they were, since Gitee merges the query of a hook's address into the body, where it can
// come after a real field of the same name.

// maxItems is how many elements of a list are kept; the rest is skipped.
const maxItems = 500

// text is a string; a number or a boolean is taken by its letters.
type text string

func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '"', '0', 't', 'f':
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		*t = text(tok.String())
		return nil
	default:
		return dec.SkipValue()
	}
}

// number is an integer, possibly as a string; known says that there was one.
type number struct {
	n     int64
	known bool
}

func (n *number) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '"', '0':
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		s := tok.String()
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			*n = number{i, true}
		} else if f, err := strconv.ParseFloat(s, 64); err == nil && f > -1<<53 && f < 1<<53 {
			*n = number{int64(f), true}
		}
		return nil
	default:
		return dec.SkipValue()
	}
}

// count returns the number as a count, between 0 and the largest int32.
func (n number) count() int32 { return int32(min(max(n.n, 0), 1<<31-1)) }

// id returns the number as an id, 0 where there is none.
func (n number) id() int64 { return max(n.n, 0) }

// flag is a boolean, possibly as a string or a number.
type flag bool

func (f *flag) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '"', '0', 't', 'f':
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		s := tok.String()
		*f = flag(s == "true" || isNonzero(s))
		return nil
	default:
		return dec.SkipValue()
	}
}

// isNonzero reports whether s is a number other than zero.
func isNonzero(s string) bool {
	n, err := strconv.ParseFloat(s, 64)
	return err == nil && n != 0
}

// maybe is an object of type T; got says that there was one.
type maybe[T any] struct {
	v   T
	got bool
}

func (m *maybe[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	*m = maybe[T]{got: true}
	return json.UnmarshalDecode(dec, &m.v)
}

// list is an array; got says that there was one, more that it had more than maxItems elements.
type list[T any] struct {
	items     []T
	got, more bool
}

func (l *list[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '[' {
		return dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*l = list[T]{got: true}
	for dec.PeekKind() != ']' {
		if len(l.items) == maxItems {
			l.more = true
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		var item T
		if err := json.UnmarshalDecode(dec, &item); err != nil {
			return err
		}
		l.items = append(l.items, item)
	}
	_, err := dec.ReadToken()
	return err
}

// titled is a text, or an object with a title: Gitee writes a milestone both ways.
type titled string

func (t *titled) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '{' {
		var o struct {
			Title text `json:"title"`
		}
		if err := json.UnmarshalDecode(dec, &o); err != nil {
			return err
		}
		*t = titled(o.Title)
		return nil
	}
	return (*text)(t).UnmarshalJSONFrom(dec)
}

// people is an array of users, or one user: Gitee's documents and clients disagree about "tester".
type people []wireUser

func (p *people) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '{' {
		var u wireUser
		if err := json.UnmarshalDecode(dec, &u); err != nil {
			return err
		}
		*p = people{u}
		return nil
	}
	var l list[maybe[wireUser]]
	if err := l.UnmarshalJSONFrom(dec); err != nil {
		return err
	}
	if l.got {
		*p = nil
		for _, u := range l.items {
			*p = append(*p, u.v)
		}
	}
	return nil
}
