// Command fairgate-edge is one edge node: the waiting room's face, and the buyers' way to core.
//
// Exit status: 0 after a stop that was asked for, 1 when it could not start or its listener failed, 2 for wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"fairgate/edge"
)

const usage = `Usage: fairgate-edge [--config FILE]

Runs one edge node of Fairgate until it gets SIGINT or SIGTERM.

  --config FILE   YAML file with the keys of configs/edge.yaml; without it the defaults hold
  --check         check the configuration and exit
  --help          show this help

Every key can be set by an environment variable too: core.secret_file is FAIRGATE_CORE_SECRET_FILE, and lists are
separated by commas. Environment goes before file, file before default.
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "fairgate-edge:", err)
		os.Exit(1)
	}
}

// errUsage means that the flags were wrong, which has been said.
var errUsage = errors.New("wrong usage")

func run(args []string) error {
	flags := flag.NewFlagSet("fairgate-edge", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	file := flags.String("config", "", "")
	check := flags.Bool("check", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(flags.Output(), "unexpected argument %q\n\n%s", flags.Arg(0), usage)
		return errUsage
	}
	config, err := load(*file)
	if err != nil {
		return err
	}
	if *check {
		if err := config.Validate(); err != nil {
			return fmt.Errorf("the configuration is not usable:\n%w", err)
		}
		fmt.Println("the configuration is usable")
		return nil
	}
	node, err := edge.New(config, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return node.Run(ctx)
}

// load reads the configuration: defaults, then the file, then the environment.
func load(file string) (edge.Config, error) {
	v := viper.NewWithOptions(viper.ExperimentalBindStruct())
	v.SetEnvPrefix("FAIRGATE")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	defaults := map[string]any{}
	if err := mapstructure.Decode(edge.DefaultConfig(), &defaults); err != nil {
		return edge.Config{}, fmt.Errorf("list the defaults: %w", err)
	}
	if err := v.MergeConfigMap(defaults); err != nil {
		return edge.Config{}, fmt.Errorf("apply the defaults: %w", err)
	}
	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.MergeInConfig(); err != nil {
			return edge.Config{}, fmt.Errorf("read the configuration %s: %w", file, err)
		}
	}
	var config edge.Config
	if err := v.UnmarshalExact(&config); err != nil {
		return edge.Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	return config, nil
}
