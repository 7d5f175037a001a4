package catalog

import (
	"sync"
	"time"
)

// zoneCache keeps time zones, which time.LoadLocation reads anew each time. There are only some hundreds.
type zoneCache struct{ known sync.Map }

var zones zoneCache

func (z *zoneCache) find(name string) (*time.Location, error) {
	if known, ok := z.known.Load(name); ok {
		return known.(*time.Location), nil
	}
	location, err := time.LoadLocation(name)
	if err == nil {
		z.known.Store(name, location)
	}
	return location, err
}
