package ext

import (
	"context"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const (
	orphanFolder = "/$OrphanFiles"
	maxLinks     = 65000 // EXT4_LINK_MAX
	tableCache   = 8 << 20
	direntDir    = 2
)

// walker is one walk: first the tree of directories, with the names that were
// removed from each, then the inodes that no name leads to.
type walker struct {
	fs     *FileSystem
	ctx    context.Context
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	alloc *allocation
	past  *history // nil without a journal
	open  set      // inodes in use that were deleted while open, or cut short
	table map[int64][]byte

	dead   []int64 // inodes that were freed and still tell where their content is
	claims []claim // what those had, by place

	stack   []*node
	seen    set             // inodes in use that a name leads to
	again   map[int64]int32 // of those, how often they were met once more
	given   map[file]bool   // deleted files that a name was found for
	listed  map[file]bool   // deleted directories that were listed
	volume  []tutela.Finding
	limited bool // a deleted file too many was told
	crowded bool // inode tables too many were met

	ghosts  budget // deleted entries
	deleted budget // bytes of deleted content
	checked budget // blocks of deleted files held against the bitmap
	claimed budget // bytes of blocks that files in use have
	tree    budget // blocks that map others
	folders budget // blocks of directories
}

// file is one file that an inode number stood for: the generation changes when
// the number is given again.
type file struct {
	number     int64
	generation uint32
}

func (in *inode) file() file { return file{in.number, in.generation} }

// node is a directory to be listed.
type node struct {
	parent *node
	name   string
	length int // bytes of the path
	in     *inode
	state  tutela.State
	age    int64 // of the inode; present for one that lies in place
	gone   bool  // deleted: what it held is what can be found of it
}

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := newWalker(ctx, fs, limits, visit)
	if err := w.readPast(); err != nil {
		return err
	}
	w.readOpen()
	if err := w.readDead(); err != nil {
		return err
	}
	if err := w.root(); err != nil {
		return err
	}
	if err := w.drain(); err != nil {
		return err
	}
	if err := w.orphans(); err != nil {
		return err
	}
	return w.tellVolume()
}

func newWalker(ctx context.Context, fs *FileSystem, limits evidence.Limits, visit func(*evidence.Entry) error) *walker {
	limits = limits.WithDefaults()
	return &walker{
		fs: fs, ctx: ctx, limits: limits, visit: visit,
		alloc: newAllocation(fs), open: newSet(fs.inodesPerGroup), table: map[int64][]byte{},
		seen: newSet(fs.inodesPerGroup), again: map[int64]int32{}, given: map[file]bool{}, listed: map[file]bool{},
		volume:  append([]tutela.Finding(nil), fs.findings...),
		ghosts:  budget{min(max(fs.inodes, fs.blocks), fs.held()/512)},
		deleted: budget{product(fs.held(), limits.DeletedFactor)},
		checked: budget{product(fs.blocks, limits.DeletedFactor+1)},
		claimed: budget{product(fs.volumeBytes(), 2)},
		tree:    budget{product(fs.held()/fs.block, 16) + 1<<12},
		folders: budget{product(fs.held()/fs.block, 4) + 1<<12},
	}
}

func (w *walker) find(code, detail string) {
	w.volume = append(w.volume, tutela.Finding{Code: code, Detail: detail})
}

func (w *walker) readPast() (err error) {
	if w.fs.log == nil {
		return nil
	}
	if w.past, err = w.fs.log.readHistory(w.ctx); err != nil {
		return err
	}
	if w.past.full {
		w.find(tutela.FindingLimit, "the journal is too large: not all of it was searched for deleted files")
	}
	return nil
}

// now reads mappings as they are.
func (w *walker) now() mapper {
	return mapper{fs: w.fs, read: w.fs.readBlock, budget: &w.tree, age: present}
}

// then reads mappings of deleted files: as the journal knew them at an age,
// where it did, and else from the blocks that still lie in place and are free.
func (w *walker) then(age int64) mapper {
	copyOf := func(block int64) (old, bool) {
		if w.past == nil || age == present {
			return old{}, false
		}
		return w.past.asOf(block, age)
	}
	return mapper{fs: w.fs, budget: &w.tree, age: age,
		read: func(block int64, p []byte) error {
			if o, ok := copyOf(block); ok {
				b, err := w.past.read(o)
				copy(p, b)
				return err
			}
			return w.fs.readBlock(block, p)
		},
		inUse: func(block int64) bool {
			_, ok := copyOf(block)
			return !ok && (w.alloc.inUse(block) || w.past.takenSince(block, age))
		},
	}
}

// inode reads an inode as it is now, from blocks that are kept for a while.
func (w *walker) inode(number int64) (*inode, error) {
	block, within, err := w.fs.place(number)
	if err != nil {
		return nil, err
	}
	b, ok := w.table[block]
	if !ok {
		b = make([]byte, w.fs.block)
		if w.fs.readBlock(block, b) != nil {
			return w.fs.inode(number) // perhaps that part of the block can be read
		}
		if int64(len(w.table)) >= tableCache/w.fs.block {
			clear(w.table)
		}
		w.table[block] = b
	}
	return w.fs.parseInode(number, b[within:][:w.fs.inodeBytes]), nil
}

// readOpen reads the list of inodes that were deleted while open ("Orphan
// file", s_last_orphan), each of which tells the next in place of a time.
func (w *walker) readOpen() {
	for number := w.fs.lastOrphan; number >= w.fs.firstInode && number <= w.fs.inodes && !w.open.has(number); {
		w.open.add(number)
		in, err := w.inode(number)
		if err != nil {
			break
		}
		number = int64(in.deleted)
	}
	if w.fs.orphanIno == 0 {
		return
	}
	in, err := w.inode(w.fs.orphanIno)
	if err != nil || in.kind() != modeFile {
		w.find(tutela.FindingDamaged, "the orphan file cannot be read")
		return
	}
	r := w.now()
	b := make([]byte, w.fs.block)
	for _, run := range r.of(in).runs {
		for i := range run.n {
			if run.logical+i >= in.size/w.fs.block || w.fs.readBlock(run.physical+i, b) != nil {
				break
			}
			w.readOrphanBlock(b)
		}
	}
}

func (w *walker) readOrphanBlock(b []byte) {
	const magic = 0x0b10ca04
	if le32(b, len(b)-8) != magic {
		return
	}
	for at := 0; at+12 <= len(b); at += 4 {
		if number := int64(le32(b, at)); number >= w.fs.firstInode && number <= w.fs.inodes {
			w.open.add(number)
		}
	}
}

// root begins with inode 2. Without it the files are given as orphans.
func (w *walker) root() error {
	in, err := w.inode(inodeRoot)
	switch {
	case err != nil:
		w.find(tutela.FindingReadError, "the root directory: "+err.Error())
	case in.kind() != modeDir:
		w.find(tutela.FindingDamaged, "inode 2 is not a directory: there is no root")
	default:
		w.push(&node{in: in, state: tutela.Allocated, age: present})
	}
	return nil
}

func (w *walker) push(n *node) {
	if n.parent != nil {
		n.length = n.parent.length
	}
	n.length += 1 + len(n.name)
	if n.state == tutela.Allocated {
		w.seen.add(n.in.number)
	} else {
		w.listed[n.in.file()] = true
	}
	w.stack = append(w.stack, n)
}

// drain lists directories until there are none left. A directory's files come
// first, then its directories, the first of them with all below it.
func (w *walker) drain() error {
	for len(w.stack) > 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		last := len(w.stack) - 1
		n := w.stack[last]
		w.stack = w.stack[:last]
		before := len(w.stack)
		if err := w.list(n); err != nil {
			return err
		}
		for i, j := before, len(w.stack)-1; i < j; i, j = i+1, j-1 {
			w.stack[i], w.stack[j] = w.stack[j], w.stack[i]
		}
	}
	return nil
}

// path is that of a directory, "" for the root. It is false where it would be
// longer than the limit.
func (w *walker) path(n *node) (string, bool) {
	if n.length > w.limits.NameBytes {
		return orphanFolder, false
	}
	if n.parent == nil {
		return n.name, true
	}
	top, _ := w.path(n.parent)
	return top + "/" + n.name, true
}

// emit gives out one entry below a directory.
func (w *walker) emit(n *node, name string, state tutela.State, it item) error {
	if state != tutela.Allocated && !w.spend() {
		return nil
	}
	dir, whole := w.path(n)
	e := &evidence.Entry{
		Path:  append(append([]byte(dir), '/'), name...),
		Chain: []tutela.Locator{{Layer: w.fs.layer, At: it.at}},
		Kind:  it.kind, State: state, Size: it.size, Times: it.times,
		Findings: it.findings,
		Runs:     it.runs, Slack: it.slack, Open: it.open,
	}
	if !whole {
		e.Find(tutela.FindingLimit, "its path is too long and is left out")
	}
	if len(e.Path) > w.limits.NameBytes {
		e.Path = append([]byte(orphanFolder+"/"), name...)
		e.Find(tutela.FindingLimit, "its path is too long and is left out")
	}
	if e.Path[len(e.Path)-1] == '/' {
		e.Find(tutela.FindingDamaged, "an empty name")
	}
	if e.Open != nil && state != tutela.Allocated && !w.deleted.take(max(e.Size, 0)) {
		e.Find(tutela.FindingLimit, "more deleted bytes than the limit allows: not read")
		it.refuse(fmt.Errorf("deleted bytes on this volume are limited to %d times its size", w.limits.DeletedFactor))
		e.Runs, e.Open = it.runs, it.open
	}
	return w.visit(e)
}

// live gives out a name of a directory in use.
func (w *walker) live(n *node, d dirent, encrypted bool) error {
	name := displayName(d.name, encrypted)
	in, err := w.inode(d.inode)
	if err != nil {
		return w.emit(n, name, n.state, unknown(d, tutela.FindingReadError, err))
	}
	if !in.known() {
		return w.emit(n, name, n.state, unknown(d, tutela.FindingDamaged, errors.New("its inode is not in use")))
	}
	if in.kind() == modeDir {
		return w.subdirectory(n, name, in)
	}
	it := w.content(in, w.now(), false)
	if in.links == 0 {
		it.find(tutela.FindingDamaged, "its inode counts no names")
	}
	if !plausible(d.name) && !encrypted {
		it.find(tutela.FindingDamaged, "a name that no file can have")
	}
	if w.seen.has(in.number) {
		if w.again[in.number]++; w.again[in.number] >= maxLinks {
			it.find(tutela.FindingLimit, "more names than a file can have: not read under this one")
			it.refuse(errCrowded)
		}
	}
	w.seen.add(in.number)
	return w.emit(n, name, n.state, it)
}

func (w *walker) subdirectory(n *node, name string, in *inode) error {
	if w.seen.has(in.number) {
		it := item{kind: tutela.Directory, at: fmt.Sprintf("inode %d", in.number), times: in.times()}
		it.find(tutela.FindingLoop, "a second name of a directory: not listed again")
		return w.emit(n, name, n.state, it)
	}
	w.seen.add(in.number)
	w.push(&node{parent: n, name: name, in: in, state: n.state, age: present})
	return nil
}

// unknown is a name behind which nothing could be read.
func unknown(d dirent, code string, err error) item {
	it := item{kind: tutela.File, at: fmt.Sprintf("inode %d", d.inode), size: -1}
	it.find(code, err.Error())
	it.refuse(err)
	return it
}

// tellVolume gives out "/" if something must be said about the volume.
func (w *walker) tellVolume() error {
	for _, what := range []string{"block", "inode"} {
		if n := w.alloc.wrong[what]; n > 0 {
			w.find(tutela.FindingDamaged, fmt.Sprintf("%s bitmaps: %d with a wrong checksum", what, n))
		}
	}
	if w.crowded {
		w.find(tutela.FindingLimit, "inode tables are longer than the image: not all of them were searched for deleted files")
	}
	if w.past != nil && w.past.spent {
		w.find(tutela.FindingLimit, "the journal holds too many copies: not all of them were searched for deleted files")
	}
	if len(w.volume) == 0 {
		return nil
	}
	return w.visit(&evidence.Entry{
		Path:  []byte("/"),
		Chain: []tutela.Locator{{Layer: w.fs.layer, At: "volume"}},
		Kind:  tutela.Directory, State: tutela.Allocated, Findings: w.volume,
	})
}
