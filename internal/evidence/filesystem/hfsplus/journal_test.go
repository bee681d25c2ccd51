package hfsplus

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// Of fslib's image: where its journal lies, and what it says of itself.
const (
	journalAt   = 0x3000
	journalSize = 512 << 10
	listBytes   = 8192
)

// setJournal changes where the transactions that wait begin and end.
func setJournal(img []byte, first, next int) {
	b := img[journalAt:]
	binary.LittleEndian.PutUint64(b[8:], uint64(first))
	binary.LittleEndian.PutUint64(b[16:], uint64(next))
	clear(b[36:40])
	binary.LittleEndian.PutUint32(b[36:], checksum(b[:journalHeaderBytes]))
}

// TestOldTransactions takes what the journal of fslib's image holds, and was
// written long ago, for transactions that wait: nothing changes.
func TestOldTransactions(t *testing.T) {
	good := image(t, fslib)
	const finding = "the listing is that after the changes that wait in the journal (4 lists of blocks)"
	for _, next := range []int{109056, 100352, 17408} { // the last two end too early
		img := bytes.Clone(good)
		setJournal(img, 512, next)
		same(t, "old transactions", good, img, finding)
	}
	img := bytes.Clone(good)
	setJournal(img, 512, 109056)
	img[journalAt+76000]++ // in the third
	const damage = "journal: block list at byte 67072: it does not hold together"
	if got := rootFindings(t, img); !strings.Contains(got, damage) || !strings.Contains(got, "(2 lists of blocks)") {
		t.Errorf("damaged: %s", got)
	}
}

// transaction writes what two images differ in into the journal of the first,
// from a place on, and returns where it ends.
func transaction(before, after []byte, at int, number uint32) int {
	place := func(p []byte, at int) int {
		for _, v := range p {
			if at == journalSize {
				at = sector
			}
			before[journalAt+at] = v
			at++
		}
		return at
	}
	list := make([]byte, listBytes)
	blocks, end := 1, at
	end = place(make([]byte, listBytes), end)
	used := listBytes
	for s := 0; s+sector <= len(before); s += sector {
		new := after[s : s+sector]
		if bytes.Equal(before[s:s+sector], new) || s >= journalAt && s < journalAt+journalSize {
			continue
		}
		info := list[listHeadBytes+blocks*blockInfoBytes:]
		binary.LittleEndian.PutUint64(info, uint64(s/sector))
		binary.LittleEndian.PutUint32(info[8:], sector)
		binary.LittleEndian.PutUint32(info[12:], checksum(new))
		end = place(new, end)
		used += sector
		blocks++
	}
	binary.LittleEndian.PutUint16(list, 511)
	binary.LittleEndian.PutUint16(list[2:], uint16(blocks))
	binary.LittleEndian.PutUint32(list[4:], uint32(used))
	binary.LittleEndian.PutUint32(list[12:], listChecksBlocks|listIsFirst)
	binary.LittleEndian.PutUint32(list[listHeadBytes+12:], number)
	binary.LittleEndian.PutUint32(list[8:], checksum(list[:listSummedBytes]))
	place(list, at)
	return end
}

// TestReplay: files that were added, and one that was deleted, while the changes
// are only in the journal.
func TestReplay(t *testing.T) {
	before := newCraft(t, fslib).finish()
	c := newCraft(t, fslib)
	gone := parseFork(c.take(idDocument, "NTFS.pptx")[88:])
	c.setBits(gone.extents[0], false)
	x := c.store([]byte("new"))
	c.add(idDocument, "new.txt", newFile(70, func(b []byte) { putFork(b[88:], 3, x) }))
	after := c.finish()
	// The content of a file is not journaled: it is written at once.
	copy(before[int64(x.first)*4096:], "new")

	for _, at := range []int{sector, journalSize - 3*sector} { // the second goes on at the beginning
		img := bytes.Clone(before)
		clear(img[journalAt+sector : journalAt+journalSize]) // old copies
		next := transaction(img, after, at, 7)
		setJournal(img, at, next)
		same(t, "replay", after, img, "assumed: the volume was not unmounted")
		e, ok := deleted(t, img)["/document/NTFS.pptx"]
		if !ok || e.Row() != rowOf(t, "document/NTFS.pptx") || e.State != tutela.Deleted || len(e.Findings) != 0 {
			t.Errorf("deleted by the journal: %t %s", ok, e.Line())
		}
		setJournal(img, next, next)
		if rows(t, img)["document/new.txt"] || !strings.HasPrefix(rootFindings(t, img), "[") {
			t.Error("replayed though nothing waits")
		}
	}
}

// FuzzJournal gives the journal a header and a block list with good checksums,
// so that the fuzzer is not stopped by them.
func FuzzJournal(f *testing.F) {
	img := image(f, fslib)
	b := img[journalAt:]
	f.Add(bytes.Clone(b[8:36]), bytes.Clone(b[512:512+80]))
	f.Add(bytes.Clone(b[8:36]), bytes.Clone(b[17408:17408+176]))
	f.Add([]byte{0, 2, 0, 0, 0, 0, 0, 0, 0, 4}, []byte{0xff, 1, 2, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 2})
	good := bytes.Clone(b[:listBytes+sector])
	f.Fuzz(func(t *testing.T, header, list []byte) {
		defer copy(b, good)
		copy(b[8:36], header)
		clear(b[36:40])
		binary.LittleEndian.PutUint32(b[36:], checksum(b[:journalHeaderBytes]))
		l := b[sector : sector+listBytes]
		clear(l)
		copy(l, list)
		clear(l[8:12])
		binary.LittleEndian.PutUint32(l[8:], checksum(l[:listSummedBytes]))
		evidencetest.Hostile(t, open, img)
	})
}
