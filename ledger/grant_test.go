package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func TestTheServiceRecordsAndSealsButCannotRewriteTheLedger(t *testing.T) {
	for name, prepare := range map[string][]string{
		"as it is": nil,
		"whatever defaults an administrator has set": {`ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO ROLE`},
	} {
		t.Run(name, func(t *testing.T) {
			owner, service := dbtest.Roles(t, prepare...)
			w := ledger.NewWriter(service.Reader)
			s := sale(t, 5000)
			mustRecord(t, service, w, append(s, ledger.PostAll(s)...)...)
			mustRecord(t, service, w, append(s, single(ledger.BuyerClearing("EUR"), ledger.ResaleEscrow("EUR"), 70))...)
			if n := seal(t, service, w); n != 9 {
				t.Errorf("sealed %d", n)
			}
			mustVerify(t, service, 9)
			for _, table := range []string{"ledger_transfers", "ledger_seals"} {
				tamper(t, service, `GRANT ALL ON `+table+` TO CURRENT_USER`) // PostgreSQL warns that this grants nothing
				for _, statement := range []string{
					`UPDATE TABLE SET writer = writer`, `UPDATE TABLE SET writer = writer WHERE FALSE`, `DELETE FROM TABLE`, `DELETE FROM TABLE WHERE FALSE`,
					`TRUNCATE TABLE`, `DROP TABLE TABLE`, `ALTER TABLE TABLE DROP COLUMN writer`, `SELECT writer FROM TABLE FOR UPDATE`,
					`CREATE INDEX stolen ON TABLE (writer)`,
				} {
					sql := strings.Replace(statement, "TABLE TABLE", "TABLE "+table, 1)
					if sql == statement {
						sql = strings.Replace(statement, "TABLE", table, 1)
					}
					_, err := service.Pool.Exec(t.Context(), sql)
					var refused *pgconn.PgError
					if !errors.As(err, &refused) || refused.Code != "42501" {
						t.Errorf("%s: got %v, want it refused for want of a privilege", sql, err)
					}
				}
			}
			if tables, err := service.MayRewrite(t.Context()); err != nil || len(tables) != 0 {
				t.Errorf("the service may rewrite %v, %v", tables, err)
			}
			if tables, err := owner.MayRewrite(t.Context()); err != nil || len(tables) != 8 {
				t.Errorf("the owner may rewrite %v, %v", tables, err)
			}
			if applied, err := service.Migrate(t.Context()); err != nil || len(applied) != 0 {
				t.Errorf("on a current schema the service's migration applies %v, %v", applied, err)
			}
			tamper(t, owner, `DELETE FROM schema_migrations WHERE version = 4`, `DROP TABLE ledger_seals`)
			if _, err := service.Migrate(t.Context()); !errors.Is(err, db.ErrNotOwner) {
				t.Errorf("the service's migration of an old schema: %v", err)
			}
		})
	}
}

func TestTheOwnerIsNoServiceRole(t *testing.T) {
	d := dbtest.New(t)
	var owner string
	if err := d.Pool.QueryRow(t.Context(), `SELECT current_user`).Scan(&owner); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{owner, "Robert'); DROP TABLE ledger_transfers", ""} {
		if err := d.EnsureServiceRole(t.Context(), role, ""); !errors.Is(err, db.ErrRole) {
			t.Errorf("%q: %v", role, err)
		}
	}
	if err := d.GrantService(t.Context(), "a b"); !errors.Is(err, db.ErrRole) {
		t.Errorf("got %v", err)
	}
}
