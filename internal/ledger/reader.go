package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"tutela"
	"tutela/internal/ledger/check"
)

// Reader reads a tree as its last commit left it, also while somebody else
// goes on writing. It is safe for concurrent use and never writes.
type Reader struct {
	disk                    disk
	secret                  Secret
	records, leaves, commit file
	last                    *frame
	root                    check.Hash
	nodes                   func() ([][]check.Hash, error) // see perfectNodes
}

// ReadTree opens a tree for reading. Errors wrap [ErrDamaged] or [ErrWrongKey].
func ReadTree(dir string, secret Secret) (*Reader, error) {
	r, err := readTree(folder(dir), secret)
	if err != nil {
		return nil, fmt.Errorf("read tree in %s: %w", dir, err)
	}
	return r, nil
}

func readTree(d disk, secret Secret) (*Reader, error) {
	r := &Reader{disk: d, secret: secret}
	if err := r.open(d); err != nil {
		r.Close()
		return nil, err
	}
	r.root = r.last.edge.Root()
	r.nodes = sync.OnceValues(r.perfectNodes)
	return r, nil
}

func (r *Reader) open(d disk) (err error) {
	if r.commit, err = d.open(commitName, readOnly); err != nil {
		return err
	}
	if r.records, err = d.open(recordsName, readOnly); err != nil {
		return missingIsDamage(err)
	}
	if r.leaves, err = d.open(leavesName, readOnly); err != nil {
		return missingIsDamage(err)
	}
	size, err := r.commit.size()
	if err != nil {
		return err
	}
	if r.last, _, err = readCommit(r.commit, size, r.secret.fingerprint()); err != nil {
		return err
	}
	return checkFiles(r.last, r.records, r.leaves)
}

// Size is the number of leaves.
func (r *Reader) Size() uint64 { return r.last.edge.Size() }

// Root is the root over all leaves.
func (r *Reader) Root() check.Hash { return r.root }

// Cursor is what the last commit was given. The slice is the caller's.
func (r *Reader) Cursor() []byte { return append([]byte(nil), r.last.cursor...) }

// Close lets go of the files.
func (r *Reader) Close() error {
	var err error
	for _, f := range []file{r.records, r.leaves, r.commit} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// Leaf is the hash of leaf i.
func (r *Reader) Leaf(i uint64) (check.Hash, error) {
	if i >= r.Size() {
		return check.Hash{}, fmt.Errorf("leaf %d of a tree of %d", i, r.Size())
	}
	b, err := r.readLeaves(i, i+1)
	if err != nil {
		return check.Hash{}, err
	}
	return b.hash(0), nil
}

// Body is the body of leaf i, held against its leaf. If it is not what was
// committed, the error wraps [ErrDamaged]; if it was erased, [ErrErased].
func (r *Reader) Body(i uint64) ([]byte, error) {
	o, err := r.Opening(i)
	return o.Body, err
}

// Opening is what proves to a third person what leaf i says. It gives away
// this leaf and no other. Errors are those of [Reader.Body].
func (r *Reader) Opening(i uint64) (check.Opening, error) {
	if i >= r.Size() {
		return check.Opening{}, fmt.Errorf("leaf %d of a tree of %d", i, r.Size())
	}
	b, err := r.readBatch(i, i+1)
	if err != nil {
		return check.Opening{}, err
	}
	seed := r.secret.walkFrom(i).leaf()
	body, err := b.open(0, seed)
	if err != nil {
		return check.Opening{}, err
	}
	return check.Opening{Salt: seed.salt(), Body: body}, nil
}

// Bodies yields the bodies from leaf from to the last, each held against its
// leaf. Where one was erased it yields an error that wraps [ErrErased], and goes
// on with the next leaf if its caller does; after any other error it ends. A body
// is the caller's to keep.
func (r *Reader) Bodies(from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if from >= r.Size() {
			return
		}
		walk := r.secret.walkFrom(from)
		for from < r.Size() {
			b, err := r.readBatch(from, min(from+batchLeaves, r.Size()))
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range b.leaves.count() {
				body, err := b.open(i, walk.leaf())
				if !yield(body, err) || err != nil && !errors.Is(err, ErrErased) {
					return
				}
			}
			from += uint64(b.leaves.count())
		}
	}
}

// erasedFailure is what the record in place of an erased one says.
const erasedFailure = "erased"

// Erased reports whether a record stands in place of one that was erased, see
// [Reader.Records].
func Erased(r *tutela.Record) bool {
	return r.Failure == erasedFailure && len(r.Path) == 0 && r.Volume == ""
}

// Records yields the bodies of a record tree, decoded, from leaf from on. In
// place of one that was erased stands a record that says nothing but that, so
// that those behind keep their places: see [Erased].
func (r *Reader) Records(from uint64) iter.Seq2[*tutela.Record, error] {
	return func(yield func(*tutela.Record, error) bool) {
		for body, err := range r.Bodies(from) {
			record, err := decodeOr(body, err, DecodeRecord)
			if errors.Is(err, ErrErased) {
				record, err = &tutela.Record{Kind: tutela.File, State: tutela.Allocated, Size: -1, Failure: erasedFailure}, nil
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// Matches yields the bodies of a match run's tree, decoded, from leaf from on,
// but for those that were erased.
func (r *Reader) Matches(from uint64) iter.Seq2[*tutela.Match, error] {
	return func(yield func(*tutela.Match, error) bool) {
		for body, err := range r.Bodies(from) {
			match, err := decodeOr(body, err, DecodeMatch)
			if errors.Is(err, ErrErased) {
				continue
			}
			if !yield(match, err) || err != nil {
				return
			}
		}
	}
}

func decodeOr[T any](body []byte, err error, decode func([]byte) (*T, error)) (*T, error) {
	if err != nil {
		return nil, err
	}
	return decode(body)
}

// leafTable is a stretch of the file "leaves".
type leafTable []byte

func (t leafTable) count() int            { return len(t) / leafSize }
func (t leafTable) hash(i int) check.Hash { return check.Hash(t[i*leafSize:]) }
func (t leafTable) end(i int) int64 {
	return int64(binary.BigEndian.Uint64(t[i*leafSize+32:]))
}

func (r *Reader) readLeaves(from, to uint64) (leafTable, error) {
	t := make(leafTable, (to-from)*leafSize)
	if _, err := r.leaves.ReadAt(t, int64(from)*leafSize); err != nil {
		return nil, fmt.Errorf("read leaves %d to %d: %w", from, to, endIsDamage(err))
	}
	return t, nil
}

func endIsDamage(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: file is shorter than it was", ErrDamaged)
	}
	return err
}

// batch is a stretch of leaves and the place of their records.
type batch struct {
	r       *Reader
	from    uint64
	start   int64 // of the first record in the file
	leaves  leafTable
	records []byte // nil where they are too many to hold at once
}

// readBatch reads the leaves from to to-1, and their records with them if they
// are not too large together.
func (r *Reader) readBatch(from, to uint64) (*batch, error) {
	b := &batch{r: r, from: from}
	first := max(from, 1) - 1 // its end is where record from begins
	t, err := r.readLeaves(first, to)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		b.start, t = t.end(0), t[leafSize:]
	}
	b.leaves = t
	end := t.end(t.count() - 1)
	if b.start < 0 || end < b.start || end > r.last.records || end-b.start > 4*batchBytes {
		return b, nil
	}
	b.records = make([]byte, end-b.start)
	if _, err := r.records.ReadAt(b.records, b.start); err != nil {
		return nil, fmt.Errorf("read records %d to %d: %w", from, to, endIsDamage(err))
	}
	return b, nil
}

// open returns the body of the i-th leaf of the batch, or an error that wraps
// [ErrDamaged] if it is not what the leaf says, or [ErrErased] if its seed is nil.
func (b *batch) open(i int, seed *Seed) ([]byte, error) {
	index := b.from + uint64(i)
	if seed == nil {
		return nil, fmt.Errorf("record %d: %w", index, ErrErased)
	}
	record, err := b.enclosed(i)
	if err != nil {
		return nil, err
	}
	body := record[prefixSize:]
	if binary.BigEndian.Uint32(record) != uint32(len(body)) || !openBody(seed, body, b.leaves.hash(i)) {
		return nil, fmt.Errorf("%w: record %d is not what was committed", ErrDamaged, index)
	}
	return body, nil
}

// enclosed is the record of the i-th leaf of the batch as it lies in the file.
func (b *batch) enclosed(i int) ([]byte, error) {
	start, end := b.start, b.leaves.end(i)
	if i > 0 {
		start = b.leaves.end(i - 1)
	}
	index := b.from + uint64(i)
	if start < 0 || end > b.r.last.records || end-start < prefixSize || end-start > prefixSize+maxBody {
		return nil, fmt.Errorf("%w: leaf %d does not say where its record is", ErrDamaged, index)
	}
	record, err := b.record(start, end)
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", index, err)
	}
	return record, nil
}

// record is a copy of the bytes of "records" between two places.
func (b *batch) record(start, end int64) ([]byte, error) {
	record := make([]byte, end-start)
	if from := start - b.start; b.records != nil && from >= 0 && end-b.start <= int64(len(b.records)) {
		copy(record, b.records[from:])
		return record, nil
	}
	_, err := b.r.records.ReadAt(record, start)
	return record, endIsDamage(err)
}
