package sqlite

import (
	"path/filepath"
	"testing"

	"tutela/internal/catalog"
	"tutela/internal/catalog/catalogtest"
)

func TestStore(t *testing.T) {
	catalogtest.Run(t, func(t testing.TB) catalog.Store {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "catalog.sqlite"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
