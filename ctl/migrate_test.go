package ctl_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ctl"
)

func TestMigrateMakesAServiceRoleThatCannotRewriteTheLedger(t *testing.T) {
	server, role, password := dbtest.Server(t).URL, "service_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	t.Cleanup(func() { // after the database, which comes later, is dropped
		conn, err := pgx.Connect(context.Background(), server)
		if err == nil {
			_, err = conn.Exec(context.Background(), `DROP ROLE `+role)
			conn.Close(context.Background())
		}
		if err != nil {
			t.Errorf("drop the role: %v", err)
		}
	})
	address := dbtest.URL(t)
	t.Setenv("HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		var complaints bytes.Buffer
		code := ctl.Run(t.Context(), ctl.Env{Stdout: &bytes.Buffer{}, Stderr: &complaints}, append([]string{"migrate", "--database", address}, args...))
		return code, complaints.String()
	}
	if code, complaints := run("--service-password-file", file); code != ctl.ExitUsage {
		t.Errorf("a password for nobody: exit %d\n%s", code, complaints)
	}
	for range 2 { // it may be repeated
		if code, complaints := run("--service-role", role, "--service-password-file", file); code != 0 {
			t.Fatalf("exit %d\n%s", code, complaints)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	d, err := db.Open(t.Context(), u.String(), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if tables, err := d.MayRewrite(t.Context()); err != nil || len(tables) != 0 {
		t.Errorf("it may rewrite %v, %v", tables, err)
	}
	if _, err := d.Exec(t.Context(), `DELETE FROM holds`); err != nil {
		t.Errorf("what it must be able to do: %v", err)
	}
}
