package event

import (
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Coordinates are where a venue stands, in degrees (WGS 84).
type Coordinates struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

func (d *decoder) coordinates(n *yaml.Node, path string) *Coordinates {
	var c Coordinates
	good := 0
	degrees := func(into *float64, most float64) func(*yaml.Node, string) {
		return func(n *yaml.Node, path string) {
			s, ok := d.scalar(n, path, "degrees such as 39.4629", "!!float", "!!int")
			if !ok {
				return
			}
			v, err := strconv.ParseFloat(s, 64)
			if err != nil || math.IsNaN(v) || math.Abs(v) > most {
				d.refuse(n, path, "must be degrees from -%g to %g, is %s", most, most, clip(s))
				return
			}
			*into = v
			good++
		}
	}
	d.mapping(n, path, key{"latitude", true, degrees(&c.Latitude, 90)}, key{"longitude", true, degrees(&c.Longitude, 180)})
	if good < 2 {
		return nil
	}
	return &c
}
