package checkout

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/db/dbtest"
)

func TestTheServiceSellsAndSealsButCannotRewriteTheAuditTrail(t *testing.T) {
	owner, service := dbtest.Roles(t)
	s := newShopIn(t, owner)
	s.db = service
	n := s.open(true)
	s.bought(n, 1)
	if sealed := s.seal(n); sealed != 1 {
		t.Errorf("sealed %d", sealed)
	}
	if v := s.verify(n, uuid.Nil); !v.OK() || v.Steps != 5 || v.Heads != 1 {
		t.Errorf("got %+v", v)
	}
	for table, column := range map[string]string{"order_events": "reason", "order_heads": "head", "order_seals": "hash"} {
		for _, statement := range []string{
			`UPDATE %[1]s SET %[2]s = %[2]s`, `UPDATE %[1]s SET %[2]s = %[2]s WHERE FALSE`, `DELETE FROM %[1]s`, `DELETE FROM %[1]s WHERE FALSE`,
			`TRUNCATE TABLE %[1]s`, `DROP TABLE %[1]s`, `ALTER TABLE %[1]s DROP COLUMN %[2]s`, `SELECT %[2]s FROM %[1]s FOR UPDATE`,
		} {
			statement = fmt.Sprintf(statement, table, column)
			_, err := service.Pool.Exec(t.Context(), statement)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "42501" {
				t.Errorf("%s: got %v, want it refused for want of a privilege", statement, err)
			}
		}
	}
}
