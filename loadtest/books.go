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
	Balances map[string]int64 `json:"balances"` // taken minus given back, by upper-case currency
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
	Refunded int64  `json:"refunded"`
	Currency string `json:"currency"`
}

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
