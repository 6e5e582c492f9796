package notifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// The states of a delivery, in the API's spelling.
const (
	statePending   = "PENDING"
	stateSending   = "SENDING"
	stateDelivered = "DELIVERED"
	stateDead      = "DEAD"
)

// deliveries tells how each of ns is. The lanes are asked first and the journal then: a lane moves its
// cursor only after the outcome is written, so what is behind the cursor has one.
func (s *Service) deliveries(ctx context.Context, ns []delivery.Notification) ([]*notifierv1.Delivery, error) {
	lanes := make(map[string]delivery.Status)
	for _, n := range ns {
		if _, ok := lanes[n.Robot]; !ok {
			lanes[n.Robot], _ = s.dispatcher.Status(n.Robot)
		}
	}
	outcomes, err := s.journal.Outcomes(ctx, ns)
	if err != nil {
		return nil, err
	}
	ds := make([]*notifierv1.Delivery, len(ns))
	for i, n := range ns {
		ds[i] = deliveryOf(n, lanes[n.Robot], outcomes[i])
	}
	return ds, nil
}

// deliveryOf tells how n is, whose robot is as st, and which ended with out, or has not. What noteFolds adds is
// not yet in it.
func deliveryOf(n delivery.Notification, st delivery.Status, out *delivery.Outcome) *notifierv1.Delivery {
	d := &notifierv1.Delivery{
		Name:         deliveryName(n.Robot, n.Seq),
		State:        statePending,
		RequestId:    requestID(n),
		CreateTime:   timestamppb.New(n.CreateTime),
		Title:        render.Title(localeOf(st.Robot), n),
		RedeliveryOf: n.RedeliveryOf,
		Urgent:       n.Urgent,
	}
	if out != nil {
		d.State = stateDelivered
		if !out.Delivered {
			d.State = stateDead
			d.Failure = failure(localeOf(st.Robot), out.Failure)
		}
		d.EndTime = timestamppb.New(out.Time)
		d.Attempts = int32(out.Attempts)
		if out.UUID != "" {
			d.Message = &notifierv1.SentMessage{Uuid: out.UUID, Items: int32(out.Items)}
		}
		switch {
		case out.Into != 0:
			d.FoldedInto = deliveryName(n.Robot, out.Into)
		case out.Note != "":
			d.Note = render.TemplateNote(localeOf(st.Robot), out.Note)
		}
		return d
	}
	d.Failure = failure(localeOf(st.Robot), cmp.Or(n.Refusal, st.Waiting))
	if in := st.Sending; in != nil && in.Holds(n.Seq) {
		d.State = stateSending
		d.Attempts = int32(in.Attempts)
		d.Message = &notifierv1.SentMessage{Uuid: in.UUID, Items: int32(in.Items)}
	}
	return d
}

// noteFolds adds to those of ds that were folded away what tells them. One whose teller the journal no longer
// holds is left without a note. The error is the journal's.
func (s *Service) noteFolds(ctx context.Context, ds []*notifierv1.Delivery) error {
	titles := make(map[string]string)
	for _, d := range ds {
		titles[d.GetName()] = d.GetTitle()
	}
	for _, d := range ds {
		into := d.GetFoldedInto()
		if into == "" {
			continue
		}
		name, seq, err := parseDeliveryName(into)
		if err != nil {
			return err
		}
		robot, _ := s.dispatcher.Robot(name)
		title, known := titles[into]
		if !known {
			switch n, err := s.journal.Get(ctx, name, seq); {
			case err == nil:
				title = render.Title(localeOf(robot), n)
			case !errors.Is(err, journal.ErrNotFound):
				return err
			}
			titles[into] = title
		}
		if title != "" {
			d.Note = render.FoldedNote(localeOf(robot), title)
		}
	}
	return nil
}

func deliveryName(robot string, seq uint64) string {
	return fmt.Sprintf("robots/%s/deliveries/%d", robot, seq)
}

// parseDeliveryName returns what deliveryName was given.
func parseDeliveryName(name string) (robot string, seq uint64, err error) {
	robot, number, _ := strings.Cut(strings.TrimPrefix(name, "robots/"), "/deliveries/")
	seq, err = strconv.ParseUint(number, 10, 64)
	return robot, seq, err
}

// failure says f in the language of locale; nil for nil.
func failure(locale string, f *delivery.Failure) *notifierv1.Failure {
	if f == nil {
		return nil
	}
	return &notifierv1.Failure{
		Reason: f.Reason.String(), Message: render.Explain(locale, *f), Errcode: int32(f.Errcode), Verdict: string(f.Verdict),
	}
}
