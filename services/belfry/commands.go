package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/services/gateway"
	"gitee.com/belfry/belfry/services/notifier"
)

type configFlag struct {
	Config string `short:"c" help:"The configuration file (default: ${default})." default:"belfry.yaml" placeholder:"FILE"`
}

type runCmd struct{ configFlag }

func (c *runCmd) Run(e *env) error {
	return serve(e, c.Config, config.Parts{Gateway: true, Notifier: true})
}

type gatewayCmd struct{ configFlag }

func (c *gatewayCmd) Run(e *env) error {
	return serve(e, c.Config, config.Parts{Gateway: true, Remote: true})
}

type notifierCmd struct{ configFlag }

func (c *notifierCmd) Run(e *env) error {
	return serve(e, c.Config, config.Parts{Notifier: true})
}

// serve runs the parts that the command is for until a signal comes or one of them fails.
func serve(e *env, file string, parts config.Parts) error {
	// From here on SIGHUP does not end the process; one that comes before all is open is kept for then.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	src, err := read(file)
	if err != nil {
		return err
	}
	r := &reloader{path: file, parts: parts, checks: checks(), hangups: hangups, seen: src.Sum()}
	if r.current, err = src.Config(parts, r.checks...); err != nil {
		return err
	}
	p := newProcess(e.log)
	if err = p.start(e.ctx, r.current, parts); err == nil {
		err = p.followConfig(r)
	}
	if err != nil {
		if e.ctx.Err() != nil {
			return p.stop() // told to stop before it had started
		}
		return errors.Join(err, p.stop())
	}
	e.log.Info("ready", p.addresses()...)
	return attend(e, p)
}

// checks are what the services find wrong with a configuration.
func checks() []config.Check {
	return []config.Check{gateway.Check, notifier.Check(samples)}
}

// samples are events of every kind and action.
func samples() []*eventv1.Event { return giteetest.Events(time.Now()) }

// attend waits until p is told to stop or one of its parts fails, and stops it.
func attend(e *env, p *process) error {
	failure := p.Wait(e.ctx)
	if failure != nil {
		e.log.Error("stopping, because a part failed", zap.Error(failure))
	} else {
		e.log.Info("stopping, as told; a second signal stops at once")
	}
	err := errors.Join(failure, p.stop())
	e.log.Info("stopped")
	return err
}

// read is config.Read with a word for those who have no configuration yet.
func read(file string) (*config.Source, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration %s: name one that is there, or let `belfry init` write one", file)
	}
	return config.Read(file)
}

// load is config.Load with a word for those who have no configuration yet.
func load(file string, parts config.Parts, checks ...config.Check) (*configv1.Config, error) {
	src, err := read(file)
	if err != nil {
		return nil, err
	}
	return src.Config(parts, checks...)
}

type initCmd struct {
	Out string `short:"o" help:"The file to write, which must not exist (default: ${default})." default:"belfry.yaml" placeholder:"FILE"`
}

//go:embed init.yaml
var initYAML []byte

// Run writes the file for its owner's eyes only: people are prone to put secrets into it after all.
func (c *initCmd) Run(e *env) error {
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; give another name with -o", c.Out)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(initYAML); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "wrote %s; fill it in, then: belfry check -c %s\n", c.Out, c.Out)
	return nil
}
