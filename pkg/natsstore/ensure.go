package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// EnsureStream makes the stream of cfg with the store's replicas, whatever cfg says of them. One that is
// there is brought to cfg on an embedded store, where JetStream allows that. On a cluster, where others may
// use it and its operators may have changed it, it is compared with cfg instead, and a difference that
// matters is an error. An error names the stream; what was in it stays.
func (s *Store) EnsureStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	cfg.Replicas = s.replicas
	var stream jetstream.Stream
	var err error
	if s.Shared() {
		stream, err = s.makeOrCompare(ctx, cfg)
	} else {
		stream, err = s.js.CreateOrUpdateStream(ctx, cfg)
	}
	if err != nil {
		return nil, notEnsured("stream "+cfg.Name, cfg.MaxBytes, err)
	}
	return stream, nil
}

// EnsureBucket does for a key-value bucket what EnsureStream does for a stream. Its TTL is by how long each
// entry outlives its last Put. Reads that must be fresh go through Last: those of the bucket itself may lag
// on a cluster.
func (s *Store) EnsureBucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	cfg.Replicas = s.replicas
	var kv jetstream.KeyValue
	var err error
	if s.Shared() {
		kv, err = s.makeOrCompareBucket(ctx, cfg)
	} else {
		kv, err = s.js.CreateOrUpdateKeyValue(ctx, cfg)
	}
	if err != nil {
		return nil, notEnsured("bucket "+cfg.Bucket, cfg.MaxBytes, err)
	}
	return kv, nil
}

// notEnsured words why what could not be opened.
func notEnsured(what string, maxBytes int64, err error) error {
	var api *jetstream.APIError
	var final *finalError
	switch {
	case errors.As(err, &final):
		return err
	case errors.As(err, &api) && api.ErrorCode == codeStorageReserved:
		return fmt.Errorf("%s wants %d bytes, more than the store's bound leaves: raise the bound of the store or lower that of the stream: %w", what, maxBytes, err)
	}
	return fmt.Errorf("%s can't be opened with the configured settings: %w", what, err)
}

func (s *Store) makeOrCompare(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := s.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = s.js.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			// Another process was faster, and wants something else of it.
			stream, err = s.js.Stream(ctx, cfg.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	return stream, mismatch(cfg, stream.CachedInfo().Config)
}

func (s *Store) makeOrCompareBucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := s.js.KeyValue(ctx, cfg.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateKeyValue(ctx, cfg)
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = s.js.KeyValue(ctx, cfg.Bucket)
		}
	}
	if err != nil {
		return nil, err
	}
	stream, err := s.js.Stream(ctx, "KV_"+cfg.Bucket)
	if err != nil {
		return nil, err
	}
	// What the client makes of a bucket's settings.
	return kv, mismatch(jetstream.StreamConfig{
		Name: "KV_" + cfg.Bucket, Subjects: []string{"$KV." + cfg.Bucket + ".>"},
		Retention: jetstream.LimitsPolicy, Storage: cfg.Storage, Discard: jetstream.DiscardNew, Replicas: cfg.Replicas,
		MaxBytes: cfg.MaxBytes, MaxMsgsPerSubject: max(1, int64(cfg.History)), MaxAge: cfg.TTL, AllowDirect: true,
	}, stream.CachedInfo().Config)
}

// mismatch returns an error that says what differs, if anything does, and the two ways out.
func mismatch(want, have jetstream.StreamConfig) error {
	differences := compare(want, have)
	if len(differences) == 0 {
		return nil
	}
	return &finalError{fmt.Errorf("stream %s stands on the cluster with other settings than the configuration wants: %s: change the configuration, or the stream with \"nats stream edit %s\"",
		want.Name, strings.Join(differences, "; "), want.Name)}
}

// compare says in which settings that matter a stream differs from what is wanted.
func compare(want, have jetstream.StreamConfig) []string {
	var differences []string
	differ := func(setting string, want, have any) {
		if want != have {
			differences = append(differences, fmt.Sprintf("%s is %v there, and %v in the configuration", setting, have, want))
		}
	}
	subjects := func(c jetstream.StreamConfig) string {
		return strings.Join(slices.Sorted(slices.Values(c.Subjects)), " ")
	}
	differ("subjects", subjects(want), subjects(have))
	differ("retention", want.Retention, have.Retention)
	differ("storage", want.Storage, have.Storage)
	differ("discard", want.Discard, have.Discard)
	differ("replicas", max(want.Replicas, 1), max(have.Replicas, 1))
	differ("max bytes", unlimited(want.MaxBytes), unlimited(have.MaxBytes))
	differ("max messages", unlimited(want.MaxMsgs), unlimited(have.MaxMsgs))
	differ("max messages per subject", unlimited(want.MaxMsgsPerSubject), unlimited(have.MaxMsgsPerSubject))
	differ("max age", want.MaxAge, have.MaxAge)
	differ("duplicate window", window(want), window(have))
	differ("allow direct", want.AllowDirect, have.AllowDirect)
	differ("allow atomic publish", want.AllowAtomicPublish, have.AllowAtomicPublish)
	return differences
}

// unlimited gives the server's two ways to say that there is no limit the same words.
func unlimited(n int64) any {
	if n <= 0 {
		return "unlimited"
	}
	return n
}

// window is the duplicate window that the server makes of a configuration: where none is given, two minutes,
// or the age if that is less.
func window(c jetstream.StreamConfig) time.Duration {
	w := cmp.Or(c.Duplicates, 2*time.Minute)
	if c.MaxAge > 0 {
		w = min(w, c.MaxAge)
	}
	return w
}
