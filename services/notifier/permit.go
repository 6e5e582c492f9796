package notifier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/access"
)

// needed are the rights of which a caller must have one, by method. What is not here nobody may do who comes
// with a token, but for grpc.health.v1, which needs none: load balancers ask for it.
var needed = map[string][]access.Right{
	notifierv1.NotifierService_Notify_FullMethodName:            {access.Notify},
	notifierv1.NotifierService_RedeliverDelivery_FullMethodName: {access.Notify},
	notifierv1.NotifierService_Preview_FullMethodName:           {access.Notify, access.Read},
	notifierv1.NotifierService_GetDelivery_FullMethodName:       {access.Read},
	notifierv1.NotifierService_ListDeliveries_FullMethodName:    {access.Read},
	notifierv1.NotifierService_WatchDeliveries_FullMethodName:   {access.Read},
	notifierv1.RobotService_ListRobots_FullMethodName:           {access.Read},
	notifierv1.RobotService_GetRobot_FullMethodName:             {access.Read},
	notifierv1.RobotService_PauseRobot_FullMethodName:           {access.Manage},
	notifierv1.RobotService_ResumeRobot_FullMethodName:          {access.Manage},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      {access.Read},
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {access.Read},
}

// strangersEvery is how often, at most, the log tells of calls without a token that is known.
const strangersEvery = 10 * time.Second

// authenticate is the one place that asks who calls, for both doors: it notes the caller in the ctx that it
// returns, or says why the call must not be made. What the caller may do it with is for permit.
func (s *Service) authenticate(ctx context.Context) (context.Context, error) {
	method, _ := grpc.Method(ctx)
	tokens := s.tokens.Load()
	if tokens.Empty() || strings.HasPrefix(method, "/"+healthv1.Health_ServiceDesc.ServiceName+"/") {
		return access.With(ctx, access.Anyone), nil
	}
	var caller *access.Caller
	// Of two headers it could not be said which one counts.
	if token, err := auth.AuthFromMD(ctx, "bearer"); err == nil && len(metadata.ValueFromIncomingContext(ctx, "authorization")) == 1 {
		caller = tokens.Caller(token)
	}
	if caller == nil {
		s.noteStranger(method, time.Now())
		return nil, fault.New(codes.Unauthenticated, notifierv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
			"the call needs a token that the notifier knows, in the header authorization: Bearer TOKEN")
	}
	if rights := needed[method]; !caller.Can(rights...) {
		return nil, s.denied(caller, method, "", fmt.Sprintf("the token may not do this: it needs %s under `can`", oneOf(rights)))
	}
	return access.With(ctx, caller), nil
}

// trust notes that the caller may do everything: it is of this process.
func trust(ctx context.Context) (context.Context, error) { return access.With(ctx, access.Anyone), nil }

func oneOf(rights []access.Right) string {
	words := make([]string, len(rights))
	for i, r := range rights {
		words[i] = string(r)
	}
	return strings.Join(words, " or ")
}

// noteStranger counts a call without a token that is known. Anybody can make as many as they like, so not
// each has its line in the log.
func (s *Service) noteStranger(method string, now time.Time) {
	s.metrics.refusedCalls.WithLabelValues("unauthenticated").Inc()
	last := s.strangerNoted.Load()
	if now.UnixNano()-last < int64(strangersEvery) || !s.strangerNoted.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	s.log.Warn("call.unauthenticated: somebody called without a token, or with one that is not known; more of them are only counted for a while",
		zap.String("method", method))
}

// denied counts and logs what a caller may not do, and returns the error for it.
func (s *Service) denied(c *access.Caller, method, robot, message string) error {
	s.metrics.refusedCalls.WithLabelValues("denied").Inc()
	s.log.Warn("call.denied", zap.String("caller", c.Name()), zap.String("method", method), zap.String("robot", robot))
	var meta []string
	if robot != "" {
		meta = []string{"robot", robot}
	}
	return fault.New(codes.PermissionDenied, notifierv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, message, meta...)
}

// permit lets a call through whose robots are all the caller's. It stands behind validate: names are names.
func (s *Service) permit(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.permitted(ctx, info.FullMethod, req); err != nil {
		return nil, err
	}
	resp, err := handler(ctx, req)
	if err != nil {
		return nil, err
	}
	conceal(ctx, resp)
	return resp, nil
}

// permitted returns the error for a caller who may not make the call with one of the request's robots. It is
// the same for robots that there are and for others.
func (s *Service) permitted(ctx context.Context, method string, req any) error {
	c := access.From(ctx)
	if c.All() || !strings.HasPrefix(method, "/belfry.") {
		return nil
	}
	robots, ok := robotsIn(req)
	if !ok {
		return s.denied(c, method, "", "the token may not do this")
	}
	for _, robot := range robots {
		if !c.Has(robot) {
			return s.denied(c, method, robot, fmt.Sprintf("the token is not for a robot %q, be there one or not", robot))
		}
	}
	return nil
}

// robotsIn returns the robots that req names; false for a request that is not known here.
func robotsIn(req any) (robots []string, ok bool) {
	switch r := req.(type) {
	case *notifierv1.NotifyRequest:
		return r.GetRobots(), true
	case *notifierv1.PreviewRequest:
		return r.GetRobots(), true
	case *notifierv1.RedeliverDeliveryRequest:
		robots = []string{robotNamed(r.GetName())}
		if r.GetRobot() != "" {
			robots = append(robots, r.GetRobot())
		}
		return robots, true
	case interface{ GetName() string }:
		return []string{robotNamed(r.GetName())}, true
	case interface{ GetParent() string }:
		if robot := robotNamed(r.GetParent()); robot != "-" {
			robots = []string{robot}
		}
		return robots, true
	case *notifierv1.ListRobotsRequest:
		return nil, true
	}
	return nil, false
}

// robotNamed returns the robot of a resource name.
func robotNamed(name string) string {
	robot, _, _ := strings.Cut(strings.TrimPrefix(name, "robots/"), "/")
	return robot
}

// conceal takes out of an answer what names robots that are not the caller's: where a delivery was sent before.
func conceal(ctx context.Context, resp any) {
	c := access.From(ctx)
	if c.All() {
		return
	}
	var ds []*notifierv1.Delivery
	switch r := resp.(type) {
	case interface{ GetDeliveries() []*notifierv1.Delivery }:
		ds = r.GetDeliveries()
	case interface{ GetDelivery() *notifierv1.Delivery }:
		ds = []*notifierv1.Delivery{r.GetDelivery()}
	}
	for _, d := range ds {
		if old := d.GetRedeliveryOf(); old != "" && !c.Has(robotNamed(old)) {
			d.RedeliveryOf = ""
		}
	}
}

// permitStream is permit for streams.
func (s *Service) permitStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, &permittedStream{ss, s, info.FullMethod, s.tokens.Load()})
}

// permittedStream is a stream that goes on only while its caller may have it.
type permittedStream struct {
	grpc.ServerStream
	s      *Service
	method string
	// tokens are those with which the stream was found good the last time.
	tokens *access.Tokens
}

func (p *permittedStream) RecvMsg(m any) error {
	if err := p.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return p.s.permitted(p.Context(), p.method, m)
}

func (p *permittedStream) SendMsg(m any) error {
	if now := p.s.tokens.Load(); now != p.tokens {
		if err := p.again(); err != nil {
			return err
		}
		p.tokens = now
	}
	conceal(p.Context(), m)
	return p.ServerStream.SendMsg(m)
}

// again asks once more who calls, after the tokens have changed.
func (p *permittedStream) again() error {
	before := access.From(p.Context())
	if before == access.Anyone && p.s.tokens.Load().Empty() {
		return nil
	}
	ctx, err := p.s.authenticate(p.Context())
	if err != nil {
		return err
	}
	if after := access.From(ctx); !after.Equal(before) {
		return p.s.denied(after, p.method, "", "what the token may do has changed: call again")
	}
	return nil
}

// visible returns those of names that are the caller's.
func visible(ctx context.Context, names []string) []string {
	c := access.From(ctx)
	return slices.DeleteFunc(names, func(name string) bool { return !c.Has(name) })
}
