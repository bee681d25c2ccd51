package evidencetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

// patternGroup is the stretch that a pattern fills or leaves empty, in bytes.
const patternGroup = 8 << 10

// Pattern is a disk to fill images with: size bytes of which one group of 8 KiB
// in sixteen, and the last, are not zeros. Those repeat, sector by sector, the
// SHA-256 of "sector N" (every eighth group that of "sector N.0" to "N.15", and
// does not compress). The scripts that make images draw the same.
func Pattern(size int) []byte {
	disk := make([]byte, size)
	for g := 0; g*patternGroup < size; g++ {
		last := (g+1)*patternGroup >= size
		if !last && sha256.Sum256(fmt.Appendf(nil, "group %d", g))[0] >= 16 {
			continue
		}
		group := disk[g*patternGroup : min((g+1)*patternGroup, size)]
		for at := 0; at < len(group); at += 32 {
			n := (g*patternGroup + at) / 512
			text := fmt.Appendf(nil, "sector %d", n)
			if g%8 == 0 {
				text = fmt.Appendf(text, ".%d", at%512/32)
			}
			sum := sha256.Sum256(text)
			copy(group[at:], sum[:])
		}
	}
	return disk
}

// SameDisk holds what a disk gives against what was written to it: all at once,
// in odd steps, across the end, and to several readers at once.
func SameDisk(t *testing.T, disk evidence.Source, want []byte) {
	t.Helper()
	if disk.Size() != int64(len(want)) {
		t.Errorf("%d bytes, want %d", disk.Size(), len(want))
	}
	var readers sync.WaitGroup
	for _, step := range []int{len(want), 64 << 10, 12345} {
		readers.Go(func() {
			buf := make([]byte, step)
			for off := 0; off < len(want); off += step {
				piece := want[off:min(off+step, len(want))]
				n, err := disk.ReadAt(buf[:len(piece)], int64(off))
				if n != len(piece) || err != nil {
					t.Errorf("%d bytes at %d of %d: %v", n, off, len(piece), err)
					return
				}
				if !bytes.Equal(buf[:n], piece) {
					t.Errorf("the bytes at %d to %d differ", off, off+n)
					return
				}
			}
		})
	}
	readers.Wait()
	tail := make([]byte, 100)
	n, err := disk.ReadAt(tail, disk.Size()-50)
	if n != 50 || !errors.Is(err, io.EOF) {
		t.Errorf("across the end: %d bytes, %v", n, err)
	}
}

// HugeDisk reads here and there on a disk of many terabytes, of which only the
// given stretch is not zeros but sevens, and holds that little memory is taken.
func HugeDisk(t *testing.T, disk evidence.Source, sevens tutela.Run) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	buf := make([]byte, 4096)
	for n := range int64(2000) {
		off := disk.Size() / 2000 * n
		if n == 1000 {
			off = sevens.Offset + sevens.Length - 2048
		}
		if _, err := disk.ReadAt(buf, off); err != nil {
			t.Fatalf("at %d: %v", off, err)
		}
		for i, b := range buf {
			at := off + int64(i)
			if within := at >= sevens.Offset && at < sevens.Offset+sevens.Length; within != (b == 7) || !within && b != 0 {
				t.Fatalf("the byte at %d is %d", at, b)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if after.HeapSys > before.HeapSys+(64<<20) {
		t.Errorf("%d MB for a few reads", (after.HeapSys-before.HeapSys)>>20)
	}
}

// DiskSum is the SHA-256 of a whole disk in hexadecimal.
func DiskSum(t testing.TB, disk evidence.Source) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(disk, 0, disk.Size())); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Lost reads a damaged disk to its end, stepping over what cannot be read, and
// holds that exactly the given stretches are lost, in their order, and that
// all others are as they were.
func Lost(t *testing.T, disk evidence.Source, want []byte, lost ...tutela.Run) {
	t.Helper()
	got := make([]byte, disk.Size())
	var bad []tutela.Run
	for off := int64(0); off < disk.Size(); {
		n, err := disk.ReadAt(got[off:], off)
		off += int64(n)
		if err == nil {
			break
		}
		failed, ok := errors.AsType[*evidence.ReadError](err)
		if !ok || failed.Run.Offset != off || failed.Run.Length <= 0 {
			t.Fatalf("at %d: %v %+v", off, err, failed)
		}
		if last := len(bad) - 1; last >= 0 && bad[last].Offset+bad[last].Length == off {
			bad[last].Length += failed.Run.Length
		} else {
			bad = append(bad, failed.Run)
		}
		copy(got[off:off+failed.Run.Length], want[off:])
		off += failed.Run.Length
	}
	if !slices.Equal(bad, lost) {
		t.Errorf("lost %v, want %v", bad, lost)
	}
	if !bytes.Equal(got, want) {
		t.Error("what is not lost differs from what was written")
	}
}

// FuzzImage fuzzes changes to the images of a storage that are named: pairs of a
// place (four bytes, little-endian, from the beginning; from the end where the
// highest bit is set) and a byte.
func FuzzImage(f *testing.F, open OpenImage, st Storage, names ...string) {
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{4, 0, 0, 0, 1, 12, 0, 0, 0, 0xff})
	f.Add(byte(2), []byte{1, 0, 0, 0x80, 1, 200, 0, 0, 0x80, 0xff, 0, 0, 1, 0, 0x80})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		damaged := bytes.Clone(st[names[int(which)%len(names)]])
		for ; len(changes) >= 5; changes = changes[5:] {
			at := int(binary.LittleEndian.Uint32(changes))
			if at >= 1<<31 {
				at = len(damaged) - (at - 1<<31)
			}
			if at >= 0 && at < len(damaged) {
				damaged[at] = changes[4]
			}
		}
		all := maps.Clone(st)
		all["fuzzed"] = damaged
		HostileImage(t, open, all, "fuzzed")
	})
}
