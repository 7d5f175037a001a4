package crowd

// Event is what the crowd waits for: more places than are called for in a minute, and as many inside as the machine admits.
const Event = `id: crowded
name: A Crowded Evening
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 40000}
limits: {per_buyer: 4}
on_sale: {joining_before: 60m, window: 30s, session_ttl: 20m, claim_within: 2m, max_inside: 20000, pace_per_second: 200}
`

// Slug is the event's id.
const Slug = "crowded"
