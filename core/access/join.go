package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// Join is one entrant as an edge reports it.
type Join struct {
	Entrant lottery.Entrant
	Device  lottery.DeviceHash
	Network [8]byte
	Window  uint32 // in which they arrived, by the edge's clock
}

// JoinRequest is what an edge streams: entrants, and its final marker for a window when it has sent all of them.
type JoinRequest struct {
	Edge       uuid.UUID
	Event      string
	Generation uint32
	Entries    []Join
	Marker     *uint32
}

// Ack says where an entrant is. It is the same however often and from wherever the entrant joins.
type Ack struct {
	Window  uint32
	Band    lottery.Band
	Reason  lottery.Reason
	Receipt []byte // signed; see lottery.Receipt
	// OtherDevice tells that the entrant is bound to another device than the one that joined now, which therefore
	// cannot take the turn.
	OtherDevice bool
	// Refused is ErrBanned or ErrNotRegistered, with nothing else set, or nil.
	Refused error
}

// joinCall is a request on its way through the lane. Entries already known to memory never get here.
type joinCall struct {
	edge       uuid.UUID
	generation uint32
	entries    []Join
	marker     *uint32
	refused    error // set by the lane
}

// JoinBatch adds entrants to the pool of an on-sale and acknowledges each, in order, once that is committed. An entrant
// who is in it already gets the first acknowledgement again. One who arrived in a window that is sealed goes to the next
// open one. When the call fails nobody was acknowledged, though they may be in the pool; sending it again is right.
func (r *Room) JoinBatch(ctx context.Context, req JoinRequest) ([]Ack, error) {
	if len(req.Entries) > r.cfg.MaxPoolBatch {
		return nil, fmt.Errorf("%w: %d entries, at most %d", ErrTooMany, len(req.Entries), r.cfg.MaxPoolBatch)
	}
	s, err := r.onSaleOf(ctx, req.Event)
	if err != nil {
		return nil, err
	}
	view := s.snapshot()
	if view.draw.generation != req.Generation {
		if err := s.refresh(ctx); err != nil {
			return nil, err
		}
		if view = s.snapshot(); view.draw.generation != req.Generation {
			return nil, fmt.Errorf("%w: number %d, not %d", ErrGeneration, view.draw.generation, req.Generation)
		}
	}
	ring, err := r.rings.ofEvent(ctx, s.event)
	if err != nil {
		return nil, err
	}
	call := &joinCall{edge: req.Edge, generation: req.Generation, marker: req.Marker}
	banned := make([]bool, len(req.Entries))
	for i, j := range req.Entries {
		banned[i] = r.banned(j)
		if _, known := view.pool.find(j.Entrant); !known && !banned[i] {
			call.entries = append(call.entries, j)
		}
	}
	var strangers map[lottery.Entrant]bool
	if view.sale.Registered && len(call.entries) > 0 {
		if strangers, err = r.unregistered(ctx, s.event, view.draw.presale, call.entries); err != nil {
			return nil, err
		}
		call.entries = slices.DeleteFunc(call.entries, func(j Join) bool { return strangers[j.Entrant] })
	}
	if len(call.entries) > 0 || call.marker != nil {
		if _, err := s.joins.Do(ctx, call); err != nil {
			return nil, fmt.Errorf("join %q: %w", req.Event, err)
		}
		if call.refused != nil {
			return nil, call.refused
		}
	}
	return acknowledge(s.event, req, banned, strangers, view.pool, ring)
}

// acknowledge makes the answers out of the pool, which by now has everybody but the banned.
func acknowledge(event uuid.UUID, req JoinRequest, banned []bool, strangers map[lottery.Entrant]bool, p *pool, ring *eventRing) ([]Ack, error) {
	acks := make([]Ack, len(req.Entries))
	for i, j := range req.Entries {
		if banned[i] {
			acks[i].Refused = ErrBanned
			joinsBanned.Inc()
			continue
		}
		if strangers[j.Entrant] {
			acks[i].Refused = ErrNotRegistered
			continue
		}
		rec, known := p.find(j.Entrant)
		if !known {
			return nil, fmt.Errorf("join %q: entrant %s was committed and is not in memory", req.Event, j.Entrant)
		}
		acks[i] = Ack{
			Window: rec.Window, Band: rec.Band, Reason: rec.Reason,
			OtherDevice: rec.Device != j.Device,
			Receipt:     makeReceipt(event, p, rec, ring),
		}
	}
	joinsAcknowledged.Add(len(acks))
	return acks, nil
}

// makeReceipt signs what was committed about an entrant. Signing is deterministic, so the receipt is always the same
// until its key is retired; then the newest signs.
func makeReceipt(event uuid.UUID, p *pool, rec record, ring *eventRing) []byte {
	head := p.head(rec.block)
	no, private := ring.receiptKey(head.keyNo)
	receipt := lottery.Receipt{
		Event: event, Entrant: rec.Entrant, Generation: p.generation, Window: rec.Window, Band: rec.Band, Reason: rec.Reason,
		Block: uint64(rec.block), AcknowledgedAt: head.at, KeyNo: no,
	}
	return receipt.Sign(private)
}

func (r *Room) banned(j Join) bool {
	return r.bans.has(BanDevice, j.Device[:]) || r.bans.has(BanEntrant, j.Entrant[:]) || r.bans.has(BanNetwork, j.Network[:])
}

const (
	sqlTakeBlock = `UPDATE draws SET blocks = blocks + 1, updated_at = now() WHERE event_id = $1 RETURNING ` + drawColumns
	sqlAddBlock  = `INSERT INTO draw_blocks (event_id, generation, block_no, edge_id, entries, created_at)
	VALUES ($1, $2, $3, $4, $5, now())`
	sqlAddMarkers = `INSERT INTO draw_markers (event_id, generation, window_no, edge_id, at)
	SELECT $1, $2, w, e, now() FROM unnest($3::INT8[], $4::UUID[]) AS m (w, e)
	ON CONFLICT (event_id, generation, window_no, edge_id) DO NOTHING`
)

// commitJoins is the lane's commit: one block for all new entrants of the batch. The UPDATE of the row of draws puts it
// in one order with the blocks of other cores and with the sealing of windows, so the window it goes by is the truth.
func (s *onSale) commitJoins(ctx context.Context, calls []*joinCall) ([]struct{}, error) {
	ring, err := s.room.rings.ofEvent(ctx, s.event)
	if err != nil {
		return nil, err
	}
	if err := s.turn.enter(ctx); err != nil {
		return nil, err
	}
	defer s.turn.leave()
	p := s.snapshot().pool
	started := time.Now()
	var a *appending
	err = s.room.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		a = &appending{sale: s, pool: p, keyNo: ring.newestReceipt, calls: calls}
		return a.run(ctx, tx)
	})
	if err != nil && !errors.Is(err, errNobodyAccepted) {
		return nil, err
	}
	for i, call := range calls {
		call.refused = a.refused[i]
	}
	if err != nil {
		return make([]struct{}, len(calls)), nil
	}
	if err := p.apply(a.first, a.blocks); err != nil {
		return nil, fmt.Errorf("apply the pool of %s: %w", s.slug, err)
	}
	joinSeconds.UpdateDuration(started)
	return make([]struct{}, len(calls)), nil
}

// appending is one attempt to append a block. Everything it learns stays here until the commit.
type appending struct {
	sale  *onSale
	pool  *pool
	keyNo uint32
	calls []*joinCall

	refused []error
	first   uint64  // number of blocks[0]
	blocks  []block // those of other cores that memory lacked, then our own
}

func (a *appending) run(ctx context.Context, tx pgx.Tx) error {
	a.refused = make([]error, len(a.calls))
	entries := 0
	for _, call := range a.calls {
		entries += len(call.entries)
	}
	var d draw
	var err error
	if entries == 0 { // only markers
		d, err = loadDraw(ctx, tx, a.sale.event)
	} else {
		d, err = scanDraw(tx.QueryRow(ctx, sqlTakeBlock, a.sale.event))
		if errors.Is(err, pgx.ErrNoRows) {
			err = ErrNoSale
		}
	}
	if err != nil {
		return fmt.Errorf("take a pool block: %w", err)
	}
	if !a.refuse(d) {
		return errNobodyAccepted
	}
	if entries > 0 {
		if err := a.appendBlock(ctx, tx, d); err != nil {
			return err
		}
	}
	return a.addMarkers(ctx, tx)
}

// errNobodyAccepted undoes a block that would have stayed empty.
var errNobodyAccepted = errors.New("every call of the batch is refused")

// refuse decides which calls come too early, too late or to another on-sale, and tells whether any is left.
func (a *appending) refuse(d draw) (any bool) {
	for i, call := range a.calls {
		switch {
		case d.generation != call.generation || d.generation != a.pool.generation:
			a.refused[i] = ErrGeneration
		case d.phase == Ended || !d.now.Before(d.endsAt):
			a.refused[i] = ErrEnded
		case d.now.Before(d.joiningAt):
			a.refused[i] = ErrNotOpen
		default:
			any = true
		}
	}
	return any
}

// appendBlock writes block d.blocks-1 with whoever of the batch is not in the pool yet.
func (a *appending) appendBlock(ctx context.Context, tx pgx.Tx, d draw) error {
	own := d.blocks - 1
	b := block{keyNo: a.keyNo, at: d.now.Truncate(time.Millisecond)}
	edge := uuid.Nil
	if d.generation == a.pool.generation {
		a.first = min(a.pool.blocks(), own)
		missing, err := loadBlocks(ctx, tx, d, a.first, own)
		if err != nil {
			return err
		}
		b.entries = a.decide(d, missing)
		a.blocks = append(missing, b)
	}
	for i, call := range a.calls {
		if a.refused[i] == nil && len(call.entries) > 0 {
			edge = call.edge // of a batch from several edges the first is named
			break
		}
	}
	stored := b.append(make([]byte, 0, blockHeaderBytes+entryBytes*len(b.entries)))
	if _, err := tx.Exec(ctx, sqlAddBlock, a.sale.event, int64(d.generation), int64(own), edge, stored); err != nil {
		return fmt.Errorf("write a pool block: %w", err)
	}
	return nil
}

// decide gives each new entrant a window and a band, in order of arrival. missing are the committed blocks from a.first
// on that memory lacked when they were read; some may have been applied since.
func (a *appending) decide(d draw, missing []block) []Entry {
	sale := a.sale.snapshot().sale
	limited := sale.Identity == "device" && sale.MaxPerNetwork > 0
	a.pool.mu.RLock()
	defer a.pool.mu.RUnlock()
	seen := make(map[lottery.Entrant]struct{})
	networks := make(map[[8]byte]int)
	for i, b := range missing {
		if a.first+uint64(i) < uint64(len(a.pool.heads)) {
			continue
		}
		for _, e := range b.entries {
			seen[e.Entrant] = struct{}{}
			networks[e.Network]++
		}
	}
	var entries []Entry
	for i, call := range a.calls {
		if a.refused[i] != nil {
			continue
		}
		for _, j := range call.entries {
			_, twice := seen[j.Entrant]
			_, known := a.pool.index[j.Entrant]
			if twice || known {
				continue
			}
			seen[j.Entrant] = struct{}{}
			e := Entry{Entrant: j.Entrant, Device: j.Device, Network: j.Network, Window: d.entry(j.Window, d.now)}
			if limited && a.pool.networks[j.Network]+networks[j.Network] >= sale.MaxPerNetwork {
				e.Band, e.Reason = 1, lottery.ReasonNetworkSurplus
			}
			networks[j.Network]++
			entries = append(entries, e)
		}
	}
	return entries
}

func (a *appending) addMarkers(ctx context.Context, tx pgx.Tx) error {
	var windows []int64
	var edges []uuid.UUID
	for i, call := range a.calls {
		if call.marker != nil && a.refused[i] == nil {
			windows, edges = append(windows, int64(*call.marker)), append(edges, call.edge)
		}
	}
	if len(windows) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlAddMarkers, a.sale.event, int64(a.pool.generation), windows, edges); err != nil {
		return fmt.Errorf("write final markers: %w", err)
	}
	return nil
}
