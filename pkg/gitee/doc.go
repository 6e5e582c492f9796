// Package gitee verifies and parses the webhooks of Gitee (gitee.com, gitee.ru and private
// installations).
//
// A receiver reads the request's body (at most [MaxBody] bytes) and gives it to [Parse] together with the
// headers and the hook's [Secret]. Parse verifies first and reads the body only then. Its result is one of:
//
//   - an event, also for a press of Gitee's test button, which becomes an event with a ping;
//   - [ErrNotAuthentic]: answer 401;
//   - a [MalformedError]: the sender is authentic, its body is no Gitee event; answer 400;
//   - an [IgnoredError]: a genuine delivery that says nothing worth telling; answer 200.
//
// Whoever has a body at hand and wants to know what Parse would make of it, gives it to [Read].
//
// All five hooks are read (push, tag push, issue, pull request, comment), under both spellings of the
// event header. What Gitee sends as null, leaves out, or writes now as a string and now as a number is
// taken as it comes: a field of an unexpected type counts as absent, and an event is refused only where
// it lacks what makes it an event.
//
// Gitee's signature covers the timestamp and the secret, not the body. Whoever sees one signed request
// can send other bodies under its signature until that is [SignatureWindow] old; a receiver that cares
// remembers each [SignatureID] for that long, together with the body that it came with.
package gitee
