package main

import (
	"cmp"
	"context"
	"os"
	"strings"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

// What logs and errors call the stores.
const (
	journalStore = "notifier.store"
	spoolStore   = "gateway.spool"
)

// leastPayload is the smallest max_payload of a cluster's servers that is good enough, in bytes: the
// servers' default. What is larger is refused when it comes.
const leastPayload = 1 << 20

// openJournalStore opens the store of the notifier's journal. The caller closes it.
func openJournalStore(ctx context.Context, cfg *configv1.Store, log *zap.Logger) (*natsstore.Store, error) {
	if n := cfg.GetNats(); n != nil {
		return connect(ctx, journalStore, n, log)
	}
	return natsstore.Open(ctx, natsstore.Options{
		Dir: cfg.GetEmbedded().GetDir(), Name: journalStore, Log: log.Named(journalStore),
		// The notifications, twice as much for outcomes, and room for the records of 10,000 lanes.
		MaxBytes: cfg.GetEmbedded().GetMaxBytes()*3 + 1<<30,
	})
}

// journalOptions are those of the journal in store that cfg describes.
func journalOptions(cfg *configv1.Notifier, store *natsstore.Store) journal.Options {
	opts := journal.Options{
		Store: store, MaxBytes: cfg.GetStore().GetEmbedded().GetMaxBytes(),
		DedupWindow: cfg.GetDedupWindow().AsDuration(), Retention: cfg.GetRetention().AsDuration(),
	}
	if n := cfg.GetStore().GetNats(); n != nil {
		opts.MaxBytes = n.GetMaxBytes()
	}
	return opts
}

// openSpool opens the gateway's spool and the store that it is in. The caller closes the store.
func openSpool(ctx context.Context, cfg *configv1.Spool, log *zap.Logger) (*natsstore.Store, *natsstore.Queue, error) {
	// No MaxAge: the queue would drop in silence what the gateway answers for.
	opts := natsstore.QueueOptions{Name: "spool", MaxBytes: cfg.GetMaxBytes()}
	var store *natsstore.Store
	var err error
	if n := cfg.GetNats(); n != nil {
		opts.Name, opts.MaxBytes = cfg.GetName(), n.GetMaxBytes()
		store, err = connect(ctx, spoolStore, n, log)
	} else {
		store, err = natsstore.Open(ctx, natsstore.Options{
			Dir: cfg.GetDir(), Name: spoolStore, Log: log.Named(spoolStore), MaxBytes: cfg.GetMaxBytes() + 1<<20,
		})
	}
	if err != nil {
		return nil, nil, err
	}
	spool, err := store.Queue(ctx, opts)
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return store, spool, nil
}

func connect(ctx context.Context, name string, n *configv1.NatsStore, log *zap.Logger) (*natsstore.Store, error) {
	tls := n.GetTls()
	return natsstore.Connect(ctx, natsstore.ClusterOptions{
		URL: n.GetUrl(), Name: name, Replicas: int(n.GetReplicas()), MinPayload: leastPayload,
		User: n.GetUser(), Password: n.GetPassword(), Token: n.GetToken(), CredentialsFile: n.GetCredentialsFile(),
		TLS: natsstore.ClusterTLS{CAFile: tls.GetCaFile(), CertFile: tls.GetCertFile(), KeyFile: tls.GetKeyFile(), ServerName: tls.GetServerName()},
		Log: log.Named(name),
	})
}

// hostID is this machine's name as far as it can be part of a roster: lower-case letters, digits and "-".
func hostID() string {
	host, err := os.Hostname()
	if err != nil {
		return "notifier"
	}
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	host = strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, host), "-")
	return cmp.Or(host[:min(len(host), 50)], "notifier")
}
