package render

import (
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// run is one run of one part.
type run struct {
	w     wording
	event *eventv1.Event
	title bool
	page  page
	// left is how many steps may still be done.
	left int
}

// maxSteps bounds a run: a step is an action in a loop, or 256 bytes that a function looks at. What a
// template does once is bounded by its length.
const maxSteps = 50_000

// maxValue is how much of a value is put in, in characters.
const maxValue = 2000

// callError is a fault that a function found. It holds no text of an event.
type callError struct{ message string }

func (e *callError) Error() string { return e.message }

func failed(format string, args ...any) error {
	return &callError{fmt.Sprintf(format, args...)}
}

// spend takes n off the steps that are left.
func (r *run) spend(n int) error {
	if r.left -= n; r.left < 0 {
		return failed("the template does too much: more than %d steps", maxSteps)
	}
	return nil
}

// look pays for looking at a text.
func (r *run) look(s string) error { return r.spend(1 + len(s)/256) }

func (r *run) functions() template.FuncMap {
	return template.FuncMap{
		fnEmit:      r.emit,
		fnPresent:   presentOrNil,
		fnCharge:    func(n int) (string, error) { return "", r.spend(n) },
		"link":      r.link,
		"bold":      r.bold,
		"quote":     r.quote,
		"commits":   r.commits,
		"name":      r.name,
		"names":     r.names,
		"clip":      r.clip,
		"firstLine": r.firstLine,
		"short":     shortened,
		"date":      r.date,
		"join":      r.join,
		"default":   instead,
		"not":       func(v any) bool { return !truth(v) },
		"print":     r.print,
		"printf":    r.printf,
		"len":       func(v any) int { return reflect.ValueOf(v).Len() },
		"index":     index,
		"slice":     slice,
	}
}

func presentOrNil(v any) any {
	if o, ok := v.(object); ok && o.isAbsent() {
		return nil
	}
	return v
}

func truth(v any) bool {
	t, _ := template.IsTrue(presentOrNil(v))
	return t
}

// instead returns v, or other where v is nothing.
func instead(other, v any) any {
	if truth(v) {
		return v
	}
	return other
}

// maxBuilt bounds the texts that functions put together, in bytes: somewhat more than the longest text of an
// event.
const maxBuilt = 100_000

// build pays for a text to be put together of parts, each with some bytes between.
func (r *run) build(between int, parts ...string) error {
	n := 0
	for _, s := range parts {
		n += len(s) + between
	}
	if n > maxBuilt {
		return failed("a text of more than %d bytes would be put together", maxBuilt)
	}
	return r.spend(1 + len(parts) + n/256)
}

func (r *run) print(vs ...any) (string, error) {
	if err := r.build(0, textsOf(vs)...); err != nil {
		return "", err
	}
	return fmt.Sprint(vs...), nil
}

func (r *run) printf(format string, vs ...any) (string, error) {
	if err := r.build(0, textsOf(vs)...); err != nil {
		return "", err
	}
	return fmt.Sprintf(format, vs...), nil
}

func textsOf(vs []any) (texts []string) {
	for _, v := range vs {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// emit returns what is put in for v. Only what a function of this package marked is put in as it is.
func (r *run) emit(v any) (string, error) {
	m, finished := v.(marked)
	s := string(m)
	if !finished {
		s = plain(fmt.Sprint(v))
	}
	if err := r.spend(1 + (len(s)+len(r.page.b))/1024); err != nil || r.title || s == "" {
		return s, err
	}
	if err := r.page.place(); err != nil {
		return "", err
	}
	if !finished {
		s = escape(s)
	}
	return r.page.protect(s), nil
}

// plain is a value as one tame line.
func plain(s string) string { return clip(oneLine(prefix(s, maxValue*bytesPerCharacter)), maxValue) }

func (r *run) link(text, url string) (marked, error) {
	s := plain(text)
	if s == "" { // a link without a text can't be seen
		s = clip(nounText(url), lengths[ref][asHead])
	}
	return marked(link(escape(s), url)), r.look(s)
}

func (r *run) bold(v any) (marked, error) {
	m, ok := v.(marked)
	if !ok {
		m = marked(escape(plain(v.(string))))
	}
	if strings.TrimSpace(string(m)) == "" {
		return "", nil
	}
	return "**" + m + "**", r.look(string(m))
}

// quote makes a paragraph of its own.
func (r *run) quote(body string, url ...string) (marked, error) {
	d := &draft{left: maxOutput}
	d.quote(r.w, body, strings.Join(url, ""))
	return block(d), r.look(body)
}

// commits makes a list of its own.
func (r *run) commits(count int) (marked, error) {
	if count < 1 {
		return "", failed("commits takes how many to list, from 1; this is %d", count)
	}
	d := &draft{left: maxOutput}
	p := r.event.GetPush()
	commitList(r.w, r.event, p, count, d)
	return block(d), r.spend(1 + 10*min(count, len(p.GetCommits())))
}

func block(d *draft) marked {
	if d.b.Len() == 0 {
		return ""
	}
	return marked(paragraphBreak + d.b.String() + paragraphBreak)
}

// name is a user as colleagues call them: the text of a title, or a link.
func (r *run) name(u object) (any, error) { return r.people([]object{u}) }

func (r *run) names(us []object) (any, error) { return r.people(us) }

func (r *run) people(us []object) (any, error) {
	var users []*eventv1.User
	for _, u := range us {
		at := func(field string) string { return u[field].(string) }
		users = append(users, &eventv1.User{Login: at("login"), Name: at("name"), Remark: at("remark"), Url: at("url")})
	}
	p := people(r.w, users, maxListed)
	if r.title {
		return p.markup(asTitle), r.spend(1 + len(us))
	}
	return marked(p.markup(asHead)), r.spend(1 + len(us))
}

func (r *run) clip(count int, text string) (string, error) {
	if count < 1 {
		return "", failed("clip takes how many characters to leave, from 1; this is %d", count)
	}
	return clip(plain(text), count), r.look(text)
}

func (r *run) firstLine(text string) (string, error) { return firstLine(text), r.look(text) }

func shortened(id string) string {
	if p := hash(id, ""); !p.isEmpty() {
		return p[0].text
	}
	return ""
}

// date is m in the robot's time zone, with the day; empty where the time is not known.
func (r *run) date(m *moment) string {
	if m == nil {
		return ""
	}
	return r.w.clock(m.time, time.Time{})
}

func (r *run) join(separator string, list []string) (string, error) {
	if err := r.build(len(separator), list...); err != nil {
		return "", err
	}
	return strings.Join(list, separator), nil
}

func index(list any, i int) (any, error) {
	v := reflect.ValueOf(list)
	if i < 0 || i >= v.Len() {
		return nil, failed("there is no entry %d: the list has %d, and counting begins with 0; ask with {{if}} first, or use {{range}}", i, v.Len())
	}
	return v.Index(i).Interface(), nil
}

func slice(list any, from int, to ...int) (any, error) {
	v := reflect.ValueOf(list)
	end := v.Len()
	if len(to) > 0 {
		end = to[0]
	}
	if from < 0 || from > end || end > v.Len() {
		return nil, failed("there is no part from %d to %d: this has %d", from, end, v.Len())
	}
	return v.Slice(from, end).Interface(), nil
}
