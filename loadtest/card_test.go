package loadtest

import "testing"

func TestEveryVisitorHasACardOfTheirOwn(t *testing.T) {
	seen := make(map[string]bool)
	for n := range 2000 {
		number := CardNumber(n)
		sum := 0
		for i := range number {
			d := int(number[len(number)-1-i] - '0')
			if i%2 == 1 {
				if d *= 2; d > 9 {
					d -= 9
				}
			}
			sum += d
		}
		if len(number) != 16 || sum%10 != 0 || seen[number] {
			t.Fatalf("card %d is %s", n, number)
		}
		seen[number] = true
	}
}
