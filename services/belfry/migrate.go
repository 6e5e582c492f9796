package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

type migrateCmd struct {
	From string `help:"The configuration file whose notifier.store holds the journal now." required:"" placeholder:"FILE"`
	To   string `help:"The configuration file whose notifier.store gets it; that store must hold no journal." required:"" placeholder:"FILE"`
}

// Help is shown below the flags' by kong.
func (c *migrateCmd) Help() string {
	return `Copies the notifier's journal from the store of one configuration to that of another: from a folder to a
NATS cluster, back, or from one of a kind to another. All notifiers of both must be stopped; gateways may go
on, since their spools take what comes meanwhile. The source stays as it is. What was copied is read again
and compared; the counts are printed. Start the notifiers with the new configuration only if it says so.`
}

// Run copies the journal and says what it has copied.
func (c *migrateCmd) Run(e *env) error {
	parts := config.Parts{Notifier: true}
	old, err := load(c.From, parts)
	if err != nil {
		return err
	}
	cfg, err := load(c.To, parts)
	if err != nil {
		return err
	}
	if whereabouts(old.GetNotifier().GetStore()) == whereabouts(cfg.GetNotifier().GetStore()) {
		return fmt.Errorf("%s and %s name the same store: there is nothing to migrate", c.From, c.To)
	}
	if dir := old.GetNotifier().GetStore().GetEmbedded().GetDir(); dir != "" {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: there is no folder %s, and so no journal to migrate", c.From, dir)
		}
	}
	from, err := openJournalStore(e.ctx, old.GetNotifier().GetStore(), e.log)
	if err != nil {
		return fmt.Errorf("%s: %w", c.From, err)
	}
	defer from.Close()
	to, err := openJournalStore(e.ctx, cfg.GetNotifier().GetStore(), e.log)
	if err != nil {
		return fmt.Errorf("%s: %w", c.To, err)
	}
	defer to.Close()
	counts, err := journal.Copy(e.ctx, from, journalOptions(cfg.GetNotifier(), to), func(part string, done, total int) {
		e.log.Info("migrate.progress", zap.String("part", part), zap.Int("done", done), zap.Int("total", total))
	})
	if errors.Is(err, journal.ErrNotEmpty) {
		return fmt.Errorf("%s: %w: a journal is copied only to where none is, and never on top of one", c.To, err)
	}
	if err != nil {
		return fmt.Errorf("%w; the source is as it was, and to start again does no harm", err)
	}
	fmt.Fprintf(e.stdout, "copied and compared: %s, %s, %s, %s; SHA-256 of the notifications %s\n"+
		"now start the notifiers with %s\n",
		count(counts.Notifications, "notification"), count(counts.Outcomes, "outcome"), count(counts.Lanes, "lane record"),
		count(counts.Controls, "control"), counts.Checksum, c.To)
	return nil
}

// whereabouts tells stores apart: it is the same for two that are the same one.
func whereabouts(cfg *configv1.Store) string {
	if n := cfg.GetNats(); n != nil {
		return n.GetUrl()
	}
	dir, err := filepath.Abs(cfg.GetEmbedded().GetDir())
	if err != nil {
		return cfg.GetEmbedded().GetDir()
	}
	return dir
}
