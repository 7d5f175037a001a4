package loadtest

import (
	"slices"
	"strings"
	"testing"

	"fairgate/edge/lottery"
)

// doorsOpen lets everybody of the sale in.
func (s *sale) doorsOpen(t *testing.T) {
	t.Helper()
	seen := DoorsSeen{Again: 1, AtOnce: 1, Altered: 1, Opened: make(map[string]int)}
	for _, one := range s.evidence.witness.Tickets() {
		seen.Tickets++
		seen.Opened[one.ID]++
		s.exec(t, `INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
			VALUES ($1, '', $2, 1, 0, true, $1, 'left', now(), $1, 'left', now())`, one.ID, lottery.EventID(saleEvent))
	}
	s.evidence.witness.AtDoors(seen)
}

func TestWhatHappensAtTheGatesIsHeldAgainstTheDatabase(t *testing.T) {
	good := goodSale(t)
	for _, c := range []struct {
		name  string
		wrong string // "" for nothing
		plant func(s *sale, seen *DoorsSeen)
	}{
		{"everybody in", "", func(*sale, *DoorsSeen) {}},
		{"one in twice", "opened 2 times", func(s *sale, seen *DoorsSeen) { seen.Opened[s.evidence.witness.Tickets()[0].ID]++ }},
		{"one left outside", "opened 0 times", func(s *sale, seen *DoorsSeen) { delete(seen.Opened, s.evidence.witness.Tickets()[0].ID) }},
		{"twice in the database alone", "entered 2 times", func(s *sale, _ *DoorsSeen) {
			s.exec(t, `UPDATE entries SET ins = 2 WHERE ticket_id = $1`, s.evidence.witness.Tickets()[0].ID)
		}},
		{"somebody nobody saw", "nobody had it", func(s *sale, _ *DoorsSeen) {
			s.exec(t, `UPDATE entries SET ticket_id = gen_random_uuid() WHERE ticket_id = $1`, s.evidence.witness.Tickets()[0].ID)
		}},
		{"a void ticket", "not valid", func(s *sale, _ *DoorsSeen) {
			s.exec(t, `UPDATE tickets SET state = 'void' WHERE ticket_id = $1`, s.evidence.witness.Tickets()[0].ID)
		}},
		{"a gate that opened to a forger", "opened where it should", func(_ *sale, seen *DoorsSeen) { seen.Wrong = []string{"gate left opened where it should not"} }},
		{"nobody who tried anything", "too little was tried", func(_ *sale, seen *DoorsSeen) { seen.Again = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good.crimeScene(t)
			s.doorsOpen(t)
			c.plant(s, s.evidence.witness.Doors())
			v, ok := s.judge(t)["doors"]
			found := slices.ContainsFunc(v.Failures, func(f string) bool { return strings.Contains(f, c.wrong) })
			if !ok || v.Checked == 0 || v.Passed != (c.wrong == "") || !v.Passed && !found {
				t.Errorf("%s\n%s", v, strings.Join(v.Failures, "\n"))
			}
		})
	}
}

func TestAFlippedBitMakesAnotherCode(t *testing.T) {
	code := "AEAAC" + strings.Repeat("A", 203)
	seen := map[string]bool{code: true}
	for bit := range uint32(100) {
		other := flip(code, bit)
		if seen[other] {
			t.Fatalf("bit %d gives a code that was there before", bit)
		}
		seen[other] = true
	}
	if flip("no code", 1) == "no code" {
		t.Error("what is no code stays as it is")
	}
}

func TestWhatChangedHandsIsHeldAgainstTheDatabase(t *testing.T) {
	good := goodSale(t)
	for _, c := range []struct {
		name  string
		wrong string // "" for nothing
		plant func(s *sale, seen *AfterwardsSeen)
	}{
		{"one resold, one handed on", "", func(*sale, *AfterwardsSeen) {}},
		{"a seller who has the ticket still", "sold on and is valid", func(s *sale, _ *AfterwardsSeen) { s.exec(t, `UPDATE tickets SET state = 'valid', seat = ''`) }},
		{"a friend without a ticket", "handed on and is not valid", func(s *sale, _ *AfterwardsSeen) { s.exec(t, `UPDATE tickets SET state = 'void'`) }},
		{"a title without its step", "steps of titles", func(s *sale, _ *AfterwardsSeen) { s.exec(t, `DELETE FROM title_steps WHERE how = 'transfer'`) }},
		{"a try that worked", "should have been refused", func(_ *sale, seen *AfterwardsSeen) { seen.Wrong = []string{"it should have been refused"} }},
		{"less than was told", "the owners tell of", func(_ *sale, seen *AfterwardsSeen) { seen.Resold++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good.crimeScene(t)
			w := s.evidence.witness
			sold, given := w.Tickets()[0].ID, w.Tickets()[1].ID
			w.Gone(sold)
			w.Changed(given, "another code")
			s.exec(t, `UPDATE tickets SET state = 'void' WHERE ticket_id = $1`, sold)
			for id, how := range map[string]string{sold: "resale", given: "transfer"} {
				s.exec(t, `INSERT INTO title_steps (ticket_id, seq, epoch, from_owner, to_owner, how, price_minor, currency, previous_id, note, at, hash)
					VALUES ($1, 0, 2, '\x01', '\x02', $2, 0, '', NULL, '', now(), '\x00')`, id, how)
			}
			w.Between(AfterwardsSeen{Resold: 1, Transferred: 1, Refused: 3})
			c.plant(s, w.Afterwards())
			v, ok := s.judge(t)["afterwards"]
			found := slices.ContainsFunc(v.Failures, func(f string) bool { return strings.Contains(f, c.wrong) })
			if !ok || v.Checked == 0 || v.Passed != (c.wrong == "") || !v.Passed && !found {
				t.Errorf("%s\n%s", v, strings.Join(v.Failures, "\n"))
			}
		})
	}
}
