package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tutela"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// Scrubbing is how [Lab.Scrub] goes about it. The zero value looks at everything,
// as fast as it can.
type Scrubbing struct {
	Exhibits       []string // empty: all
	BytesPerSecond int64    // at most so many on average; 0: no limit
	Repair         bool     // heal what can be healed; the lab must be open for writing
}

// Scrubbed is what was found of one tree.
type Scrubbed struct {
	Exhibit  string
	Scan     int
	Run      int         // of the match run; 0 where it is the records
	Files    []FileState // those of the tree that are there
	Leaves   uint64
	Damage   []ledger.Damage // at most 100
	Hopeless uint64          // damages that cannot be healed
	Repaired bool            // all damage was healed, and led to the sealed root
	Kept     string          // why it was not repaired, where that was asked for and did not succeed
}

// FileState is a file of a tree and how much of it there is.
type FileState struct {
	Name  string
	Bytes int64
}

// Scrub reads every byte of the exhibit ledgers, also where they can no longer be
// opened, and says file by file what is damaged. It hands each tree to done. With
// Repair it makes damaged files anew where the outcome is the sealed tree and
// nothing else, keeps the old ones beside them, and records each repair; a scan
// that is not sealed is never repaired, since nobody has signed for what it ought
// to be.
//
// The agency log is not scrubbed: its bodies are few and its tiles are made from
// them, so that [Lab.Verify] reads all of it. Where that finds something, what the
// log says of the ledgers is scrubbed all the same, and the error at the end, which
// wraps ErrIntegrity, is of the log.
func (l *Lab) Scrub(ctx context.Context, s Scrubbing, done func(Scrubbed) error) error {
	told, problem, err := l.toldBeside(ctx)
	if err != nil {
		return err
	}
	claims, err := told.claims(s.Exhibits)
	if err != nil {
		return err
	}
	for _, c := range claims {
		if _, err := os.Stat(l.treeDir(c.tree)); errors.Is(err, fs.ErrNotExist) && !c.sealed {
			continue // begun, and stopped before the first record
		}
		found, err := l.scrub(ctx, c, s)
		if err != nil {
			return fmt.Errorf("scrub %s: %w", c.tree, err)
		}
		if found.Repaired {
			if err := l.recordRepair(ctx, c, told.cases[c.tree.Exhibit], found.Damage); err != nil {
				return err
			}
		}
		if err := done(found); err != nil {
			return err
		}
	}
	return problem
}

func (l *Lab) scrub(ctx context.Context, c claim, s Scrubbing) (Scrubbed, error) {
	dir := l.treeDir(c.tree)
	found := Scrubbed{Exhibit: c.tree.Exhibit, Scan: c.tree.Number, Run: c.tree.run, Files: treeFiles(dir)}
	secret, err := l.treeSecret(c.tree)
	if err != nil {
		return found, err
	}
	o := ledger.ScrubOptions{Sealed: c.size, BytesPerSecond: s.BytesPerSecond}
	report, err := ledger.Scrub(ctx, dir, secret, o)
	if errors.Is(err, ledger.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
		found.lost(err)
		return found, nil
	}
	if err != nil {
		return found, err
	}
	found.take(report, c)
	if len(found.Damage) == 0 || !s.Repair {
		return found, nil
	}
	return found, l.repair(ctx, c, secret, &found)
}

// repair heals a tree that was found damaged, if that can be done.
func (l *Lab) repair(ctx context.Context, c claim, secret ledger.Secret, found *Scrubbed) error {
	if !c.sealed {
		found.Kept = "the scan is not sealed, so that nobody has signed for what it ought to be"
		return nil
	}
	_, err := ledger.Repair(ctx, l.treeDir(c.tree), secret, c.size, check.Hash(c.root), ledger.ScrubOptions{})
	if errors.Is(err, ledger.ErrBeyondRepair) {
		found.Kept = err.Error()
		return nil
	}
	found.Repaired = err == nil
	return err
}

// lost is a tree of which so much is gone that nothing can be said of its leaves.
func (f *Scrubbed) lost(err error) {
	f.Damage, f.Hopeless = append(f.Damage, ledger.Damage{File: "records and leaves", Index: -1, What: err.Error()}), 1
}

// take judges what was found by what was sealed.
func (f *Scrubbed) take(report ledger.ScrubReport, c claim) {
	f.Leaves, f.Damage, f.Hopeless = report.Leaves, report.Damage, report.Hopeless
	if c.sealed && len(f.Damage) == 0 && (report.Leaves != c.size || tutela.SHA256(report.Root) != c.root) {
		f.lost(fmt.Errorf("%d leaves with root %s, the seal says %d with root %s", report.Leaves, report.Root, c.size, c.root))
	}
}

// treeFiles are the files of a tree that are there, in the order in which people
// read of them.
func treeFiles(dir string) (files []FileState) {
	for _, name := range []string{"records", "leaves", "commit", "erased"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			files = append(files, FileState{name, info.Size()})
		}
	}
	return files
}

// recordRepair tells of a repair after it was made: the tree is what was sealed
// also if the machine stops in between.
func (l *Lab) recordRepair(ctx context.Context, c claim, ofCase string, damage []ledger.Damage) error {
	r := tutela.Repair{Exhibit: c.tree.Exhibit, Number: c.tree.Number, Run: c.tree.run, Root: c.root, Leaves: c.size}
	for _, d := range damage {
		r.Damage = append(r.Damage, tutela.TreeDamage{File: d.File, Leaf: d.Index, What: d.What})
	}
	detail, err := tutela.EncodeDetail(r)
	if err != nil {
		return err
	}
	_, err = l.Record(ctx, tutela.Event{Kind: tutela.EventRepair, Case: ofCase, Exhibit: c.tree.Exhibit, Detail: detail})
	return err
}
