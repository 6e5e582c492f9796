package render

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	cldr "golang.org/x/text/feature/plural"
	xlanguage "golang.org/x/text/language"
	"golang.org/x/text/message"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// wording says things in a language, with times in a zone. Nouns come as phrases, to be put where the
// language wants them; an empty phrase is a noun that is not known or not to be said. What a wording writes
// itself has no Markdown in it.
type wording struct {
	*language
	zone *time.Location
}

// language is one of the files in locales.
type language struct {
	words catalogue
	tag   xlanguage.Tag
	// printer writes figures; plainFigures says that those below 1,000 are as strconv writes them.
	printer      *message.Printer
	plainFigures bool
	// digestRoom is what roomInDigest returns.
	digestRoom int
}

type (
	// clockLayout is how to write the time of day, for package time.
	clockLayout string
	// timeZone is where the readers are, as long as nobody says otherwise.
	timeZone struct{ *time.Location }
	// amount counts something, in the words of each plural category.
	amount struct{ forms [len(categories)]sentence }
)

//go:embed locales/*.yaml
var catalogues embed.FS

// languages are those that are spoken, by BCP 47 tag.
var languages = mustReadAll()

// mustReadAll reads the files that the program was built with.
func mustReadAll() map[string]*language {
	files, err := catalogues.ReadDir("locales")
	if err != nil {
		panic(err)
	}
	all := make(map[string]*language)
	for _, f := range files {
		source, err := catalogues.ReadFile(path.Join("locales", f.Name()))
		if err != nil {
			panic(err)
		}
		l, err := readLanguage(f.Name(), source)
		if err != nil {
			panic(fmt.Sprintf("the catalogue has faults:\n%v", err))
		}
		all[strings.TrimSuffix(f.Name(), ".yaml")] = l
	}
	return all
}

// Locales returns the BCP 47 tags of the languages that are spoken: zh-CN first, the others by their tags.
func Locales() []string {
	tags := []string{defaultLocale}
	for tag := range languages {
		if tag != defaultLocale {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags[1:])
	return tags
}

// wordingFor returns the wording in the language of locale, or in zh-CN where that is not spoken, with times
// in the language's own zone.
func wordingFor(locale string) wording {
	l, ok := languages[locale]
	if !ok {
		l = languages[defaultLocale]
	}
	return wording{language: l, zone: l.words.TimeZone.Location}
}

// in returns w with times in zone; nil leaves them where they are.
func (w wording) in(zone *time.Location) wording {
	if zone != nil {
		w.zone = zone
	}
	return w
}

// figure writes n, at least 0, as the language does.
func (l *language) figure(n int) string {
	if l.plainFigures && n < 1000 {
		return strconv.Itoa(n)
	}
	return l.printer.Sprint(n)
}

// amount says how many of something there are.
func (l *language) amount(a *amount, n int) string {
	return a.forms[cldr.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)].with(l.figure(n))
}

// most is the longest that amount returns for n or less.
func (l *language) most(a *amount, n int) (found string) {
	figure := l.figure(n)
	for i := range a.forms {
		if a.forms[i].size > 0 {
			found = longest(found, a.forms[i].with(figure))
		}
	}
	return found
}

// longest returns the text that takes the most bytes, encoded.
func longest(texts ...string) (found string) {
	for _, s := range texts {
		if jsonLen(s) > jsonLen(found) {
			found = s
		}
	}
	return found
}

// field names a line of facts.
type field int

const (
	fieldState field = iota
	fieldAssignee
	fieldCollaborators
	fieldReviewers
	fieldTesters
	fieldMilestone
	fieldLabels
	fieldRoute
	fieldChanges
	fieldMergeable
	fieldAuthor
	fieldDetail
)

// counted is what a digest counts.
type counted int

const (
	countPush counted = iota
	countTag
	countIssue
	countPull
	countComment
	countPing
	countMessage
	countedKinds
)

// destination is what a button opens.
type destination int

const (
	pageCommit destination = iota
	pageCommits
	pageBranch
	pageTag
	pageIssue
	pagePull
	pageComment
	pageRepository
)

// scene is what all events have: what happened, who did it and where. In a digest the repository is not
// said again.
type scene struct {
	action    eventv1.Action
	who, repo phrase
}

type pushFacts struct {
	scene
	branch phrase
	// commits is how many came; empty where not known or none.
	commits phrase
}

type tagFacts struct {
	scene
	tag phrase
}

type issueFacts struct {
	scene
	// kind is the host's word for the type of issue; may be empty.
	kind, issue phrase
	// assignee is who is to do it now; self says that it is the one who acted.
	assignee phrase
	self     bool
	// state is the host's word for the state it is in; stateCode the host's code, for where it has no word.
	state     phrase
	stateCode string
	detail    string
}

type pullFacts struct {
	scene
	pull phrase
	// people are the reviewers or testers, as the action wants; may be empty.
	people phrase
	target phrase
	detail string
}

type commentFacts struct {
	scene
	url string
	on  commentTarget
	// kind is that of the issue; what is what the comment is about; both empty for the repository itself.
	kind, what phrase
}

// commentTarget is what a comment is about.
type commentTarget int

const (
	onRepository commentTarget = iota
	onIssue
	onPull
	onCommit
)
