package notify

import (
	"context"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
)

// What a batch of sales pays for its mails: one statement for 500 orders, in a transaction of its own here.
func BenchmarkQueueAMailForEachOf500Orders(b *testing.B) {
	d := dbtest.New(b)
	for b.Loop() {
		batch := make([]Message, 500)
		for i := range batch {
			order := uuid.New()
			batch[i] = Message{Key: "tickets/" + order.String(), Kind: KindTickets, To: "buyer" + strconv.Itoa(i) + "@example.net", Language: "es", Subject: order}
		}
		if err := d.InTx(b.Context(), func(ctx context.Context, tx pgx.Tx) error { return QueueAll(ctx, tx, batch) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/500, "µs/mail")
}
