package apfs

import (
	"tutela"
)

// memoBytes is about how much memory paths may take that are kept for the next
// file of the same folder.
const memoBytes = 16 << 20

// folder is a directory: where it is and what it is called.
type folder struct {
	parent uint64
	name   string
}

// folders makes paths of identifiers.
type folders struct {
	prefix    string // of the volume
	pathBytes int    // the longest path
	known     map[uint64]folder
	memo      map[uint64]where
	memoised  int // bytes
}

func newFolders(prefix string, pathBytes int) *folders {
	return &folders{prefix: prefix, pathBytes: pathBytes, known: map[uint64]folder{}, memo: map[uint64]where{}}
}

// where is the path of a directory.
type where struct {
	path    string
	linked  bool // the path leads to the root
	problem *tutela.Finding
}

// add learns a directory; the first name counts, since a directory has only one.
func (f *folders) add(oid uint64, in folder) {
	if _, ok := f.known[oid]; !ok {
		f.known[oid] = in
	}
}

// find is where the directory with an identifier is.
func (f *folders) find(oid uint64) where {
	var up []uint64
	above := map[uint64]bool{}
	for {
		if top, ok := f.fixed(oid); ok {
			return f.descend(top, up)
		}
		in, ok := f.known[oid]
		if !ok {
			return f.descend(f.orphans(&tutela.Finding{Code: tutela.FindingDamaged, Detail: "no directory leads to it"}), up)
		}
		if above[oid] {
			return f.orphans(&tutela.Finding{Code: tutela.FindingLoop, Detail: "its directory lies inside itself"})
		}
		above[oid] = true
		up = append(up, oid)
		oid = in.parent
	}
}

// fixed is where a path begins.
func (f *folders) fixed(oid uint64) (where, bool) {
	switch oid {
	case inodeRoot:
		return where{path: f.prefix, linked: true}, true
	case inodePrivate:
		return f.orphans(nil), true
	}
	p, ok := f.memo[oid]
	return p, ok
}

func (f *folders) orphans(problem *tutela.Finding) where {
	return where{path: f.prefix + orphanFolder, problem: problem}
}

// descend joins the names below top and remembers each place on the way.
func (f *folders) descend(top where, up []uint64) where {
	for i := len(up) - 1; i >= 0; i-- {
		name := f.known[up[i]].name
		if len(top.path)+1+len(name) > f.pathBytes {
			p := f.orphans(&tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"})
			p.linked = top.linked
			return p
		}
		top.path += "/" + name
		f.remember(up[i], top)
	}
	return top
}

func (f *folders) remember(oid uint64, p where) {
	if f.memoised += len(p.path) + 64; f.memoised > memoBytes {
		clear(f.memo)
		f.memoised = 0
	}
	f.memo[oid] = p
}
