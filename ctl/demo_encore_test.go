package ctl

import (
	"fmt"
	"strings"
	"testing"

	"fairgate/core/event"
	"fairgate/loadtest"

	"go.yaml.in/yaml/v3"
)

func TestTheEncoreIsTheSameEventAnotherNightWithTheTimesOfItsFile(t *testing.T) {
	for _, path := range []string{"../configs/events/arena.yaml", "../configs/events/club.yaml"} {
		doc, id, err := readEvent(path)
		if err != nil {
			t.Fatal(err)
		}
		original, err := yaml.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		before, err := event.Parse(original)
		if err != nil {
			t.Fatal(err)
		}
		text, slug, err := encoreEvent(path)
		if err != nil {
			t.Fatal(err)
		}
		after, err := event.Parse(text)
		if err != nil {
			t.Fatalf("%s: the encore is no event: %v\n%s", path, err, text)
		}
		if slug != id.Value+encoreSuffix || !strings.HasSuffix(after.Name, "(encore)") {
			t.Errorf("%s: id %q, name %q", path, slug, after.Name)
		}
		if fmt.Sprint(before.Tiers) != fmt.Sprint(after.Tiers) || fmt.Sprint(before.Hold) != fmt.Sprint(after.Hold) || fmt.Sprint(before.OnSale) != fmt.Sprint(after.OnSale) {
			t.Errorf("%s: the encore is another event:\n%+v\n%+v", path, before, after)
		}
	}
}

func TestTheCompanyOfTheEncoreHasAPlanThatCanBeRead(t *testing.T) {
	plan := encorePlan("arena-encore", 7, addresses{Edges: []string{"127.0.0.1:1", "127.0.0.1:2"}, CoreAdmin: "127.0.0.1:3", SecretFile: "s", Paysim: "127.0.0.1:4", Database: "postgres://x"})
	text, err := yaml.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	read, err := loadtest.ParsePlan(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if fmt.Sprintf("%+v", read) != fmt.Sprintf("%+v", plan) {
		t.Errorf("read as\n%+v\nwritten as\n%+v", read, plan)
	}
	if read.Buyers.Count != encoreCompany || read.Bots.Count() != 0 || read.Opening.In != 0 {
		t.Errorf("company %+v", read)
	}
}
