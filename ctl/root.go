package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

// tool is what the commands of one root share.
type tool struct {
	env      Env
	settings *viper.Viper
	running  bool // a command's own code was reached: errors from then on are not about the command line
}

// New makes the root command with everything below it. It prints neither errors nor usage by itself; Run does, and says
// with which code to exit.
func New(env Env) *cobra.Command { return newTool(env).root() }

func newTool(env Env) *tool { return &tool{env: env, settings: viper.New()} }

// Run executes ticketctl with the arguments and returns the exit code.
func Run(ctx context.Context, env Env, args []string) int {
	t := newTool(env)
	root := t.root()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	if !t.running {
		err = usageError{err}
	}
	t.explain(command, err)
	return exitCode(err)
}

func (t *tool) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ticketctl",
		Short: "Operate a Fairgate ticketing platform",
		Long: `ticketctl operates a Fairgate ticketing platform through core's admin API.

It finds core and its secret by flags, else by the environment (FAIRGATE_CTL_CORE, FAIRGATE_CTL_SECRET_FILE), else in
~/.config/fairgate/ctl.yaml:

  core: http://127.0.0.1:7002
  secret_file: /etc/fairgate/admin.secret

Tables are for people. With --json every command prints what core said, and errors, as JSON.

` + exitCodesHelp,
		Example: `  ticketctl apply -f configs/events/arena.yaml
  ticketctl onsale schedule arena --opens-at 2027-03-01T10:00:00Z
  ticketctl onsale status arena
  ticketctl lottery verify --event arena`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(t.env.Stdin)
	root.SetOut(t.env.Stdout)
	root.SetErr(t.env.Stderr)
	root.CompletionOptions.DisableDefaultCmd = true // completion.go has one with examples
	t.addSettings(root)
	root.AddGroup(
		&cobra.Group{ID: "sell", Title: "Events and sales:"},
		&cobra.Group{ID: "check", Title: "Checks and rehearsals:"},
		&cobra.Group{ID: "other", Title: "Installation:"},
	)
	root.SetHelpCommandGroupID("other")
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("sell", t.apply(), t.event(), t.catalog(), t.onSale(), t.waitlist(), t.orders(), t.payments(), t.outbox(), t.review(), t.refunds(), t.mail(), t.disputes(), t.tickets(), t.gates(), t.pack(), t.scan(), t.accounts(), t.guard(), t.ban(), t.edges(), t.keys())
	add("check", t.ledger(), t.reconcile(), t.payouts(), t.resale(), t.lottery(), newRehearse(t.env), newRehearseRoom(t.env), newDemo(t.env), t.prove(), t.storm(), t.soak())
	add("other", t.migrate(), t.version(), t.completion())
	t.watch(root)
	return root
}

// watch notes when a command's own code begins.
func (t *tool) watch(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			t.running = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		t.watch(sub)
	}
}

// group is a command that only holds others. Without one of them it explains itself; with an unknown one it fails.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// hints are what to try next, by problem code.
var hints = map[string]string{
	"unauthorized":         "give the file with the admin secret by --secret-file, FAIRGATE_CTL_SECRET_FILE or secret_file in the settings file; core makes it at its first start (admin.secret in secrets.dir)",
	"event_unknown":        "ticketctl event list",
	"day_unread":           "ticketctl reconcile --provider NAME --day DAY, without --stored",
	"item_unknown":         "ticketctl reconcile items --provider NAME --day DAY",
	"payout_unknown":       "ticketctl payouts list",
	"listing_unknown":      "ticketctl resale list EVENT",
	"payout_early":         "ticketctl resale payouts, which says from when on",
	"order_unknown":        "ticketctl orders list EVENT",
	"dispute_unknown":      "ticketctl disputes list",
	"no_review":            "ticketctl review list",
	"verdict_unknown":      "ticketctl guard list --event EVENT",
	"ban_unknown":          "ticketctl ban list",
	"offline_off":          "to give core's configuration a section payment.offline, if buyers may pay by bank transfer or at a box office",
	"gate_unknown":         "ticketctl gates list EVENT",
	"gate_unauthorized":    "ticketctl gates add EVENT GATE --replace, which makes a new credential",
	"gate_exists":          "ticketctl gates add EVENT GATE --replace, or gates list EVENT",
	"zone_unknown":         "ticketctl event show EVENT, for the zones of its file",
	"ban_invalid":          "ticketctl ban add --help",
	"sale_not_open":        "ticketctl onsale schedule EVENT --opens-at TIME",
	"sale_started":         "ticketctl onsale end EVENT, which ends it for good",
	"times_invalid":        "ticketctl onsale schedule --help",
	"database_unavailable": "again in a while; nothing was changed, and core's log says what is wrong",
	"overloaded":           "again in a while; nothing was changed",
	"outcome_unknown":      "to see whether it was done before you repeat it",
	"not_found":            "ticketctl version, and compare with core's: one of the two may be too old",
	"internal":             "core's log, which has the reason",
}

// explain prints an error and what to try next.
func (t *tool) explain(command *cobra.Command, err error) {
	hint, problem := t.hint(command, err)
	if t.wantsJSON(command) {
		t.explainJSON(err, hint, problem)
		return
	}
	out := t.env.Stderr
	fmt.Fprintf(out, "ticketctl: %v\n", err)
	if hint != "" {
		fmt.Fprintf(out, "  try: %s\n", hint)
	}
	if problem != nil && problem.RetryAfter > 0 {
		fmt.Fprintf(out, "  it may go in %d s\n", problem.RetryAfter)
	}
}

func (t *tool) hint(command *cobra.Command, err error) (string, *problemError) {
	var problem *problemError
	if errors.As(err, &problem) {
		return hints[problem.Code], problem
	}
	var unreachable *unreachableError
	if errors.As(err, &unreachable) {
		return "start fairgate-core, or say where its admin listener is: --core, FAIRGATE_CTL_CORE, or core in the settings file", nil
	}
	var usage usageError
	if errors.As(err, &usage) && command != nil {
		return command.CommandPath() + " --help", nil
	}
	return "", nil
}

// explainJSON is explain for programs: one object on standard error.
func (t *tool) explainJSON(err error, hint string, problem *problemError) {
	said := struct {
		Error struct {
			Exit       int           `json:"exit"`
			Code       string        `json:"code,omitempty"` // core's
			Status     int           `json:"status,omitempty"`
			Message    string        `json:"message"`
			Hint       string        `json:"hint,omitempty"`
			RetryAfter int           `json:"retry_after,omitempty"`
			Problems   []fileProblem `json:"problems,omitempty"`
		} `json:"error"`
	}{}
	said.Error.Exit, said.Error.Message, said.Error.Hint = exitCode(err), err.Error(), hint
	if problem != nil {
		said.Error.Code, said.Error.Status, said.Error.Message = problem.Code, problem.Status, strings.TrimSpace(problem.Detail)
		said.Error.RetryAfter, said.Error.Problems = problem.RetryAfter, problem.Problems
	}
	encoder := json.NewEncoder(t.env.Stderr)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(said) // there is nowhere else to complain
}
