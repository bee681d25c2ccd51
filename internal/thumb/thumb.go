// Package thumb keeps the thumbnails of pictures in encrypted packs.
//
// [Open] a folder with the lab's secret, [Store.Put] what was made of a content,
// under the content's SHA-256, and [Store.Get] it back. [Store.Remove] takes one
// out where that was ordered, and [Store.Compact] then rids the packs of it.
//
// Promised: what Get returns is what was put under that digest, or an error; a
// pack that was altered, cut or mixed up never yields another picture. Without
// the secret a pack tells how many thumbnails it holds, how long they are to the
// next 512 bytes, and nothing else: neither the pictures nor of which contents
// they are, though the same content has the same name in all packs of a lab. A
// crash at any moment costs at most what was put since the last [Store.Sync] and
// leaves a store that opens. An index of at most 24 bytes a thumbnail is held in
// memory.
//
// Not promised: durability of a single Put. Thumbnails are derived and can be
// made again; they reach the disk with Sync, which [Store.Close] calls, and when
// a pack is full. Whoever can write into the folder can take thumbnails away, or
// put back an older state of a pack, unseen. Removing takes bytes out of files;
// what the medium remembers of them is another matter.
//
// One process at a time has a store open; in it a Store is safe for concurrent
// use.
package thumb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tutela"
	"tutela/internal/durable"
)

// The reasons why a store does not open or a thumbnail is not had.
var (
	ErrSecret  = errors.New("the thumbnails were encrypted with another secret")
	ErrDamaged = errors.New("damaged thumbnail pack")
	ErrTooLong = errors.New("too long for a thumbnail")
)

// MaxBytes is how long a thumbnail may be.
const MaxBytes = 1 << 20

// packBytes is the length at which a pack is full.
const packBytes = 64 << 20

// Store is a folder of packs.
type Store struct {
	dir   string
	keys  keys
	lock  *durable.FileLock
	limit int64 // packBytes; less in tests

	// mu is held for reading while a pack is read, for writing while one is
	// written or removed.
	mu    sync.RWMutex
	index index
	packs map[uint32]*pack
	last  *writer // nil until the first Put
	next  uint32  // number of the next pack
	shut  bool
}

// Open opens the store in a folder, which is made if it is not there. It reads
// the heads of all thumbnails, cuts what a crash left half written at the end of
// the youngest pack, and returns durable.ErrLocked if another process has the
// store open, ErrSecret if the secret is not the one it was made with.
func Open(dir string, secret [32]byte) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := durable.Lock(filepath.Join(dir, "lock"), "process "+strconv.Itoa(os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("open thumbnails in %s: %w", dir, err)
	}
	s := &Store{dir: dir, keys: keysOf(secret), lock: lock, limit: packBytes, packs: map[uint32]*pack{}, next: 1}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open thumbnails in %s: %w", dir, err), lock.Unlock())
	}
	return s, nil
}

// load reads the packs from the oldest to the youngest: what was put last counts.
func (s *Store) load() error {
	numbers, err := s.list()
	if err != nil {
		return err
	}
	for i, n := range numbers {
		s.next = n + 1
		if err := s.loadPack(n, i == len(numbers)-1); err != nil {
			return fmt.Errorf("%s: %w", packName(n), err)
		}
	}
	return nil
}

func packName(number uint32) string { return fmt.Sprintf("%08d.pack", number) }

func (s *Store) path(number uint32) string { return filepath.Join(s.dir, packName(number)) }

// list names the packs in ascending order.
func (s *Store) list() ([]uint32, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint32
	for _, e := range entries {
		name, isPack := strings.CutSuffix(e.Name(), ".pack")
		n, err := strconv.ParseUint(name, 10, 31)
		if isPack && err == nil && n > 0 && packName(uint32(n)) == e.Name() {
			numbers = append(numbers, uint32(n))
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Put keeps a thumbnail. A second one for the same content is passed over.
func (s *Store) Put(sum tutela.SHA256, jpeg []byte) error {
	if len(jpeg) > MaxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(jpeg), MaxBytes)
	}
	id := s.keys.name(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return fs.ErrClosed
	}
	if s.index.find(id) != 0 {
		return nil
	}
	at, err := s.append(kindThumbnail, id, pad(jpeg))
	if err != nil {
		return fmt.Errorf("keep a thumbnail: %w", err)
	}
	s.index.set(id, at)
	return nil
}

// Has reports whether a thumbnail is there, without looking into its pack.
func (s *Store) Has(sum tutela.SHA256) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.find(s.keys.name(sum)) != 0
}

// Len is the number of thumbnails.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.len()
}

// Get returns a thumbnail, and whether there is one. The error wraps ErrDamaged
// if there is but its bytes are not those that were written.
func (s *Store) Get(sum tutela.SHA256) ([]byte, bool, error) {
	id := s.keys.name(sum)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shut {
		return nil, false, fs.ErrClosed
	}
	at := s.index.find(id)
	if at == 0 {
		return nil, false, nil
	}
	padded, found, err := s.read(at, id)
	if err != nil {
		return nil, true, fmt.Errorf("%s: %w", packName(at.pack()), err)
	}
	if found != id {
		return nil, false, nil // another content whose name begins alike
	}
	jpeg, err := unpad(padded)
	return jpeg, true, err
}

// Remove takes a thumbnail out and writes that to the disk. Its bytes stay in the
// pack, encrypted, until Compact. What is not there needs no removing.
func (s *Store) Remove(sum tutela.SHA256) error {
	id := s.keys.name(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return fs.ErrClosed
	}
	old := s.index.find(id)
	if old == 0 {
		return nil
	}
	mark, err := s.append(kindRemoved, id, nil)
	if err == nil {
		err = s.last.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("remove a thumbnail: %w", err)
	}
	s.index.remove(id)
	s.packs[old.pack()].dead++
	s.packs[mark.pack()].dead++
	return nil
}

// Sync writes to the disk what was put.
func (s *Store) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sync()
}

func (s *Store) sync() error {
	if s.last == nil {
		return nil
	}
	return s.last.file.Sync()
}

// Close syncs and lets others open the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return nil
	}
	s.shut = true
	return errors.Join(s.finish(), s.lock.Unlock())
}

// Compact writes every pack that holds removed or superseded thumbnails anew
// without them. Other calls wait while one pack is done.
func (s *Store) Compact() error {
	for _, n := range s.worn() {
		if err := s.compact(n); err != nil {
			return fmt.Errorf("compact %s: %w", packName(n), err)
		}
	}
	return nil
}

// worn lists, from the oldest, the packs in which something is dead. The order
// matters: a thumbnail goes before the mark that removed it.
func (s *Store) worn() (numbers []uint32) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n, p := range s.packs {
		if p.dead > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (s *Store) compact(number uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return fs.ErrClosed
	}
	if s.last != nil && s.last.number == number {
		if err := s.finish(); err != nil {
			return err
		}
	}
	if err := s.rescue(number); err != nil {
		return err
	}
	// Until the copies are on the disk nothing happened; a crash before the old
	// pack is gone leaves both, of which the younger counts.
	if err := s.sync(); err != nil {
		return err
	}
	if err := os.Remove(s.path(number)); err != nil {
		return err
	}
	delete(s.packs, number)
	return durable.SyncDir(s.dir)
}

// rescue copies what is alive in a pack to the youngest.
func (s *Store) rescue(number uint32) error {
	f, err := os.Open(s.path(number))
	if err != nil {
		return err
	}
	defer f.Close()
	p := s.packs[number]
	return walk(f, func(off int64, h head) error {
		at := placeOf(number, off)
		if h.kind != kindThumbnail || s.index.find(h.id) != at {
			return nil
		}
		padded, err := p.open(f, off, h)
		if errors.Is(err, ErrDamaged) {
			s.index.remove(h.id) // nothing is left of it to keep
			return nil
		}
		if err != nil {
			return err
		}
		moved, err := s.append(kindThumbnail, h.id, padded)
		if err == nil {
			s.index.set(h.id, moved)
		}
		return err
	})
}
