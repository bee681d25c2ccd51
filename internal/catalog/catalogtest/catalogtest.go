// Package catalogtest is the suite that every catalogue passes.
//
// Call [Run] from the test of a package that implements [catalog.Store].
// [Memory] is the plainest implementation there is: the suite holds others
// against it, and tests of packages that only need some catalogue may use it.
//
// Not promised: anything about speed or durability. Those are each store's own.
package catalogtest

import (
	"testing"

	"tutela/internal/catalog"
)

// Run runs the suite. Open returns a new, empty store each time; the suite
// closes it.
func Run(t *testing.T, open func(testing.TB) catalog.Store) {
	for _, c := range []struct {
		name string
		test func(*lab)
	}{
		{"empty", testEmpty},
		{"nouns", testNouns},
		{"accounts", testAccounts},
		{"proposals", testProposals},
		{"lists", testLists},
		{"log order", testLogOrder},
		{"log is never stopped", testMisfits},
		{"check", testCheck},
		{"repeated keys", testRepeatedKeys},
		{"custody", testCustody},
		{"custody pages", testCustodyPages},
		{"records come back whole", testRecords},
		{"odd bytes", testOddBytes},
		{"loader order", testLoaderOrder},
		{"interrupted load", testInterrupted},
		{"rival loaders", testRivals},
		{"one content, two digests", testContradiction},
		{"unload", testUnload},
		{"erased", testErased},
		{"match runs", testMatchRuns},
		{"broken match run", testBrokenRun},
		{"rollup", testRollup},
		{"find refuses", testFindRefuses},
		{"find filters", testFindFilters},
		{"find names", testFindNames},
		{"find near", testFindNear},
		{"find newest", testFindNewest},
		{"find pages", testFindPages},
		{"find while loading", testFindWhileLoading},
		{"cancelled", testCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(newLab(t, open)) })
	}
	t.Run("rebuild", func(t *testing.T) { testRebuild(t, open) })
	t.Run("dump tells apart", func(t *testing.T) { testDumpTellsApart(t, open) })
	t.Run("like memory", func(t *testing.T) { testLikeMemory(t, open) })
}
