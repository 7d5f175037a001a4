package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// reviewPage is how many reviews are asked for at once.
const reviewPage = 200

// decideReviews is the operator of the rehearsal: payments of its event that wait for one, such as those of a bot that buys again and
// again, are denied, so that their money goes back and the audit finds nothing under way.
func (r *Rehearsal) decideReviews(ctx context.Context) error {
	for {
		var page struct {
			Reviews []struct {
				Order uuid.UUID `json:"order_id"`
				Event string    `json:"event"`
			} `json:"reviews"`
		}
		if err := r.admin.Get(ctx, fmt.Sprintf("/admin/v1/reviews?limit=%d", reviewPage), &page); err != nil {
			return fmt.Errorf("list what waits for an operator: %w", err)
		}
		denied := 0
		for _, one := range page.Reviews {
			if one.Event != r.plan.Event {
				continue
			}
			err := r.admin.do(ctx, http.MethodPost, "/admin/v1/reviews/"+one.Order.String()+"/deny", "application/json", jsonBody(map[string]string{"reason": "the rehearsal is over"}), nil)
			var told *statusError
			if errors.As(err, &told) && (told.status == http.StatusConflict || told.status == http.StatusGone) {
				continue // decided meanwhile, or its hold has run out
			}
			if err != nil {
				return fmt.Errorf("deny order %s: %w", one.Order, err)
			}
			denied++
		}
		if denied == 0 || len(page.Reviews) < reviewPage {
			return nil
		}
		if !r.sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}
