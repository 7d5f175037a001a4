package catalog

import (
	"testing"

	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
