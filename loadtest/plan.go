package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"fairgate/edge/lottery"

	"go.yaml.in/yaml/v3"
)

// MaxConnections is the most connections a rehearsal may open: many systems allow a process 20,000 descriptors, and the servers
// on the other side of loopback share the machine.
const MaxConnections = 4000

// Duration is a time.Duration that YAML and JSON write as "30s".
type Duration time.Duration

// UnmarshalYAML reads "30s"; a bare number is refused, since its unit would be a guess.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is not a duration such as \"30s\" or \"-1m30s\"", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes "30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "30s".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"30s\"", text)
	}
	*d = Duration(v)
	return nil
}

// D is the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Plan is one rehearsal: against what, who comes when, how they behave, and when it ends. configs/rehearsal.yaml explains every key.
type Plan struct {
	Name       string         `yaml:"name" json:"name"`
	Event      string         `yaml:"event" json:"event"`
	Seed       uint64         `yaml:"seed" json:"seed"`
	Targets    Targets        `yaml:"targets" json:"-"`
	Opening    OpeningPlan    `yaml:"opening" json:"opening"`
	Arrivals   []ArrivalPlan  `yaml:"arrivals" json:"arrivals"`
	Buyers     BuyersPlan     `yaml:"buyers" json:"buyers"`
	Bots       BotsPlan       `yaml:"bots" json:"bots"`
	Afterwards AfterwardsPlan `yaml:"afterwards" json:"afterwards"`
	Doors      DoorsPlan      `yaml:"doors" json:"doors"`
	Limits     LimitsPlan     `yaml:"limits" json:"limits"`
}

// Targets says where the deployment is. Secrets stay in files.
type Targets struct {
	Edges           []string `yaml:"edges"`
	Core            string   `yaml:"core"`
	AdminSecretFile string   `yaml:"admin_secret_file"`
	Paysim          string   `yaml:"paysim"`
	DatabaseURL     string   `yaml:"database_url"`
	Gate            string   `yaml:"gate"` // optional
}

// OpeningPlan says when the sale opens: In ahead of the start of the rehearsal, or, when In is 0, when the event is scheduled.
type OpeningPlan struct {
	In      Duration `yaml:"in" json:"in"`
	Joining Duration `yaml:"joining" json:"joining"`
}

// ArrivalPlan is one phase of arrivals, relative to the opening instant.
type ArrivalPlan struct {
	From  Duration `yaml:"from" json:"from"`
	To    Duration `yaml:"to" json:"to"`
	Share float64  `yaml:"share" json:"share"`
	Shape string   `yaml:"shape" json:"shape"`
}

// BuyersPlan is the honest crowd. Shares are between 0 and 1; think times are medians of a skewed distribution.
type BuyersPlan struct {
	Count     int           `yaml:"count" json:"count"`
	Patience  Duration      `yaml:"patience" json:"patience"`
	Quantity  []float64     `yaml:"quantity" json:"quantity"`
	Seated    float64       `yaml:"seated" json:"seated"`
	Think     ThinkPlan     `yaml:"think" json:"think"`
	Abandon   AbandonPlan   `yaml:"abandon" json:"abandon"`
	Decline   float64       `yaml:"decline" json:"decline"`
	SeatsFor  Duration      `yaml:"seats_cached_for" json:"seats_cached_for"`
	Mixed     bool          `yaml:"mixed" json:"mixed"`
	Addresses AddressesPlan `yaml:"addresses" json:"addresses"`
}

// ThinkPlan is how long people take: to choose, to fill in the order, to type a card.
type ThinkPlan struct {
	Choose Duration `yaml:"choose" json:"choose"`
	Fill   Duration `yaml:"fill" json:"fill"`
	Card   Duration `yaml:"card" json:"card"`
}

// AbandonPlan is the share of buyers who leave at each step. Half of those who leave a hold release it, the others close the tab.
type AbandonPlan struct {
	Waiting  float64 `yaml:"waiting" json:"waiting"`
	Admitted float64 `yaml:"admitted" json:"admitted"`
	Held     float64 `yaml:"held" json:"held"`
	Ordered  float64 `yaml:"ordered" json:"ordered"`
}

// AddressesPlan spreads a crowd over client addresses, told to the edges in a Forwarded header.
type AddressesPlan struct {
	Network string `yaml:"network" json:"network"`
	Count   int    `yaml:"count" json:"count"`
}

// BotsPlan is the dishonest crowd: counts per kind.
type BotsPlan struct {
	Tabs      int           `yaml:"tabs" json:"tabs"`
	TabJoins  int           `yaml:"tab_joins" json:"tab_joins"`
	Fresh     int           `yaml:"fresh" json:"fresh"`
	FreshEach int           `yaml:"fresh_identities" json:"fresh_identities"`
	Hammer    int           `yaml:"hammer" json:"hammer"`
	HammerRPS float64       `yaml:"hammer_per_second" json:"hammer_per_second"`
	Skipper   int           `yaml:"skipper" json:"skipper"`
	Thief     int           `yaml:"thief" json:"thief"`
	Replayer  int           `yaml:"replayer" json:"replayer"`
	Hoarder   int           `yaml:"hoarder" json:"hoarder"`
	FairShare bool          `yaml:"fair_share" json:"fair_share"`
	Tries     int           `yaml:"tries" json:"tries"`
	TryEvery  Duration      `yaml:"try_every" json:"try_every"`
	Addresses AddressesPlan `yaml:"addresses" json:"addresses"`
}

// Count is how many bots there are.
func (b BotsPlan) Count() int {
	return b.Tabs + b.Fresh + b.Hammer + b.Skipper + b.Thief + b.Replayer + b.Hoarder
}

// AfterwardsPlan is what some do between the sale and the doors, who bought two tickets or more: so many sell one on, and so many hand one
// to a friend. The codes that friends sign in with are read in the database: core must have no mail server.
type AfterwardsPlan struct {
	Resell   int `yaml:"resell" json:"resell"`
	Transfer int `yaml:"transfer" json:"transfer"`
}

// DoorsPlan is the evening of the show: after the sale everybody with a ticket goes to a gate, and if that is another zone's to the
// next. Without gates, or without Targets.Gate, nobody goes. The shares are of the tickets.
type DoorsPlan struct {
	Gates   []GatePlan `yaml:"gates" json:"gates"`
	Queue   int        `yaml:"queue" json:"queue"`     // how many are scanned at once
	Again   float64    `yaml:"again" json:"again"`     // shown once more after they have entered
	AtOnce  float64    `yaml:"at_once" json:"at_once"` // shown at two gates of a zone at the same instant
	Altered float64    `yaml:"altered" json:"altered"` // shown with one bit of the code changed before
}

// GatePlan is a gate of a zone, or of the venue as a whole. Two of one zone are needed for AtOnce.
type GatePlan struct {
	Name string `yaml:"name" json:"name"`
	Zone string `yaml:"zone" json:"zone"`
}

// LimitsPlan bounds the rehearsal.
type LimitsPlan struct {
	Duration       Duration `yaml:"duration" json:"duration"`
	Settle         Duration `yaml:"settle" json:"settle"`
	MaxConnections int      `yaml:"max_connections" json:"max_connections"`
	RequestTimeout Duration `yaml:"request_timeout" json:"request_timeout"`
	FaultsExpected bool     `yaml:"faults_expected" json:"faults_expected"`
}

// DefaultPlan is a plan with every key that has a useful value set to it.
func DefaultPlan() Plan {
	return Plan{
		Name: "rehearsal", Seed: 1,
		Opening: OpeningPlan{In: Duration(15 * time.Second), Joining: Duration(-time.Minute)},
		Arrivals: []ArrivalPlan{
			{From: Duration(-10 * time.Second), To: Duration(-2 * time.Second), Share: 0.35, Shape: ShapeRamp},
			{From: Duration(-2 * time.Second), To: Duration(1 * time.Second), Share: 0.35, Shape: ShapePoisson},
			{From: Duration(1 * time.Second), To: Duration(10 * time.Second), Share: 0.30, Shape: ShapePoisson},
		},
		Buyers: BuyersPlan{
			Count: 1000, Patience: Duration(70 * time.Second), Quantity: []float64{0.30, 0.50, 0.08, 0.12}, Seated: 0.6,
			Think:   ThinkPlan{Choose: Duration(800 * time.Millisecond), Fill: Duration(time.Second), Card: Duration(time.Second)},
			Abandon: AbandonPlan{Waiting: 0.02, Admitted: 0.03, Held: 0.03, Ordered: 0.02}, Decline: 0.03,
			SeatsFor: Duration(250 * time.Millisecond), Addresses: AddressesPlan{Network: "127.64.0.0/10", Count: 20000},
		},
		Bots: BotsPlan{
			TabJoins: 50, FreshEach: 20, HammerRPS: 5, Tries: 10, TryEvery: Duration(1500 * time.Millisecond),
			Addresses: AddressesPlan{Network: "127.32.0.0/16", Count: 16},
		},
		Doors: DoorsPlan{Gates: []GatePlan{}, Queue: 32, Again: 0.1, AtOnce: 0.05, Altered: 0.05},
		Limits: LimitsPlan{
			Duration: Duration(75 * time.Second), Settle: Duration(40 * time.Second), MaxConnections: 2000,
			RequestTimeout: Duration(10 * time.Second),
		},
	}
}

// LoadPlan reads and checks a plan file.
func LoadPlan(path string) (Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	p, err := ParsePlan(text)
	if err != nil {
		return Plan{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return p, nil
}

// ParsePlan reads YAML over the defaults, refuses unknown keys, and reports every problem at once.
func ParsePlan(text []byte) (Plan, error) {
	p := DefaultPlan()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	// A decoder's error lists every key it could not place; the values it did place are still worth checking.
	err := dec.Decode(&p)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty")
	}
	if err = errors.Join(err, p.Validate()); err != nil {
		return Plan{}, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}

// Validate reports every problem of the plan.
func (p Plan) Validate() error {
	var c checker
	c.that(lottery.ValidSlug(p.Event), "event: %q is not an event's id (lower-case letters, digits and hyphens)", p.Event)
	p.Targets.validate(&c)
	p.validateArrivals(&c)
	p.Buyers.validate(&c)
	p.Bots.validate(&c)
	p.Afterwards.validate(&c)
	p.Doors.validate(&c)
	l := p.Limits
	c.that(l.MaxConnections >= 8 && l.MaxConnections <= MaxConnections, "limits.max_connections: %d is not between 8 and %d", l.MaxConnections, MaxConnections)
	c.that(l.Duration.D() >= time.Second && l.Duration.D() <= time.Hour, "limits.duration: %s is not between 1s and 1h", l.Duration.D())
	c.that(l.Settle.D() >= 0 && l.Settle.D() <= time.Hour, "limits.settle: %s is not between 0s and 1h", l.Settle.D())
	c.that(l.RequestTimeout.D() >= time.Second && l.RequestTimeout.D() <= time.Minute, "limits.request_timeout: %s is not between 1s and 1m", l.RequestTimeout.D())
	c.that(p.Opening.In.D() >= 0, "opening.in: %s is in the past", p.Opening.In.D())
	c.that(p.Opening.Joining.D() <= 0, "opening.joining: %s is after the opening", p.Opening.Joining.D())
	return errors.Join(c.problems...)
}

func (t Targets) validate(c *checker) {
	c.that(len(t.Edges) > 0, "targets.edges: at least one address is needed")
	for i, e := range t.Edges {
		c.that(isBaseURL(e), "targets.edges[%d]: %q is not an http address such as http://127.0.0.1:8080", i, e)
	}
	c.that(isBaseURL(t.Core), "targets.core: %q is not the http address of core's admin listener", t.Core)
	c.that(t.AdminSecretFile != "", "targets.admin_secret_file: the file with core's admin secret is needed")
	c.that(isBaseURL(t.Paysim), "targets.paysim: %q is not the http address of the payment provider", t.Paysim)
	c.that(t.DatabaseURL != "", "targets.database_url: the audit needs a database to read")
	c.that(t.Gate == "" || isBaseURL(t.Gate), "targets.gate: %q is not the http address of core's gate listener", t.Gate)
}

func (a AfterwardsPlan) validate(c *checker) {
	c.that(a.Resell >= 0 && a.Resell <= 10_000, "afterwards.resell: %d is not between 0 and 10000", a.Resell)
	c.that(a.Transfer >= 0 && a.Transfer <= 10_000, "afterwards.transfer: %d is not between 0 and 10000", a.Transfer)
}

func (d DoorsPlan) validate(c *checker) {
	for i, g := range d.Gates {
		c.that(lottery.ValidSlug(g.Name), "doors.gates[%d].name: %q is not a gate's (lower-case letters, digits and hyphens)", i, g.Name)
		c.that(g.Zone == "" || lottery.ValidSlug(g.Zone), "doors.gates[%d].zone: %q is not a zone's id", i, g.Zone)
	}
	c.that(len(d.Gates) <= 100, "doors.gates: %d are more than 100", len(d.Gates))
	c.that(d.Queue >= 1 && d.Queue <= 500, "doors.queue: %d is not between 1 and 500", d.Queue)
	c.share("doors.again", d.Again)
	c.share("doors.at_once", d.AtOnce)
	c.share("doors.altered", d.Altered)
}

func (p Plan) validateArrivals(c *checker) {
	var sum float64
	for i, a := range p.Arrivals {
		c.that(a.From < a.To, "arrivals[%d]: from %s is not before to %s", i, a.From.D(), a.To.D())
		c.that(a.Share > 0 && a.Share <= 1, "arrivals[%d].share: %g is not above 0 and at most 1", i, a.Share)
		c.that(validShape(a.Shape), "arrivals[%d].shape: %q is not %s, %s or %s", i, a.Shape, ShapeEven, ShapePoisson, ShapeRamp)
		c.that(a.To < p.Limits.Duration, "arrivals[%d].to: %s is not before the end of the rehearsal (limits.duration %s)", i, a.To.D(), p.Limits.Duration.D())
		sum += a.Share
	}
	c.that(len(p.Arrivals) > 0 && sum > 0.999 && sum < 1.001, "arrivals: the shares add up to %.3f, not 1", sum)
}

func (b BuyersPlan) validate(c *checker) {
	c.that(b.Count > 0 && b.Count <= 500_000, "buyers.count: %d is not between 1 and 500000", b.Count)
	c.that(b.Patience > 0, "buyers.patience: %s is not above 0", b.Patience.D())
	var sum float64
	for i, q := range b.Quantity {
		c.share(fmt.Sprintf("buyers.quantity[%d]", i), q)
		sum += q
	}
	c.that(len(b.Quantity) > 0 && sum > 0.999 && sum < 1.001, "buyers.quantity: the shares of 1, 2, … tickets add up to %.3f, not 1", sum)
	c.share("buyers.seated", b.Seated)
	c.share("buyers.abandon.waiting", b.Abandon.Waiting)
	c.share("buyers.abandon.admitted", b.Abandon.Admitted)
	c.share("buyers.abandon.held", b.Abandon.Held)
	c.share("buyers.abandon.ordered", b.Abandon.Ordered)
	c.share("buyers.decline", b.Decline)
	c.that(b.Think.Choose >= 0 && b.Think.Fill >= 0 && b.Think.Card >= 0, "buyers.think: a time is negative")
	c.that(b.SeatsFor >= 0, "buyers.seats_cached_for: %s is negative", b.SeatsFor.D())
	b.Addresses.validate(c, "buyers.addresses")
}

func (b BotsPlan) validate(c *checker) {
	for name, n := range map[string]int{"tabs": b.Tabs, "fresh": b.Fresh, "hammer": b.Hammer, "skipper": b.Skipper, "thief": b.Thief, "replayer": b.Replayer, "hoarder": b.Hoarder} {
		c.that(n >= 0 && n <= 100_000, "bots.%s: %d is not between 0 and 100000", name, n)
	}
	c.that(b.TabJoins >= 2 && b.TabJoins <= 1000, "bots.tab_joins: %d is not between 2 and 1000", b.TabJoins)
	c.that(b.FreshEach >= 1 && b.FreshEach <= 1000, "bots.fresh_identities: %d is not between 1 and 1000", b.FreshEach)
	c.that(b.HammerRPS > 0 && b.HammerRPS <= 1000, "bots.hammer_per_second: %g is not above 0 and at most 1000", b.HammerRPS)
	c.that(b.Tries >= 1 && b.Tries <= 1000, "bots.tries: %d is not between 1 and 1000", b.Tries)
	c.that(b.TryEvery >= 0, "bots.try_every: %s is negative", b.TryEvery.D())
	b.Addresses.validate(c, "bots.addresses")
}

func (a AddressesPlan) validate(c *checker, at string) {
	_, err := newAddressBook(a)
	c.that(err == nil, "%s: %v", at, err)
}

// checker collects problems.
type checker struct{ problems []error }

func (c *checker) that(ok bool, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, fmt.Errorf(format, args...))
	}
}

func (c *checker) share(name string, v float64) {
	c.that(v >= 0 && v <= 1, "%s: %g is not between 0 and 1", name, v)
}

func isBaseURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Path == "" || u.Path == "/")
}
