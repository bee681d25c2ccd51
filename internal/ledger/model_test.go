package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"testing"

	"tutela/internal/ledger/check"
)

// The model of the commit protocol: a disk that knows, at any instant, every
// state in which a loss of power could leave it, and the tree's own code on it.
// All ways of failing are followed as long as they take fewer than a number of
// steps, where a step is a change of a file, a sync that had something to
// do, the end of the process or a loss of power. Then the tree is opened in every
// state and written to its end.

// modelDisk is a disk whose files have names for ever.
type modelDisk struct {
	files map[string]*modelFile
	grain int                      // writes end at multiples of so many bytes
	after func()                   // a step was done
	torn  func(*modelFile, change) // half of a write was done
	lies  string                   // the file whose sync does nothing
}

// modelFile is a file of which some changes are only in memory.
type modelFile struct {
	disk    *modelDisk
	name    string
	durable []byte
	pending []change
	cached  []byte // durable with the pending changes
}

// change is a write, or with data nil a new length.
type change struct {
	at   int64
	data []byte
}

var modelNames = []string{commitName, leavesName, recordsName}

func (d *modelDisk) open(name string, _ openMode) (file, error) {
	if f := d.files[name]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (d *modelDisk) exists(name string) (bool, error) { return d.files[name] != nil, nil }
func (d *modelDisk) rename(string, string) error      { return errors.New("no names change here") }
func (d *modelDisk) syncDir() error                   { return nil }

func (f *modelFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.cached).ReadAt(p, off)
}

func (f *modelFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.torn(f, change{off, bytes.Clone(p[:len(p)/2])})
	f.do(change{off, bytes.Clone(p)})
	return len(p), nil
}

func (f *modelFile) Truncate(size int64) error {
	f.do(change{at: size})
	return nil
}

func (f *modelFile) do(c change) {
	f.pending = append(f.pending, c)
	f.cached = c.on(f.cached)
	f.disk.after()
}

func (f *modelFile) sync() error {
	if len(f.pending) == 0 || f.disk.lies == f.name {
		return nil
	}
	f.durable, f.pending = f.cached, nil
	f.disk.after()
	return nil
}

func (f *modelFile) size() (int64, error) { return int64(len(f.cached)), nil }
func (f *modelFile) Close() error         { return nil }

// on is the content after the change.
func (c change) on(content []byte) []byte {
	if c.data == nil {
		return append(make([]byte, 0, c.at), content...)[:c.at:c.at]
	}
	out := make([]byte, max(len(content), int(c.at)+len(c.data)))
	copy(out, content)
	copy(out[c.at:], c.data)
	return out
}

// outcomes are all contents that a loss of power can leave.
func (f *modelFile) outcomes() [][]byte {
	found := [][]byte{f.durable}
	for _, c := range f.pending {
		var more [][]byte
		for _, content := range found {
			for _, part := range c.parts(f.disk.grain) {
				more = append(more, part(content))
			}
		}
		found = append(found, more...) // of which the first are those without it
	}
	return found
}

// parts are the ways in which a change can arrive. A write may end at any byte;
// or the file may have its new length, and any of the sectors their old
// content, which is zeros behind the old end.
func (c change) parts(grain int) (parts []func([]byte) []byte) {
	if c.data == nil {
		return append(parts, c.on)
	}
	for end := grain; end < len(c.data); end += grain {
		parts = append(parts, change{c.at, c.data[:end]}.on)
	}
	sectors := c.sectors()
	for arrived := range 1 << len(sectors) {
		parts = append(parts, func(content []byte) []byte {
			out := change{c.at + int64(len(c.data)), []byte{}}.on(content)
			for i, s := range sectors {
				if arrived>>i&1 == 1 {
					copy(out[s.at:], s.data)
				}
			}
			return out
		})
	}
	return parts
}

// sectors are the pieces of a write that arrive as a whole or not at all.
func (c change) sectors() (pieces []change) {
	const sector = 512
	for at, data := c.at, c.data; len(data) > 0; {
		n := min(len(data), int(sector-at%sector))
		pieces = append(pieces, change{at, data[:n]})
		at, data = at+int64(n), data[n:]
	}
	return pieces
}

// modelState is what is left when a process has ended: the files, and how many
// leaves somebody was told of.
type modelState struct {
	files [3]modelFile // in the order of modelNames
	told  uint64
}

func (d *modelDisk) state(told uint64) (s modelState) {
	for i, name := range modelNames {
		s.files[i] = *d.files[name]
		s.files[i].pending = slices.Clone(s.files[i].pending)
	}
	s.told = told
	return s
}

// modelKey tells states apart: 128 bits, of which no two states share all.
type modelKey [2]uint64

var modelSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func (s *modelState) key() modelKey {
	room := make([]byte, 0, 8<<10)
	put := func(number int64, b []byte) {
		room = binary.BigEndian.AppendUint64(room, uint64(number))
		room = binary.BigEndian.AppendUint64(room, uint64(len(b)))
		room = append(room, b...)
	}
	for _, f := range s.files {
		put(int64(len(f.pending)), f.durable)
		for _, c := range f.pending {
			put(c.at, c.data)
		}
	}
	put(int64(s.told), nil)
	return modelKey{maphash.Bytes(modelSeeds[0], room), maphash.Bytes(modelSeeds[1], room)}
}

// powerLosses yields the states after a loss of power.
func (s *modelState) powerLosses(yield func(modelState)) {
	lost := modelState{told: s.told}
	for _, a := range s.files[0].outcomes() {
		lost.files[0] = modelFile{durable: a, cached: a}
		for _, b := range s.files[1].outcomes() {
			lost.files[1] = modelFile{durable: b, cached: b}
			for _, c := range s.files[2].outcomes() {
				lost.files[2] = modelFile{durable: c, cached: c}
				yield(lost)
			}
		}
	}
}

// explorer follows all ways of failing.
type explorer struct {
	depth int    // steps
	until uint64 // leaves
	grain int    // writes end at multiples of so many bytes
	lies  string // the file whose sync does nothing

	best   map[modelKey]int // the fewest steps to a state
	queue  [][]modelState   // by the steps that led there
	opened int              // states that a tree was opened in
}

// explore begins with an empty tree and returns what went wrong first.
func explore(e *explorer) error {
	start := newMemoryDisk()
	if err := createTree(start, testSeed); err != nil {
		return err
	}
	var s modelState
	for i, name := range modelNames {
		content := start.files[name].cached
		s.files[i] = modelFile{name: name, durable: content, cached: content}
	}
	e.best, e.queue = make(map[modelKey]int), make([][]modelState, e.depth+1)
	e.add(s, 0)
	for steps := range e.queue {
		for len(e.queue[steps]) > 0 {
			s := e.queue[steps][0]
			e.queue[steps] = e.queue[steps][1:]
			if e.best[s.key()] < steps {
				continue // was found again, on a shorter way
			}
			if err := e.follow(s, steps); err != nil {
				return fmt.Errorf("after %d steps, %d leaves told: %w", steps, s.told, err)
			}
		}
	}
	return nil
}

// add remembers a state, unless it is known, and reports whether it did.
func (e *explorer) add(s modelState, steps int) bool {
	if steps > e.depth {
		return false
	}
	key := s.key()
	if known, ok := e.best[key]; ok && known <= steps {
		return false
	}
	e.best[key] = steps
	e.queue[steps] = append(e.queue[steps], s)
	return true
}

// follow opens the tree in a state and writes on to the end, and adds every state
// in which that could break off.
func (e *explorer) follow(s modelState, steps int) error {
	e.opened++
	d, told := &modelDisk{files: make(map[string]*modelFile), grain: e.grain, lies: e.lies}, s.told
	for i, f := range s.files {
		f.disk, f.name, f.pending = d, modelNames[i], slices.Clone(f.pending)
		d.files[modelNames[i]] = &f
	}
	d.torn = func(f *modelFile, half change) {
		killed := d.state(told)
		at := slices.Index(modelNames, f.name)
		killed.files[at].pending = append(killed.files[at].pending, half)
		killed.files[at].cached = half.on(f.cached)
		e.add(killed, steps+2)
	}
	d.after = func() {
		steps++
		if now := d.state(told); e.add(now, steps+1) { // the process was killed
			now.powerLosses(func(lost modelState) { e.add(lost, steps+1) })
		}
	}
	return writeModel(d, &told, e.until)
}

// writeModel opens a tree and writes its leaves, one commit each, as a scan
// would: from where the cursor says. What Open and Commit returned was told.
func writeModel(d disk, told *uint64, until uint64) error {
	tree, err := openTree(d, testSeed)
	if err != nil {
		return err
	}
	if err := modelHolds(tree, *told); err != nil {
		return err
	}
	*told = tree.Size()
	for tree.Size() < until {
		if err := tree.Append(modelBody(tree.Size())); err != nil {
			return err
		}
		if err := tree.Commit(modelCursor(tree.Size())); err != nil {
			return err
		}
		*told = tree.Size()
	}
	if err := modelHolds(tree, until); err != nil {
		return err
	}
	return modelVerifies(d, until)
}

func modelBody(i uint64) []byte { return fmt.Appendf(nil, "%03d", i) }

// modelCursor is long enough for a frame to reach over sectors.
func modelCursor(n uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, n), bytes.Repeat([]byte{0xcc}, 600)...)
}

// modelHolds checks that nothing told was lost, nothing is there twice, and that
// the cursor is that of the leaves.
func modelHolds(tree *Tree, told uint64) error {
	n := tree.Size()
	if n < told {
		return fmt.Errorf("%d leaves were told, %d are left", told, n)
	}
	if n > 0 && !bytes.Equal(tree.Cursor(), modelCursor(n)) {
		return fmt.Errorf("%d leaves, and the cursor is %x", n, tree.Cursor())
	}
	var want check.Edge
	for i := range n {
		seed := testSeed.at(i)
		want.Append(check.SaltedLeaf(seed.salt(), modelBody(i)))
	}
	if root, err := tree.Root(); err != nil || root != want.Root() {
		return fmt.Errorf("root of %d leaves is %s, %v", n, root, err)
	}
	return nil
}

func modelVerifies(d disk, n uint64) error {
	r, err := readTree(d, testSeed)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != n {
		return fmt.Errorf("%d leaves of %d", r.Size(), n)
	}
	for i := range n {
		if body, err := r.Body(i); err != nil || !bytes.Equal(body, modelBody(i)) {
			return fmt.Errorf("body %d: %q, %v", i, body, err)
		}
	}
	return nil
}

// TestModelOfCommits follows everything that can happen within 12 steps: two
// commits, or one with two losses of power and all of a recovery. Under
// torture they are 14.
func TestModelOfCommits(t *testing.T) {
	t.Parallel()
	e := &explorer{depth: 12, until: 3, grain: 1}
	if *torture > 0 {
		e.depth, e.until = 14, 3
	}
	if err := explore(e); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d states", e.opened)
	if e.opened < 1000 {
		t.Errorf("only %d states were reached", e.opened)
	}
}

// TestModelSeesAMissingSync: on a disk that lies about one of the files, the
// model finds a leaf that was lost.
func TestModelSeesAMissingSync(t *testing.T) {
	for _, name := range modelNames {
		if err := explore(&explorer{depth: 12, until: 3, grain: 64, lies: name}); err == nil {
			t.Errorf("%s is never synced, and nothing was lost", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
