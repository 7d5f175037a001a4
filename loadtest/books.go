package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Books is what the payment provider has on record: GET /_paysim/books.
type Books struct {
	Intents  []BookedIntent   `json:"intents"`
	Balances map[string]int64 `json:"balances"` // taken minus given back and minus what banks have, by upper-case currency
	// Consistent says that the provider's balances, kept as the money moved, are what its intents add up to.
	Consistent bool `json:"consistent"`
}

// BookedIntent is one payment as the provider has it.
type BookedIntent struct {
	ID       string `json:"id"`
	Order    string `json:"order"`
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Captured int64  `json:"captured"`
	Refunded int64  `json:"refunded"` // by refunds that have not failed
	Disputed int64  `json:"disputed"` // taken back by disputes that are open or lost
	Currency string `json:"currency"`
}

// kept is what the provider still has of it for us.
func (i *BookedIntent) kept() int64 { return i.Captured - i.Refunded - i.Disputed }

// readBooks fetches the provider's books.
func readBooks(ctx context.Context, paysim string) (Books, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(paysim, "/")+"/_paysim/books", nil)
	if err != nil {
		return Books{}, fmt.Errorf("ask for the books: %w", err)
	}
	var b Books
	if err := fetch(&http.Client{Timeout: time.Minute}, req, &b); err != nil {
		return Books{}, err
	}
	return b, nil
}
