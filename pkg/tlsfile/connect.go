package tlsfile

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// Listener returns ln with TLS for an HTTP server, which speaks HTTP/1.1: what bounds its connections and
// requests then bounds all there is.
func (s *Source) Listener(ln net.Listener) net.Listener {
	return tls.NewListener(ln, s.serverConfig())
}

// ServerCredentials returns what a gRPC server needs.
func (s *Source) ServerCredentials() credentials.TransportCredentials {
	return credentials.NewTLS(s.serverConfig())
}

// serverConfig returns a configuration that asks s for each connection.
func (s *Source) serverConfig() *tls.Config {
	outer := newConfig()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return s.current().server, nil
	}
	return outer
}

// ClientCredentials returns what a gRPC client needs. The server's certificate must have the name; empty means
// the host that is called.
func (s *Source) ClientCredentials(name string) credentials.TransportCredentials {
	return &client{s, name}
}

// client makes the TLS of each connection of what the files say then.
type client struct {
	s    *Source
	name string
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *client) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.name != "" {
		authority = c.name
	}
	return credentials.NewTLS(c.s.current().client).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *client) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these credentials are a client's")
}

// Info implements credentials.TransportCredentials.
func (c *client) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials. There is nothing that could change.
func (c *client) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials. Nobody calls it; grpc gives it up.
func (c *client) OverrideServerName(string) error {
	return errors.New("the server's name is a setting of its own")
}
