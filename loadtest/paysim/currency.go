package paysim

import (
	"math/big"
	"strconv"
	"strings"
)

// exponent is how many digits of an amount in minor units come after the point, by lower-case currency.
func exponent(currency string) int {
	switch currency {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf":
		return 0
	case "bhd", "jod", "kwd", "omr", "tnd":
		return 3
	}
	return 2
}

// money is an amount for people.
func money(minor int64, currency string) string {
	digits := exponent(strings.ToLower(currency))
	text := strconv.FormatInt(minor, 10)
	if digits > 0 {
		for len(text) <= digits {
			text = "0" + text
		}
		text = text[:len(text)-digits] + "." + text[len(text)-digits:]
	}
	return text + " " + strings.ToUpper(currency)
}

// million is the unit of exchange rates: they have six digits after the point.
const million = 1_000_000

// exchange is what a major unit of one currency is worth in another, in millionths. It is fixed by the seed and plausible.
func (d *dice) exchange(from, to string) int64 {
	if from == to {
		return million
	}
	rate := 0.6 + d.throw("exchange", from+"/"+to)
	switch { // where there are no minor units, a major one is worth about as much as a minor one elsewhere
	case exponent(from) == 0 && exponent(to) > 0:
		rate /= 100
	case exponent(from) > 0 && exponent(to) == 0:
		rate *= 100
	}
	return int64(rate * million)
}

// convert is an amount in another currency, rounded half up.
func convert(minor int64, from, to string, rate int64) int64 {
	if from == to {
		return minor
	}
	power := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
	n := new(big.Int).Mul(big.NewInt(minor), big.NewInt(rate))
	n.Mul(n, power(exponent(to)))
	unit := new(big.Int).Mul(big.NewInt(million), power(exponent(from)))
	n.Add(n.Lsh(n, 1), unit) // twice the value plus one half twice
	return n.Quo(n, unit.Lsh(unit, 1)).Int64()
}
