package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"tutela/internal/ledger/check"
)

// ErrBeyondRepair means that what is damaged cannot be made again from what is
// not.
var ErrBeyondRepair = errors.New("cannot be repaired from what is left")

// Damage is something that [Scrub] found.
type Damage struct {
	File  string // "records", "leaves", "commit" or "erased"
	Index int64  // of the leaf; -1 where it is about the whole file
	What  string
	Heals bool // it can be made again from the rest
}

func (d Damage) String() string {
	if d.Index < 0 {
		return d.File + ": " + d.What
	}
	return fmt.Sprintf("%s: leaf %d: %s", d.File, d.Index, d.What)
}

// ScrubOptions say how a tree is read. The zero value reads as fast as it can.
type ScrubOptions struct {
	Sealed         uint64              // how many leaves were sealed; 0 where that is not known
	BytesPerSecond int64               // at most so many on average; 0 for no limit
	Progress       func(leaves uint64) // is told from time to time how many are done; may be nil
}

// ScrubReport is what [Scrub] found.
type ScrubReport struct {
	Leaves   uint64
	Root     check.Hash // of the leaves, those counted that can be healed
	Damage   []Damage   // at most 100
	Hopeless uint64     // how many of all damages cannot be healed
}

// Scrub reads everything of the tree in dir, also where [ReadTree] refuses it,
// and says what is damaged and in which of its files: every frame of "commit" by
// its sum, every record by its leaf, the leaves by the edge of the last frame,
// lengths by each other, since they stand twice. Where a record and its leaf do not
// belong together and the leaves lead to the root all the same, it is the record
// that has changed. The error is about reading, not about what was read;
// it wraps [ErrWrongKey] if the secret is another tree's.
//
// What can be healed: "commit" from the leaves, but for its cursors; in "leaves"
// the ends of records, the second half of a hash, and hashes of erased leaves; one
// flipped bit in a record of at most 4 KiB, or in the first half of a hash. What
// cannot: a record, or the first half of its hash, of which more is gone, and records of
// which so many are damaged that trying would take hours. The
// hash starts the cipher, so that neither can be made from the other.
func Scrub(ctx context.Context, dir string, secret Secret, o ScrubOptions) (ScrubReport, error) {
	s, err := scrub(ctx, folder(dir), secret, o)
	if err != nil {
		return ScrubReport{}, fmt.Errorf("scrub %s: %w", dir, err)
	}
	return s.report, nil
}

// scrubber goes through a tree once.
type scrubber struct {
	disk            disk
	secret          Secret
	o               ScrubOptions
	records, leaves *window
	last            *frame // of commit, nil if it cannot be read
	noted           map[uint64]erasedLeaf
	edge            check.Edge
	at              int64 // where the next record begins
	tries           int   // how many more bytes may be hashed to heal by trying
	report          ScrubReport
	patches         []patch
	commitDamaged   bool
}

// patch is what a file ought to hold at a place.
type patch struct {
	file string
	at   int64
	b    []byte
}

const (
	triesAtMost = 1 << 30 // bytes hashed in one scrub to heal by trying: some 1,000 usual records
	triedBytes  = 4096    // the longest record whose bits are flipped one by one
	scrubAtOnce = 4096    // leaves
)

func scrub(ctx context.Context, d disk, secret Secret, o ScrubOptions) (*scrubber, error) {
	s := &scrubber{disk: d, secret: secret, o: o, tries: triesAtMost}
	if err := s.readSmall(); err != nil {
		return nil, err
	}
	for _, open := range []struct {
		name string
		into **window
	}{{recordsName, &s.records}, {leavesName, &s.leaves}} {
		w, err := openWindow(d, open.name)
		if err != nil {
			return nil, err
		}
		defer w.f.Close()
		*open.into = w
	}
	if err := s.readAll(ctx); err != nil {
		return nil, err
	}
	return s, s.compareFrames()
}

// readSmall reads the files that are small.
func (s *scrubber) readSmall() error {
	noted, err := (&Reader{disk: s.disk, secret: s.secret}).notedLeaves()
	if errors.Is(err, ErrDamaged) {
		s.damage(erasedName, -1, false, "%v", err)
	} else if err != nil {
		return err
	}
	s.noted = noted
	f, err := s.disk.open(commitName, readOnly)
	if err == nil {
		defer f.Close()
		var size int64
		if size, err = f.size(); err != nil {
			return err
		}
		s.last, _, err = readCommit(f, size, s.secret.fingerprint())
	}
	if errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
		s.giveUpCommit("%v", err)
		return nil
	}
	if err == nil && s.last.edge.Size() < s.o.Sealed {
		s.giveUpCommit("it says %d leaves, %d were sealed", s.last.edge.Size(), s.o.Sealed)
	}
	return err
}

// giveUpCommit goes on without "commit", which the leaves can stand in for.
func (s *scrubber) giveUpCommit(format string, args ...any) {
	s.commitDamaged, s.last = true, nil
	s.damage(commitName, -1, true, format, args...)
}

func (s *scrubber) damage(file string, index int64, heals bool, format string, args ...any) {
	if !heals {
		s.report.Hopeless++
	}
	if len(s.report.Damage) < maxProblems {
		s.report.Damage = append(s.report.Damage, Damage{file, index, fmt.Sprintf(format, args...), heals})
	}
}

// size is how many leaves there ought to be.
func (s *scrubber) size() uint64 {
	if s.last != nil {
		return s.last.edge.Size()
	}
	if s.o.Sealed > 0 {
		return s.o.Sealed
	}
	return min(uint64(s.leaves.size/leafSize), maxLeaves)
}

func (s *scrubber) readAll(ctx context.Context) error {
	begun := time.Now()
	walk := s.secret.walkFrom(0)
	n := s.size()
	for i := uint64(0); i < n; i++ {
		if i%scrubAtOnce == 0 {
			if err := s.pause(ctx, begun); err != nil {
				return err
			}
		}
		if int64(i+1)*leafSize > s.leaves.size {
			s.damage(leavesName, int64(i), false, "it and all behind it are missing")
			break
		}
		if err := s.leaf(i, walk.leaf()); err != nil {
			return err
		}
	}
	s.report.Leaves, s.report.Root = s.edge.Size(), s.edge.Root()
	return nil
}

// pause tells of progress and keeps to the rate.
func (s *scrubber) pause(ctx context.Context, begun time.Time) error {
	if s.o.Progress != nil {
		s.o.Progress(s.edge.Size())
	}
	if s.o.BytesPerSecond <= 0 {
		return ctx.Err()
	}
	read := float64(s.at) + float64(s.edge.Size())*leafSize
	due := begun.Add(time.Duration(read / float64(s.o.BytesPerSecond) * float64(time.Second)))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(due)):
		return ctx.Err()
	}
}

// place is what a leaf's entry and the record's own prefix say of it.
type place struct {
	index    uint64
	hash     check.Hash
	byLeaf   int64 // length of the body; not to be believed
	byRecord int64
}

func (p place) lengths() []int64 {
	if p.byLeaf == p.byRecord {
		return []int64{p.byLeaf}
	}
	return []int64{p.byLeaf, p.byRecord}
}

// leaf judges one leaf and adds it to the edge as it ought to be.
func (s *scrubber) leaf(i uint64, seed *Seed) error {
	p, err := s.place(i)
	if err != nil {
		return err
	}
	hash, length, err := s.judge(p, seed)
	if err != nil {
		return err
	}
	s.edge.Append(hash)
	s.at += prefixSize + length
	return nil
}

func (s *scrubber) place(i uint64) (place, error) {
	entry, err := s.leaves.read(int64(i)*leafSize, leafSize)
	if err != nil {
		return place{}, err
	}
	p := place{index: i, hash: check.Hash(entry), byRecord: -1}
	p.byLeaf = int64(binary.BigEndian.Uint64(entry[32:])) - s.at - prefixSize
	if s.at+prefixSize <= s.records.size {
		prefix, err := s.records.read(s.at, prefixSize)
		if err != nil {
			return p, err
		}
		p.byRecord = int64(binary.BigEndian.Uint32(prefix))
	}
	return p, nil
}

// body is the encrypted body of a length that may be wrong; nil if it cannot be.
func (s *scrubber) body(length int64) ([]byte, error) {
	if length < 0 || length > maxBody || s.at > s.records.size-prefixSize-length {
		return nil, nil
	}
	b, err := s.records.read(s.at+prefixSize, int(length))
	return append([]byte{}, b...), err
}

// judge says what the leaf is and how long its body, tells of what is damaged,
// and notes how it would be healed.
func (s *scrubber) judge(p place, seed *Seed) (check.Hash, int64, error) {
	var bodies [][]byte
	for _, length := range p.lengths() {
		body, err := s.body(length)
		if err != nil {
			return p.hash, 0, err
		}
		if body == nil {
			continue
		}
		if seed == nil {
			return s.judgeErased(p, length, body), length, nil
		}
		if openBody(seed, slices.Clone(body), p.hash) {
			s.heal(p, p.hash, length)
			return p.hash, length, nil
		}
		bodies = append(bodies, body)
	}
	for _, body := range bodies {
		if hash, healed := s.try(seed, p.hash, body); healed {
			s.heal(p, hash, int64(len(body)))
			if !bytes.Equal(body, s.mustRead(int64(len(body)))) {
				s.patch(recordsName, p.index, s.at+prefixSize, body, "a bit of the record has flipped")
			}
			return hash, int64(len(body)), nil
		}
	}
	s.damage(recordsName, int64(p.index), false, "the record and its leaf do not belong together")
	return p.hash, p.likely(), nil
}

// likely is the length to go on with where neither can be confirmed.
func (p place) likely() int64 {
	for _, length := range []int64{p.byLeaf, p.byRecord} {
		if length >= 0 && length <= maxBody {
			return length
		}
	}
	return 0
}

// mustRead is the body as it lies in the file; it was read before.
func (s *scrubber) mustRead(length int64) []byte {
	b, _ := s.body(length)
	return b
}

func (s *scrubber) judgeErased(p place, length int64, body []byte) check.Hash {
	if !blank(body) {
		s.damage(recordsName, int64(p.index), false, "it was erased, and its bytes are still there")
	}
	hash := p.hash
	if noted, ok := s.noted[p.index]; ok {
		hash = noted.leaf
	}
	s.heal(p, hash, length)
	return hash
}

// heal notes what the entry and the prefix of a leaf ought to be.
func (s *scrubber) heal(p place, hash check.Hash, length int64) {
	if hash != p.hash {
		s.patch(leavesName, p.index, int64(p.index)*leafSize, hash[:], "its hash has changed")
	}
	if p.byLeaf != length {
		end := binary.BigEndian.AppendUint64(nil, uint64(s.at+prefixSize+length))
		s.patch(leavesName, p.index, int64(p.index)*leafSize+32, end, "the end of its record has changed")
	}
	if p.byRecord != length {
		s.patch(recordsName, p.index, s.at, binary.BigEndian.AppendUint32(nil, uint32(length)), "the length of the record has changed")
	}
}

func (s *scrubber) patch(file string, index uint64, at int64, b []byte, what string) {
	s.patches = append(s.patches, patch{file, at, slices.Clone(b)})
	s.damage(file, int64(index), true, "%s", what)
}

// try looks for the leaf and the body from which those read differ by what can be
// healed. It changes body to what it ought to be.
func (s *scrubber) try(seed *Seed, hash check.Hash, body []byte) (check.Hash, bool) {
	if s.tries <= 0 {
		return hash, false
	}
	s.tries -= costOfTrying(len(body))
	salt := seed.salt()
	plain := slices.Clone(body)
	crypt(seed, hash, plain)
	if made := check.SaltedLeaf(salt, plain); bytes.Equal(made[:16], hash[:16]) {
		return made, true // only the half that is no counter has changed
	}
	if made, ok := tryCounter(seed, hash, body); ok {
		return made, true
	}
	if len(body) > triedBytes {
		return hash, false
	}
	for bit := range 8 * len(plain) {
		plain[bit/8] ^= 1 << (bit % 8)
		if check.SaltedLeaf(salt, plain) == hash {
			body[bit/8] ^= 1 << (bit % 8)
			return hash, true
		}
		plain[bit/8] ^= 1 << (bit % 8)
	}
	return hash, false
}

// costOfTrying is how many bytes are hashed at most to heal a body, one for each
// bit that may have flipped.
func costOfTrying(n int) int {
	tries := 8 * 16
	if n <= triedBytes {
		tries += 8 * n
	}
	return tries * (1 + 32 + n)
}

// tryCounter flips each bit of the half of the hash that starts the cipher.
func tryCounter(seed *Seed, hash check.Hash, body []byte) (check.Hash, bool) {
	for bit := range 8 * 16 {
		hash[bit/8] ^= 1 << (bit % 8)
		if openBody(seed, slices.Clone(body), hash) {
			return hash, true
		}
		hash[bit/8] ^= 1 << (bit % 8)
	}
	return hash, false
}

// compareFrames holds the last edge of "commit" against the leaves, and all that
// is behind it.
func (s *scrubber) compareFrames() error {
	if s.last == nil {
		return nil
	}
	if s.report.Leaves == s.last.edge.Size() && s.report.Root != s.last.edge.Root() {
		s.damage(leavesName, -1, false, "the leaves lead to root %s, the last commit says %s", s.report.Root, s.last.edge.Root())
	}
	if s.report.Leaves == s.last.edge.Size() && s.report.Hopeless == 0 && s.at != s.last.records {
		s.damage(recordsName, -1, false, "the records end at byte %d, the last commit says %d", s.at, s.last.records)
	}
	return nil
}

// window reads a file from its beginning to its end without asking for every few
// bytes.
type window struct {
	f    file
	size int64
	at   int64
	b    []byte
}

const windowBytes = 1 << 20

func openWindow(d disk, name string) (*window, error) {
	f, err := d.open(name, readOnly)
	if err != nil {
		return nil, missingIsDamage(err)
	}
	size, err := f.size()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &window{f: f, size: size}, nil
}

// read is n bytes from off, which must be there. They are valid until the next
// call.
func (w *window) read(off int64, n int) ([]byte, error) {
	if off < w.at || off+int64(n) > w.at+int64(len(w.b)) {
		w.at, w.b = off, make([]byte, min(max(int64(n), windowBytes), w.size-off))
		if _, err := w.f.ReadAt(w.b, off); err != nil && err != io.EOF {
			return nil, err
		}
	}
	return w.b[off-w.at:][:n], nil
}

// Repair heals what [Scrub] found in the tree in dir, if all of it can be healed
// and the outcome is the tree that was sealed, of the given size and root; else
// it changes nothing. Every damaged file is made anew beside the old one, read
// once more as a whole, and only then takes its name; the old one is kept with
// ".damaged" behind its name. A crash leaves a tree that can be repaired again. A
// "commit" that was made anew has no cursor: such a tree is read, not continued.
// The report is of what was found. Errors wrap [ErrBeyondRepair].
func Repair(ctx context.Context, dir string, secret Secret, size uint64, root check.Hash, o ScrubOptions) (ScrubReport, error) {
	report, err := repair(ctx, folder(dir), secret, size, root, o)
	if err != nil {
		return report, fmt.Errorf("repair %s: %w", dir, err)
	}
	return report, nil
}

const (
	repairedSuffix = ".repaired"
	damagedSuffix  = ".damaged"
)

func repair(ctx context.Context, d disk, secret Secret, size uint64, root check.Hash, o ScrubOptions) (ScrubReport, error) {
	if err := putBack(d); err != nil {
		return ScrubReport{}, err
	}
	o.Sealed = size
	s, err := scrub(ctx, d, secret, o)
	if err != nil || len(s.report.Damage) == 0 {
		return s.found(), err
	}
	if s.report.Hopeless > 0 {
		return s.report, fmt.Errorf("%w: %d damages", ErrBeyondRepair, s.report.Hopeless)
	}
	if s.report.Leaves != size || s.report.Root != root {
		return s.report, fmt.Errorf("%w: it would have %d leaves and root %s, not what was sealed", ErrBeyondRepair, s.report.Leaves, s.report.Root)
	}
	names, err := s.makeAnew()
	if err != nil {
		return s.report, err
	}
	if err := verifyRepaired(ctx, repairedDisk{d, names}, secret, root); err != nil {
		return s.report, err
	}
	for _, name := range names {
		if err := s.exchange(name); err != nil {
			return s.report, err
		}
	}
	return s.report, d.syncDir()
}

func (s *scrubber) found() ScrubReport {
	if s == nil {
		return ScrubReport{}
	}
	return s.report
}

// putBack undoes half an exchange that a crash interrupted.
func putBack(d disk) error {
	for _, name := range []string{recordsName, leavesName, commitName} {
		there, err := d.exists(name)
		if err != nil {
			return err
		}
		kept, err := d.exists(name + damagedSuffix)
		if err != nil {
			return err
		}
		if !there && kept {
			if err := d.rename(name+damagedSuffix, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeAnew writes what every damaged file ought to be and returns their names.
func (s *scrubber) makeAnew() (names []string, err error) {
	for _, name := range []string{recordsName, leavesName} {
		var patches []patch
		for _, p := range s.patches {
			if p.file == name {
				patches = append(patches, p)
			}
		}
		if len(patches) == 0 {
			continue
		}
		if err := s.copyPatched(name, patches); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if s.commitDamaged {
		if err := createFile(s.disk, commitName+repairedSuffix, s.freshCommit()); err != nil {
			return nil, err
		}
		names = append(names, commitName)
	}
	return names, s.disk.syncDir()
}

func (s *scrubber) copyPatched(name string, patches []patch) error {
	from, err := openWindow(s.disk, name)
	if err != nil {
		return err
	}
	defer from.f.Close()
	to, err := s.disk.open(name+repairedSuffix, readWriteCreate)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.Truncate(0); err != nil {
		return err
	}
	for at := int64(0); at < from.size; at += windowBytes {
		b, err := from.read(at, int(min(windowBytes, from.size-at)))
		if err != nil {
			return err
		}
		if _, err := to.WriteAt(b, at); err != nil {
			return err
		}
	}
	for _, p := range patches {
		if _, err := to.WriteAt(p.b, p.at); err != nil {
			return err
		}
	}
	return to.sync()
}

// freshCommit is a commit file of one frame.
func (s *scrubber) freshCommit() []byte {
	header := encodeHeader(s.secret.fingerprint())
	crc := binary.BigEndian.Uint32(header[len(header)-4:])
	b, _ := (&frame{records: s.at, edge: &s.edge}).encode(crc)
	return append(header, b...)
}

// exchange gives the new file its name.
func (s *scrubber) exchange(name string) error {
	there, err := s.disk.exists(name)
	if err != nil {
		return err
	}
	if there {
		if err := s.disk.rename(name, name+damagedSuffix); err != nil {
			return err
		}
	}
	return s.disk.rename(name+repairedSuffix, name)
}

// repairedDisk is the disk as it will be.
type repairedDisk struct {
	disk
	names []string
}

func (d repairedDisk) open(name string, how openMode) (file, error) {
	if slices.Contains(d.names, name) {
		name += repairedSuffix
	}
	return d.disk.open(name, how)
}

func verifyRepaired(ctx context.Context, d disk, secret Secret, root check.Hash) error {
	r, err := readTree(d, secret)
	if err != nil {
		return err
	}
	defer r.Close()
	found, err := r.Verify(ctx, nil)
	if err != nil {
		return err
	}
	if len(found) > 0 || r.Root() != root {
		return fmt.Errorf("%w: what was made anew does not hold: root %s, %v", ErrBeyondRepair, r.Root(), found)
	}
	return nil
}
