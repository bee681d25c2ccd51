package apfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// block is a block of an image, to be changed in place.
func block(img []byte, n uint64) []byte { return img[n*4096:][:4096] }

// small is a container with one volume and a few files, and their rows.
func small(shape func(c *craft)) (c *craft, v *craftVolume) {
	c = newCraft(4096, 300)
	if shape != nil {
		shape(c)
	}
	v = c.volume("Small", volumeNormalizationInsensitive)
	dir := v.directory(inodeRoot, "folder")
	for i := range 20 {
		v.file(c, dir, fmt.Sprintf("%02d.jpg", i), noise(byte(i), 500))
	}
	return c, v
}

func list(t *testing.T, img []byte) []evidencetest.Entry {
	t.Helper()
	return evidencetest.List(t, evidencetest.MustOpen(t, opener, evidencetest.Source(img)))
}

func files(all []evidencetest.Entry, state tutela.State) (n int) {
	for r := range evidencetest.Rows(all, state) {
		_ = r
		n++
	}
	return n
}

func TestRefused(t *testing.T) {
	for want, shape := range map[string]func(c *craft){
		"fusion drives are not read":         func(c *craft) { c.features |= containerFusion },
		"version 1 of the format":            func(c *craft) { c.features = containerVersion1 },
		"unknown features 0x8000 of the con": func(c *craft) { c.features |= 0x8000 },
	} {
		c, _ := small(shape)
		c.commit()
		_, err := Open(evidencetest.Source(c.img))
		if !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, img := range [][]byte{nil, make([]byte, 100), make([]byte, 5<<20), noise(1, 5000), evidencetest.Image(t, "fslib/gpt_apfs.dd"), evidencetest.Image(t, "fslib/ntfs.dd")} {
		if _, err := Open(evidencetest.Source(img)); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%d bytes that are not apfs: %v", len(img), err)
		}
	}
}

func TestVolumesRefused(t *testing.T) {
	for want, change := range map[string]func(v *craftVolume){
		"unsupported: unknown features 0x80":   func(v *craftVolume) { v.incompatible |= 0x80 },
		"unsupported: volumes with a key for":  func(v *craftVolume) { v.incompatible |= volumePerFileKeys },
		"unsupported: volumes with a second f": func(v *craftVolume) { v.incompatible |= volumeSecondTree },
	} {
		c, v := small(nil)
		change(v)
		c.commit()
		all := list(t, c.img)
		expectLine(t, all, "/", want)
		if len(all) != 1 {
			t.Errorf("%s: %d entries", want, len(all))
		}
	}
}

// TestSealed reads a sealed volume, then one of which any node was changed since,
// and one whose seal is broken.
func TestSealed(t *testing.T) {
	c, live, gone := rich(4096, 2500, func(c *craft) { c.sealed = true })
	expectRows(t, c.img, live, gone)
	v := c.volumes[0]
	before := len(evidencetest.Rows(list(t, c.img), tutela.Allocated))
	for _, m := range v.mappings {
		b := block(c.img, little.Uint64(m.value[8:]))
		if sealed(b) {
			continue
		}
		b[3000]++
		all := list(t, c.img)
		b[3000]--
		expectLine(t, all, "/", "damaged: file-system tree of volume", "holds something else")
		if n := len(evidencetest.Rows(all, tutela.Allocated)); n >= before {
			t.Errorf("object %d: %d files", little.Uint64(m.key), n)
		}
	}
}

// TestBrokenSeal changes the seal of a volume: without a snapshot that is mounted
// in its place it is refused, else that is listed.
func TestBrokenSeal(t *testing.T) {
	for want, change := range map[string]map[int]byte{
		"unsupported: the volume was changed after it was sealed": {36: sealBroken, 128: 1},
		"unsupported: a volume sealed with hashes of kind 4":      {40: 4},
		"damaged: seal of volume":                                 {46: 1},
	} {
		for _, mounted := range []uint64{0, 1} {
			c, _, _ := rich(4096, 2500, func(c *craft) { c.sealed, c.mounted = true, mounted })
			v := c.volumes[0]
			b := block(c.img, little.Uint64(v.mappings[len(v.mappings)-1].value[8:]))
			for at, to := range change {
				b[at] = to
			}
			seal(b)
			all := list(t, c.img)
			if mounted == 0 {
				expectLine(t, all, "/", want, `snapshot "before lunch"`)
			} else {
				expectLine(t, all, "/", "backup-table: ", want[strings.Index(want, ":")+2:], `snapshot "before lunch" of transaction 1`, "is listed")
				expectLine(t, all, "/in a snapshot.png", "allocated")
			}
			if (len(all) == 1) != (mounted == 0) {
				t.Errorf("%s: %d entries", want, len(all))
			}
		}
	}
	c, live, gone := rich(4096, 2500, func(c *craft) { c.sealed = true })
	v := c.volumes[0]
	b := block(c.img, little.Uint64(v.mappings[len(v.mappings)-1].value[8:]))
	b[36] = sealBroken // and nothing else: the hashes still tell that it is right
	seal(b)
	expectRows(t, c.img, live, gone)
}

func TestEncrypted(t *testing.T) {
	c, v := small(func(c *craft) { c.softwares = softwareCrypto })
	v.flags = 0
	c.commit()
	all := list(t, c.img) // as where the hardware has undone it for the tree
	expectLine(t, all, "/folder/07.jpg", "encrypted: its volume is encrypted", "content is encrypted")
	if n := files(all, tutela.Allocated); n != 0 || len(all) != 20 {
		t.Errorf("%d of %d entries were read", n, len(all))
	}
	copy(c.tree0(v), noise(5, 4096))
	all = list(t, c.img)
	expectLine(t, all, "/", `encrypted: the volume "Small" is encrypted in software (FileVault)`)
	if len(all) != 1 {
		t.Errorf("%d entries", len(all))
	}
}

// tree0 is the root of the tree of a volume.
func (c *craft) tree0(v *craftVolume) []byte {
	for _, m := range v.mappings {
		if numbers(m.key)[0] == v.root {
			return block(c.img, little.Uint64(m.value[8:]))
		}
	}
	panic("no root")
}

func TestVolumes(t *testing.T) {
	c := newCraft(4096, 400)
	for i, name := range []string{"Data", "Data", "a/b", ""} {
		v := c.volume(name, 0) // names as they are, without hashes
		v.file(c, inodeRoot, fmt.Sprint("file ", i), []byte(name))
		v.role = 0x40
	}
	c.commit()
	all := list(t, c.img)
	for _, path := range []string{"/Data/file 0", "/Data (volume 2)/file 1", "/a:b/file 2", "/volume 4/file 3"} {
		expectLine(t, all, path, "allocated\tfile")
	}
	if len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
	fs, err := Open(evidencetest.Source(c.img))
	if err != nil {
		t.Fatal(err)
	}
	block(c.img, fs.volumes[1].block)[100]++
	fs.volumes[1].block = 0
	all = list(t, c.img)
	expectLine(t, all, "/volume 2", "directory", "damaged: superblock of volume", "its checksum is wrong")
	expectLine(t, all, "/Data/file 0", "allocated\tfile")
	if len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
}

func TestOlderCheckpoint(t *testing.T) {
	build := func() (*craft, *FileSystem) {
		c, v := small(nil)
		c.commit()
		v.file(c, inodeRoot, "newest", []byte("x"))
		c.commit()
		fs, err := Open(evidencetest.Source(c.img))
		if err != nil {
			t.Fatal(err)
		}
		return c, fs
	}
	expect := func(name string, c *craft, newest bool, want string) {
		t.Helper()
		all := list(t, c.img)
		expectLine(t, all, "/", want)
		expectLine(t, all, "/folder/00.jpg", "allocated")
		if there := line(all, "/newest") != "no /newest"; there != newest {
			t.Errorf("%s: the newest file is there: %v", name, there)
		}
	}
	c, _ := build()
	clear(block(c.img, 0))
	expect("block 0", c, true, "backup-table: block 0 is bad")

	c, _ = build()
	block(c.img, 0)[50]++
	expect("block 0's checksum", c, true, "backup-table: block 0 is bad (the checksum")

	c, fs := build()
	block(c.img, fs.checkpoint.block)[50]++
	expect("superblock", c, false, "backup-table: checkpoint 2 cannot be read (the checksum")

	c, fs = build()
	clear(block(c.img, fs.checkpoint.block))
	expect("no superblock", c, false, "backup-table: block 0 is of checkpoint 2, which is not there")

	c, fs = build()
	block(c.img, fs.checkpoint.block-1)[50]++
	expect("map", c, false, "backup-table: checkpoint 2 cannot be read (map")

	c, fs = build()
	block(c.img, fs.checkpoint.objectMap)[50]++
	expect("object map", c, false, "backup-table: checkpoint 2 cannot be read (object map")

	c, fs = build()
	block(c.img, fs.checkpoint.objectMap)[50]++
	block(c.img, fs.older[0].objectMap)[50]++
	if _, err := Open(evidencetest.Source(c.img)); err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("no checkpoint: %v", err)
	}
}

// TestMissingNodes takes each node of a tree away: what was in it is missing or
// unreadable, what was not is as before, and it is told.
func TestMissingNodes(t *testing.T) {
	c, v := small(nil)
	c.commit()
	good := evidencetest.Rows(list(t, c.img), tutela.Allocated)
	for _, m := range v.mappings {
		b := block(c.img, little.Uint64(m.value[8:]))
		b[700]++
		all := list(t, c.img)
		b[700]--
		expectLine(t, all, "/", "damaged: file-system tree of volume", "its checksum is wrong")
		found := evidencetest.Rows(all, tutela.Allocated, tutela.Orphan)
		for r := range found {
			path := r[strings.LastIndex(r, "/")+1:]
			if !good[r] && !good["folder/"+path] {
				t.Errorf("wrong: %s", r)
			}
		}
		if len(found) < 5 && little.Uint64(m.key) != v.root {
			t.Errorf("object %d: only %d files", little.Uint64(m.key), len(found))
		}
	}
}

func TestOddFiles(t *testing.T) {
	c, v := small(nil)
	blocks := c.data(noise(1, 3*4096), 999)
	v.fileAt(c, inodeRoot, "no blocks", 10000, nil)
	gap := v.fileAt(c, inodeRoot, "gap", 12288, nil)
	v.extents(c, gap, blocks[:1])
	v.add(put(head(gap, recordExtent), uint64(8192)), put(uint64(4096), blocks[2], uint64(0)))
	v.fileAt(c, inodeRoot, "outside", 4096, []uint64{299999})
	v.fileAt(c, inodeRoot, "much of nothing", 1<<40, nil)
	huge := v.fileAt(c, inodeRoot, "huge", 0, nil)
	at(v.find(huge, recordInode), inodeSize+4+8+8, uint64(1)<<63) // behind the table and "huge", padded
	v.link(inodeRoot, "no inode", 9999, modeFile)
	v.link(inodeRoot, "no folder", 9998, modeDirectory)
	v.link(8888, "in no folder", v.file(c, 8888, "in no folder", []byte("found")), modeFile)
	v.link(inodeRoot, "a/b", v.file(c, 1, "a/b", nil), modeFile)
	unlisted := v.new()
	v.inode(unlisted, inodeRoot, "unlisted", modeFile, field(fieldStream, dataStream(3, 4096)))
	v.extents(c, unlisted, c.data([]byte("abc"), 9))
	loop := v.new()
	v.inode(loop, loop+1, "loop", modeDirectory)
	v.inode(v.new(), loop, "loop", modeDirectory)
	v.link(loop, "loop", loop+1, modeDirectory)
	v.link(loop+1, "loop", loop, modeDirectory)
	v.file(c, loop, "in a loop", []byte("round and round"))
	dataless := v.fileAt(c, inodeRoot, "in the cloud", 5000, nil)
	at(v.find(dataless, recordInode), 68, uint32(bsdDataless))
	pack(v, "packed unknown", 99, 10, nil)
	pack(v, "packed no fork", 8, 10, nil)
	strange := v.new()
	v.inode(strange, inodeRoot, "strange", 0o070000)
	v.link(inodeRoot, "strange", strange, modeFile)
	long := uint64(inodeRoot)
	for range 20 {
		long = v.directory(long, strings.Repeat("long", 60))
	}
	v.file(c, long, "deep down", []byte("deep"))
	c.commit()

	all := list(t, c.img)
	expectLine(t, all, "/no blocks", "10000\t0 bytes, then: unexpected EOF", "damaged: its bytes from 0 on have no blocks")
	expectLine(t, all, "/gap", "12288\t4096 bytes, then: unexpected EOF", "damaged: its bytes from 4096 on have no blocks, or two")
	expectLine(t, all, "/outside", "0 bytes, then", "damaged: an extent of 4096 bytes at block 299999 leads out")
	expectLine(t, all, "/much of nothing", "limit: content larger than the volume")
	expectLine(t, all, "/huge", "-1\t0 bytes, then", "damaged: a size of 9223372036854775808 bytes")
	expectLine(t, all, "/no inode", "file", "damaged: inode 9999 is not there")
	expectLine(t, all, "/no folder", "directory", "damaged: inode 9998 is not there")
	expectLine(t, all, "/$OrphanFiles/in no folder", "orphan\tfile", "damaged: no directory leads to it")
	expectLine(t, all, "/a/b", "damaged: the name contains a slash")
	expectLine(t, all, "/$OrphanFiles/unlisted", "orphan\tfile", "ba7816bf", "damaged: no directory lists it")
	expectLine(t, all, "/$OrphanFiles/in a loop", "orphan\tfile", "loop: its directory lies inside itself")
	expectLine(t, all, "/in the cloud", "unsupported: placeholder", "not supported")
	expectLine(t, all, "/packed unknown", "unsupported: decmpfs 99")
	expectLine(t, all, "/packed unknown:com.apple.decmpfs", "file")
	expectLine(t, all, "/packed no fork", "damaged: compressed, and its resource fork is not there")
	expectLine(t, all, "/strange", "damaged: its mode 070000 is of no known kind")
	expectLine(t, all, "/$OrphanFiles/deep down", "limit: its path is too long and is left out", "allocated")
}

func TestCutImage(t *testing.T) {
	c, v := small(nil)
	v.file(c, inodeRoot, "last", noise(3, 9000))
	c.commit()
	img := slices.Clone(c.img)
	last := v.records[slices.IndexFunc(v.records, func(r craftRecord) bool {
		return identifier(r.key)[1] == recordExtent && little.Uint64(r.value) == 12288
	})]
	cut := little.Uint64(last.value[8:])*4096 + 5000
	for n := len(img); uint64(n) > cut; n -= 4096 * 40 {
		fs, err := Open(evidencetest.Source(img[:n]))
		if err != nil {
			continue
		}
		err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error { return nil })
		if err != nil {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	// The structures of this container lie behind its data: keep them, by moving
	// the file behind the end.
	at(last.value, 8, uint64(297))
	c.commit()
	all := list(t, c.img[:298*4096+10])
	expectLine(t, all, "/", "truncated: the container has 1228800 bytes, only 1220618 are here")
	expectLine(t, all, "/last", "9000\t4106 bytes, then: unexpected EOF", "truncated: 4894 bytes of it lie behind the end of the image")
}

func TestDeletedLimit(t *testing.T) {
	c, v := small(nil)
	var sparse []uint64
	for i := range 3 {
		sparse = append(sparse, v.fileAt(c, inodeRoot, fmt.Sprint("sparse ", i), 290*4096, make([]uint64, 290)))
	}
	c.commit()
	for _, oid := range sparse {
		v.remove(c, oid, true)
	}
	c.commit()
	all := list(t, c.img)
	limited := strings.Count(evidencetest.Listing(all), "limit: more deleted bytes than the limit allows")
	if n := files(all, tutela.Deleted); n != 2 || limited != 1 {
		t.Errorf("%d deleted files were read, %d were limited", n, limited)
	}
}

// TestVisit: an error of visit comes back as it is, and a walk ends with its
// context.
func TestVisit(t *testing.T) {
	c, _, _ := rich(4096, 2500, nil)
	fs := evidencetest.MustOpen(t, opener, evidencetest.Source(c.img))
	total := len(evidencetest.List(t, fs))
	stop := errors.New("stop")
	for _, at := range []int{0, 1, total / 2, total - 1} {
		n := 0
		err := fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
			if n++; n > at {
				return stop
			}
			return nil
		})
		if err != stop || n != at+1 {
			t.Errorf("stopped at %d of %d: %v", n, at, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fs.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestTogether walks one container twice at a time, and reads contents while the
// walk goes on.
func TestTogether(t *testing.T) {
	c, _, _ := rich(4096, 2500, nil)
	fs := evidencetest.MustOpen(t, opener, evidencetest.Source(c.img))
	want := evidencetest.Listing(evidencetest.List(t, fs))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if got := evidencetest.Listing(evidencetest.List(t, fs)); got != want {
				t.Error("two walks at a time differ from one")
			}
		})
	}
	err := fs.Walk(t.Context(), evidence.Limits{}, func(e *evidence.Entry) error {
		if open := e.Open; open != nil {
			all.Go(func() {
				if content, err := open(); err == nil {
					io.Copy(io.Discard, content)
				}
			})
		}
		return nil
	})
	all.Wait()
	if err != nil {
		t.Error(err)
	}
}

func free(t *testing.T, img []byte) (runs []tutela.Run) {
	t.Helper()
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Free(context.Background(), func(r tutela.Run) error { runs = append(runs, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return runs
}

// TestFree: the first two as pstat of The Sleuth Kit lists them.
func TestFree(t *testing.T) {
	expect := func(name string, got []tutela.Run, want ...tutela.Run) {
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", name, got, want)
		}
	}
	expect("fslib", free(t, partition(t)), tutela.Run{Offset: 0x94b * 4096, Length: 2499 * 4096})
	expect("dfvfs", free(t, evidencetest.Image(t, "dfvfs/test_data/apfs.raw")), tutela.Run{Offset: 0x6e * 4096, Length: 904 * 4096})
	for _, size := range []int{300, 32768, 70000} {
		c := newCraft(4096, size)
		v := c.volume("x", 0)
		v.file(c, inodeRoot, "x", noise(1, 30000))
		v.remove(c, v.file(c, inodeRoot, "y", noise(1, 5000)), false)
		c.commit()
		expect(fmt.Sprint(size), free(t, c.img), unused(c)...)
	}
}

func unused(c *craft) (runs []tutela.Run) {
	for i, used := range c.used {
		at := int64(i * c.size)
		switch n := len(runs) - 1; {
		case used:
		case n >= 0 && runs[n].Offset+runs[n].Length == at:
			runs[n].Length += int64(c.size)
		default:
			runs = append(runs, tutela.Run{Offset: at, Length: int64(c.size)})
		}
	}
	return runs
}

func TestChecksum(t *testing.T) {
	b := make([]byte, 4096)
	if sealed(b) {
		t.Error("a block of zeros is sealed")
	}
	big := bytes.Repeat([]byte{0xff}, 1<<20)
	seal(big)
	if !sealed(big) {
		t.Error("what was sealed is not")
	}
	big[70000]--
	if sealed(big) {
		t.Error("what was changed is sealed")
	}
}
