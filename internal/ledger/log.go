package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"tutela"
	"tutela/internal/ledger/check"
)

// Log is an agency log that grows: one entry for each event of the lab. It is
// safe for concurrent use by one process.
//
// There are two kinds, which differ in what is made of the entries and in nothing
// that anybody proves. A log of tiles is served to mirrors and monitors; Tessera
// keeps it, which runs on Unix only. A plain log has a signed head and no more: it
// is what a laptop in the field keeps until its scans are admitted elsewhere.
//
// The way of an event, and what a crash leaves at each step:
//
//  1. the body is committed to "bodies", durably: the commit point of [Tree].
//     Before it nothing happened. From then on the event counts: whoever opens
//     the log next carries out the steps that are missing
//  2. its entry gets its index, which is the body's: see tiles and plainHead
//  3. the head that covers it is signed and put in place, durably. The signers
//     sign only the roots that the bodies lead to (see [rootGuard]), so that no
//     fault in what was made of the entries can get a signature
//  4. the head is read back and verified, and Append returns
type Log struct {
	LogReader
	guard   *rootGuard
	entries sequencer // nil until they are open

	mu     sync.Mutex // guards what is below, and the order of bodies and entries
	bodies *Tree
	edge   *check.Edge // of the log, all bodies included
	byKey  map[string]uint64
	last   map[string]uint64 // 1 + index of the last event about each exhibit
	rescue string            // vkey of the recovery key that stands
	failed error             // sticky: the log must be opened anew
}

// A sequencer makes a log of the entries of bodies. It is safe for concurrent use,
// but for add, whose calls say the order.
type sequencer interface {
	// placed is how many entries have an index already. It must not be less than
	// the head has.
	placed(ctx context.Context) (uint64, error)
	// add gives the next index to the entry of a commitment. What it returns waits
	// until the entry has it, and says which.
	add(ctx context.Context, commitment check.Hash) (wait func() (index uint64, err error))
	// publish returns when a signed head of size entries or more is in place. It
	// may leave to others to make its name durable.
	publish(ctx context.Context, size uint64) error
	// close must wait until a head covers all entries.
	close(ctx context.Context) error
}

// publishTimeout bounds the wait for a head, which takes about 0.1 s.
const publishTimeout = 30 * time.Second

// CreateLog makes an empty log in dir and opens it: one of tiles, or a plain one
// where this platform cannot keep tiles. It refuses a folder that holds one
// (fs.ErrExist) and file systems of other machines ([ErrNetworkFolder]). ctx bounds
// the making, not the life of the log.
//
// Tessera reports to the process-wide logger of k8s.io/klog, which writes to
// standard error until the program directs it elsewhere.
func CreateLog(ctx context.Context, dir string, keys *Keys) (*Log, error) {
	if !keepsTiles {
		return CreatePlainLog(ctx, dir, keys)
	}
	if err := createLog(dir, keys); err != nil {
		return nil, fmt.Errorf("create agency log: %w", err)
	}
	return OpenLog(ctx, dir, keys)
}

// createLog makes the tree of bodies. What is made of the entries follows when the
// log is opened for the first time, also if the power goes in between.
func createLog(dir string, keys *Keys) error {
	bodies, err := CreateTree(filepath.Join(dir, bodiesName), keys.bodies)
	if err != nil {
		return err
	}
	defer bodies.Close()
	return syncFolder(dir)
}

// OpenLog opens a log of either kind to go on with it, and brings to its end what a
// crash cut short. It returns [ErrWrongKey] if the log is another lab's, [ErrDamaged]
// if anything that was acknowledged is missing or changed, and [ErrNoTiles] if it is
// one of tiles and this platform cannot keep them.
func OpenLog(ctx context.Context, dir string, keys *Keys) (*Log, error) {
	r, err := newLogReader(dir, keys)
	if err != nil {
		return nil, fmt.Errorf("open agency log: %w", err)
	}
	l := &Log{LogReader: *r}
	if err := l.open(ctx); err != nil {
		return nil, fmt.Errorf("open agency log in %s: %w", dir, errors.Join(err, l.Close()))
	}
	return l, nil
}

func (l *Log) open(ctx context.Context) (err error) {
	head, err := l.head()
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if l.bodies, err = OpenTree(filepath.Join(l.dir, bodiesName), l.keys.bodies); err != nil {
		return err
	}
	if fresh {
		if l.bodies.Size() > 0 {
			return fmt.Errorf("%w: %d events and no checkpoint", ErrDamaged, l.bodies.Size())
		}
		head.Root = check.EmptyRoot()
	}
	if l.edge, err = decodeEdge(l.bodies.Cursor(), l.bodies.Size()); err != nil {
		return err
	}
	l.guard = &rootGuard{roots: map[uint64]check.Hash{l.edge.Size(): l.edge.Root()}}
	if err := l.admitRoots(head); err != nil {
		return err
	}
	if l.entries, err = l.sequencer(head); err != nil {
		return err
	}
	return l.resume(ctx, head)
}

// admitRoots makes sure that the signed head follows from the bodies, and lets
// the signers sign every size from there to the last body.
func (l *Log) admitRoots(head Head) error {
	if head.Size > l.edge.Size() {
		return fmt.Errorf("%w: %d entries and %d bodies", ErrDamaged, head.Size, l.edge.Size())
	}
	if head.Size < l.edge.Size() {
		if err := l.recallRoots(head.Size); err != nil {
			return err
		}
	}
	if want := l.guard.roots[head.Size]; head.Root != want {
		return fmt.Errorf("%w: the bodies lead to root %s, the signed one is %s", ErrDamaged, want, head.Root)
	}
	return nil
}

// recallRoots makes the roots of the sizes from size on again from the leaves
// of all bodies: after a crash only.
func (l *Log) recallRoots(size uint64) error {
	bodies, err := ReadTree(filepath.Join(l.dir, bodiesName), l.keys.bodies)
	if err != nil {
		return err
	}
	defer bodies.Close()
	var edge check.Edge
	for {
		if edge.Size() >= size {
			l.guard.admit(edge.Size(), edge.Root())
		}
		if edge.Size() == bodies.Size() {
			break
		}
		commitment, err := bodies.Leaf(edge.Size())
		if err != nil {
			return err
		}
		edge.Append(check.Leaf(check.Entry(commitment)))
	}
	if edge.Root() != l.edge.Root() {
		return fmt.Errorf("%w: the leaves of the bodies lead to another root than their last commit", ErrDamaged)
	}
	return nil
}

// sequencer opens what is made of the entries, by what lies in the folder.
func (l *Log) sequencer(head Head) (sequencer, error) {
	if l.isPlain() {
		return newPlainHead(&l.LogReader, l.guard, head)
	}
	return newTiles(&l.LogReader, l.guard)
}

// resume sequences the bodies that have no entry yet, and waits until the
// checkpoint covers all.
func (l *Log) resume(ctx context.Context, head Head) error {
	entries, err := l.entries.placed(ctx)
	if err != nil {
		return err
	}
	if entries < head.Size || entries > l.bodies.Size() {
		return fmt.Errorf("%w: %d entries are sequenced, %d are signed, and there are %d bodies", ErrDamaged, entries, head.Size, l.bodies.Size())
	}
	if err := l.sequenceFrom(ctx, entries); err != nil {
		return err
	}
	if head.Signed != nil && head.Size == l.bodies.Size() {
		return nil
	}
	return l.awaitCheckpoint(ctx, l.bodies.Size())
}

// sequenceFrom gives entries to the bodies from index first on.
func (l *Log) sequenceFrom(ctx context.Context, first uint64) error {
	var waits []func() (uint64, error)
	for i := first; i < l.bodies.Size(); i++ {
		var leaf [leafSize]byte
		if _, err := l.bodies.leaves.ReadAt(leaf[:], int64(i)*leafSize); err != nil {
			return fmt.Errorf("read leaf %d of bodies: %w", i, err)
		}
		waits = append(waits, l.entries.add(ctx, check.Hash(leaf[:32])))
	}
	for i, wait := range waits {
		if err := sequenced(first+uint64(i), wait); err != nil {
			return err
		}
	}
	return nil
}

// sequenced waits until an entry has its index, and makes sure that it is the one
// it must have.
func sequenced(want uint64, wait func() (uint64, error)) error {
	got, err := wait()
	if err != nil {
		return fmt.Errorf("sequence entry %d: %w", want, err)
	}
	if got != want {
		return fmt.Errorf("%w: entry %d was sequenced as %d: somebody else writes to this log", ErrDamaged, want, got)
	}
	return nil
}

// Append adds an event and returns its index when it is durable and covered by
// a signed checkpoint: after some 10 ms, or up to 0.2 s if another came just
// before. An event whose Key is that of an earlier one is not added again: the
// first one's index is returned. An empty Key is like no other. If ctx ends, the
// event may be added nevertheless; after any other error the log takes no more,
// and opening it again settles what became of the event.
func (l *Log) Append(ctx context.Context, ev tutela.Event) (uint64, error) {
	indices, err := l.AppendAll(ctx, ev)
	if err != nil {
		return 0, err
	}
	return indices[0], nil
}

// AppendAll is [Log.Append] for events that follow one another: they are added
// in their order, and one checkpoint covers them all.
func (l *Log) AppendAll(ctx context.Context, events ...tutela.Event) ([]uint64, error) {
	indices := make([]uint64, len(events))
	waits := make([]func() (uint64, error), len(events))
	var size uint64
	for i, ev := range events {
		var err error
		if indices[i], waits[i], err = l.admit(ctx, ev); err != nil {
			return nil, fmt.Errorf("append %s to agency log: %w", ev.Kind, err)
		}
		size = max(size, indices[i]+1)
	}
	for i, wait := range waits {
		if wait == nil {
			continue
		}
		if err := l.settle(sequenced(indices[i], wait)); err != nil {
			return nil, fmt.Errorf("append %s to agency log: %w", events[i].Kind, err)
		}
	}
	if err := l.awaitCheckpoint(ctx, size); err != nil {
		return nil, fmt.Errorf("append to agency log: %w", err)
	}
	return indices, nil
}

// admit carries out step 1 for an event and begins step 2. There is nothing
// to wait for if the event is an earlier one's repeat, whose index is returned.
func (l *Log) admit(ctx context.Context, ev tutela.Event) (uint64, func() (uint64, error), error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return 0, nil, l.failed
	}
	if err := l.indexKeys(); err != nil {
		return 0, nil, err
	}
	if index, ok := l.byKey[ev.Key]; ok && ev.Key != "" {
		return index, nil, nil
	}
	if err := l.allow(&ev); err != nil {
		return 0, nil, err
	}
	ev.Previous = l.last[ev.Exhibit]
	body := AppendEvent(nil, &ev)
	if len(body) > maxBody {
		return 0, nil, fmt.Errorf("event of %d bytes, at most %d fit", len(body), maxBody)
	}
	index := l.bodies.Size()
	commitment, err := l.keep(index, body)
	if err != nil {
		l.failed = err
		return 0, nil, err
	}
	l.byKey[ev.Key] = index
	l.link(ev.Exhibit, index)
	l.retire(&ev)
	return index, l.entries.add(ctx, commitment), nil
}

// keep commits a body and lets the signers sign the log it leads to.
func (l *Log) keep(index uint64, body []byte) (commitment check.Hash, err error) {
	if err := l.bodies.Append(body); err != nil {
		return commitment, err
	}
	seed := l.keys.bodies.at(index)
	commitment = check.SaltedLeaf(seed.salt(), body)
	l.edge.Append(check.Leaf(check.Entry(commitment)))
	if err := l.bodies.Commit(encodeEdge(l.edge)); err != nil {
		return commitment, err
	}
	l.guard.admit(l.edge.Size(), l.edge.Root())
	return commitment, nil
}

// settle makes an error stick.
func (l *Log) settle(err error) error {
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = err
	}
	return err
}

// indexKeys reads the keys and exhibits of all events, before the first Append.
func (l *Log) indexKeys() error {
	if l.byKey != nil {
		return nil
	}
	bodies, err := ReadTree(filepath.Join(l.dir, bodiesName), l.keys.bodies)
	if err != nil {
		return err
	}
	defer bodies.Close()
	l.last = map[string]uint64{}
	byKey := make(map[string]uint64, bodies.Size())
	var index uint64
	for body, err := range bodies.Bodies(0) {
		if err != nil {
			return err
		}
		ev, err := DecodeEvent(body)
		if err != nil {
			return fmt.Errorf("event %d: %w", index, err)
		}
		if _, known := byKey[ev.Key]; !known {
			byKey[ev.Key] = index
		}
		l.link(ev.Exhibit, index)
		l.retire(ev)
		index++
	}
	l.byKey = byKey
	return l.failed
}

// retire lets the log take no more after the event that retires its keys: a head
// which they sign beyond it would be refused. It keeps the recovery key.
func (l *Log) retire(ev *tutela.Event) {
	if ev.Kind == tutela.EventRecoveryKey {
		l.rescue = ev.Text(tutela.FactRecoveryKey)
	}
	if l.failed == nil && retires(ev, l.keys) {
		l.failed = ErrRetired
	}
}

// allow refuses a change of keys that neither the keys nor the recovery key make.
func (l *Log) allow(ev *tutela.Event) error {
	if ev.Kind != tutela.EventKeyRotate || retires(ev, l.keys) || signedByRecovery(ev, l.rescue) {
		return nil
	}
	return fmt.Errorf("%w: the keys of the log are changed by themselves or by its recovery key", ErrWrongKey)
}

// link makes the event at index the one that the next about the exhibit follows.
func (l *Log) link(exhibit string, index uint64) {
	if exhibit != "" {
		l.last[exhibit] = index + 1
	}
}

// awaitCheckpoint waits until a signed head covers size entries, verifies it and
// makes sure that its name is durable.
func (l *Log) awaitCheckpoint(ctx context.Context, size uint64) error {
	limit, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := l.entries.publish(limit, size); err != nil {
		return errors.Join(fmt.Errorf("wait for a checkpoint of %d entries: %w", size, err), l.guard.refusal())
	}
	head, err := l.head()
	if err != nil {
		return err
	}
	if err := l.guard.check(head.Checkpoint); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(l.checkpointPath()))
}

// Close waits until a checkpoint covers everything and lets go of the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.entries != nil {
		ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
		defer cancel()
		err = l.entries.close(ctx)
		l.entries = nil
	}
	if l.bodies != nil {
		err = errors.Join(err, l.bodies.Close())
		l.bodies = nil
	}
	if l.failed == nil {
		l.failed = fmt.Errorf("agency log: %w", fs.ErrClosed)
	}
	if err != nil {
		return fmt.Errorf("close agency log: %w", err)
	}
	return nil
}

// The cursor of the bodies is the right edge of the log over their entries: its
// size as 8 bytes, big-endian, and the roots of its perfect subtrees.

func encodeEdge(e *check.Edge) []byte {
	b := binary.BigEndian.AppendUint64(nil, e.Size())
	for _, n := range e.Nodes() {
		b = append(b, n[:]...)
	}
	return b
}

func decodeEdge(b []byte, size uint64) (*check.Edge, error) {
	if len(b) == 0 && size == 0 {
		return new(check.Edge), nil
	}
	if len(b) < 8 || len(b)%32 != 8 || binary.BigEndian.Uint64(b) != size {
		return nil, fmt.Errorf("%w: the bodies are not those of a log", ErrDamaged)
	}
	var nodes []check.Hash
	for b = b[8:]; len(b) > 0; b = b[32:] {
		nodes = append(nodes, check.Hash(b))
	}
	edge, err := check.NewEdge(size, nodes)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return edge, nil
}
