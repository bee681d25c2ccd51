package hfsplus

import "tutela"

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

// directory is what is kept of a folder record.
type directory struct {
	parent uint32
	name   string
}

// folders turns the IDs of directories into paths.
type folders struct {
	live, gone map[uint32]directory
	pathBytes  int // longest path

	last      uint32 // the catalog lists a directory's files one after the other
	lastPlace place
}

func newFolders(pathBytes int) *folders {
	return &folders{
		live: map[uint32]directory{}, gone: map[uint32]directory{}, pathBytes: pathBytes,
		lastPlace: place{path: orphanFolder}, // of ID 0, which nothing has
	}
}

func (f *folders) find(cnid uint32) place {
	if cnid != f.last {
		f.last, f.lastPlace = cnid, f.climb(cnid)
	}
	return f.lastPlace
}

// climb goes up from a directory until it meets the root or a reason to give up.
func (f *folders) climb(cnid uint32) place {
	var up []string
	var length int
	top := place{trust: live}
	tortoise, lap := uint32(0), 1 // Brent's search for a cycle
	for cnid != cnidRoot {
		d, ok := f.live[cnid]
		if !ok {
			d, ok = f.gone[cnid]
			top.trust = freed
		}
		if !ok {
			top.path, top.trust = orphanFolder, lost
			break
		}
		if cnid == tortoise {
			return place{orphanFolder, lost, &tutela.Finding{Code: tutela.FindingLoop, Detail: "its directory is inside itself"}}
		}
		if len(up) == lap {
			tortoise, lap = cnid, 2*lap
		}
		if length += len(d.name) + 1; length > f.pathBytes {
			return place{orphanFolder, top.trust, &tutela.Finding{Code: tutela.FindingLimit, Detail: "its path is too long and is left out"}}
		}
		up = append(up, d.name)
		cnid = d.parent
	}
	for i := len(up) - 1; i >= 0; i-- {
		top.path += "/" + up[i]
	}
	return top
}
