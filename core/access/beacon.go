package access

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// What can be wrong with a beacon.
var (
	// ErrBeaconName means a beacon has no name that can be published.
	ErrBeaconName = errors.New("the name of the beacon is invalid")
	// ErrBeaconFixed means another beacon, or none, was committed to when the on-sale was scheduled.
	ErrBeaconFixed = errors.New("the beacon was committed to")
	// ErrBeaconNone means the on-sale has no beacon.
	ErrBeaconNone = errors.New("the on-sale has no beacon")
	// ErrBeaconEarly means the pool is not sealed yet: a value known by now is one that entrants could be chosen by.
	ErrBeaconEarly = errors.New("the pool is not sealed yet")
	// ErrBeaconValue means the value cannot be one.
	ErrBeaconValue = errors.New("the value of the beacon is invalid")
	// ErrBeaconKnown means another value is in the seed already.
	ErrBeaconKnown = errors.New("the beacon has another value")
)

const (
	// sqlTouchDraw takes the row before the pool is looked at, so that nobody joins in between.
	sqlTouchDraw = `UPDATE draws SET version = version + 1, epoch = $4, updated_at = now()
	WHERE event_id = $1 AND generation = $2 AND next_window = 0 AND root = $3 AND epoch <= $4 AND phase <> 'ended' RETURNING blocks`
	sqlCloseForBeacon = `UPDATE draws SET root = $3 WHERE event_id = $1 AND generation = $2`
	sqlBeaconValue    = `UPDATE draws SET beacon_value = $3, version = version + 1, updated_at = now()
	WHERE event_id = $1 AND generation = $2`
)

// awaitsBeacon tells whether window 0 can only be drawn once the value of the beacon is known.
func (d *draw) awaitsBeacon() bool { return d.beacon != "" && len(d.beaconValue) == 0 }

// open is the first window that still takes entrants.
func (d *draw) open() uint32 {
	if d.root != nil {
		return max(d.nextWindow, 1)
	}
	return d.nextWindow
}

// closeForBeacon closes window 0 and commits its root, in one transaction on the row that joins have to change too. From
// its commit on the root is public and nobody can be added, while secret and beacon are still unknown to everybody else.
func (s *onSale) closeForBeacon(ctx context.Context, v snapshot) error {
	entrants := 0
	err := s.write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var blocks int64
		err := tx.QueryRow(ctx, sqlTouchDraw, s.event, int64(v.draw.generation), []byte{}, s.driver.lease.epoch).Scan(&blocks)
		if isNoRows(err) {
			return errOvertaken
		}
		if err != nil {
			return fmt.Errorf("take the row: %w", err)
		}
		leaves, err := s.committedLeaves(ctx, tx, v, 0, uint64(blocks))
		if err != nil {
			return err
		}
		root := lottery.Root(leaves)
		entrants = len(leaves)
		if _, err := tx.Exec(ctx, sqlCloseForBeacon, s.event, int64(v.draw.generation), root[:]); err != nil {
			return fmt.Errorf("write the root: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.room.cfg.Log.Info("window 0 is sealed and waits for the beacon", "event", s.slug, "generation", v.draw.generation, "entrants", entrants,
		"beacon", v.draw.beacon)
	return nil
}

// Beacon gives an on-sale the value of its beacon, which draws window 0. It is taken once, and only after the pool was sealed;
// the same value again changes nothing. The value is the bytes that people can read where the beacon's name says.
// ErrBeaconNone, ErrBeaconEarly, ErrBeaconValue, ErrBeaconKnown, ErrEnded.
func (r *Room) Beacon(ctx context.Context, slug string, value []byte) (Status, error) {
	if !lottery.ValidBeaconValue(value) {
		return Status{}, ErrBeaconValue
	}
	event := lottery.EventID(slug)
	leave, err := r.takeTurn(ctx, event)
	if err != nil {
		return Status{}, err
	}
	err = r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		d, err := loadDraw(ctx, tx, event)
		if err != nil {
			return err
		}
		switch {
		case d.beacon == "":
			return ErrBeaconNone
		case bytes.Equal(d.beaconValue, value):
			return nil
		case len(d.beaconValue) > 0:
			return ErrBeaconKnown
		case d.phase == Ended:
			return ErrEnded
		case d.root == nil:
			return ErrBeaconEarly
		}
		if _, err := tx.Exec(ctx, sqlBeaconValue, event, int64(d.generation), value); err != nil {
			return fmt.Errorf("write the value: %w", err)
		}
		return nil
	})
	leave()
	if err != nil {
		return Status{}, fmt.Errorf("set the beacon of %q: %w", slug, err)
	}
	r.cfg.Log.Info("the beacon is known", "event", slug, "value", hex.EncodeToString(value))
	return r.changed(ctx, slug)
}
