// Command belfry brings what happens on Gitee into DingTalk groups.
//
//	belfry demo                      everything on this machine, nothing needed: look at it in a browser
//	belfry run      -c belfry.yaml   gateway and notifier in one process
//	belfry gateway  -c belfry.yaml   the gateway alone: receives Gitee's webhooks
//	belfry notifier -c belfry.yaml   the notifier alone: owns DingTalk
//	belfry check    -c belfry.yaml   says everything that is wrong with a configuration
//	belfry explain  -c belfry.yaml --hook NAME FILE.json
//	                                 says what would become of a webhook: its event, routes and messages
//	belfry init                      writes a commented belfry.yaml
//	belfry migrate --from a.yaml --to b.yaml
//	                                 copies the journal to another store, such as a NATS cluster
//	belfry simulator                 a DingTalk of its own with a group to look at, for services that run elsewhere
//	belfry health                    says whether a running Belfry is ready
//
// SIGHUP has run, gateway and notifier read their configuration again, as they do by themselves when the file
// changes. SIGINT and SIGTERM stop it in order, within ten seconds; a second one stops it at once. It exits with 0
// when it was told to stop, with 1 when it can't do its work, and with 2 when it was called wrongly, also
// without a command.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zapgrpc"
	"google.golang.org/grpc/grpclog"

	"gitee.com/belfry/belfry/pkg/config"
)

type cli struct {
	LogLevel string      `help:"Least severe level that is logged: debug, info, warn or error (default: info)." placeholder:"LEVEL" enum:"debug,info,warn,error" default:"info"`
	Version  versionFlag `help:"Show the version and exit."`

	Demo      demoCmd      `cmd:"" help:"Show Belfry at work: no configuration, no account, no network."`
	Run       runCmd       `cmd:"" help:"Run the gateway and the notifier in one process."`
	Gateway   gatewayCmd   `cmd:"" help:"Run the gateway, which receives Gitee's webhooks."`
	Notifier  notifierCmd  `cmd:"" help:"Run the notifier, which owns DingTalk."`
	Check     checkCmd     `cmd:"" help:"Say everything that is wrong with a configuration."`
	Explain   explainCmd   `cmd:"" help:"Say what would become of a webhook: its event, routes and messages."`
	Init      initCmd      `cmd:"" help:"Write a commented belfry.yaml."`
	Migrate   migrateCmd   `cmd:"" help:"Copy the notifier's journal to another store."`
	Simulator simulatorCmd `cmd:"" help:"Simulate DingTalk, and show its group on a page."`
	Health    healthCmd    `cmd:"" help:"Say whether a running Belfry is ready."`
}

// env is what a command gets from main.
type env struct {
	ctx    context.Context
	log    *zap.Logger
	stdin  io.Reader
	stdout io.Writer
}

// usageError says that the command was called wrongly.
type usageError struct{ error }

func main() {
	// gRPC has one log for the process, and wants it set before anything else of it is used.
	grpclog.SetLoggerV2(zapgrpc.NewLogger(newLogger(os.Stderr, "error").Named("grpc")))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal is there the second one finds the default again, which ends the process.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(report(os.Stderr, err))
}

// report writes what err has to say to people, and returns the exit code. Faults of a configuration begin
// with their place, so that editors find it.
func report(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	prefix := "belfry: "
	if _, ok := errors.AsType[config.Faults](err); ok {
		prefix = ""
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w, prefix+strings.TrimSuffix(line, "\n"))
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var c cli
	helped := false
	parser, err := kong.New(&c,
		kong.Name("belfry"),
		kong.Description("Brings what happens on Gitee into DingTalk groups."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		parser.Stdout = stderr
		if _, err := parser.Parse([]string{"--help"}); !helped {
			return err
		}
		return usageError{errors.New("say what to do: name a command")}
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		what := strings.Replace(err.Error(), `expected string value but got "EOL" (<EOL>)`, "its value is missing", 1)
		return usageError{fmt.Errorf("%s (see belfry --help)", what)}
	}
	log := newLogger(stderr, c.LogLevel)
	defer func() { _ = log.Sync() }()
	return parsed.Run(&env{ctx: ctx, log: log, stdin: stdin, stdout: stdout})
}

// newLogger logs to w: for people where that is a terminal, and otherwise as JSON.
func newLogger(w io.Writer, level string) *zap.Logger {
	lvl, err := zapcore.ParseLevel(level)
	if err != nil {
		lvl = zapcore.InfoLevel
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.TimeKey = "time"
	enc := zapcore.NewJSONEncoder(cfg)
	if f, ok := w.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
			cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
			cfg.EncodeLevel = zapcore.CapitalColorLevelEncoder
			enc = zapcore.NewConsoleEncoder(cfg)
		}
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), lvl))
}
