package render

import (
	"strconv"
	"strings"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// This file recognises the push that a merge made. Nothing in it says so. What Gitee writes as the message of
// the commit does, unless whoever merges changes it: "!12 TITLE", and below that "Merge pull request !12 from
// NAMESPACE/BRANCH" (the defaults of its API, PUT /v5/repos/{owner}/{repo}/pulls/{number}/merge). A merge
// that makes no commit leaves the branch at the pull request's newest.

// The signs by which a merge's push is known.
const (
	fromSign  = "from !"
	titleSign = "title !"
	headSign  = "head "
)

// mergeSigns are what a push to the pull request's target branch may show of its merge.
func mergeSigns(p *eventv1.PullRequest) []string {
	number := strconv.FormatInt(p.GetNumber(), 10)
	signs := []string{fromSign + number}
	if title := firstLine(p.GetTitle()); title != "" {
		signs = append(signs, titleSign+number+" "+title)
	}
	if len(p.GetHead()) >= shortestHash {
		signs = append(signs, headSign+p.GetHead())
	}
	return signs
}

// shortestHash is the length of a hash of which another commit won't have the like.
const shortestHash = 40

// pushSigns are those of its signs that a push shows, by the newest commit alone: what came beside a merge is
// told on its own.
func pushSigns(p *eventv1.Push) []string {
	signs := mergeMessageSigns(p)
	if len(p.GetAfter()) >= shortestHash {
		signs = append(signs, headSign+p.GetAfter())
	}
	return signs
}

// mergeMessageSigns are the signs in the message of a push's newest commit.
func mergeMessageSigns(p *eventv1.Push) []string {
	head := p.GetHeadCommit()
	if head == nil && len(p.GetCommits()) > 0 {
		head = p.GetCommits()[len(p.GetCommits())-1]
	}
	if p.GetAfter() != "" && head.GetId() != p.GetAfter() {
		return nil
	}
	message := head.GetMessage()
	if !strings.Contains(message, "!") {
		return nil
	}
	var signs []string
	if number, title, ok := mergeNumber(firstLine(message), "!"); ok && title != "" {
		signs = append(signs, titleSign+number+" "+title)
	}
	for line := range strings.Lines(message) {
		if number, rest, ok := mergeNumber(strings.TrimSpace(line), "Merge pull request !"); ok && strings.HasPrefix(rest, "from ") {
			return append(signs, fromSign+number)
		}
	}
	return signs
}

// mergeNumber parses "HEADnumber rest".
func mergeNumber(line, head string) (number, rest string, ok bool) {
	line, ok = strings.CutPrefix(line, head)
	if !ok {
		return "", "", false
	}
	number, rest, ok = strings.Cut(line, " ")
	if _, err := strconv.ParseUint(number, 10, 63); err != nil {
		return "", "", false
	}
	return number, strings.TrimSpace(rest), ok
}
