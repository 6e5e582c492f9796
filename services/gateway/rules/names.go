package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// noVariable is the fault of a name that nothing has.
func (t *text) noVariable(at int, name string) *Error {
	for variable, known := range words() {
		if slices.Contains(known, name) {
			return t.fault(at, "there is no variable `%s`; for the %s of that name write it in quotes: %q", name, variable, name)
		}
	}
	return t.fault(at, "there is no variable `%s`; there are: %s", name, nearest(name, variables, shownNames))
}

// noFunction is the fault of a call of something that there is not. at is that of its bracket.
func (t *text) noFunction(at int, name string) *Error {
	_, at = t.tokenBefore(at)
	if form := macroForms[name]; form != "" {
		return t.fault(at, "%s is written %s", name, form)
	}
	if slices.Contains(variables, name) {
		return t.fault(at, "`%s` is a variable and takes no brackets", name)
	}
	return t.fault(at, "there is no function `%s`; there are: %s", name, nearest(name, functions, shownNames))
}

// macroForms are the ways in which what looks like a function, and has a variable of its own, is written.
var macroForms = map[string]string{
	"exists":     "list.exists(x, condition on x)",
	"all":        "list.all(x, condition on x)",
	"exists_one": "list.exists_one(x, condition on x)",
	"filter":     "list.filter(x, condition on x)",
	"map":        "list.map(x, value made of x)",
	"has":        "has(event.push)",
}

// noField is the fault of a field that a message does not have. at is that of its dot, or of has.
func (t *text) noField(parsed *cel.Ast, at int, field string) *Error {
	if place := t.find(field, at); place >= 0 {
		at = place
	}
	asked := &witness{Provider: environment().CELTypeProvider()}
	env, err := environment().Extend(cel.CustomTypeProvider(asked))
	if err != nil {
		return t.fault(at, "there is no field `%s` here", field)
	}
	env.Check(parsed)
	for _, miss := range asked.missed {
		if miss.field == field {
			names, _ := asked.FindStructFieldNames(miss.message)
			slices.Sort(names)
			return t.fault(at, "there is no field `%s` in %s; it has: %s", field, typeName(miss.message), nearest(field, names, shownNames))
		}
	}
	return t.fault(at, "there is no field `%s` here", field)
}

// witness is a types.Provider that remembers which fields it did not find.
type witness struct {
	types.Provider
	missed []missedField
}

type missedField struct{ message, field string }

// FindStructFieldType is types.Provider's.
func (w *witness) FindStructFieldType(message, field string) (*types.FieldType, bool) {
	found, ok := w.Provider.FindStructFieldType(message, field)
	if !ok {
		w.missed = append(w.missed, missedField{message, field})
	}
	return found, ok
}

// shownNames is how many of many names people are told.
const shownNames = 10

// nearest lists names, those that look most like name first, and of many more than most only so many.
func nearest(name string, names []string, most int) string {
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if more := len(sorted) - most; more > 1 {
		return strings.Join(sorted[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(sorted, ", ")
}

// distance is how many characters must be put in, left out, changed or swapped with the next to make b of a,
// capitals aside. What is more than half of the longer one is no likeness at all, and all the same.
func distance(a, b string) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
				continue
			case x[i-1] == y[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			}
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	if d := rows[len(x)][len(y)]; 2*d <= max(len(x), len(y)) {
		return d
	}
	return len(x) + 1
}
