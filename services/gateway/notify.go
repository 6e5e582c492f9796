package gateway

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/metadata"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// robotsPerCall is how many robots NotifyRequest may name.
const robotsPerCall = 100

// notified is what the notifier said to an event, robot by robot: each robot is in exactly one of the maps.
type notified struct {
	// deliveries has the names of what the notifier took.
	deliveries map[string]string
	// refused has what it did not.
	refused map[string]*refusal
	// fresh says that at least one delivery was not known before.
	fresh bool
}

// never returns the robots that can't tell the event, in no particular order.
func (n notified) never() []string {
	var robots []string
	for robot, r := range n.refused {
		if r.verdict == never {
			robots = append(robots, robot)
		}
	}
	return robots
}

// notify tells the notifier an event for robots. The notifier takes a call for all of its robots or for
// none; so that one robot at fault does not stop the others, notify leaves out the one that the notifier
// names and asks again, and where it names none asks for each robot by itself. The event's id is the
// request id, so that what the notifier had already is not stored twice. With keep the notifier takes as a
// dead letter what a robot can't tell.
func (g *Gateway) notify(ctx context.Context, requestID string, event *eventv1.Event, robots []string, keep bool) notified {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", requestID)
	n := notified{deliveries: make(map[string]string, len(robots)), refused: make(map[string]*refusal)}
	for call := range slices.Chunk(robots, robotsPerCall) {
		g.notifyCall(ctx, event, call, keep, &n)
	}
	return n
}

// notifyCall is notify for the robots of one call.
func (g *Gateway) notifyCall(ctx context.Context, event *eventv1.Event, robots []string, keep bool, n *notified) {
	for len(robots) > 0 {
		req := request(event, robots)
		req.KeepRefused = keep
		resp, err := g.call(ctx, req)
		if err == nil {
			for i, robot := range robots {
				n.deliveries[robot] = resp.GetDeliveries()[i].GetName()
			}
			n.fresh = n.fresh || !resp.GetDuplicate()
			return
		}
		r := refusalOf(err)
		if r.verdict == notNow || r.verdict == denied && r.robot == "" {
			for _, robot := range robots {
				n.refused[robot] = r
			}
			return
		}
		guilty := slices.Index(robots, r.robot)
		if len(robots) == 1 {
			guilty = 0
		}
		if guilty < 0 {
			for i := range robots {
				g.notifyCall(ctx, event, robots[i:i+1], keep, n)
			}
			return
		}
		n.refused[robots[guilty]] = r
		robots = slices.Concat(robots[:guilty], robots[guilty+1:])
	}
}

// call makes one call. An OK with other than one delivery for each robot is no answer to this question, and
// so nothing to rely on: that is an error, too.
func (g *Gateway) call(ctx context.Context, req *notifierv1.NotifyRequest) (*notifierv1.NotifyResponse, error) {
	resp, err := g.notifier.Notify(ctx, req)
	if err != nil {
		return nil, err
	}
	if got, want := len(resp.GetDeliveries()), len(req.GetRobots()); got != want {
		return nil, fmt.Errorf("the notifier named %d deliveries for %d robots", got, want)
	}
	g.lanes.reached()
	return resp, nil
}

// request is what the notifier is told.
func request(event *eventv1.Event, robots []string) *notifierv1.NotifyRequest {
	return &notifierv1.NotifyRequest{
		Robots:    robots,
		RequestId: event.GetId(),
		Content:   &notifierv1.NotifyRequest_Event{Event: event},
	}
}
