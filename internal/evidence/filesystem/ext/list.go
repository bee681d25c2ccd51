package ext

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"tutela"
)

// ghost is a name that a directory no longer has.
type ghost struct {
	dirent
	age int64 // of the block it was found in; present for one that lies in place
}

// listing is one directory while it is listed.
type listing struct {
	w         *walker
	n         *node
	encrypted bool
	names     map[uint64]bool // in use, or given
	ghosts    []ghost         // each once, as it was found first: the youngest
	noted     map[uint64]bool // of the ghosts
	problems  []string
	lost      bool // bytes that could not be read
	owners    []owner
}

// owner says which file an inode number stood for at an age.
type owner struct {
	age        int64
	generation uint32
}

// owns reports whether the number of the directory was the directory's at an
// age, as far as the journal knows.
func (l *listing) owns(age int64) bool {
	if l.owners == nil {
		if now, err := l.w.inode(l.n.in.number); err == nil {
			l.owners = append(l.owners, owner{present, now.generation})
		}
		l.w.past.versions(l.n.in.number, func(v version) bool {
			l.owners = append(l.owners, owner{v.age, v.generation})
			return true
		})
	}
	for i, o := range l.owners {
		if o.age <= age || i == len(l.owners)-1 {
			return o.generation == l.n.in.generation
		}
	}
	return true
}

func (l *listing) blame(format string, args ...any) {
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, fmt.Sprintf(format, args...))
	}
}

// key stands for a name and its inode.
func key(name string, inode int64) uint64 {
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(inode)))
	h.Write([]byte(name))
	return h.Sum64()
}

// list gives out what a directory holds: its files, the names that were removed
// from it, and a directory entry if something must be said about it.
func (w *walker) list(n *node) error {
	l := &listing{w: w, n: n, names: map[uint64]bool{}, noted: map[uint64]bool{}, encrypted: n.in.is(flagEncrypt)}
	var err error
	if n.gone {
		err = l.wasThere()
	} else {
		err = l.isThere()
	}
	if err != nil {
		return err
	}
	l.inlineBefore()
	if err := l.giveGhosts(); err != nil || n.gone {
		return err
	}
	return l.tell()
}

// tell gives out the directory itself.
func (l *listing) tell() error {
	in := l.n.in
	it := item{kind: tutela.Directory, at: fmt.Sprintf("inode %d", in.number), times: in.times()}
	if !l.w.fs.inodeRight(in) {
		it.find(tutela.FindingDamaged, "the inode has a wrong checksum")
	}
	code := tutela.FindingDamaged
	if l.lost {
		code = tutela.FindingReadError
	}
	for _, p := range l.problems {
		it.find(code, p)
	}
	if l.encrypted {
		it.find(tutela.FindingEncrypted, "fscrypt: the names are encrypted, and written here in base64")
	}
	if len(it.findings) == 0 {
		return nil
	}
	if l.n.parent == nil && l.n.name == "" {
		l.w.volume = append(l.w.volume, it.findings...)
		return nil
	}
	parent := l.n.parent
	if parent == nil {
		it.at += " directory"
		return l.w.emit(&node{name: orphanFolder, length: len(orphanFolder)}, l.n.name[len(orphanFolder)+1:], l.n.state, it)
	}
	return l.w.emit(parent, l.n.name, l.n.state, it)
}

// isThere lists a directory in use.
func (l *listing) isThere() error {
	in := l.n.in
	if in.is(flagInline) {
		return l.inline(l.use)
	}
	r := l.w.now()
	m := r.of(in)
	for _, p := range m.problems {
		l.blame("%s", p)
	}
	blocks := (in.size + l.w.fs.block - 1) / l.w.fs.block
	for _, run := range m.runs {
		for i := range min(run.n, blocks-run.logical) {
			if err := l.w.ctx.Err(); err != nil {
				return err
			}
			if !l.w.folders.take(1) {
				l.blame("directories claim more blocks than the volume has: the rest is not listed")
				return nil
			}
			if err := l.block(run.logical+i, run.physical+i); err != nil {
				return err
			}
		}
	}
	if len(m.runs) == 0 && len(m.problems) == 0 {
		l.blame("a directory without a block")
	}
	return nil
}

// block lists one block in use, and remembers the names that it, or a copy of it
// in the journal, had before.
func (l *listing) block(logical, physical int64) error {
	w := l.w
	b := make([]byte, w.fs.block)
	if err := w.fs.readBlock(physical, b); err != nil {
		l.lost = true
		l.blame("block %d: %v", logical, err)
		return nil
	}
	found := w.fs.entries(b, l.isHashRoot(logical))
	if found.problem != "" {
		l.blame("block %d: %s", logical, found.problem)
	} else if !w.fs.right(b, &found, l.n.in) {
		l.blame("block %d has a wrong checksum", logical)
	}
	l.remember(found.gone, present)
	if err := l.use(found.live); err != nil {
		return err
	}
	l.copies(logical, physical)
	return nil
}

// isHashRoot: what lies behind ".." there is the head of a hash tree.
func (l *listing) isHashRoot(logical int64) bool { return logical == 0 && l.n.in.is(flagIndex) }

// use gives out names in use.
func (l *listing) use(live []dirent) error {
	for _, d := range live {
		if d.name == "." || d.name == ".." {
			continue
		}
		l.names[key(d.name, d.inode)] = true
		l.names[key(d.name, 0)] = true
		if err := l.w.live(l.n, d, l.encrypted); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) remember(gone []dirent, age int64) {
	for _, d := range gone {
		k := key(d.name, d.inode)
		if d.name != "." && d.name != ".." && !l.noted[k] {
			l.noted[k] = true
			l.ghosts = append(l.ghosts, ghost{d, age})
		}
	}
}

// copies remembers what the journal knew of a block, as far as it was one of
// this directory then.
func (l *listing) copies(logical, physical int64) (any bool) {
	w := l.w
	if w.past == nil {
		return false
	}
	for _, o := range w.past.copies[physical] {
		b, err := w.past.read(o)
		if err != nil {
			return any
		}
		if l.takes(b, logical, o.age) {
			any = true
		}
	}
	return any
}

// takes remembers the names of a block if it was one of this directory.
func (l *listing) takes(b []byte, logical, age int64) bool {
	found := l.w.fs.entries(b, l.isHashRoot(logical))
	if found.problem != "" || !l.w.fs.right(b, &found, l.n.in) || !l.owns(age) {
		return false
	}
	if logical == 0 && (len(found.live) == 0 || found.live[0].name != "." || found.live[0].inode != l.n.in.number) {
		return false
	}
	if logical > 0 && len(found.live) > 0 && found.live[0].name == "." {
		return false // the first block of another
	}
	l.remember(found.live, age)
	l.remember(found.gone, age)
	return true
}

// wasThere lists a deleted directory: from copies of its blocks, and from those
// that still lie in place and are free.
func (l *listing) wasThere() error {
	w, in := l.w, l.n.in
	if in.is(flagInline) {
		return l.inline(func(live []dirent) error {
			l.remember(live, l.n.age)
			return nil
		})
	}
	r := w.then(l.n.age)
	b := make([]byte, w.fs.block)
	blocks := (in.size + w.fs.block - 1) / w.fs.block
	for _, run := range r.of(in).runs {
		for i := range min(run.n, blocks-run.logical) {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if !w.folders.take(1) {
				return nil
			}
			l.copies(run.logical+i, run.physical+i)
			if !w.alloc.inUse(run.physical+i) && w.fs.readBlock(run.physical+i, b) == nil {
				l.takes(b, run.logical+i, present)
			}
		}
	}
	return nil
}

// inline lists a directory that its inode holds: the parent's number, entries,
// and more of them in an attribute.
func (l *listing) inline(use func([]dirent) error) error {
	b := l.n.in.area()[4:]
	rest, _ := l.n.in.systemData()
	for _, part := range [][]byte{b, rest} {
		found := l.w.fs.entries(part, false)
		if found.problem != "" {
			l.blame("inline: %s", found.problem)
		}
		l.remember(found.gone, present)
		if err := use(found.live); err != nil {
			return err
		}
	}
	return nil
}

// inlineBefore remembers the names that the directory had while its inode held
// them.
func (l *listing) inlineBefore() {
	l.w.past.versions(l.n.in.number, func(v version) bool {
		if v.generation != l.n.in.generation || v.kind() != modeDir || !v.is(flagInline) {
			return true
		}
		rest, _ := v.systemData()
		for _, part := range [][]byte{v.area()[4:], rest} {
			found := l.w.fs.entries(part, false)
			l.remember(found.live, v.age)
			l.remember(found.gone, v.age)
		}
		return true
	})
}

// displayName: encrypted names are any bytes, among them slashes.
func displayName(name string, encrypted bool) string {
	if !encrypted || name == "." || name == ".." {
		return name
	}
	return base64.RawURLEncoding.EncodeToString([]byte(name))
}
