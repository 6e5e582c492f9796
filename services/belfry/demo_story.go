package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/services/belfry/demo"
)

// causes asks the notifier in which message a delivery went; one that was folded away went in that of the
// delivery which tells it.
func causes(client notifierv1.NotifierServiceClient) func(ctx context.Context, name string) (demo.Cause, bool) {
	return func(ctx context.Context, name string) (demo.Cause, bool) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		var c demo.Cause
		resp, err := client.GetDelivery(ctx, &notifierv1.GetDeliveryRequest{Name: name})
		if into := resp.GetDelivery().GetFoldedInto(); err == nil && into != "" {
			c.Folded = true
			resp, err = client.GetDelivery(ctx, &notifierv1.GetDeliveryRequest{Name: into})
		}
		c.UUID = resp.GetDelivery().GetMessage().GetUuid()
		return c, err == nil && c.UUID != ""
	}
}

// preview asks the notifier what an event would look like in a shape.
func preview(client notifierv1.NotifierServiceClient) func(context.Context, string, *eventv1.Event) ([]*notifierv1.Preview, error) {
	robots := map[string]string{demo.ShapeMarkdown: "demo", demo.ShapeActionCard: "demo-card"}
	return func(ctx context.Context, shape string, e *eventv1.Event) ([]*notifierv1.Preview, error) {
		resp, err := client.Preview(ctx, &notifierv1.PreviewRequest{
			Robots: []string{robots[shape]}, Content: &notifierv1.PreviewRequest_Event{Event: e}, AllLocales: true,
		})
		return resp.GetPreviews(), err
	}
}

// teller sends the demo's webhooks through the door.
type teller struct {
	out      io.Writer
	door     string
	secret   gitee.Secret
	notifier notifierv1.NotifierServiceClient
}

// toldWithin is how long the teller waits until a webhook is told.
const toldWithin = 2 * time.Minute

// tell sends a webhook of every trigger, each when the one before was told, so that each gets a message of its
// own unless it belongs to another. False: ctx ended before that was done.
func (t *teller) tell(ctx context.Context) bool {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for i, d := range giteetest.All(time.Now()) {
		answer, status, err := post(ctx, client, t.door, t.secret, d)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			fmt.Fprintf(t.out, "%3d  %-28s %v\n", i+1, d.Name, err)
			continue
		}
		note := d.Title
		if answer.Ignored != "" {
			note += " (nothing to tell: " + answer.Ignored + ")"
		}
		fmt.Fprintf(t.out, "%3d  %-28s %d  %s\n", i+1, d.Name, status, note)
		for _, name := range answer.Deliveries {
			switch ended, err := t.await(ctx, name); {
			case ctx.Err() != nil:
				return false
			case err != nil:
				fmt.Fprintf(t.out, "     %s: %v\n", d.Name, err)
			case ended.GetFoldedInto() != "":
				fmt.Fprintf(t.out, "     is told along with %s\n", ended.GetFoldedInto())
			}
		}
	}
	return true
}

// await returns the delivery once it has ended.
func (t *teller) await(ctx context.Context, name string) (*notifierv1.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, toldWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := t.notifier.GetDelivery(ctx, &notifierv1.GetDeliveryRequest{Name: name})
		if err == nil && resp.GetDelivery().GetEndTime() != nil {
			return resp.GetDelivery(), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("was not told within %v", toldWithin)
		}
	}
}

// doorAnswer is what the demo reads of the door's answer.
type doorAnswer struct {
	Ignored    string   `json:"ignored"`
	Deliveries []string `json:"deliveries"`
}

func post(ctx context.Context, client *http.Client, door string, secret gitee.Secret, d giteetest.Delivery) (doorAnswer, int, error) {
	var answer doorAnswer
	req, err := giteetest.NewRequest(ctx, door, secret, d, time.Now())
	if err != nil {
		return answer, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	return answer, resp.StatusCode, err
}
