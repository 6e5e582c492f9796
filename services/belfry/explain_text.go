package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// message is what a group would see.
type message struct {
	Robot  string `json:"robot"`
	Locale string `json:"locale"`
	// Body is the exact JSON for DingTalk, without its msgUuid; absent where that is far too large.
	Body      json.RawMessage `json:"body,omitempty"`
	SizeBytes int32           `json:"sizeBytes"`
	// Keyword is the verdict, and the keyword that stands in the message.
	Keyword struct {
		Verdict  string   `json:"verdict"`
		Keyword  string   `json:"keyword,omitempty"`
		Accepted []string `json:"accepted,omitempty"`
	} `json:"keyword"`
	// Failure is why it would not be sent, Note what else is to be known.
	Failure string `json:"failure,omitempty"`
	Note    string `json:"note,omitempty"`
	// Wait is for how many seconds it waits for what it may belong to.
	Wait float64 `json:"waitSeconds,omitempty"`
	// Quiet is what becomes of it in the robot's quiet hours; empty where it has none.
	Quiet string `json:"quiet,omitempty"`

	shown dingtalkBody
}

// dingtalkBody is what a group sees of a message's JSON.
type dingtalkBody struct {
	Type       string       `json:"msgtype"`
	Markdown   dingtalkText `json:"markdown"`
	ActionCard dingtalkText `json:"actionCard"`
	At         struct {
		Mobiles []string `json:"atMobiles"`
		UserIDs []string `json:"atUserIds"`
		All     bool     `json:"isAtAll"`
	} `json:"at"`
}

type dingtalkText struct {
	Title   string `json:"title"`
	Text    string `json:"text"`
	Button  string `json:"singleTitle"`
	Address string `json:"singleURL"`
}

func messageOf(p *notifierv1.Preview) (message, error) {
	m := message{Locale: p.GetLocale(), SizeBytes: p.GetSizeBytes(), Failure: p.GetFailure().GetMessage(), Note: p.GetNote()}
	m.Keyword.Verdict, m.Keyword.Keyword, m.Keyword.Accepted = p.GetKeyword().GetVerdict(), p.GetKeyword().GetKeyword(), p.GetKeyword().GetAccepted()
	if p.GetBody() == "" {
		return m, nil
	}
	m.Body = json.RawMessage(p.GetBody())
	if err := json.Unmarshal(m.Body, &m.shown); err != nil {
		return m, fmt.Errorf("robot %s: reading its message: %w", p.GetRobot(), err)
	}
	return m, nil
}

// write says all of it to people.
func (x *explanation) write(to io.Writer) error {
	w := bufio.NewWriter(to)
	if len(x.Missing) > 0 {
		fmt.Fprintf(w, "not set here, so that stand-ins take their place: %s\n\n", strings.Join(x.Missing, ", "))
	}
	if x.Ignored != "" {
		fmt.Fprintf(w, "nothing to tell: %s\n", x.Ignored)
		return w.Flush()
	}
	x.Event.write(w)
	fmt.Fprintf(w, "\nroutes of hook %s\n", x.Hook)
	taken := 0
	for _, r := range x.Routes {
		if r.Taken {
			taken++
		}
		r.write(w)
	}
	switch {
	case taken == 0:
		fmt.Fprint(w, "\nno route takes it: nobody would be told\n")
	case len(x.Elsewhere) > 0:
		fmt.Fprintf(w, "\ntold by %s, whose settings are not in this file\n", strings.Join(x.Elsewhere, ", "))
	}
	for _, m := range x.Messages {
		m.write(w)
	}
	return w.Flush()
}

func (e *explainedEvent) write(w io.Writer) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-11s %s\n", name, value)
		}
	}
	line("kind", e.Kind)
	line("action", e.Action)
	line("repository", e.Repository)
	line("branch", e.Branch)
	line("tag", e.Tag)
	line("sender", e.Sender)
	line("labels", strings.Join(e.Labels, ", "))
	if !e.Time.IsZero() {
		line("time", e.Time.Format(time.RFC3339))
	}
	line("id", e.ID)
}

func (r explainedRoute) write(w io.Writer) {
	verdict, when, whys := "takes it", strings.Join(r.Why, "; "), []string(nil)
	if !r.Taken {
		verdict = "does not"
	}
	if r.When != "" {
		when, whys = "when "+strings.Join(strings.Fields(r.When), " "), r.Why
	}
	fmt.Fprintf(w, "  %d  %s  %s  (%s)\n", r.Index+1, verdict, strings.Join(r.Robots, ", "), when)
	for _, why := range whys {
		fmt.Fprintf(w, "       %s\n", why)
	}
}

func (m message) write(w io.Writer) {
	fmt.Fprintf(w, "\nrobot %s, %s, %s, %d bytes\n", m.Robot, m.Locale, m.shape(), m.SizeBytes)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-8s %s\n", name, value)
		}
	}
	text := m.text()
	line("title", text.Title)
	for i, l := range strings.Split(strings.TrimSuffix(text.Text, "\n"), "\n") {
		if i == 0 {
			line("text", l)
		} else {
			fmt.Fprintf(w, "%s\n", strings.TrimRight("           "+l, " "))
		}
	}
	if text.Button != "" {
		line("button", fmt.Sprintf("[%s](%s)", text.Button, text.Address))
	}
	line("calls", m.calls())
	line("keyword", m.keyword())
	if m.Wait > 0 {
		line("folding", fmt.Sprintf("waits up to %vs for what may tell it as well, and may become part of that", m.Wait))
	}
	line("quiet", m.Quiet)
	line("note", m.Note)
	line("failure", m.Failure)
}

// text is what the message says, in either shape.
func (m message) text() dingtalkText {
	if m.shown.Type == "actionCard" {
		return m.shown.ActionCard
	}
	return m.shown.Markdown
}

func (m message) shape() string {
	switch m.shown.Type {
	case "":
		return "too large to be shown"
	case "actionCard":
		return "a card"
	}
	return "Markdown"
}

func (m message) calls() string {
	if m.shown.At.All {
		return "everybody"
	}
	people := append(append([]string(nil), m.shown.At.UserIDs...), m.shown.At.Mobiles...)
	if len(people) == 0 {
		return "nobody"
	}
	return strings.Join(people, ", ")
}

func (m message) keyword() string {
	switch m.Keyword.Verdict {
	case "PRESENT":
		return m.Keyword.Keyword + " is in it"
	case "APPENDED":
		return m.Keyword.Keyword + " is added"
	case "MISSING":
		return "it has none of: " + strings.Join(m.Keyword.Accepted, ", ")
	}
	return ""
}

// quietOf says what becomes of m in the quiet hours of r.
func quietOf(r *configv1.Robot, m message) string {
	q := r.GetQuiet()
	if len(q.GetHours()) == 0 {
		return ""
	}
	if slices.Contains(q.GetLetThrough(), "MENTIONS") && m.calls() != "nobody" {
		return "sent in quiet hours, too: it calls somebody"
	}
	var hours []string
	for _, h := range q.GetHours() {
		stretch := fmt.Sprintf("from %s to %s", h.GetFrom(), h.GetTo())
		if len(h.GetDays()) > 0 {
			stretch += " on " + strings.Join(h.GetDays(), ", ")
		}
		hours = append(hours, stretch)
	}
	return fmt.Sprintf("held %s (%s), and told together after it", strings.Join(hours, " and "), r.GetTimeZone())
}
