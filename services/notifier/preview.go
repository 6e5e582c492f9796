package notifier

import (
	"context"
	"fmt"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/render"
)

const (
	// previewBody is the longest body that Preview shows, in bytes. It is above what DingTalk takes.
	previewBody = 32 << 10
	// maxPreviews is how many previews an answer may hold: that many bodies keep it within the 4 MiB that a
	// gRPC client takes.
	maxPreviews = 100
)

// Preview implements NotifierService.
func (s *Service) Preview(_ context.Context, req *notifierv1.PreviewRequest) (*notifierv1.PreviewResponse, error) {
	if most := maxPreviews / len(render.Locales()); req.GetAllLocales() && len(req.GetRobots()) > most {
		return nil, fault.Invalid("robots", fmt.Sprintf("with all_locales at most %d robots are shown at a time", most))
	}
	resp := &notifierv1.PreviewResponse{}
	for _, name := range req.GetRobots() {
		robot, err := s.robot(name)
		if err != nil {
			return nil, err
		}
		ps, err := previews(rendererOf(robot), req.GetAllLocales(), delivery.Notification{
			Robot: name, CreateTime: time.Now(), Event: req.GetEvent(), Message: req.GetMessage(),
		})
		if err != nil {
			return nil, err
		}
		resp.Previews = append(resp.Previews, ps...)
	}
	return resp, nil
}

// Inspect shows what a robot of a configuration would send of e, as Preview does, without a running service:
// in the robot's language or, with allLocales, in all of them, the robot's first. cfg is one that package config
// has checked and completed; the error is that it has no such robot, or one that can't be made.
func Inspect(cfg *configv1.Notifier, robot string, allLocales bool, e *eventv1.Event) ([]*notifierv1.Preview, error) {
	renderer, err := rendererIn(cfg, robot)
	if err != nil {
		return nil, err
	}
	return previews(renderer, allLocales, delivery.Notification{Robot: robot, CreateTime: time.Now(), Event: e})
}

// previews shows what n would become if it went alone, in the renderer's language or in all.
func previews(renderer *render.Renderer, allLocales bool, n delivery.Notification) ([]*notifierv1.Preview, error) {
	own := renderer.Options().Locale
	all := []*notifierv1.Preview{preview(renderer, n)}
	if !allLocales {
		return all, nil
	}
	for _, locale := range render.Locales() {
		if locale == own {
			continue
		}
		other, err := renderer.In(locale)
		if err != nil {
			return nil, err
		}
		all = append(all, preview(other, n))
	}
	return all, nil
}

func preview(renderer *render.Renderer, n delivery.Notification) *notifierv1.Preview {
	o := renderer.Options()
	got, err := renderer.Inspect(n)
	p := &notifierv1.Preview{
		Robot:     "robots/" + o.Robot,
		Body:      string(got.Body),
		SizeBytes: int32(len(got.Body)),
		Keyword: &notifierv1.KeywordVerdict{
			Verdict:  string(got.Verdict),
			Keyword:  got.Keyword,
			Accepted: o.Keywords,
		},
		Locale: o.Locale,
	}
	if len(got.Body) > previewBody {
		p.Body = ""
	}
	if got.Note != "" {
		p.Note = render.TemplateNote(o.Locale, got.Note)
	}
	if err != nil {
		reason, message := explain(o.Robot, err)
		p.Failure = failure(o.Locale, &delivery.Failure{Reason: reason, Message: message, Verdict: delivery.MendMessage})
	}
	return p
}
