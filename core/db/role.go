package db

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Two roles use the database. The owner made it and migrates it. The service has what its work needs and no more: it may not change or
// delete what is only ever inserted, so not even a hole in the service rewrites the ledger. Privileges are given table by table after
// each migration, never by default, so that no later table widens them.

// ServiceRole is the name of the service's role on private servers, and the usual one elsewhere.
const ServiceRole = "fairgate_service"

// ErrRole means that a role cannot be used for the service.
var ErrRole = errors.New("unusable service role")

// insertOnly are the tables of which no row is ever changed or deleted.
var insertOnly = []string{"ledger_seals", "ledger_transfers", "listing_prices", "offline_decisions", "order_events", "order_heads", "order_seals", "title_steps"}

// roleName is what needs no quoting in SQL: names of roles and tables cannot be parameters.
var roleName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

const (
	sqlRoleExists = `SELECT count(*)::INT8, COALESCE(bool_or(rolname = current_user), FALSE) FROM pg_roles WHERE rolname = $1::TEXT`
	sqlMayRewrite = `SELECT t.name FROM unnest($1::TEXT[]) AS t(name)
WHERE has_table_privilege(t.name, 'UPDATE') OR has_table_privilege(t.name, 'DELETE') ORDER BY t.name`
)

// EnsureServiceRole makes the role unless it exists, and sets its password unless that is empty. The connection must be the owner's.
func (d *DB) EnsureServiceRole(ctx context.Context, role, password string) error {
	if !roleName.MatchString(role) {
		return fmt.Errorf("%w: %q is not a name of small letters, digits and underscores", ErrRole, role)
	}
	var n int64
	var current bool
	if err := d.Pool.QueryRow(ctx, sqlRoleExists, role).Scan(&n, &current); err != nil {
		return fmt.Errorf("look for role %s: %w", role, err)
	}
	if current {
		return fmt.Errorf("%w: %s is the owner itself; connect as the owner and name another role for the service", ErrRole, role)
	}
	verb := "ALTER"
	if n == 0 {
		verb = "CREATE"
	}
	words := []string{verb, "ROLE", role, "WITH LOGIN"}
	if password != "" {
		words = append(words, "PASSWORD '"+strings.ReplaceAll(password, "'", "''")+"'")
	} else if n > 0 {
		return nil
	}
	if err := d.runDDL(ctx, strings.Join(words, " ")); err != nil {
		return fmt.Errorf("make role %s: %w", role, err)
	}
	return nil
}

// GrantService gives the role its privileges on every table there is, and takes those away that it must not have. It is run after each
// migration, by the owner; running it again changes nothing, and no running service notices.
func (d *DB) GrantService(ctx context.Context, role string) error {
	if !roleName.MatchString(role) {
		return fmt.Errorf("%w: %q is not a name of small letters, digits and underscores", ErrRole, role)
	}
	tables, err := Tables()
	if err != nil {
		return err
	}
	for _, table := range append(tables, "schema_migrations") {
		privileges := "SELECT, INSERT, UPDATE, DELETE"
		switch {
		case slices.Contains(insertOnly, table):
			privileges = "SELECT, INSERT"
		case table == "schema_migrations":
			privileges = "SELECT"
		}
		// Both in one implicit transaction: nobody sees the table without privileges.
		words := []string{"REVOKE ALL ON TABLE", table, "FROM", role, "; GRANT", privileges, "ON TABLE", table, "TO", role}
		if err := d.runDDL(ctx, strings.Join(words, " ")); err != nil {
			return fmt.Errorf("grant on %s: %w", table, err)
		}
	}
	return nil
}

// MayRewrite lists the insert-only tables that this connection's role could change or delete from. For the service it should be none,
// as it is before the tables are made.
func (d *DB) MayRewrite(ctx context.Context) ([]string, error) {
	rows, err := d.Reader.Query(ctx, sqlMayRewrite, insertOnly)
	if err != nil {
		return nil, fmt.Errorf("ask for our privileges: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if pg := pgErrorOf(err); pg != nil && pg.Code == codeUndefinedTable {
		return nil, nil
	}
	return tables, err
}
