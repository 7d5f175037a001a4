-- The presale that a reminder is about; empty: general sale, or whatever sale there is of an event without presales.
ALTER TABLE reminders ADD COLUMN IF NOT EXISTS presale TEXT NOT NULL DEFAULT '';

CREATE UNIQUE INDEX IF NOT EXISTS reminders_one_each ON reminders (event_id, account_id, occasion, presale) WHERE ended_at IS NULL;

DROP INDEX IF EXISTS reminders_one;

-- Core judges too: holds and offers of accounts outside the waiting room. Which places and answers there are is checked by package access from
-- now on: no constraint can be added in a way that may run twice. Those there were have names of each engine's own.
ALTER TABLE guard_verdicts DROP CONSTRAINT IF EXISTS guard_verdicts_place_check;

ALTER TABLE guard_verdicts DROP CONSTRAINT IF EXISTS check_place;

ALTER TABLE guard_verdicts DROP CONSTRAINT IF EXISTS guard_verdicts_answer_check;

ALTER TABLE guard_verdicts DROP CONSTRAINT IF EXISTS check_answer;
