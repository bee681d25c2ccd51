package catalogtest

import (
	"testing"

	"tutela/internal/catalog"
)

// The oracle keeps its own law.
func TestMemory(t *testing.T) {
	Run(t, func(testing.TB) catalog.Store { return NewMemory() })
}
