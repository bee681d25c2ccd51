//go:build !race

// The race detector makes the standard library allocate where it otherwise does
// not.

package digest

import "testing"

// TestRunsAllocateNothing whichever way the blocks go.
func TestRunsAllocateNothing(t *testing.T) {
	arena := noise(1, maximumLanes*640)
	eachEngine(t, func(t *testing.T, e engine) {
		for _, d := range digesters {
			s := newStates(d.algorithm, d.kernel(e))
			var spans [maximumLanes]span
			for i := range e.lanes {
				spans[i] = span{uint32(640 * i), 1 + i%10}
			}
			if n := testing.AllocsPerRun(10, func() { s.run(arena, spans) }); n != 0 {
				t.Errorf("%s: %v allocations", d.name, n)
			}
		}
	})
}
