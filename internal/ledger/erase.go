package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"tutela/internal/ledger/check"
)

// Erasing leaves of a tree is three steps, each of which may be repeated:
//
//  1. [NoteErasure] notes the hashes of the leaves in the file "erased": that of
//     the second tree could never be made again
//  2. the seed is punctured and its file replaced: [Puncture], [ReplaceSecret].
//     From here on nobody can open them, and that is the commit point
//  3. [BlankErased] writes zeros over what is left of them in "records"
//
// Root, proofs and openings of all other leaves stay what they were.
//
// The file "erased", integers big-endian:
//
//	 16  "tutela-erased@v1"
//	 16  fingerprint of the seed
//	  8  how many leaves follow, by rising index
//	104× index (8), hash of the leaf (32), its hash in the second tree (64)
//	  4  CRC-32C of everything before
const (
	erasedName       = "erased"
	freshErasedName  = "erased.new"
	erasedMagic      = "tutela-erased@v1"
	erasedHeadSize   = 16 + 16 + 8
	erasedLeafSize   = 8 + 32 + 64
	maxErased        = 1 << 24 // leaves of one tree
	maxErasedFile    = erasedHeadSize + maxErased*erasedLeafSize + crc32.Size
	erasedCheckEvery = 1024 // leaves between two looks at the context
)

// erasedLeaf is what is noted of a leaf that is going to be erased.
type erasedLeaf struct {
	index   uint64
	leaf    check.Hash
	leaf512 Hash512
}

// NoteErasure notes the hashes of leaves, at strictly ascending indices, that are
// going to be erased from the tree in dir. Those behind its end are not asked
// for. It must be done while the secret still opens them; what was noted before
// is kept. Errors wrap [ErrDamaged] where a leaf cannot be opened.
func NoteErasure(ctx context.Context, dir string, secret Secret, indices []uint64) error {
	if err := noteErasure(ctx, folder(dir), secret, indices); err != nil {
		return fmt.Errorf("note what will be erased in %s: %w", dir, err)
	}
	return nil
}

func noteErasure(ctx context.Context, d disk, secret Secret, indices []uint64) error {
	r, err := readTree(d, secret)
	if err != nil {
		return err
	}
	defer r.Close()
	indices = within(indices, 0, r.Size())
	noted, err := r.notedLeaves()
	if err != nil {
		return err
	}
	fresh := 0
	for i, index := range indices {
		if i%erasedCheckEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, there := noted[index]; there {
			continue
		}
		if noted[index], err = r.note(index); err != nil {
			return err
		}
		fresh++
	}
	if fresh == 0 {
		return nil
	}
	if len(noted) > maxErased {
		return fmt.Errorf("%d leaves erased from one tree, at most %d can be", len(noted), maxErased)
	}
	return replaceFile(d, erasedName, freshErasedName, encodeErased(secret.fingerprint(), noted))
}

// note opens a leaf for the last time.
func (r *Reader) note(index uint64) (erasedLeaf, error) {
	o, err := r.Opening(index)
	if err != nil {
		return erasedLeaf{}, err
	}
	return erasedLeaf{index: index, leaf: o.Leaf(), leaf512: check.SaltedLeaf512(o.Salt, o.Body)}, nil
}

// replaceFile makes content what a file holds: before the rename the old one
// stands whole, after it the new one.
func replaceFile(d disk, name, fresh string, content []byte) error {
	if err := createFile(d, fresh, content); err != nil {
		return err
	}
	if err := d.rename(fresh, name); err != nil {
		return err
	}
	return d.syncDir()
}

func encodeErased(fingerprint [16]byte, noted map[uint64]erasedLeaf) []byte {
	indices := make([]uint64, 0, len(noted))
	for index := range noted {
		indices = append(indices, index)
	}
	slices.Sort(indices)
	b := append([]byte(erasedMagic), fingerprint[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(indices)))
	for _, index := range indices {
		e := noted[index]
		b = binary.BigEndian.AppendUint64(b, index)
		b = append(append(b, e.leaf[:]...), e.leaf512[:]...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeErased is the inverse of encodeErased. Errors wrap [ErrDamaged].
func decodeErased(b []byte, fingerprint [16]byte) (map[uint64]erasedLeaf, error) {
	damaged := fmt.Errorf("%w: the file of erased leaves has changed", ErrDamaged)
	if len(b) < erasedHeadSize+crc32.Size || string(b[:16]) != erasedMagic || [16]byte(b[16:]) != fingerprint {
		return nil, damaged
	}
	rest, sum := b[:len(b)-crc32.Size], binary.BigEndian.Uint32(b[len(b)-crc32.Size:])
	n := binary.BigEndian.Uint64(b[32:])
	if crc32.Checksum(rest, castagnoli) != sum || n > maxErased || len(rest) != erasedHeadSize+int(n)*erasedLeafSize {
		return nil, damaged
	}
	noted := make(map[uint64]erasedLeaf, n)
	before := uint64(0) // 1 + index of the leaf before
	for rest = rest[erasedHeadSize:]; len(rest) > 0; rest = rest[erasedLeafSize:] {
		e := erasedLeaf{index: binary.BigEndian.Uint64(rest), leaf: check.Hash(rest[8:]), leaf512: Hash512(rest[40:])}
		if e.index < before || e.index >= maxLeaves {
			return nil, damaged
		}
		noted[e.index], before = e, e.index+1
	}
	return noted, nil
}

// notedLeaves are the leaves that were noted for erasing, by index.
func (r *Reader) notedLeaves() (map[uint64]erasedLeaf, error) {
	f, err := r.disk.open(erasedName, readOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return map[uint64]erasedLeaf{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	if size > maxErasedFile {
		return nil, fmt.Errorf("%w: file of erased leaves of %d bytes", ErrDamaged, size)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read erased leaves: %w", endIsDamage(err))
	}
	return decodeErased(b, r.secret.fingerprint())
}

// BlankErased writes zeros over the records of all leaves of the tree in dir that
// the secret does not open any more, durably. The lengths in front of them stay,
// as does everything else.
func BlankErased(ctx context.Context, dir string, secret Secret) error {
	if err := blankErased(ctx, folder(dir), secret); err != nil {
		return fmt.Errorf("blank what was erased in %s: %w", dir, err)
	}
	return nil
}

func blankErased(ctx context.Context, d disk, secret Secret) error {
	r, err := readTree(d, secret)
	if err != nil {
		return err
	}
	defer r.Close()
	records, err := d.open(recordsName, readWrite)
	if err != nil {
		return err
	}
	defer records.Close()
	for i, index := range r.Erased() {
		if i%erasedCheckEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.blank(records, index); err != nil {
			return err
		}
	}
	return records.sync()
}

// blank writes zeros over one record.
func (r *Reader) blank(records file, index uint64) error {
	b, err := r.readBatch(index, index+1)
	if err != nil {
		return err
	}
	record, err := b.enclosed(0)
	if err != nil {
		return err
	}
	if blank(record[prefixSize:]) {
		return nil
	}
	clear(record[prefixSize:])
	if _, err := records.WriteAt(record[prefixSize:], b.start+prefixSize); err != nil {
		return fmt.Errorf("write over record %d: %w", index, err)
	}
	return nil
}

// Erased are the indices of the leaves that were erased, ascending. The slice is
// the reader's.
func (r *Reader) Erased() []uint64 { return within(r.secret.erased(), 0, r.Size()) }
