// Package dingtalk sends messages through DingTalk's custom group robots, and says of each attempt either
// that DingTalk accepted it or exactly why not.
//
//	robot, err := dingtalk.NewRobot(webhook, secret)
//	…
//	client := dingtalk.NewClient()
//	defer client.Close()
//	err = client.Send(ctx, robot, dingtalk.Message{Content: dingtalk.Text{Content: "deployed"}}, uuid)
//
// DingTalk answers errors with HTTP 200, too, so that only "errcode" tells a yes from a no. [Client.Send]
// returns nil for nothing but an errcode of 0. Everything else is a [*Refusal], which says what is at fault
// (its [Class]), names the fault (its [Reason]), and gives one sentence of advice to whoever can mend it.
// All codes and wordings that are known stand in one table, in answers.go.
//
// Where the outcome is unknown, repeat the call with the same uuid: DingTalk's documentation promises that
// a message with a known msgUuid is not shown again.
//
// The token in a webhook's address and the robot's secret never appear in an error, nor in a Robot that is
// printed.
//
// The protocol is that of the DingTalk document custom-robots-send-group-messages and its neighbours
// robot-message-type and customize-robot-security-settings; what they leave open was taken from answers
// that were seen in public. Package dingtalktest has a simulator of the other side.
package dingtalk
