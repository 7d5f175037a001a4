package event

import (
	"os"
	"strings"
	"testing"
)

func TestAVenueMayHaveCoordinates(t *testing.T) {
	text, err := os.ReadFile("../../configs/events/club.yaml")
	if err != nil {
		t.Fatal(err)
	}
	at := func(coordinates string) (Spec, error) {
		return Parse([]byte(strings.Replace(string(text), "country: PT", "country: PT\n  coordinates: "+coordinates, 1)))
	}
	s, err := at("{latitude: 38.7223, longitude: -9}")
	if err != nil || s.Venue.Coordinates == nil || *s.Venue.Coordinates != (Coordinates{38.7223, -9}) {
		t.Errorf("%+v, %v", s.Venue.Coordinates, err)
	}
	for wrong, want := range map[string]string{
		"{latitude: 90.1, longitude: 0}": "venue.coordinates.latitude", "{latitude: 0, longitude: -180.5}": "venue.coordinates.longitude",
		"{latitude: .nan, longitude: 0}": "venue.coordinates.latitude", "{latitude: 0}": "venue.coordinates.longitude",
		"{latitude: north, longitude: 0}": "venue.coordinates.latitude", "38.7": "venue.coordinates",
	} {
		if _, err := at(wrong); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
