package dingtalk_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
)

func ExampleClient_Send() {
	sim := dingtalktest.NewServer()
	defer sim.Close()
	sim.AddRobot(dingtalktest.RobotConfig{Token: "t0k3n", Secret: "SECsecret", Keywords: []string{"Gitee"}})

	robot, err := dingtalk.NewRobot(sim.Webhook("t0k3n"), "SECsecret")
	if err != nil {
		log.Fatal(err)
	}
	client := dingtalk.NewClient()
	defer client.Close()
	for i, text := range []string{"Gitee: deployed", "deployed"} {
		message := dingtalk.Message{Content: dingtalk.Text{Content: text}}
		err := client.Send(context.Background(), robot, message, fmt.Sprintf("message-%d", i))
		if refusal, ok := errors.AsType[*dingtalk.Refusal](err); ok {
			fmt.Println(refusal.Class, refusal.Reason, refusal.Errcode)
			continue
		}
		fmt.Println("delivered")
	}
	fmt.Println(len(sim.Messages()), "message in the group")
	// Output:
	// delivered
	// robot at fault ROBOT_KEYWORD_MISMATCH 310000
	// 1 message in the group
}
