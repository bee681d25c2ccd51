package ntfs

import (
	"tutela"
)

// trust is how well the way from the root to a directory is known.
type trust uint8

const (
	lost  trust = iota // it ends before the root
	freed              // it leads over a deleted directory
	live
)

// place is a directory's path, "" for the root, without a slash at the end.
type place struct {
	path    string
	trust   trust
	problem *tutela.Finding // why the path is not the whole path
}

// directory is what is kept of a directory's record.
type directory struct {
	parent reference
	name   string
}

// tree turns references to parent directories into paths.
type tree struct {
	heads     []head
	dirs      map[int64]directory
	pathBytes int // longest path

	memo      map[int64]place // paths found before; emptied when it holds memoBytes
	memoBytes int
}

func newTree(heads []head, pathBytes int) *tree {
	return &tree{heads: heads, dirs: map[int64]directory{}, pathBytes: pathBytes, memo: map[int64]place{}}
}

func (t *tree) add(number int64, n fileName) {
	t.dirs[number] = directory{n.parent, string(n.name)}
}

// find is the place of the directory that ref names. It climbs until it meets
// the root, a place it knows, or a reason to give up: a parent that is not what
// its child takes it for, a circle, or a path that gets too long.
func (t *tree) find(ref reference) place {
	var up []int64
	var length int
	tortoise, lap := int64(-1), 1 // Brent's search for a cycle
	top := place{path: orphanFolder, trust: lost}
	for {
		n := ref.number()
		if n == recordRoot && t.isRoot(ref) {
			top = place{trust: live}
			break
		}
		d, ok := t.dirs[n]
		if !ok || !t.heads[n].meets(ref) {
			break
		}
		if known, ok := t.memo[n]; ok {
			top = known
			break
		}
		if n == tortoise {
			return place{orphanFolder, lost, &tutela.Finding{Code: tutela.FindingLoop, Detail: "its directory is inside itself"}}
		}
		if len(up) == lap {
			tortoise, lap = n, 2*lap
		}
		if length += len(d.name) + 1; length > t.pathBytes {
			return t.tooLong(up)
		}
		up = append(up, n)
		ref = d.parent
	}
	return t.descend(top, up)
}

// descend joins the names below top and remembers each place on the way.
func (t *tree) descend(top place, up []int64) place {
	for i := len(up) - 1; i >= 0; i-- {
		n := up[i]
		name := t.dirs[n].name
		if len(top.path)+1+len(name) > t.pathBytes {
			return t.tooLong(up[:i])
		}
		top.path += "/" + name
		if !t.heads[n].inUse() {
			top.trust = min(top.trust, freed)
		}
		t.remember(n, top)
	}
	return top
}

func (t *tree) remember(n int64, p place) {
	if t.memoBytes += len(p.path) + 64; t.memoBytes > memoBytes {
		clear(t.memo)
		t.memoBytes = 0
	}
	t.memo[n] = p
}

// tooLong is the place of a file whose path would be longer than the limit: the
// directories are left out, and the finding says so.
func (t *tree) tooLong(up []int64) place {
	p := place{orphanFolder, live, &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"}}
	for _, n := range up {
		if !t.heads[n].inUse() {
			p.trust = freed
		}
	}
	return p
}

// isRoot holds a reference to record 5 against the root's record, if that can
// be read.
func (t *tree) isRoot(ref reference) bool {
	if int64(len(t.heads)) <= recordRoot || !t.heads[recordRoot].present {
		return true
	}
	return t.heads[recordRoot].meets(ref)
}
