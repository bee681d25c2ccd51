package thumb

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"tutela/internal/durable"
)

// A pack is a head and thumbnails, one after the other; numbers are little
// endian. The head:
//
//	magic   [16]byte
//	number  uint32     of the pack, as in its name
//	salt    [16]byte   random
//	check   [16]byte   HMAC of what stands before, see keys.checks
//	zero    [8]byte
//	crc     uint32     CRC-32C of what stands before
//
// A thumbnail:
//
//	length  uint32     of the cipher text with its tag, bytes
//	kind    uint8      1 thumbnail, 2 mark that one was removed
//	zero    [3]byte
//	id      [16]byte
//	nonce   [12]byte
//	crc     uint32     CRC-32C of what stands before
//	cipher text        of the padded thumbnail; authenticated with it: the first 24 bytes of this head
//
// The checksums find what a crash tore; whether bytes were altered is for the
// cipher to say. The magic names the version and must never change in meaning.
const (
	magic       = "tutela thumbs 1\n"
	packHead    = 64
	headBytes   = 40
	associated  = 24
	nonceBytes  = 12
	tagBytes    = 16
	saltAt      = 20
	checkAt     = 36
	maxCipher   = MaxBytes + padTo + tagBytes
	padTo       = 512
	lengthBytes = 4 // the padded thumbnail begins with its true length
)

const (
	kindThumbnail = 1
	kindRemoved   = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// pad hides the length of a thumbnail, by which it could be told which it is.
func pad(jpeg []byte) []byte {
	n := (lengthBytes + len(jpeg) + padTo - 1) / padTo * padTo
	b := make([]byte, n)
	binary.LittleEndian.PutUint32(b, uint32(len(jpeg)))
	copy(b[lengthBytes:], jpeg)
	return b
}

func unpad(b []byte) ([]byte, error) {
	if len(b) < lengthBytes {
		return nil, fmt.Errorf("%w: no thumbnail in %d bytes", ErrDamaged, len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if int64(n) > int64(len(b)-lengthBytes) {
		return nil, fmt.Errorf("%w: %d bytes in %d", ErrDamaged, n, len(b))
	}
	return b[lengthBytes:][:n], nil
}

// pack is what is known of a pack file.
type pack struct {
	sealer cipher.AEAD // safe for concurrent use
	dead   int         // thumbnails and marks in it that no longer count; guarded by Store.mu
}

// head stands before a thumbnail.
type head struct {
	length uint32
	kind   uint8
	id     id
	nonce  [nonceBytes]byte
}

func (h head) encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, h.length)
	b = append(b, h.kind, 0, 0, 0)
	b = append(append(b, h.id[:]...), h.nonce[:]...)
	return binary.LittleEndian.AppendUint32(b, sumOf(b))
}

// decodeHead reports false for what is no head.
func decodeHead(b []byte) (h head, ok bool) {
	if len(b) < headBytes || binary.LittleEndian.Uint32(b[headBytes-4:]) != sumOf(b[:headBytes-4]) {
		return h, false
	}
	h.length, h.kind = binary.LittleEndian.Uint32(b), b[4]
	copy(h.id[:], b[8:])
	copy(h.nonce[:], b[24:])
	return h, h.length >= tagBytes && h.length <= maxCipher && (h.kind == kindThumbnail || h.kind == kindRemoved)
}

// newPackHead makes the head of a pack and its cipher.
func (k keys) newPackHead(number uint32) ([]byte, cipher.AEAD) {
	b := binary.LittleEndian.AppendUint32([]byte(magic), number)
	b = append(b, make([]byte, checkAt-saltAt)...)
	rand.Read(b[saltAt:])
	b = append(append(b, k.checks(b)...), make([]byte, 8)...)
	return binary.LittleEndian.AppendUint32(b, sumOf(b)), k.pack(b[saltAt:checkAt])
}

func (k keys) openPackHead(b []byte, number uint32) (cipher.AEAD, error) {
	if string(b[:len(magic)]) != magic || binary.LittleEndian.Uint32(b[packHead-4:]) != sumOf(b[:packHead-4]) {
		return nil, fmt.Errorf("%w: its head", ErrDamaged)
	}
	if !hmac.Equal(b[checkAt:][:16], k.checks(b[:checkAt])) {
		return nil, ErrSecret
	}
	if binary.LittleEndian.Uint32(b[len(magic):]) != number {
		return nil, fmt.Errorf("%w: it was written under another name", ErrDamaged)
	}
	return k.pack(b[saltAt:checkAt]), nil
}

// walk calls visit for every thumbnail, up to the first head that is none, where
// its error is a torn.
func walk(f *os.File, visit func(off int64, h head) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, headBytes)
	for off := int64(packHead); off < info.Size(); {
		n, err := f.ReadAt(b, off)
		if err != nil && err != io.EOF {
			return err
		}
		h, ok := decodeHead(b[:n])
		end := off + headBytes + int64(h.length)
		if !ok || end > info.Size() || off > math.MaxUint32 {
			return torn(off)
		}
		if err := visit(off, h); err != nil {
			return err
		}
		off = end
	}
	return nil
}

// torn is where a pack ends before its file does.
type torn int64

func (t torn) Error() string { return fmt.Sprintf("%v at byte %d", ErrDamaged, int64(t)) }
func (t torn) Unwrap() error { return ErrDamaged }

// open decrypts the thumbnail at off. A file that is shorter than it was is
// damaged; an error of the disk is returned as it is.
func (p *pack) open(f io.ReaderAt, off int64, h head) ([]byte, error) {
	b := make([]byte, h.length)
	if _, err := f.ReadAt(b, off+headBytes); err == io.EOF {
		return nil, fmt.Errorf("%w at byte %d: ends early", ErrDamaged, off)
	} else if err != nil {
		return nil, err
	}
	plain, err := p.sealer.Open(b[:0], h.nonce[:], b, h.encode()[:associated])
	if err != nil {
		return nil, fmt.Errorf("%w at byte %d: not what was written", ErrDamaged, off)
	}
	return plain, nil
}

// read finds the thumbnail at a place and whose it is. Only that of want is
// decrypted.
func (s *Store) read(at place, want id) ([]byte, id, error) {
	f, err := s.reader(at.pack())
	if err != nil {
		return nil, id{}, err
	}
	defer f.Close()
	b := make([]byte, headBytes)
	if _, err := f.ReadAt(b, at.offset()); err != nil && err != io.EOF {
		return nil, id{}, err
	}
	h, ok := decodeHead(b)
	if !ok || h.kind != kindThumbnail {
		return nil, id{}, fmt.Errorf("%w at byte %d: no thumbnail", ErrDamaged, at.offset())
	}
	if h.id != want {
		return nil, h.id, nil
	}
	plain, err := s.packs[at.pack()].open(f, at.offset(), h)
	return plain, h.id, err
}

type readCloser interface {
	io.ReaderAt
	io.Closer
}

// reader opens a pack for one Get: a large store has more packs than a process
// may have files open.
func (s *Store) reader(number uint32) (readCloser, error) {
	if s.last != nil && s.last.number == number {
		return stays{s.last.file}, nil
	}
	return os.Open(s.path(number))
}

// stays is a file that is not closed by who reads it.
type stays struct{ io.ReaderAt }

func (stays) Close() error { return nil }

// loadPack takes a pack into the index. In the youngest every thumbnail is
// decrypted, since a crash may have left any of those that were not synced
// without content, and what is torn is cut off. In an older one what is torn and
// what follows is passed over, and stays in the file.
func (s *Store) loadPack(number uint32, youngest bool) error {
	f, err := os.OpenFile(s.path(number), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, packHead)
	if _, err := f.ReadAt(b, 0); err == io.EOF && youngest {
		// A crash while it was made: nothing was put into it yet.
		return errors.Join(f.Close(), os.Remove(s.path(number)), durable.SyncDir(s.dir))
	} else if err != nil {
		return errors.Join(asDamage(err), f.Close())
	}
	sealer, err := s.keys.openPackHead(b, number)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	p := &pack{sealer: sealer}
	s.packs[number] = p
	err = walk(f, func(off int64, h head) error {
		if youngest {
			if _, err := p.open(f, off, h); errors.Is(err, ErrDamaged) {
				p.dead++
				return nil
			} else if err != nil {
				return err
			}
		}
		s.take(placeOf(number, off), h)
		return nil
	})
	var cut torn
	switch {
	case errors.As(err, &cut) && youngest:
		err = f.Truncate(int64(cut))
	case errors.As(err, &cut):
		p.dead++ // so that Compact rids us of it
		err = nil
	}
	if err != nil || !youngest {
		return errors.Join(err, f.Close())
	}
	return s.resume(f, number)
}

func asDamage(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: its head is cut", ErrDamaged)
	}
	return err
}

// take enters into the index what a head says.
func (s *Store) take(at place, h head) {
	if old := s.index.find(h.id); old != 0 {
		s.packs[old.pack()].dead++
	}
	if h.kind == kindRemoved {
		s.index.remove(h.id)
		s.packs[at.pack()].dead++
		return
	}
	s.index.set(h.id, at)
}

// writer is the pack that grows.
type writer struct {
	file   *os.File
	number uint32
	size   int64
}

// resume goes on writing into a pack.
func (s *Store) resume(f *os.File, number uint32) error {
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.last = &writer{file: f, number: number, size: info.Size()}
	return nil
}

// finish ends the pack that grows.
func (s *Store) finish() error {
	if s.last == nil {
		return nil
	}
	w := s.last
	s.last = nil
	return errors.Join(w.file.Sync(), w.file.Close())
}

// room returns a pack that is not full.
func (s *Store) room() (*writer, error) {
	if s.last != nil && s.last.size < s.limit {
		return s.last, nil
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	number := s.next
	f, err := os.OpenFile(s.path(number), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	b, sealer := s.keys.newPackHead(number)
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(s.path(number)))
	}
	if err := errors.Join(f.Sync(), durable.SyncDir(s.dir)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(s.path(number)))
	}
	s.next++
	s.packs[number] = &pack{sealer: sealer}
	s.last = &writer{file: f, number: number, size: packHead}
	return s.last, nil
}

// append writes to the pack that grows and says where.
func (s *Store) append(kind uint8, id id, padded []byte) (place, error) {
	w, err := s.room()
	if err != nil {
		return 0, err
	}
	h := head{length: uint32(len(padded) + tagBytes), kind: kind, id: id}
	rand.Read(h.nonce[:])
	b := h.encode()
	b = s.packs[w.number].sealer.Seal(b, h.nonce[:], padded, b[:associated])
	if _, err := w.file.WriteAt(b, w.size); err != nil {
		// What was written of it is overwritten by the next, or cut by the next
		// Open.
		return 0, errors.Join(err, w.file.Truncate(w.size))
	}
	at := placeOf(w.number, w.size)
	w.size += int64(len(b))
	return at, nil
}
