// Package ledger keeps what was observed, what it meant and what was done, so
// that nobody can rewrite it unseen, and proves it leaf by leaf.
//
// It has two levels. A [Tree] is one Merkle tree for one exhibit and scan (or
// for one match run): begin with [CreateTree], feed it [Tree.Append] and
// [Tree.Commit], read it with [ReadTree]. The agency [Log] holds one entry per
// event of the lab, the seals of the trees among them: [CreateLog], [OpenLog],
// [Log.Append], and [ReadLog] for those who only look.
//
// Promised: what Commit or Append acknowledged survives the loss of power, once
// and in order; the root of a tree depends on its seed and its bodies alone,
// not on crashes, restarts or the number of processors; every body that is read
// has been held against its leaf; every encoding has one form, and other bytes
// are refused. Opening is recovering: there is no other way in.
//
// Not promised: that several processes can write to one tree or log at a time
// (the lab locks its folder), that the local clock in an event is right, or
// that a root is what it was yesterday if whoever holds the keys rewrote
// everything: that is what witnesses are for, who keep the heads of a log outside
// of the lab (package witness).
package ledger

import (
	"errors"
	"fmt"
)

// ErrDamaged means that bytes which were acknowledged are missing or have
// changed. Nothing is repaired, cut or overwritten then: a person must look.
var ErrDamaged = errors.New("ledger is damaged")

// ErrWrongKey means that the seed or the keys are those of another tree or lab.
var ErrWrongKey = errors.New("not the key of this ledger")

// ErrNetworkFolder means that the folder lies on a file system that does not
// keep its promises about written bytes across machines.
var ErrNetworkFolder = errors.New("a ledger must lie on a local file system")

// ErrNoTiles means that a log of tiles can be read here and not continued.
var ErrNoTiles = errors.New("a log of tiles cannot be kept on this platform")

// ErrRetired means that the keys of a log were changed: whoever opens it with the
// new ones can go on.
var ErrRetired = errors.New("the keys of the log are retired")

// ErrUnrecovered means that a recovery of the keys was begun and not brought to its
// commit point: [Safe.Recover] must be called again.
var ErrUnrecovered = errors.New("a recovery of the log's keys was cut short")

// A Problem is something that Verify found.
type Problem struct {
	Index int64 // of the leaf or entry; -1 where it is about the whole
	What  string
}

func (p Problem) String() string {
	if p.Index < 0 {
		return p.What
	}
	return fmt.Sprintf("leaf %d: %s", p.Index, p.What)
}

// maxProblems is where Verify stops listing: what is shredded needs no longer
// list.
const maxProblems = 100

// problems collects up to maxProblems findings.
type problems []Problem

func (p *problems) add(index int64, format string, args ...any) {
	if len(*p) < maxProblems {
		*p = append(*p, Problem{index, fmt.Sprintf(format, args...)})
	}
}
