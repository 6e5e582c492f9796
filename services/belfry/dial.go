package main

import (
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // so that clients ask replicas how they are
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/tlsfile"
)

// calling is how replicas of the notifier are called: each in its turn, none that says of itself that it
// does not serve. A call that a replica's end has cut off goes to another one; the request id makes that
// harmless.
var calling = fmt.Sprintf(`{
	"loadBalancingConfig": [{"round_robin": {}}],
	"healthCheckConfig": {"serviceName": %[1]q},
	"methodConfig": [{
		"name": [{"service": %[1]q, "method": "Notify"}],
		"retryPolicy": {
			"maxAttempts": 2, "initialBackoff": "0.05s", "maxBackoff": "0.05s", "backoffMultiplier": 1,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`, notifierv1.NotifierService_ServiceDesc.ServiceName)

// dialNotifier returns a connection to the notifiers of other processes. It is made when it is first used,
// and again when it is lost, soon after the notifier is back. A replica that is silent for 15 seconds while
// it is called is given up until it speaks again. Each call shows token.
func dialNotifier(cfg *configv1.NotifierClient, token *bearer, log *zap.Logger) (*grpc.ClientConn, error) {
	target := cfg.GetAddress()
	creds := insecure.NewCredentials()
	if t := cfg.GetTls(); t != nil {
		files, err := tlsfile.Open(tlsfile.Files{Cert: t.GetCertFile(), Key: t.GetKeyFile(), CA: t.GetCaFile()}, log.Named("gateway.notifier.tls"))
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		creds = files.ClientCredentials(t.GetServerName())
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithPerRPCCredentials(token),
		grpc.WithNoProxy(), // it is a neighbour, whatever HTTPS_PROXY says
		grpc.WithDefaultServiceConfig(calling),
		grpc.WithDisableServiceConfig(), // nobody else says how, by way of DNS
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 12 * time.Second, Timeout: 3 * time.Second, PermitWithoutStream: true}),
	}
	if len(cfg.GetAddresses()) > 0 {
		list := manual.NewBuilderWithScheme("replicas")
		var state resolver.State
		for _, a := range cfg.GetAddresses() {
			// The server's name is what its certificate is compared with; by itself it would be the list's.
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: a, ServerName: a}}})
		}
		list.InitialState(state)
		target, opts = list.Scheme()+":///notifiers", append(opts, grpc.WithResolvers(list))
	}
	return grpc.NewClient(target, opts...)
}
