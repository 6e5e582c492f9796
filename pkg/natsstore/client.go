package natsstore

import (
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

const (
	// reconnectMin and reconnectMax bound the pause after all servers were tried in vain.
	reconnectMin = 100 * time.Millisecond
	reconnectMax = 5 * time.Second
)

// clientOptions are those of every connection, whatever it leads to. It lasts until it is closed: a lost one
// is made again for ever.
func clientOptions(log *zap.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("belfry"),
		nats.MaxReconnects(-1), nats.CustomReconnectDelay(reconnectDelay),
		// While there is no connection a write fails at once, and is not made later behind its caller's back.
		nats.ReconnectBufSize(-1),
		// Credentials that are refused may be accepted again, when those who run the servers mend them.
		nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("store.client", zap.Error(err))
		}),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() {
				log.Warn("store.disconnected", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("store.reconnected", zap.String("server", nc.ConnectedServerName()))
		}),
	}
}

// reconnectDelay grows with the number of times that all servers were tried, and differs by chance, lest
// all clients of a server that comes back arrive at once.
func reconnectDelay(attempts int) time.Duration {
	pause := min(reconnectMax, reconnectMin<<min(attempts, 10))
	return pause/2 + rand.N(pause/2)
}
