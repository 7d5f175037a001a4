package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/edge/backlog"
)

// gate is a commit function that a test holds and lets go, and that remembers the batches.
type gate struct {
	mu      sync.Mutex
	batches [][]int
	open    chan struct{} // a commit waits for one receive; nil lets all through
	decide  func(ctx context.Context, batch []int) ([]string, error)
}

func (g *gate) commit(ctx context.Context, batch []int) ([]string, error) {
	g.mu.Lock()
	g.batches = append(g.batches, slices.Clone(batch))
	g.mu.Unlock()
	if g.open != nil {
		<-g.open
	}
	if g.decide != nil {
		return g.decide(ctx, batch)
	}
	return echo(batch), nil
}

func echo(batch []int) []string {
	out := make([]string, len(batch))
	for i, q := range batch {
		out[i] = fmt.Sprint("answer ", q)
	}
	return out
}

func (g *gate) seen() [][]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.batches)
}

type outcome struct {
	answer string
	err    error
}

// ask sends requests one after the other without waiting for the answers.
func ask(ctx context.Context, lane *db.Lane[int, string], qs ...int) []chan outcome {
	var out []chan outcome
	for _, q := range qs {
		answer := make(chan outcome, 1)
		go func() {
			a, err := lane.Do(ctx, q)
			answer <- outcome{a, err}
		}()
		synctest.Wait() // keep the order
		out = append(out, answer)
	}
	return out
}

func TestALaneCommitsALoneRequestAtOnceAndTheRestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 3, MaxQueue: 10}, g.commit)
		started := time.Now()
		answers := ask(t.Context(), lane, 1, 2, 3, 4, 5)
		if got := g.seen(); len(got) != 1 || !slices.Equal(got[0], []int{1}) {
			t.Fatalf("an idle lane committed %v, want [[1]]", got)
		}
		if lane.Depth() != 4 {
			t.Errorf("depth %d, want 4", lane.Depth())
		}
		close(g.open)
		for i, answer := range answers {
			if got := <-answer; got.err != nil || got.answer != fmt.Sprint("answer ", i+1) {
				t.Errorf("request %d got %+v", i+1, got)
			}
		}
		if got := fmt.Sprint(g.seen()); got != "[[1] [2 3 4] [5]]" {
			t.Errorf("batches %v, want [[1] [2 3 4] [5]]", got)
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("the lane waited %s for nothing", took)
		}
		lane.Close()
		if lane.Depth() != 0 {
			t.Errorf("depth %d after Close", lane.Depth())
		}
	})
}

func TestAFullLaneRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 1, MaxQueue: 2}, g.commit)
		answers := ask(t.Context(), lane, 1, 2, 3) // one in flight, two waiting
		if _, err := lane.Do(t.Context(), 4); !errors.Is(err, db.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		close(g.open)
		for _, answer := range answers {
			if got := <-answer; got.err != nil {
				t.Error(got.err)
			}
		}
		if _, err := lane.Do(t.Context(), 5); err != nil {
			t.Errorf("after the rush: %v", err)
		}
		lane.Close()
	})
}

func TestNoWorkIsSpentOnARequestWhoseCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 10}, g.commit)
		first := ask(t.Context(), lane, 1)
		ctx, cancel := context.WithCancel(t.Context())
		second := ask(ctx, lane, 2)
		third := ask(t.Context(), lane, 3)
		cancel()
		if got := <-second[0]; !errors.Is(got.err, context.Canceled) || errors.Is(got.err, db.ErrAmbiguous) {
			t.Errorf("got %v, want a plain cancellation: nothing was done", got.err)
		}
		close(g.open)
		<-first[0]
		<-third[0]
		if got := fmt.Sprint(g.seen()); got != "[[1] [3]]" {
			t.Errorf("batches %v, want [[1] [3]]", got)
		}
		if _, err := lane.Do(ctx, 4); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over: %v", err)
		}
		lane.Close()
	})
}

func TestACallerWhoLeavesDuringTheCommitIsToldThatTheOutcomeIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test"}, g.commit)
		ctx, cancel := context.WithCancel(t.Context())
		answer := ask(ctx, lane, 1)
		cancel()
		if got := <-answer[0]; !errors.Is(got.err, db.ErrAmbiguous) || !errors.Is(got.err, context.Canceled) {
			t.Errorf("got %v, want ErrAmbiguous and the cancellation", got.err)
		}
		close(g.open)
		lane.Close()
	})
}

func TestOneBadRequestFailsAlone(t *testing.T) {
	errBad := errors.New("this one is bad")
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{}, 100)}
		g.decide = func(_ context.Context, batch []int) ([]string, error) {
			if slices.Contains(batch, 7) {
				return nil, fmt.Errorf("commit: %w", errBad)
			}
			return echo(batch), nil
		}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 16}, g.commit)
		answers := ask(t.Context(), lane, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		for range 100 {
			g.open <- struct{}{}
		}
		for i, answer := range answers {
			got := <-answer
			if bad := i+1 == 7; bad != errors.Is(got.err, errBad) || !bad && got.err != nil {
				t.Errorf("request %d got %+v", i+1, got)
			}
		}
		lane.Close()
		var order []int
		for _, batch := range g.seen() {
			if !slices.Contains(batch, 7) {
				order = append(order, batch...)
			}
		}
		if !slices.Equal(order, []int{1, 2, 3, 4, 5, 6, 8, 9}) {
			t.Errorf("the good ones were committed as %v, want each once, in order of arrival", order)
		}
	})
}

func TestWhatMayHaveBeenCommittedIsNeverRunAgain(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want []error
	}{
		"ambiguous":   {fmt.Errorf("commit: %w", db.ErrAmbiguous), []error{db.ErrAmbiguous}},
		"unavailable": {fmt.Errorf("commit: %w", db.ErrUnavailable), []error{db.ErrUnavailable}},
		"cancelled":   {context.Canceled, []error{context.Canceled}},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{open: make(chan struct{})}
			g.decide = func(_ context.Context, batch []int) ([]string, error) {
				if batch[0] == 1 {
					return echo(batch), nil
				}
				return nil, test.err
			}
			lane := db.NewLane(db.LaneConfig{Name: "test"}, g.commit)
			answers := ask(t.Context(), lane, 1, 2, 3, 4)
			close(g.open)
			<-answers[0]
			for _, answer := range answers[1:] {
				got := <-answer
				for _, want := range test.want {
					if !errors.Is(got.err, want) {
						t.Errorf("%s: got %v, want %v", name, got.err, want)
					}
				}
			}
			if got := fmt.Sprint(g.seen()); got != "[[1] [2 3 4]]" {
				t.Errorf("%s: batches %v, want [[1] [2 3 4]]", name, got)
			}
			lane.Close()
		})
	}
}

func TestAPanicInACommitIsReportedAndTheLaneLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := &gate{}
		g.decide = func(_ context.Context, batch []int) ([]string, error) {
			if batch[0] == 13 {
				panic("a bug")
			}
			return echo(batch), nil
		}
		lane := db.NewLane(db.LaneConfig{Name: "test", Log: slog.New(slog.NewJSONHandler(&log, nil))}, g.commit)
		if _, err := lane.Do(t.Context(), 13); !errors.Is(err, db.ErrAmbiguous) {
			t.Errorf("got %v, want ErrAmbiguous: nobody knows what the commit had done", err)
		}
		if got, err := lane.Do(t.Context(), 14); err != nil || got != "answer 14" {
			t.Errorf("the next request got %q, %v", got, err)
		}
		lane.Close()
		if !bytes.Contains(log.Bytes(), []byte("a bug")) || !bytes.Contains(log.Bytes(), []byte("lane_test.go")) {
			t.Errorf("the log does not say what panicked where: %s", log.String())
		}
	})
}

func TestTooFewAnswersAreAnOpenOutcomeForAll(t *testing.T) {
	lane := db.NewLane(db.LaneConfig{Name: "test"}, func(context.Context, []int) ([]string, error) { return nil, nil })
	defer lane.Close()
	if _, err := lane.Do(t.Context(), 1); !errors.Is(err, db.ErrAmbiguous) {
		t.Errorf("got %v, want ErrAmbiguous", err)
	}
}

func TestACommitThatNeverEndsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := db.NewLane(db.LaneConfig{Name: "test", CommitTimeout: 3 * time.Second}, func(ctx context.Context, batch []int) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		started := time.Now()
		_, err := lane.Do(t.Context(), 1)
		if !errors.Is(err, db.ErrUnavailable) || time.Since(started) != 3*time.Second {
			t.Errorf("got %v after %s, want ErrUnavailable after 3s", err, time.Since(started))
		}
		lane.Close()
	})
}

func TestCloseFinishesWhatWaitsAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 2}, g.commit)
		answers := ask(t.Context(), lane, 1, 2, 3)
		closed := make(chan struct{})
		go func() {
			lane.Close()
			close(closed)
		}()
		synctest.Wait()
		if _, err := lane.Do(t.Context(), 4); !errors.Is(err, db.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		select {
		case <-closed:
			t.Error("Close returned before the writer had finished")
		default:
		}
		close(g.open)
		for _, answer := range answers {
			if got := <-answer; got.err != nil {
				t.Error(got.err)
			}
		}
		<-closed
		lane.Close() // once more does nothing
	})
}

func TestDoAllKeepsTheOrderAndRefusesOnlyWhatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 10, MaxQueue: 3}, g.commit)
		first := ask(t.Context(), lane, 0)
		got := make(chan []db.Answer[string], 1)
		go func() { got <- lane.DoAll(t.Context(), []int{1, 2, 3, 4, 5}) }()
		synctest.Wait()
		close(g.open)
		<-first[0]
		for i, answer := range <-got {
			switch {
			case i < 3 && (answer.Err != nil || answer.Value != fmt.Sprint("answer ", i+1)):
				t.Errorf("request %d got %+v", i+1, answer)
			case i >= 3 && !errors.Is(answer.Err, db.ErrOverloaded):
				t.Errorf("request %d got %+v, want ErrOverloaded", i+1, answer)
			}
		}
		if got := fmt.Sprint(g.seen()); got != "[[0] [1 2 3]]" {
			t.Errorf("batches %v", got)
		}
		lane.Close()
	})
}

// keyOf makes the tens the key of a number: 10 to 19 are of one key.
func keyOf(q *int) backlog.Key { return backlog.Key{byte(*q / 10)} }

func TestAFairLaneTakesFromEveryKeyInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewFairLane(db.LaneConfig{Name: "test", MaxBatch: 5}, keyOf, g.commit)
		answers := ask(t.Context(), lane, 0, 10, 11, 12, 13, 14, 15, 16, 20, 21, 30)
		close(g.open)
		for _, answer := range answers {
			if got := <-answer; got.err != nil {
				t.Error(got.err)
			}
		}
		if got := fmt.Sprint(g.seen()); got != "[[0] [10 20 30 11 21] [12 13 14 15 16]]" {
			t.Errorf("batches %v, want one of each key first, then the rest", got)
		}
		lane.Close()
	})
}

func TestAFullLaneHasRoomForOtherKeysAndSaysWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewFairLane(db.LaneConfig{Name: "test", MaxBatch: 1, MaxQueue: 10}, keyOf, g.commit)
		answers := ask(t.Context(), lane, 10, 10, 11, 12, 13, 14, 15, 16, 17) // one in flight, eight waiting
		_, err := lane.Do(t.Context(), 18)
		var overload *db.Overload
		if !errors.Is(err, db.ErrOverloaded) || !errors.As(err, &overload) || overload.Wait < backlog.MinWait || overload.Wait > backlog.MaxWait {
			t.Errorf("the ninth of a key got %v, want an Overload that says when to come back", err)
		}
		answers = append(answers, ask(t.Context(), lane, 20)...) // another key
		close(g.open)
		for _, answer := range answers {
			if got := <-answer; got.err != nil {
				t.Error(got.err)
			}
		}
		if got := fmt.Sprint(g.seen()[:3]); got != "[[10] [10] [20]]" {
			t.Errorf("batches begin %v; the quiet key must be second in line", got)
		}
		lane.Close()
	})
}

func TestWhoGivesUpALongListIsToldOfEachWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 2, MaxQueue: 5}, g.commit)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan []db.Answer[string], 1)
		go func() { got <- lane.DoAll(ctx, []int{1, 2, 3, 4, 5, 6}) }()
		synctest.Wait() // 1 and 2 are being committed, 3 to 5 wait, 6 did not fit
		g.open <- struct{}{}
		synctest.Wait() // 3 and 4 are being committed
		cancel()
		answers := <-got
		for i, want := range []error{nil, nil, db.ErrAmbiguous, db.ErrAmbiguous, context.Canceled, db.ErrOverloaded} {
			if err := answers[i].Err; !errors.Is(err, want) || i == 4 && errors.Is(err, db.ErrAmbiguous) {
				t.Errorf("request %d: %v, want %v", i+1, err, want)
			}
		}
		if lane.Depth() != 0 {
			t.Errorf("%d still wait for nobody", lane.Depth())
		}
		close(g.open)
		lane.Close()
		if got := fmt.Sprint(g.seen()); got != "[[1 2] [3 4]]" {
			t.Errorf("batches %v", got)
		}
	})
}

func BenchmarkLane(b *testing.B) {
	commit := func(_ context.Context, batch []int) ([]string, error) { return make([]string, len(batch)), nil }
	b.Run("Do", func(b *testing.B) {
		lane := db.NewFairLane(db.LaneConfig{Name: "test"}, keyOf, commit)
		defer lane.Close()
		b.ReportAllocs()
		b.SetParallelism(100)
		b.RunParallel(func(pb *testing.PB) {
			for q := 0; pb.Next(); q++ {
				if _, err := lane.Do(b.Context(), q%100); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("DoAll", func(b *testing.B) {
		lane := db.NewFairLane(db.LaneConfig{Name: "test"}, keyOf, commit)
		defer lane.Close()
		qs := make([]int, 250)
		b.ReportAllocs()
		for n := 0; n < b.N; n += len(qs) {
			lane.DoAll(b.Context(), qs)
		}
	})
}

// A lane on the real server sells what there is, to the unit, and every buyer's answer is what the database says.
func TestALaneSellsExactlyWhatThereIs(t *testing.T) {
	d := dbtest.New(t)
	statement(t, d, `CREATE TABLE shelf (id INT8 PRIMARY KEY, n INT8 NOT NULL CHECK (n >= 0))`)
	statement(t, d, `CREATE TABLE sold (buyer INT8 PRIMARY KEY)`)
	statement(t, d, `INSERT INTO shelf VALUES (1, 100)`)
	lane := db.NewLane(db.LaneConfig{Name: "test", MaxBatch: 50}, func(ctx context.Context, buyers []int) ([]bool, error) {
		var got []bool
		err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			got = make([]bool, len(buyers))
			var left int
			if err := tx.QueryRow(ctx, `SELECT n FROM shelf WHERE id = 1 FOR UPDATE`).Scan(&left); err != nil {
				return err
			}
			var winners []int
			for i, buyer := range buyers {
				if len(winners) < left {
					got[i] = true
					winners = append(winners, buyer)
				}
			}
			if _, err := tx.Exec(ctx, `UPDATE shelf SET n = n - $1 WHERE id = 1`, len(winners)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO sold SELECT unnest($1::INT8[])`, winners)
			return err
		})
		return got, err
	})
	var granted atomic.Int64
	var wg sync.WaitGroup
	for buyer := range 400 {
		wg.Go(func() {
			got, err := lane.Do(t.Context(), buyer)
			if err != nil {
				t.Errorf("buyer %d: %v", buyer, err)
			}
			if got {
				granted.Add(1)
			}
		})
	}
	wg.Wait()
	lane.Close()
	var sold, left int64
	if err := d.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM sold), (SELECT n FROM shelf)`).Scan(&sold, &left); err != nil {
		t.Fatal(err)
	}
	if granted.Load() != 100 || sold != 100 || left != 0 {
		t.Errorf("%d told yes, %d sold, %d left; want 100, 100, 0", granted.Load(), sold, left)
	}
}
