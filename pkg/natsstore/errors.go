package natsstore

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Codes of JetStream's API errors, as nats-server 2.15 gives them.
const (
	codeAccountResources = 10002
	codeNoPeers          = 10005
	codeInsufficient     = 10023
	codeNotFound         = 10037
	codeNoMessage        = 10043
	codeStorageReserved  = 10047
	codeDeleteFailed     = 10057
	codeNotClustered     = 10074
	codeStoreFailed      = 10077
)

// IsFull reports whether err is JetStream's refusal of a message because a bound is reached: the stream's,
// the store's, or the disk's. Nothing was stored then.
func IsFull(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case codeAccountResources, codeInsufficient, codeStorageReserved:
		return true
	case codeStoreFailed:
		// The code stands for every failure of the file store; only the words tell the bounds apart.
		return api.Description == "maximum bytes exceeded" || api.Description == "maximum messages exceeded"
	}
	return false
}

// isGone reports whether err says that the message to be removed is not there.
func isGone(err *jetstream.APIError) bool {
	switch err.ErrorCode {
	case codeNoMessage:
		return true
	case codeDeleteFailed:
		switch err.Description {
		case "no message found", "deleted message", "stream store EOF":
			return true
		}
	}
	return false
}
