package dbtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Roles is an empty, migrated database twice: as its owner, and as a new role with the service's privileges. prepare is run by
// the owner before the tables are made, with ROLE standing for the new role's name.
func Roles(t testing.TB, prepare ...string) (owner, service *db.DB) {
	t.Helper()
	server := Server(t).URL
	role, password := "service_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	t.Cleanup(func() { // after the database, which comes later, is dropped
		conn, err := pgx.Connect(context.Background(), server)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), `DROP ROLE `+role); err != nil {
			t.Errorf("drop the role: %v", err)
		}
	})
	address := URL(t)
	open := func(address string) *db.DB {
		d, err := db.Open(t.Context(), address, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	owner = open(address)
	if err := owner.EnsureServiceRole(t.Context(), role, password); err != nil {
		t.Fatal(err)
	}
	for _, statement := range prepare {
		if _, err := owner.Pool.Exec(t.Context(), strings.ReplaceAll(statement, "ROLE", role)); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if _, err := owner.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be repeated
		if err := owner.GrantService(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return owner, open(u.String())
}
