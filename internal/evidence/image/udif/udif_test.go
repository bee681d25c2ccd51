package udif

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const diskBytes = 3147264

func openImage(st evidence.Storage, name string) (evidence.File, error) { return Open(st, name) }

func image(t testing.TB, name string) []byte { return evidencetest.Image(t, "testdata/"+name) }

func mustOpen(t testing.TB, b []byte) *Disk {
	t.Helper()
	d, err := Open(evidencetest.Storage{"x": b}, "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

var kinds = []string{"raw", "adc", "zlib", "bzip2", "lzfse", "lzma", "mixed", "fork"}

func TestDisks(t *testing.T) {
	for _, name := range kinds {
		t.Run(name, func(t *testing.T) {
			d := mustOpen(t, image(t, name+".dmg"))
			evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
			if findings, err := d.Verify(context.Background()); len(findings) != 0 || err != nil || len(d.partitions) != 2 {
				t.Errorf("verify: %v, %v", findings, err)
			}
			if d.Layer() != "udif" || len(d.Notes()) != 0 {
				t.Errorf("%s, notes %v", d.Layer(), d.Notes())
			}
		})
	}
	d := mustOpen(t, image(t, "flat.dmg"))
	evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
	if d.Layer() != "udif-raw" {
		t.Error(d.Layer())
	}
	evidencetest.SameDisk(t, mustOpen(t, append(image(t, "zlib.dmg"), make([]byte, padding)...)), evidencetest.Pattern(diskBytes))
}

func TestPublicImage(t *testing.T) {
	d := mustOpen(t, evidencetest.Image(t, "dfvfs/test_data/hfsplus_zlib.dmg"))
	if got := evidencetest.DiskSum(t, d); got != "c86d3616818e175caca2f6022f49e190e5b1cfe39b2e8f9373119e22aa7eaf58" {
		t.Errorf("sha256 %s", got)
	}
	if findings, err := d.Verify(context.Background()); len(findings) != 0 || err != nil {
		t.Errorf("verify: %v, %v", findings, err)
	}
}

func TestRefusedByName(t *testing.T) {
	good := image(t, "flat.dmg")
	end := len(good) - trailerBytes
	for words, change := range map[string]func(b []byte) []byte{
		"encrypted":          func(b []byte) []byte { copy(b, "encrcdsa"); return b },
		"udif: encrypted":    func(b []byte) []byte { return append(b, "cdsaencr"...) },
		"of 3 segments":      func(b []byte) []byte { b[end+63] = 3; return b },
		"version 5 not read": func(b []byte) []byte { b[end+7] = 5; return b },
	} {
		b := change(bytes.Clone(good))
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	for _, b := range [][]byte{nil, []byte("koly"), make([]byte, 4096), good[:len(good)-100]} {
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%d bytes that are no image: %v", len(b), err)
		}
	}
}

func TestBadTrailers(t *testing.T) {
	good := image(t, "zlib.dmg")
	end := len(good) - trailerBytes
	for words, change := range map[string]func(b []byte){
		"lie outside the file": func(b []byte) { b[end+216] = 0x40 },
		"property list: 4278":  func(b []byte) { b[end+228] = 0xff },
		"property list: XML": func(b []byte) {
			copy(b[bytes.Index(b, []byte("<dict>")):], "<dacd>")
		},
		"block tables":   func(b []byte) { clear(b[end+224 : end+232]); b[end+39] = 0; clear(b[end+32 : end+39]) },
		"sectors":        func(b []byte) { b[end+492] = 1 },
		"data fork at":   func(b []byte) { b[end+24] = 0xff },
		"block table 0":  func(b []byte) { copy(b[bytes.Index(b, []byte("bWlza")):], "AAAAA") },
		"illegal base64": func(b []byte) { b[bytes.Index(b, []byte("bWlza"))] = '?' },
	} {
		b := bytes.Clone(good)
		change(b)
		_, err := Open(evidencetest.Storage{"x": b}, "x")
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	for _, b := range [][]byte{bytes.Repeat([]byte("<dict>"), 100), []byte("<plist>&lol;</plist>")} {
		if _, err := plistTables(b); err == nil {
			t.Errorf("%.20s is taken", b)
		}
	}
	for n := range 400 {
		forkTables(bytes.Repeat([]byte{byte(n)}, n))
	}
}

// craft is an image whose table holds the given blocks: kind, start and length in
// sectors, place and stored bytes.
func craft(sectors int64, data []byte, blocks ...[5]uint64) []byte {
	be := binary.BigEndian
	table := make([]byte, tableHeader)
	copy(table, "mish")
	be.PutUint32(table[200:], uint32(len(blocks)))
	for _, b := range blocks {
		e := be.AppendUint64(be.AppendUint32(be.AppendUint32(nil, uint32(b[0])), 0), b[1])
		table = append(table, be.AppendUint64(be.AppendUint64(be.AppendUint64(e, b[2]), b[3]), b[4])...)
	}
	xml := "<plist><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Data</key><data>" +
		base64.StdEncoding.EncodeToString(table) + "</data></dict></array></dict></dict></plist>"
	koly := make([]byte, trailerBytes)
	copy(koly, "koly\x00\x00\x00\x04\x00\x00\x02\x00")
	be.PutUint64(koly[32:], uint64(len(data)))
	be.PutUint64(koly[216:], uint64(len(data)))
	be.PutUint64(koly[224:], uint64(len(xml)))
	be.PutUint64(koly[492:], uint64(sectors))
	return slices.Concat(data, []byte(xml), koly)
}

// What is lost is a block, and the next can be read.
func TestBadBlocks(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 128*3)
	want := slices.Concat(data[:512], make([]byte, 512*6), data[:1024], make([]byte, 1024))
	d := mustOpen(t, craft(11, data,
		[5]uint64{blockRaw, 0, 1, 0, 512},
		[5]uint64{blockZlib, 1, 1, 0, 512},      // does not inflate
		[5]uint64{0x80000099, 2, 1, 0, 512},     // is of no type that is known
		[5]uint64{blockRaw, 3, 1, 1 << 40, 512}, // lies outside the file
		[5]uint64{blockRaw, 4, 1, 1 << 63, 512}, // lies before it
		[5]uint64{blockADC, 5, 1, 0, 1 << 40},   // is stored longer than it could be
		[5]uint64{blockRaw, 7, 2, 512, 1024},    // sector 6 is in no block
		[5]uint64{blockIgnored, 9, 1, 0, 0},
	))
	lost := []tutela.Run{{Offset: 512, Length: 512 * 6}, {Offset: 512 * 10, Length: 512}}
	evidencetest.Lost(t, d, want, lost...)
	if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingDamaged {
		t.Errorf("notes %v", notes)
	}
	for words, b := range map[string][]byte{
		"two blocks":    craft(4, data, [5]uint64{blockRaw, 0, 2, 0, 1024}, [5]uint64{blockRaw, 1, 2, 0, 1024}),
		"sectors at":    craft(4, data, [5]uint64{blockRaw, 1 << 60, 2, 0, 1024}),
		"does not hold": bytes.Replace(craft(4, data), []byte("bWlzaAAAAAAAAAAA"), []byte("bWlzaAAAAAAA////"), 1),
	} {
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	// A compressed block that claims 64 MB is not taken into memory.
	d = mustOpen(t, craft(131072, data, [5]uint64{blockZlib, 0, 131072, 0, 512}))
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, evidence.ErrUnsupported) {
		t.Errorf("a block of 64 MB: %v", err)
	}
}

func TestVerifyFindsChanges(t *testing.T) {
	b := image(t, "raw.dmg")
	b[100]++
	findings, err := mustOpen(t, b).Verify(context.Background())
	if len(findings) != 1 || err != nil || findings[0].Code != tutela.FindingDamaged {
		t.Errorf("verify: %v, %v", findings, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := mustOpen(t, b).Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
}

func TestLZFSE(t *testing.T) {
	var text []byte
	for i := range 20000 {
		text = fmt.Appendf(text, "%d the quick brown fox %d\n", i*i%977, i)
	}
	short := make([]byte, 20)
	for i := range short {
		short[i] = byte(i * 7919 % 251)
	}
	for name, want := range map[string][]byte{"text.bvx2": text[:300000], "text.bvxn": text[:3000], "text.bvx-": short} {
		packed := image(t, name)
		got, err := unLZFSE(packed, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		for n := range min(len(packed), 2000) {
			if out, err := unLZFSE(packed[:n], len(want)); err == nil && len(out) <= len(want) {
				t.Fatalf("%s: %d bytes of it are taken for the whole", name, n)
			}
		}
	}
}

// The decompressors get whatever bytes, and give no more than asked for.
func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"text.bvx2", "text.bvxn", "text.bvx-"} {
		b := image(f, name)
		f.Add(byte(0), b[:min(len(b), 4000)])
	}
	f.Add(byte(1), []byte("\x83abcd\x40\x00\x03\x04\x01"))
	f.Add(byte(2), []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x08\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		const length = 1 << 16
		var out []byte
		switch which % 3 {
		case 0:
			out, _ = unLZFSE(b, length)
		case 1:
			out, _ = unADC(b, length)
		case 2:
			out, _ = unXZ(b, length)
		}
		if len(out) > length+len(b)+128 {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"mixed", "fork", "lzfse", "lzma", "adc", "flat"} {
		good := image(t, name+".dmg")
		end := int64(len(good)) - trailerBytes
		plist := tutela.Run{Offset: int64(binary.BigEndian.Uint64(good[end+216:])), Length: int64(binary.BigEndian.Uint64(good[end+224:]))}
		fork := tutela.Run{Offset: int64(binary.BigEndian.Uint64(good[end+40:])), Length: int64(binary.BigEndian.Uint64(good[end+48:]))}
		hot := []tutela.Run{{Offset: end, Length: trailerBytes}, {Length: 64 << 10}}
		for _, r := range []tutela.Run{plist, fork} {
			if r.Length > 0 {
				hot = append(hot, r, r)
			}
		}
		evidencetest.MutantsOf(t, good, hot, func(damaged []byte) {
			evidencetest.HostileImage(t, openImage, evidencetest.Storage{"x": damaged}, "x")
		})
	}
}

func FuzzOpen(f *testing.F) {
	st := evidencetest.Storage{}
	for _, name := range []string{"mixed", "fork", "flat"} {
		st[name] = image(f, name+".dmg")
	}
	evidencetest.FuzzImage(f, openImage, st, "mixed", "fork", "flat")
}
