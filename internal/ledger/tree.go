package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"

	"tutela/internal/ledger/check"
)

// The files of a tree, beside "commit" (see frame.go):
//
//	records   for each leaf: 4 bytes length of the body, then the body, encrypted
//	leaves    for each leaf: 32 bytes hash, 8 bytes end of its record in "records"
//
// "commit" can be made again from "leaves", except for the cursor, and some of
// "leaves" from "records" and the seed: see [Repair].
const (
	recordsName = "records"
	leavesName  = "leaves"
	commitName  = "commit"
	freshName   = "commit.new"
	prefixSize  = 4
	leafSize    = 32 + 8
)

// How many leaves, and bytes of bodies, are hashed and encrypted in one go.
const (
	batchLeaves = 8192
	batchBytes  = 4 << 20
)

// Tree is a Merkle tree that grows: the observations of one exhibit and scan,
// or the matches of one run. It is not safe for concurrent use.
//
// The commit point is the frame that [Tree.Commit] writes:
//
//  1. bodies are hashed, encrypted and written behind the end of "records"
//  2. their leaves are written behind the end of "leaves"
//  3. "records" is made durable
//  4. "leaves" is made durable
//  5. the frame is written behind the end of "commit"
//  6. "commit" is made durable, and Commit returns
//
// Steps 1 and 2 may come before Commit is called, when many bodies wait. Until
// the frame is whole on the medium nothing happened: opening finds the frame
// before, and cuts what lies behind it. From then on the leaves are there, also
// if the power goes before Commit can say so; that is why the cursor is in the
// frame: who asks [Tree.Cursor] after opening knows what was kept.
type Tree struct {
	seed                    Seed
	records, leaves, commit file

	edge   *check.Edge // of everything written so far
	end    int64       // of "records", behind everything written so far
	next   position    // where the next frame goes
	cursor []byte      // of the last frame
	failed error       // sticky: after it, nothing about the files is certain

	waiting []byte // bodies not yet written, each behind its length
	ends    []int  // where each of them ends in waiting

	enclosers []*encloser // one for each goroutine of a flush
}

// CreateTree makes an empty tree in dir, which is made if need be. It refuses a
// folder that holds one (fs.ErrExist) and file systems of other machines
// ([ErrNetworkFolder]).
func CreateTree(dir string, seed Seed) (*Tree, error) {
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("create tree: %w", err)
	}
	if err := createTree(folder(dir), seed); err != nil {
		return nil, fmt.Errorf("create tree in %s: %w", dir, err)
	}
	return OpenTree(dir, seed)
}

// createTree lays down the three files. The tree exists when "commit" has its
// name; a crash before leaves empty files, which the next attempt takes over.
func createTree(d disk, seed Seed) error {
	if there, err := d.exists(commitName); there || err != nil {
		return errors.Join(err, fs.ErrExist)
	}
	for _, name := range []string{recordsName, leavesName} {
		if err := createFile(d, name, nil); err != nil {
			return err
		}
	}
	if err := d.syncDir(); err != nil { // so that "commit" never stands there alone
		return err
	}
	if err := createFile(d, freshName, encodeHeader(seed.fingerprint())); err != nil {
		return err
	}
	if err := d.rename(freshName, commitName); err != nil {
		return err
	}
	return d.syncDir()
}

// createFile makes a durable file with the content. Where there is none, it
// refuses a file that holds something: that is a tree that lost its "commit".
func createFile(d disk, name string, content []byte) error {
	f, err := d.open(name, readWriteCreate)
	if err != nil {
		return err
	}
	defer f.Close()
	if size, err := f.size(); err != nil {
		return err
	} else if size > 0 && content == nil {
		return fmt.Errorf("%w: %s is there and commit is not", ErrDamaged, name)
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.sync()
}

// OpenTree opens a tree to go on with it. It recovers by looking for the last
// frame that is whole and cutting what was never acknowledged. If anything that
// was acknowledged is missing or changed, it returns [ErrDamaged] and touches
// nothing; if the seed is another tree's, [ErrWrongKey].
func OpenTree(dir string, seed Seed) (*Tree, error) {
	if err := refuseNetworkFolder(dir); err != nil {
		return nil, fmt.Errorf("open tree: %w", err)
	}
	t, err := openTree(folder(dir), seed)
	if err != nil {
		return nil, fmt.Errorf("open tree in %s: %w", filepath.Clean(dir), err)
	}
	return t, nil
}

func openTree(d disk, seed Seed) (*Tree, error) {
	t := &Tree{seed: seed}
	if err := t.openFiles(d); err != nil {
		t.Close()
		return nil, err
	}
	if err := t.recover(); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Tree) openFiles(d disk) (err error) {
	if t.commit, err = d.open(commitName, readWrite); err != nil {
		return err
	}
	if t.records, err = d.open(recordsName, readWrite); err != nil {
		return missingIsDamage(err)
	}
	t.leaves, err = d.open(leavesName, readWrite)
	return missingIsDamage(err)
}

func missingIsDamage(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return err
}

func (t *Tree) recover() error {
	size, err := t.commit.size()
	if err != nil {
		return err
	}
	last, at, err := readCommit(t.commit, size, t.seed.fingerprint())
	if err != nil {
		return err
	}
	if err := checkFiles(last, t.records, t.leaves); err != nil {
		return err
	}
	for _, cut := range []struct {
		f   file
		end int64
	}{{t.commit, at.offset}, {t.records, last.records}, {t.leaves, int64(last.edge.Size()) * leafSize}} {
		if err := cutTail(cut.f, cut.end); err != nil {
			return err
		}
	}
	// The last frame may be there without being durable, if the process was
	// killed before it could sync. Whoever asks this tree builds on it.
	if err := t.commit.sync(); err != nil {
		return fmt.Errorf("make the last frame durable: %w", err)
	}
	t.edge, t.end, t.next, t.cursor = last.edge, last.records, at, last.cursor
	return nil
}

// checkFiles reports whether the files hold at least what the frame says.
func checkFiles(last *frame, records, leaves file) error {
	n := int64(last.edge.Size())
	for _, want := range []struct {
		f    file
		name string
		size int64
	}{{records, recordsName, last.records}, {leaves, leavesName, n * leafSize}} {
		size, err := want.f.size()
		if err != nil {
			return err
		}
		if size < want.size {
			return fmt.Errorf("%w: %s has %d bytes, not the %d that were committed", ErrDamaged, want.name, size, want.size)
		}
	}
	if n == 0 {
		return nil
	}
	var leaf [leafSize]byte
	if _, err := leaves.ReadAt(leaf[:], (n-1)*leafSize); err != nil {
		return fmt.Errorf("read leaf %d: %w", n-1, err)
	}
	if end := binary.BigEndian.Uint64(leaf[32:]); end != uint64(last.records) {
		return fmt.Errorf("%w: leaf %d ends at byte %d of records, the frame at %d", ErrDamaged, n-1, end, last.records)
	}
	return nil
}

func cutTail(f file, end int64) error {
	size, err := f.size()
	if err != nil || size == end {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("cut what was never committed: %w", err)
	}
	return f.sync()
}

// Append adds a body, at most 16 MiB, as the next leaf. The body is copied. It
// is not kept until Commit returns.
func (t *Tree) Append(body []byte) error {
	if t.failed != nil {
		return t.failed
	}
	if len(body) > maxBody {
		return fmt.Errorf("append leaf: body of %d bytes, at most %d fit", len(body), maxBody)
	}
	if t.Size() >= maxLeaves {
		return errors.New("append leaf: tree is full")
	}
	t.waiting = binary.BigEndian.AppendUint32(t.waiting, uint32(len(body)))
	t.waiting = append(t.waiting, body...)
	t.ends = append(t.ends, len(t.waiting))
	if len(t.ends) < batchLeaves && len(t.waiting) < batchBytes {
		return nil
	}
	return t.flush()
}

// Commit makes everything appended so far durable, together with the writer's
// cursor of at most 64 KiB, and returns when it is. After an error the tree
// takes no more; opening it again tells what was kept.
func (t *Tree) Commit(cursor []byte) error {
	if t.failed != nil {
		return t.failed
	}
	if len(cursor) > maxCursor {
		return fmt.Errorf("commit: cursor of %d bytes, at most %d fit", len(cursor), maxCursor)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.records.sync(); err != nil {
		return t.fail("make records durable", err)
	}
	if err := t.leaves.sync(); err != nil {
		return t.fail("make leaves durable", err)
	}
	b, crc := (&frame{records: t.end, cursor: cursor, edge: t.edge}).encode(t.next.crc)
	if _, err := t.commit.WriteAt(b, t.next.offset); err != nil {
		return t.fail("write frame", err)
	}
	if err := t.commit.sync(); err != nil {
		return t.fail("make frame durable", err)
	}
	t.next = position{t.next.offset + int64(len(b)), crc}
	t.cursor = append([]byte(nil), cursor...)
	return nil
}

// fail makes the tree refuse from now on. A frame that may be in memory and not
// on the medium must not be mistaken for a commit by whoever opens the tree
// next, so it is taken back as far as the disk still allows.
func (t *Tree) fail(what string, err error) error {
	t.failed = fmt.Errorf("commit: %s: %w", what, err)
	t.commit.Truncate(t.next.offset)
	return t.failed
}

// flush writes what waits, without making it durable.
func (t *Tree) flush() error {
	if len(t.ends) == 0 {
		return nil
	}
	leaves, table := t.enclose()
	if _, err := t.records.WriteAt(t.waiting, t.end); err != nil {
		return t.fail("write records", err)
	}
	if _, err := t.leaves.WriteAt(table, int64(t.edge.Size())*leafSize); err != nil {
		return t.fail("write leaves", err)
	}
	t.edge = lengthen(t.enclosers[0].batch, t.edge, leaves)
	t.end += int64(len(t.waiting))
	t.waiting, t.ends = t.waiting[:0], t.ends[:0]
	return nil
}

// enclose hashes and encrypts what waits, on all processors, and returns the
// leaves and what goes into "leaves". The result does not depend on the number
// of processors.
func (t *Tree) enclose() (leaves []check.Hash, table []byte) {
	leaves, table = make([]check.Hash, len(t.ends)), make([]byte, len(t.ends)*leafSize)
	share := max((len(t.ends)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0), 64)
	var workers sync.WaitGroup
	for worker, from := 0, 0; from < len(t.ends); worker, from = worker+1, from+share {
		if worker == len(t.enclosers) {
			t.enclosers = append(t.enclosers, newEncloser())
		}
		e := t.enclosers[worker]
		workers.Go(func() { t.encloseRange(e, leaves, from, min(from+share, len(t.ends))) })
	}
	workers.Wait()
	for i, leaf := range leaves {
		copy(table[i*leafSize:], leaf[:])
		binary.BigEndian.PutUint64(table[i*leafSize+32:], uint64(t.end)+uint64(t.ends[i]))
	}
	return leaves, table
}

func (t *Tree) encloseRange(e *encloser, leaves []check.Hash, from, to int) {
	bodies := make([][]byte, 0, runLeaves)
	for ; from < to; from += len(bodies) {
		bodies = bodies[:0]
		for i := from; i < min(from+runLeaves, to); i++ {
			bodies = append(bodies, t.waitingBody(i))
		}
		copy(leaves[from:], e.enclose(&t.seed, t.edge.Size()+uint64(from), bodies))
	}
}

// waitingBody is the i-th body that waits.
func (t *Tree) waitingBody(i int) []byte {
	start := prefixSize
	if i > 0 {
		start += t.ends[i-1]
	}
	return t.waiting[start:t.ends[i]]
}

// Size is the number of leaves, those not yet committed included.
func (t *Tree) Size() uint64 { return t.edge.Size() + uint64(len(t.ends)) }

// Root is the root over all leaves, those not yet committed included: appending
// without committing changes it. Seal a root only after Commit.
func (t *Tree) Root() (check.Hash, error) {
	if t.failed != nil {
		return check.Hash{}, t.failed
	}
	if err := t.flush(); err != nil {
		return check.Hash{}, err
	}
	return t.edge.Root(), nil
}

// Cursor is what the last commit was given, nil if there was none. The slice is
// the caller's.
func (t *Tree) Cursor() []byte { return append([]byte(nil), t.cursor...) }

// Close lets go of the files. What was not committed is lost.
func (t *Tree) Close() error {
	var err error
	for _, f := range []file{t.records, t.leaves, t.commit} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if t.failed == nil {
		t.failed = fmt.Errorf("tree: %w", fs.ErrClosed)
	}
	return err
}
