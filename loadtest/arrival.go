package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Shapes of a phase of arrivals. The number of arrivals of a phase is given, so a Poisson process is sorted uniform instants.
const (
	ShapeEven    = "even"    // equal distances
	ShapePoisson = "poisson" // independent instants, constant expected rate
	ShapeRamp    = "ramp"    // independent instants, rate growing from nothing
)

func validShape(s string) bool { return s == ShapeEven || s == ShapePoisson || s == ShapeRamp }

// arrival is one buyer or bot and when it comes, relative to the opening instant.
type arrival struct {
	at    time.Duration
	index int
	kind  botKind // botNone for an honest buyer
}

// schedule decides every arrival before the run starts: the same seed gives the same schedule. Who comes when is shuffled, so
// that index says nothing about time.
func schedule(p Plan) []arrival {
	rng := rand.New(rand.NewPCG(p.Seed, 0x6172726976616c73))
	all := make([]arrival, 0, p.Buyers.Count+p.Bots.Count())
	for i := range p.Buyers.Count {
		all = append(all, arrival{index: i})
	}
	for i, k := range p.Bots.kinds() {
		all = append(all, arrival{index: i, kind: k})
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var share float64
	done := 0
	for i, ph := range p.Arrivals {
		share += ph.Share
		upTo := int(math.Round(share * float64(len(all))))
		if i == len(p.Arrivals)-1 || upTo > len(all) {
			upTo = len(all)
		}
		ph.place(all[done:upTo], rng)
		done = upTo
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (ph ArrivalPlan) place(some []arrival, rng *rand.Rand) {
	from, length := ph.From.D(), float64(ph.To-ph.From)
	for i := range some {
		var x float64
		switch ph.Shape {
		case ShapeEven:
			x = (float64(i) + 0.5) / float64(len(some))
		case ShapeRamp:
			x = math.Sqrt(rng.Float64())
		default:
			x = rng.Float64()
		}
		some[i].at = from + time.Duration(x*length)
	}
}

// addressBook hands out client addresses of one network.
type addressBook struct {
	base  uint32
	step  uint32
	count uint32
}

func newAddressBook(a AddressesPlan) (addressBook, error) {
	prefix, err := netip.ParsePrefix(a.Network)
	if err != nil || !prefix.Addr().Is4() {
		return addressBook{}, fmt.Errorf("network %q is not an IPv4 network such as 127.64.0.0/10", a.Network)
	}
	room := uint64(1)<<(32-prefix.Bits()) - 1
	if a.Count < 1 || uint64(a.Count) > room {
		return addressBook{}, fmt.Errorf("count %d is not between 1 and the %d addresses of %s", a.Count, room, a.Network)
	}
	b := prefix.Masked().Addr().As4()
	base := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return addressBook{base: base + 1, step: uint32(room / uint64(a.Count)), count: uint32(a.Count)}, nil
}

// forwarded is the value of the Forwarded header of the i-th client; addresses are shared round robin when there are fewer.
func (b addressBook) forwarded(i int) string {
	n := b.base + uint32(i)%b.count*b.step
	return "for=" + netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}
