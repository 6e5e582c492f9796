// Package gateway is the door for Gitee's webhooks: it receives, verifies and parses them, decides which
// robots they are for, and hands them to the notifier. Gitee waits 5 seconds for an answer, as the
// documentation of git.oschina.net said in 2015 and none has since, and nothing says that it ever repeats a
// webhook. So the gateway answers within 3 seconds of having read one, and a 2xx means that the event is
// safe: on the notifier's disk or in the gateway's own spool.
//
// # Routes
//
// A hook's routes name robots, and rules say which events take them (package rules). A robot gets an event
// once, whatever the number of its routes. The configuration can be replaced while webhooks come in (Prepare).
//
// # Order
//
// Each robot gets its events in the order in which they arrived, but for those that were under way to the
// notifier at the same moment: while the notifier is well, events are handed on side by side, and only an
// answer given fixes their order. As soon as one can't be handed on, it goes into the spool, and so does
// every later one for the same robot, in order of arrival, until the spool has none of that robot's left.
// A lane is what keeps this order; there is one for each robot, so that a robot which the notifier does
// not take never holds up another. Only what the notifier refuses altogether, even as a dead letter, loses
// its place: it is set aside in the spool and tried again every hour.
//
// # Ownership
//
// A Gateway owns its lanes and, while Run runs, one goroutine for each lane that has something in the
// spool and one for what is set aside; Run waits for all of them. The notifier's client and the spool belong
// to the caller, who closes them after Run has returned and the HTTP server has been shut down.
package gateway
