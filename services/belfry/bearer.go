package main

import (
	"context"
	"sync/atomic"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// bearer shows the notifier the gateway's token with each call, as grpc's per-RPC credentials. That the token
// does not travel where others may listen is package config's to see to.
type bearer struct{ token atomic.Pointer[string] }

func newBearer(token string) *bearer {
	b := &bearer{}
	b.token.Store(&token)
	return b
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b *bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token := *b.token.Load()
	if token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b *bearer) RequireTransportSecurity() bool { return false }

// prepare is a prepare: it has the calls from then on show the token of another configuration.
func (b *bearer) prepare(cfg *configv1.Config) (commit func(), err error) {
	token := cfg.GetGateway().GetNotifier().GetToken()
	return func() { b.token.Store(&token) }, nil
}
