package lab

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tutela"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// The access ledger holds what people read: one leaf for each act of reading, an
// event in the encoding of the agency log. Reading is too frequent for an entry of
// that log each, so the leaves are committed in groups, and their root goes into the
// log each minute, at each log-out and at the end.
//
//	ledger/access/N/   tree N, from 1; the last one grows
//	keys/access.seed   from which the seeds of all of them grow

// rootEvery is how long leaves wait for their root to stand in the agency log.
const rootEvery = time.Minute

// readsPerTree is after how many leaves the next tree begins, at the next opening.
const readsPerTree = 16 << 20

// maxRead is the largest body of a leaf, in bytes: what is larger is refused alone.
const maxRead = 1 << 20

// ErrReads means that the access ledger takes no more: nothing may be shown.
var ErrReads = errors.New("the access ledger cannot be written")

// Reads is the access ledger, open to append. It is safe for concurrent use.
//
// [Reads.Record] returns when the leaf is durable. One goroutine commits: it takes
// all that waits, appends it, commits once and tells everybody, so that a thousand
// readers cost as many disk flushes as the disk can do, and one costs one.
type Reads struct {
	lab    *Lab
	number int
	tree   *ledger.Tree // used by the committing goroutine alone

	queue chan *waiting
	done  chan struct{} // closed when the committing goroutine has ended

	gate   sync.RWMutex // held for reading while something is put into the queue
	closed bool         // guarded by gate

	rooting sync.Mutex // held while a root is made, so that the log gets them in their order

	mu     sync.Mutex        // guards all below
	failed error             // sticky
	leaves uint64            // that are durable
	rooted uint64            // that the agency log has a root over
	used   map[string]uint64 // acts by authority since that root, refusals left out
}

// waiting is a leaf, or a question for the root, on its way to the tree.
type waiting struct {
	body      []byte
	authority string // that counts as used by it; "" if none does
	leaf      uint64
	root      *[32]byte         // where the root is wanted, for a question
	used      map[string]uint64 // by authority under that root, since the one before
	err       error
	ready     chan struct{}
}

// OpenReads opens the access ledger of a lab that is open for writing. What a crash
// left without a root gets one.
func (l *Lab) OpenReads(ctx context.Context) (*Reads, error) {
	number, err := l.readsNumber()
	if err != nil {
		return nil, err
	}
	number = max(number, 1)
	tree, err := l.openReadsTree(number)
	if err == nil && tree.Size() >= readsPerTree {
		err = tree.Close()
		if err == nil {
			number++
			tree, err = l.openReadsTree(number)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the access ledger: %w", err)
	}
	r := &Reads{lab: l, number: number, tree: tree, queue: make(chan *waiting, 256), done: make(chan struct{}), leaves: tree.Size(), used: map[string]uint64{}}
	if r.rooted, err = l.readsRooted(ctx, number); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	if err := r.recount(); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	go r.commit()
	if err := r.Root(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	go r.rootNowAndThen()
	return r, nil
}

func (l *Lab) readsDir(number int) string {
	return filepath.Join(l.Dir, "ledger", "access", strconv.Itoa(number))
}

// readsNumber is the number of the newest tree, 0 if there is none.
func (l *Lab) readsNumber() (newest int, err error) {
	entries, err := os.ReadDir(filepath.Join(l.Dir, "ledger", "access"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > newest {
			newest = n
		}
	}
	return newest, nil
}

func (l *Lab) openReadsTree(number int) (*ledger.Tree, error) {
	seed, err := l.readsSeed()
	if err != nil {
		return nil, err
	}
	return openOrCreate(l.readsDir(number), accessSeed(seed, number))
}

func (l *Lab) readsSeed() (ledger.Seed, error) {
	name := filepath.Join(l.keysDir(), "access.seed")
	seed, err := l.safe.LoadSeed(name)
	if !errors.Is(err, os.ErrNotExist) {
		return seed, err
	}
	if newest, other := l.readsNumber(); newest > 0 || other != nil {
		return seed, errors.Join(err, other) // never a new seed for leaves that another one opens
	}
	seed = ledger.NewSeed()
	return seed, l.safe.SaveSeed(name, seed)
}

// accessSeed grows the seed of one access ledger. It must never change.
func accessSeed(seed ledger.Seed, number int) ledger.Seed {
	text := append([]byte("tutela access ledger v1\x00"), seed[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(text, uint64(number)))
}

// readsRooted is how many leaves of a tree the agency log has a root over.
func (l *Lab) readsRooted(ctx context.Context, number int) (rooted uint64, err error) {
	err = l.accessRoots(ctx, func(_ uint64, root tutela.AccessRoot) error {
		if root.Period == number {
			rooted = root.Leaves
		}
		return nil
	})
	return rooted, err
}

// accessRoots visits every root of an access ledger that the agency log has.
func (l *Lab) accessRoots(ctx context.Context, visit func(index uint64, root tutela.AccessRoot) error) error {
	log, err := l.ReadLog()
	if err != nil {
		return err
	}
	for entry, err := range log.Events(ctx, 0) {
		if err != nil {
			return fmt.Errorf("read the agency log: %w", err)
		}
		if entry.Event.Kind != tutela.EventAccessRoot {
			continue
		}
		var root tutela.AccessRoot
		if err := tutela.DecodeDetail(entry.Event.Detail, &root); err != nil {
			return fmt.Errorf("entry %d: %w", entry.Index, err)
		}
		if err := visit(entry.Index, root); err != nil {
			return err
		}
	}
	return nil
}

// Record appends an event of at most 1 MiB and returns its leaf when it is durable.
// After a failure every call fails with ErrReads until the lab is opened again: nothing may be shown
// that is not written down.
func (r *Reads) Record(ctx context.Context, ev tutela.Event) (leaf uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now().UTC()
	}
	w := &waiting{body: ledger.AppendEvent(nil, &ev), authority: usedBy(&ev), ready: make(chan struct{})}
	if len(w.body) > maxRead {
		return 0, fmt.Errorf("record what is read: an event of %d bytes, at most %d fit", len(w.body), maxRead)
	}
	if err := r.hand(w); err != nil {
		return 0, err
	}
	<-w.ready // the commit cannot be taken back, whoever has gone meanwhile
	return w.leaf, w.err
}

// usedBy is the authority that an event counts against; "" for a refusal.
func usedBy(ev *tutela.Event) string {
	if ev.Kind != tutela.EventAccess {
		return ""
	}
	return ev.Authority
}

// recount counts what was done since the last root, after a crash.
func (r *Reads) recount() error {
	if r.rooted >= r.leaves {
		return nil
	}
	tree, err := r.lab.openReadsReader(r.number)
	if err != nil {
		return err
	}
	defer tree.Close()
	for body, err := range tree.Bodies(r.rooted) {
		if err != nil {
			return err
		}
		ev, err := ledger.DecodeEvent(body)
		if err != nil {
			return err
		}
		if reference := usedBy(ev); reference != "" {
			r.used[reference]++
		}
	}
	return nil
}

// hand gives something to the committing goroutine.
func (r *Reads) hand(w *waiting) error {
	if err := r.Err(); err != nil {
		return err
	}
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.closed {
		return fmt.Errorf("%w: it is closed", ErrReads)
	}
	r.queue <- w
	return nil
}

// Err is why the ledger takes no more; nil while it does.
func (r *Reads) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// commit takes what waits until the queue is closed.
func (r *Reads) commit() {
	defer close(r.done)
	for first := range r.queue {
		group := []*waiting{first}
		for len(r.queue) > 0 {
			group = append(group, <-r.queue)
		}
		r.commitAll(group)
	}
}

func (r *Reads) commitAll(group []*waiting) {
	err, before := r.Err(), r.tree.Size()
	for _, w := range group {
		if w.root == nil && err == nil {
			w.leaf, err = r.tree.Size(), r.tree.Append(w.body)
		}
	}
	if err == nil && r.tree.Size() > before {
		err = r.tree.Commit(nil)
	}
	r.settle(group, err)
	for _, w := range group {
		if w.root != nil && err == nil {
			root, rootErr := r.tree.Root()
			*w.root, w.leaf, w.err = root, r.tree.Size(), rootErr
			w.used = r.takeUsed()
		}
		close(w.ready)
	}
}

// settle counts what is durable, or remembers that nothing is any more.
func (r *Reads) settle(group []*waiting, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.failed == nil {
		r.failed = fmt.Errorf("%w: %w", ErrReads, err)
	}
	if r.failed == nil {
		r.leaves = r.tree.Size()
	}
	for _, w := range group {
		if w.err = r.failed; w.err == nil && w.root == nil && w.authority != "" {
			r.used[w.authority]++
		}
	}
}

// takeUsed is what was done since the root before; it counts from nothing again.
func (r *Reads) takeUsed() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := r.used
	r.used = map[string]uint64{}
	return used
}

// giveBack has the next root tell what this one could not.
func (r *Reads) giveBack(used map[string]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reference, n := range used {
		r.used[reference] += n
	}
}

// Root writes the root over all leaves into the agency log, if there are any since
// the last one.
func (r *Reads) Root(ctx context.Context) error {
	r.rooting.Lock()
	defer r.rooting.Unlock()
	r.mu.Lock()
	waits := r.leaves > r.rooted
	r.mu.Unlock()
	if !waits {
		return nil
	}
	if err := r.root(ctx); err != nil {
		return fmt.Errorf("root of the access ledger: %w", err)
	}
	return nil
}

// root is told under rooting.
func (r *Reads) root(ctx context.Context) error {
	var sum [32]byte
	w := &waiting{root: &sum, ready: make(chan struct{})}
	if err := r.hand(w); err != nil {
		return err
	}
	<-w.ready
	if w.err != nil {
		return w.err
	}
	if err := r.tell(ctx, w); err != nil {
		r.giveBack(w.used)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rooted = w.leaf
	return nil
}

// tell writes a root into the agency log.
func (r *Reads) tell(ctx context.Context, w *waiting) error {
	ev, err := tutela.NewEvent(tutela.EventAccessRoot, time.Now(), "", tutela.AccessRoot{Period: r.number, Leaves: w.leaf, Root: *w.root, Used: w.used})
	if err != nil {
		return err
	}
	ev.Key = fmt.Sprintf("access-root %d %d", r.number, w.leaf)
	ev.Facts = []tutela.Fact{{Name: tutela.FactReads, Number: w.leaf, Value: w.root[:]}}
	_, err = r.lab.Record(ctx, ev)
	return err
}

func (r *Reads) rootNowAndThen() {
	tick := time.NewTicker(rootEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
			r.Root(context.Background()) //nolint: Close and the next minute try again, and every leaf is durable
		}
	}
}

// Close writes the last root and closes the files. The lab must still be open.
func (r *Reads) Close() error {
	err := r.Root(context.Background())
	r.gate.Lock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
	r.gate.Unlock()
	<-r.done
	return errors.Join(err, r.tree.Close())
}

// Looked is one leaf of an access ledger.
type Looked struct {
	Period int // number of the tree
	Leaf   uint64
	tutela.Event
}

// ReadReads tells every act of reading from the first on, also while others go on.
func (l *Lab) ReadReads(ctx context.Context) iter.Seq2[Looked, error] {
	return func(yield func(Looked, error) bool) {
		newest, err := l.readsNumber()
		if err != nil {
			yield(Looked{}, err)
			return
		}
		for number := 1; number <= newest; number++ {
			if !l.readTreeOfReads(ctx, number, yield) {
				return
			}
		}
	}
}

func (l *Lab) readTreeOfReads(ctx context.Context, number int, yield func(Looked, error) bool) (more bool) {
	tree, err := l.openReadsReader(number)
	if err != nil {
		return yield(Looked{}, fmt.Errorf("access ledger %d: %w", number, err))
	}
	defer tree.Close()
	leaf := uint64(0)
	for body, err := range tree.Bodies(0) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return yield(Looked{}, fmt.Errorf("access ledger %d, leaf %d: %w", number, leaf, err))
		}
		ev, err := ledger.DecodeEvent(body)
		if err != nil {
			return yield(Looked{}, fmt.Errorf("access ledger %d, leaf %d: %w", number, leaf, err))
		}
		if !yield(Looked{number, leaf, *ev}, nil) {
			return false
		}
		leaf++
	}
	return true
}

func (l *Lab) openReadsReader(number int) (*ledger.Reader, error) {
	seed, err := l.safe.LoadSeed(filepath.Join(l.keysDir(), "access.seed"))
	if err != nil {
		return nil, err
	}
	return ledger.ReadTree(l.readsDir(number), accessSeed(seed, number))
}

// ReadOpenings opens the first n leaves of an access ledger, in their order.
func (l *Lab) ReadOpenings(ctx context.Context, period int, n uint64) iter.Seq2[check.Opening, error] {
	return func(yield func(check.Opening, error) bool) {
		tree, err := l.openReadsReader(period)
		if err != nil {
			yield(check.Opening{}, fmt.Errorf("access ledger %d: %w", period, err))
			return
		}
		defer tree.Close()
		for leaf := range n {
			opening, err := tree.Opening(leaf)
			if err = errors.Join(err, ctx.Err()); err != nil {
				err = fmt.Errorf("access ledger %d, leaf %d: %w", period, leaf, err)
			}
			if !yield(opening, err) || err != nil {
				return
			}
		}
	}
}
