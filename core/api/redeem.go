package api

import (
	"context"
	"encoding/base64"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/edge/lottery"
)

// provide notes in redemptions whom the accounts that are signed in in their browsers are. An item whose account is not signed in is left
// without one; what that means the waiting room knows. It answers the account of each redemption, uuid.Nil where there is none.
func (s *Server) provide(ctx context.Context, redemptions []access.Redemption, items []redeemItem, index []int) ([]uuid.UUID, error) {
	accounts := make([]uuid.UUID, len(redemptions))
	var shown []account.Shown
	var of []int
	for n := range redemptions {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(items[index[n]].Account)
		if err == nil && len(raw) > 0 {
			shown, of = append(shown, account.Shown{Raw: raw, Device: redemptions[n].Device}), append(of, n)
		}
	}
	if len(shown) == 0 {
		return accounts, nil
	}
	sessions, refused, err := s.Accounts.CheckAll(ctx, shown)
	if err != nil {
		return nil, err
	}
	for i, n := range of {
		if refused[i] != nil {
			continue
		}
		e, err := s.Events.ByID(ctx, lottery.EventID(redemptions[n].Event))
		if err != nil {
			continue // the waiting room says that there is no such event
		}
		entrant := sessions[i].Account.Entrant(e.PseudonymKey)
		redemptions[n].Account, redemptions[n].AccountID, accounts[n] = &entrant, sessions[i].Account.ID, sessions[i].Account.ID
	}
	return accounts, nil
}

// remember notes the accounts of those who came in, so that they find there what they buy.
func (s *Server) remember(ctx context.Context, redemptions []access.Redemption, accounts []uuid.UUID, redeemed []access.Redeemed) error {
	var in []account.Entrancy
	seen := make(map[account.Entrancy]struct{})
	for n, a := range accounts {
		if a == uuid.Nil || redeemed[n].Err != nil {
			continue
		}
		e := account.Entrancy{Account: a, Event: lottery.EventID(redemptions[n].Event), Entrant: *redemptions[n].Account}
		if _, twice := seen[e]; !twice {
			seen[e] = struct{}{}
			in = append(in, e)
		}
	}
	return account.Remember(ctx, s.DB, in...)
}
