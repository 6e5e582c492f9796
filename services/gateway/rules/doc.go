// Package rules decides which events take a route. A rule is one condition in CEL (https://cel.dev), checked
// in full when it is compiled: its syntax, the types of all that it names, the words that it compares kind
// and action with, its patterns, and what it may cost at most.
//
// # Variables
//
//	event       belfry.event.v1.Event, the whole event
//	kind        push, tag, issue, pull_request, comment or ping
//	action      what happened, in the words of the door's answers, such as opened or merged
//	repository  the repository's path, such as "oschina/gitee"; "" for an event that belongs to none
//	branch      of a push: its branch; of a pull request, and of a comment on one: the branch it is for; else ""
//	tag         of a tag: its name; else ""
//	sender      the login of who did it; "" where Gitee does not say
//	labels      the names of the labels of the issue or the pull request, also for comments on them; else []
//	hook        the hook's name
//
// # Functions
//
// Besides CEL's own, and those of its strings library but format:
//
//	glob(text, pattern)       whether the whole text fits the pattern
//	touches(event, pattern)   whether a commit of the push added, removed or changed a path that fits
//
// In a pattern * stands for any characters but "/", ? for one of them, **/ for any number of folders, ** at
// the end for all that is below, [a-z] and [!a-z] for one character of a class, {one,other} for alternatives,
// and \ takes the next character as it is. The patterns of both functions, and of matches, are written in
// quotes: they are compiled once, and no text of an event can be a pattern.
//
// touches is true also for a push whose list of commits or paths is not complete (event.push.truncated):
// nobody can know what the rest touches, and Gitee lists nothing for a new branch. It is false for what is no
// push.
//
// # Cost
//
// CEL has no endless loops, but deep ones. A rule's greatest cost is estimated for the largest event that
// there can be, and refused above MaxCost; should an event cost more than about twice the estimate all the same,
// the rule fails.
package rules
