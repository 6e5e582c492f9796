package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
)

// copyBucket stands on a store while a copy is being made to it, and after one that was cut short.
const copyBucket = "BELFRY_COPY"

// progressStep is after how many entries progress is told.
const progressStep = 1000

// ErrNotEmpty is what Copy returns when there is a journal already where the copy is to stand.
var ErrNotEmpty = errors.New("there is a journal already")

// Counts say what a copy holds.
type Counts struct {
	// Notifications stand from FirstSeq to LastSeq, which are 0 where there are none.
	Notifications     int
	FirstSeq, LastSeq uint64
	Outcomes          int
	// Lanes and Controls count records of robots.
	Lanes, Controls int
	// Checksum is the SHA-256, in hexadecimal, of all notifications with their places; the same in the
	// original and in the copy.
	Checksum string
}

// Copy copies the journal in from to another store, to.Store, whose journal gets the settings of to. It
// returns what the copy holds once that has been read back and compared: the notifications at the same
// places, with the request ids of the dedup window; the outcomes; what lanes and operators have written down.
// Ages count from the copying. progress, if not nil, is told now and then what is being copied and how much
// is done.
//
// Nobody may use either journal meanwhile: processes that share one are noticed and are an error. ErrNotEmpty
// says that the target holds a journal; it is left alone. What an earlier Copy left behind that was cut short
// is removed, and until a Copy is through, Open refuses the target. The original is only read.
func Copy(ctx context.Context, from *natsstore.Store, to Options, progress func(part string, done, total int)) (Counts, error) {
	to, err := to.settled()
	if err != nil {
		return Counts{}, err
	}
	if progress == nil {
		progress = func(string, int, int) {}
	}
	c := &copier{from: from, to: to, progress: progress}
	counts, err := c.run(ctx)
	if err != nil {
		return Counts{}, fmt.Errorf("journal: copy: %w", err)
	}
	return counts, nil
}

// copier is one Copy.
type copier struct {
	from     *natsstore.Store
	to       Options
	progress func(part string, done, total int)
}

// copyPart is one of the streams that are copied.
type copyPart struct {
	name, stream string
	kind         partKind
	// make makes the stream on the target; its first message is to stand at first.
	make func(ctx context.Context, first uint64) error
}

// partKind says what a copy must keep.
type partKind int

const (
	// logPart keeps the places.
	logPart partKind = iota
	// outcomePart stands behind all places of the original, so that who has seen those sees these.
	outcomePart
	// recordPart begins anew.
	recordPart
)

// first returns where the copy of a stream begins.
func (p copyPart) first(original jetstream.StreamState) uint64 {
	switch p.kind {
	case logPart:
		return max(original.FirstSeq, 1)
	case outcomePart:
		return original.LastSeq + 1
	}
	return 1
}

func (c *copier) parts() []copyPart {
	stream := func(cfg jetstream.StreamConfig) func(context.Context, uint64) error {
		return func(ctx context.Context, first uint64) error {
			cfg.FirstSeq = first
			_, err := c.to.Store.EnsureStream(ctx, cfg)
			return err
		}
	}
	bucket := func(cfg jetstream.KeyValueConfig) func(context.Context, uint64) error {
		return func(ctx context.Context, _ uint64) error {
			_, err := c.to.Store.EnsureBucket(ctx, cfg)
			return err
		}
	}
	return []copyPart{
		{"notifications", logStream, logPart, stream(logConfig(c.to))},
		{"outcomes", outcomeStream, outcomePart, stream(outcomeConfig(c.to))},
		{"lanes", bucketStream(laneBucket), recordPart, bucket(laneConfig)},
		{"controls", bucketStream(controlBucket), recordPart, bucket(controlConfig)},
	}
}

func (c *copier) run(ctx context.Context) (Counts, error) {
	for what, s := range map[string]*natsstore.Store{"original": c.from, "target": c.to.Store} {
		if err := refuseRunning(ctx, what, s); err != nil {
			return Counts{}, err
		}
	}
	if err := refuseHalfCopied(ctx, c.from); err != nil {
		return Counts{}, err
	}
	if _, err := streamInfo(ctx, c.from, logStream); errors.Is(err, jetstream.ErrStreamNotFound) {
		return Counts{}, errors.New("there is no journal to copy")
	}
	if err := c.clear(ctx); err != nil {
		return Counts{}, err
	}
	var counts Counts
	for _, p := range c.parts() {
		made, err := c.part(ctx, p)
		if err != nil {
			return Counts{}, fmt.Errorf("%s: %w", p.name, err)
		}
		switch p.stream {
		case logStream:
			counts.Notifications, counts.FirstSeq, counts.LastSeq, counts.Checksum = made.count, made.first, made.last, made.sum()
		case outcomeStream:
			counts.Outcomes = made.count
		case bucketStream(laneBucket):
			counts.Lanes = made.count
		default:
			counts.Controls = made.count
		}
	}
	// From here on it is a journal.
	dctx, cancel := withTimeout(ctx)
	defer cancel()
	if err := c.to.Store.JetStream().DeleteKeyValue(dctx, copyBucket); err != nil {
		return Counts{}, fmt.Errorf("put down that the copy is whole: %w", err)
	}
	return counts, nil
}

// refuseRunning returns an error while processes deliver for the journal on s.
func refuseRunning(ctx context.Context, what string, s *natsstore.Store) error {
	if !s.Shared() {
		return nil
	}
	living, err := Living(ctx, s)
	if err == nil && len(living) > 0 {
		err = fmt.Errorf("processes use the %s, %v: stop them first", what, living)
	}
	return err
}

// refuseHalfCopied returns an error if a copy to s was not finished.
func refuseHalfCopied(ctx context.Context, s *natsstore.Store) error {
	half, err := isHalfCopied(ctx, s)
	if err == nil && half {
		err = errors.New("journal: a copy to this store was not finished: repeat it")
	}
	return err
}

func isHalfCopied(ctx context.Context, s *natsstore.Store) (bool, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	_, err := s.JetStream().KeyValue(ctx, copyBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fault("look for an unfinished copy", err)
	}
	return true, nil
}

func streamInfo(ctx context.Context, s *natsstore.Store, stream string) (*jetstream.StreamInfo, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	st, err := s.JetStream().Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return st.CachedInfo(), nil
}

// clear makes sure that the target has none of the parts, and puts down that it is being copied to.
func (c *copier) clear(ctx context.Context) error {
	half, err := isHalfCopied(ctx, c.to.Store)
	if err != nil {
		return err
	}
	var there []string
	for _, p := range c.parts() {
		info, err := streamInfo(ctx, c.to.Store, p.stream)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			continue
		case err != nil:
			return fmt.Errorf("look at the target: %w", err)
		case !half && info.State.LastSeq > 0:
			return fmt.Errorf("%w on the target, its %s hold %d entries: name another target, or remove its streams",
				ErrNotEmpty, p.name, info.State.Msgs)
		}
		there = append(there, p.stream)
	}
	if _, err := c.to.Store.EnsureBucket(ctx, jetstream.KeyValueConfig{
		Bucket: copyBucket, Description: "A copy to this store is not finished.", Storage: jetstream.FileStorage,
	}); err != nil {
		return err
	}
	for _, stream := range there {
		dctx, cancel := withTimeout(ctx)
		err := c.to.Store.JetStream().DeleteStream(dctx, stream)
		cancel()
		if err != nil {
			return fmt.Errorf("remove what an earlier copy left: %w", err)
		}
	}
	return nil
}

// part copies one stream and compares the copy.
func (c *copier) part(ctx context.Context, p copyPart) (made tally, err error) {
	before, err := streamInfo(ctx, c.from, p.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		// A journal from before there was such a thing.
		return tally{digest: sha256.New()}, p.make(ctx, 0)
	}
	if err != nil {
		return tally{}, err
	}
	w := &copyWriter{store: c.to.Store, part: p, next: p.first(before.State), end: before.State.LastSeq, digest: sha256.New()}
	if p.kind == logPart {
		w.idsSince = time.Now().Add(-min(before.Config.Duplicates, c.to.DedupWindow))
	}
	if err := p.make(ctx, w.next); err != nil {
		return tally{}, err
	}
	total := int(before.State.Msgs)
	err = readAll(ctx, c.from, p.stream, before.State, func(m natsstore.Message) error {
		if err := w.write(ctx, m); err != nil {
			return err
		}
		if w.count%progressStep == 0 || w.count == total {
			c.progress(p.name, w.count, total)
		}
		return nil
	})
	if err == nil {
		err = w.finish(ctx)
	}
	if err != nil {
		return tally{}, err
	}
	after, err := streamInfo(ctx, c.from, p.stream)
	if err != nil {
		return tally{}, err
	}
	if after.State.LastSeq != before.State.LastSeq {
		return tally{}, errors.New("somebody wrote to the original meanwhile: stop all that use it, then repeat")
	}
	return c.compare(ctx, p, w.tally())
}

// compare reads the copy and returns what it holds, if that is what was to be written.
func (c *copier) compare(ctx context.Context, p copyPart, want tally) (tally, error) {
	info, err := streamInfo(ctx, c.to.Store, p.stream)
	if err != nil {
		return tally{}, err
	}
	got := tally{digest: sha256.New()}
	err = readAll(ctx, c.to.Store, p.stream, info.State, func(m natsstore.Message) error {
		got.add(m, p.kind)
		if got.count%progressStep == 0 || got.count == want.count {
			c.progress(p.name+", compared", got.count, want.count)
		}
		return nil
	})
	if err != nil {
		return tally{}, fmt.Errorf("read the copy: %w", err)
	}
	if got.count != want.count || p.kind == logPart && (got.first != want.first || got.last != want.last) || got.sum() != want.sum() {
		return tally{}, fmt.Errorf("the copy differs: it has %d entries from %d to %d (%.12s), and should have %d from %d to %d (%.12s)",
			got.count, got.first, got.last, got.sum(), want.count, want.first, want.last, want.sum())
	}
	return got, nil
}

func (t tally) sum() string { return hex.EncodeToString(t.digest.Sum(nil)) }
