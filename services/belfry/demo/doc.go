// Package demo is the web page of "belfry demo": a DingTalk group as its members would see it, filled by
// the simulator, and beside each message the webhook that caused it.
//
// A Recorder stands before the gateway's door and remembers what came in and what the door answered. A
// Page joins that with what the group received: a message is known by its msgUuid, the notifier tells
// which msgUuid a delivery went in, and the door's answer names the deliveries of a webhook.
//
// Its panel shows what the group would see of any webhook's body, in all languages: package gitee reads the
// body, without asking who sent it, and the notifier's Preview words it. Nothing of that is sent or kept.
//
// The page needs no network beyond its own address and loads nothing else: its policy allows neither
// foreign scripts nor foreign images, so what an untrusted message names is shown and never fetched.
package demo
