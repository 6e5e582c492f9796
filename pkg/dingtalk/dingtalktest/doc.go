// Package dingtalktest has a simulator of DingTalk's custom group robots, to be used like
// httptest.Server:
//
//	sim := dingtalktest.NewServer()
//	defer sim.Close()
//	sim.AddRobot(dingtalktest.RobotConfig{Token: "t0k3n", Secret: "SECsecret", Keywords: []string{"Gitee"}})
//	robot, err := dingtalk.NewRobot(sim.Webhook("t0k3n"), "SECsecret")
//
// It checks what DingTalk checks, in the order in which DingTalk seems to (see checks in order.go), with
// DingTalk's codes and DingTalk's words in four generations; it keeps what the group received, with the
// mentions that take effect; and it fails on demand in the ways in which a network and a busy service fail.
//
// Where DingTalk's documents are silent the simulator has to choose: the order of the later checks, a
// window that slides, how long a msgUuid is remembered. Such choices are named where they are made, and
// most can be changed by an Option. It was never compared with the live service.
//
// Everything it keeps is bounded. It logs nothing, and tokens, secrets and signatures are in no answer and in
// no JSON of its types.
package dingtalktest
