package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/lifecycle"
	"gitee.com/belfry/belfry/pkg/tlsfile"
	"gitee.com/belfry/belfry/services/notifier"
)

// openTLS opens the files of a door's TLS, which stands at key of the configuration; nil where cfg is.
func openTLS(key string, cfg *configv1.ServerTls, log *zap.Logger) (*tlsfile.Source, error) {
	if cfg == nil {
		return nil, nil
	}
	src, err := tlsfile.Open(tlsfile.Files{Cert: cfg.GetCertFile(), Key: cfg.GetKeyFile(), CA: cfg.GetClientCaFile()}, log.Named(key))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return src, nil
}

// listen opens the listener of an HTTP door, whose settings stand at key of the configuration: with TLS where
// there is some.
func listen(key, addr string, cfg *configv1.ServerTls, log *zap.Logger) (net.Listener, error) {
	files, err := openTLS(key+".tls", cfg, log)
	if err != nil {
		return nil, err
	}
	ln, err := lifecycle.Listen(key+".listen", addr)
	if err != nil || files == nil {
		return ln, err
	}
	return files.Listener(ln), nil
}

// serveInside serves srv to this process alone, until the process stops, and returns a connection to it.
func (p *process) serveInside(name string, srv *grpc.Server) (*grpc.ClientConn, error) {
	// Nobody else can reach what is no socket.
	ln := bufconn.Listen(1 << 20)
	p.Go(name, lifecycle.ServeGRPC(srv, ln))
	conn, err := grpc.NewClient("passthrough:///notifier",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	p.Defer("connection to "+name, func(context.Context) error { return conn.Close() })
	return conn, nil
}

// openDoors serves svc over gRPC on ln, which is its own from then on, and to this process in two ways: p.notifier
// is for callers who are trusted, and what openDoors returns for those of the HTTP door, who must show a token as
// those of ln must. The two are servers of their own, so that no header makes the one of the other.
func (p *process) openDoors(svc *notifier.Service, cfg *configv1.Notifier, ln net.Listener) (*grpc.ClientConn, error) {
	files, err := openTLS("notifier.grpc.tls", cfg.GetGrpc().GetTls(), p.log)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	var opts []grpc.ServerOption
	if files != nil {
		opts = append(opts, grpc.Creds(files.ServerCredentials()))
	}
	srv, health := notifier.NewGRPCServer(svc, opts...)
	p.health, p.endWatches, p.endWaits = health, svc.EndWatches, svc.EndWaits
	p.Go("gRPC door", lifecycle.ServeGRPC(srv, ln))
	if p.notifier, err = p.serveInside("notifier's own door", notifier.NewOwnServer(svc)); err != nil {
		return nil, err
	}
	behind, _ := notifier.NewGRPCServer(svc)
	for _, setting := range config.UnencryptedTokens(cfg) {
		p.log.Warn("tokens travel unencrypted to this address, where others may listen", zap.String("setting", setting))
	}
	return p.serveInside("door behind HTTP", behind)
}
