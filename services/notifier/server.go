package notifier

import (
	"context"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// MaxRequest is the most that one request may have, in bytes, on either door. The largest event that
// package gitee makes fits in.
const MaxRequest = 4 << 20

// NewGRPCServer returns a server with both services, grpc.health.v1 and reflection, for callers from outside:
// where the configuration has tokens, each call must bring one. The caller serves and stops it, and may add
// options, such as credentials; the health server reports SERVING until its Shutdown.
func NewGRPCServer(s *Service, opts ...grpc.ServerOption) (*grpc.Server, *health.Server) {
	srv := newServer(s, s.authenticate, opts...)
	hs := health.NewServer()
	healthv1.RegisterHealthServer(srv, hs)
	for name := range srv.GetServiceInfo() {
		hs.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	reflection.Register(srv)
	return srv, hs
}

// NewOwnServer returns a server with both services for callers within this process, who may do everything
// without a token. It asks nobody who they are: that nobody else can come is up to the listener that the
// caller serves it on.
func NewOwnServer(s *Service) *grpc.Server { return newServer(s, trust) }

// newServer returns a server with both services; who says who calls.
func newServer(s *Service, who auth.AuthFunc, opts ...grpc.ServerOption) *grpc.Server {
	srv := grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(MaxRequest),
		grpc.MaxConcurrentStreams(1000),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(
			s.seal,
			recovery.UnaryServerInterceptor(recovery.WithRecoveryHandlerContext(s.recovered)),
			auth.UnaryServerInterceptor(who),
			validate,
			s.permit,
		),
		grpc.ChainStreamInterceptor(
			s.sealStream,
			recovery.StreamServerInterceptor(recovery.WithRecoveryHandlerContext(s.recovered)),
			auth.StreamServerInterceptor(who),
			validateStream,
			s.permitStream,
		),
	)...)
	notifierv1.RegisterNotifierServiceServer(srv, s)
	notifierv1.RegisterRobotServiceServer(srv, s)
	return srv
}

// validate refuses what breaks a rule of the schema. The ready-made interceptor of go-grpc-middleware
// would do, but for its errors: they have neither an ErrorInfo nor a BadRequest.
func validate(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := valid(req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func valid(req any) error {
	if m, ok := req.(proto.Message); ok {
		if err := protovalidate.Validate(m); err != nil {
			return fault.InvalidRequest(err)
		}
	}
	return nil
}

// validateStream is validate for what comes on streams.
func validateStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, validated{ss})
}

type validated struct{ grpc.ServerStream }

func (v validated) RecvMsg(m any) error {
	if err := v.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return valid(m)
}

func (s *Service) recovered(_ context.Context, p any) error {
	s.log.Error("a handler panicked", zap.Any("panic", p), zap.Stack("stack"))
	return internal()
}

func internal() error {
	return fault.New(codes.Internal, notifierv1.ErrorReason_ERROR_REASON_INTERNAL, "something went wrong here; the log of the notifier tells more")
}

// seal lets no error out that was not made for callers.
func (s *Service) seal(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	if err = s.sealed(ctx, info.FullMethod, err); err != nil {
		return nil, err
	}
	return resp, nil
}

// sealStream is seal for streams.
func (s *Service) sealStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return s.sealed(ss.Context(), info.FullMethod, handler(srv, ss))
}

func (s *Service) sealed(ctx context.Context, method string, err error) error {
	if err == nil || fault.Reason(err) != notifierv1.ErrorReason_ERROR_REASON_UNSPECIFIED || !strings.HasPrefix(method, "/belfry.") {
		return err
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	s.log.Error("an internal error was kept from the caller", zap.String("method", method), zap.Error(err))
	return internal()
}
