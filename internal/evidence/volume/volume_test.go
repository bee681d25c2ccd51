package volume

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tutela"
)

func read(t *testing.T, d disk) *Table {
	t.Helper()
	table, err := Read(d)
	if err != nil {
		t.Fatal(err)
	}
	checkCover(t, table, d.Size())
	return table
}

// checkCover holds a table against what the package promises of every table.
func checkCover(t *testing.T, table *Table, size int64) {
	t.Helper()
	var claimed, free int64
	end := int64(-1)
	for _, g := range table.Gaps {
		if g.Offset <= end || g.Length <= 0 || g.Offset+g.Length > size {
			t.Fatalf("gap %v after %d in %d bytes", g, end, size)
		}
		end = g.Offset + g.Length
		free += g.Length
	}
	reach := int64(0)
	numbers := map[int]bool{}
	for _, p := range byStart(table.Partitions) {
		if p.Start < 0 || p.Length < 0 || p.Start+p.Length > size || numbers[p.Number] {
			t.Fatalf("partition %+v in %d bytes", *p, size)
		}
		numbers[p.Number] = true
		claimed += max(0, p.Start+p.Length-max(reach, p.Start))
		reach = max(reach, p.Start+p.Length)
	}
	if table.Scheme != "" && claimed+free != size {
		t.Fatalf("partitions %d and gaps %d do not cover %d bytes", claimed, free, size)
	}
}

// outline writes a table in a form that tests can compare.
func outline(table *Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d%s\n", table.Scheme, table.SectorSize, codes(table.Findings))
	for _, p := range table.Partitions {
		fmt.Fprintf(&b, "%d @ %d+%d%s\n", p.Number, p.Start, p.Length, codes(p.Findings))
	}
	return b.String()
}

func codes(findings []tutela.Finding) (s string) {
	for _, f := range findings {
		s += " " + f.Code
	}
	return s
}

func expect(t *testing.T, table *Table, want ...string) {
	t.Helper()
	if got := outline(table); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("got\n%swant\n%s\nfindings %v", got, strings.Join(want, "\n"), table.Findings)
	}
}

func unpack(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func realMBR(t testing.TB) disk {
	d := newDisk(20972032)
	copy(d.bytes, unpack(t, "mbr_fat16.dd.head.gz"))
	return d
}

func realGPT(t testing.TB) disk {
	d := newDisk(20020736)
	copy(d.bytes, unpack(t, "gpt_apfs.dd.head.gz"))
	tail := unpack(t, "gpt_apfs.dd.tail.gz")
	copy(d.bytes[len(d.bytes)-len(tail):], tail)
	return d
}

func TestRealMBR(t *testing.T) {
	table := read(t, realMBR(t))
	expect(t, table, "mbr 512", "1 @ 65536+17825792")
	if got := table.Partitions[0].Type; got != "0E FAT16 LBA" {
		t.Errorf("type %q", got)
	}
	if want := []tutela.Run{{Offset: 0, Length: 65536}, {Offset: 17891328, Length: 3080704}}; !reflect.DeepEqual(table.Gaps, want) {
		t.Errorf("gaps %v, want %v", table.Gaps, want)
	}
}

func TestRealGPT(t *testing.T) {
	d := realGPT(t)
	table := read(t, d)
	expect(t, table, "gpt 512", "1 @ 20480+19980288")
	p := table.Partitions[0]
	if p.Type != "7C3457EF-0000-11AA-AA11-00306543ECAC Apple APFS" || p.Name != "disk image" {
		t.Errorf("type %q name %q", p.Type, p.Name)
	}
	clear(d.bytes[512:1024])
	expect(t, read(t, d), "gpt 512 backup-table", "1 @ 20480+19980288")
}

func TestNoTable(t *testing.T) {
	text := disk{bytes: bytes.Repeat([]byte("no table here"), 1000)}
	ntfs, exfat, fat, empty := newDisk(1<<20), newDisk(1<<20), newDisk(1<<20), newDisk(1<<20)
	copy(ntfs.bytes, "\xEB\x52\x90NTFS    ")
	copy(exfat.bytes, "\xEB\x76\x90EXFAT   ")
	copy(fat.bytes, "\xEB\x3C\x90MSDOS5.0\x00\x02\x04\x01\x00\x02\x00\x02\x00\x08\xF8")
	for _, d := range []disk{ntfs, exfat, fat} {
		d.put(0, 0, 0x06, 63, 100) // what code there may look like
	}
	empty.sign(0)
	for name, d := range map[string]disk{
		"nothing": newDisk(0), "short": newDisk(100), "zeros": newDisk(4096), "text": text,
		"ntfs": ntfs, "exfat": exfat, "fat": fat, "no entries": empty,
	} {
		if table := read(t, d); table.Scheme != "" || len(table.Partitions)+len(table.Gaps) != 0 {
			t.Errorf("%s: %+v", name, table)
		}
	}
	code := newDisk(1 << 20)
	code.put(0, 0, 0x07, 63, 100)
	code.bytes[446+16] = 0x42 // no status
	if table := read(t, code); table.Scheme != "" {
		t.Errorf("code taken for an mbr: %+v", table)
	}
}

func TestMBRWithBootCodeLikeFAT(t *testing.T) {
	d := newDisk(1 << 20)
	copy(d.bytes, "\xEB\x63\x90") // the jump of GRUB over an empty parameter block
	d.put(0, 0, 0x83, 8, 100)
	expect(t, read(t, d), "mbr 512", "1 @ 4096+51200")
}

func TestMBRSlotsAndLogicals(t *testing.T) {
	d := newDisk(1 << 20)
	d.put(0, 0, 0x07, 1, 99)
	d.put(0, 2, 0x0F, 200, 1000) // slot 3; slot 2 is empty
	d.put(0, 3, 0x83, 1200, 48)
	d.put(200*512, 0, 0x83, 10, 50)
	d.put(200*512, 1, 0x05, 300, 100)
	d.put(500*512, 0, 0x0B, 1, 20)
	expect(t, read(t, d), "mbr 512",
		"1 @ 512+50688", "4 @ 614400+24576", "5 @ 107520+25600", "6 @ 256512+10240")
}

func TestMBRExtendedLoop(t *testing.T) {
	d := newDisk(1 << 20)
	d.put(0, 0, 0x05, 200, 1000)
	d.put(200*512, 0, 0x83, 10, 50)
	d.put(200*512, 1, 0x05, 300, 100)
	d.put(500*512, 0, 0x83, 1, 20)
	d.put(500*512, 1, 0x05, 300, 100)
	expect(t, read(t, d), "mbr 512 loop", "5 @ 107520+25600", "6 @ 256512+10240")
}

func TestMBRExtendedBroken(t *testing.T) {
	unsigned, beyond, unread := newDisk(1<<20), newDisk(1<<20), newDisk(1<<20)
	for _, d := range []disk{unsigned, beyond, unread} {
		d.put(0, 0, 0x07, 1, 99)
	}
	unsigned.put(0, 1, 0x05, 200, 1000)
	beyond.put(0, 1, 0x05, 5000, 1000)
	unread.put(0, 1, 0x05, 200, 1000)
	unread.bad = tutela.Run{Offset: 200 * 512, Length: 512}
	expect(t, read(t, unsigned), "mbr 512 damaged", "1 @ 512+50688")
	expect(t, read(t, beyond), "mbr 512 truncated", "1 @ 512+50688")
	expect(t, read(t, unread), "mbr 512 read-error", "1 @ 512+50688")
}

func TestMBRExtendedWithoutEnd(t *testing.T) {
	d := newDisk(1 << 20)
	d.put(0, 0, 0x05, 1, 2000)
	for i := range 1000 {
		d.put((1+i)*512, 0, 0x83, 1, 1)
		d.put((1+i)*512, 1, 0x05, uint32(i+1), 1)
	}
	table := read(t, d)
	if len(table.Partitions) != maxLogical || codes(table.Findings) != " limit" {
		t.Errorf("%d partitions,%s", len(table.Partitions), codes(table.Findings))
	}
}

func TestMBROverlapAndTruncated(t *testing.T) {
	d := newDisk(1 << 20) // 2048 sectors
	d.put(0, 0, 0x07, 100, 1000)
	d.put(0, 1, 0x83, 600, 100)
	d.put(0, 2, 0x83, 2000, 100)
	d.put(0, 3, 0x83, 0xFFFFFFFF, 0xFFFFFFFF)
	expect(t, read(t, d), "mbr 512",
		"1 @ 51200+512000", "2 @ 307200+51200 damaged", "3 @ 1024000+24576 truncated", "4 @ 1048576+0 truncated")
}

func TestMBRWithSectorsOf4096(t *testing.T) {
	d := newDisk(4 << 20)
	d.put(0, 0, 0x07, 256, 256)
	d.put(0, 1, 0x05, 600, 400)
	d.sign(256 * 4096)
	d.put(600*4096, 0, 0x83, 8, 100)
	expect(t, read(t, d), "mbr 4096", "1 @ 1048576+1048576", "5 @ 2490368+409600")
}

func TestGPT(t *testing.T) {
	for _, sectorSize := range []int64{512, 4096} {
		d := newGPT(400, sectorSize, gptPart{1, 40, 79, "first"}, gptPart{3, 100, 199, "dritte Ä"})
		table := read(t, d)
		expect(t, table, fmt.Sprintf("gpt %d", sectorSize),
			fmt.Sprintf("1 @ %d+%d", 40*sectorSize, 40*sectorSize), fmt.Sprintf("3 @ %d+%d", 100*sectorSize, 100*sectorSize))
		if p := table.Partitions[1]; p.Name != "dritte Ä" || !strings.HasSuffix(p.Type, " Linux") {
			t.Errorf("name %q type %q", p.Name, p.Type)
		}
	}
}

func TestGPTBackupIsUsed(t *testing.T) {
	parts := gptPart{1, 40, 79, "x"}
	const listed = "1 @ 20480+20480"
	for name, c := range map[string]struct {
		spoil func(d *disk)
		want  string
	}{
		"header checksum":  {func(d *disk) { d.bytes[512+56]++ }, "checksum of its header"},
		"entries checksum": {func(d *disk) { d.bytes[1024+32]++ }, "checksum of its entries"},
		"wiped":            {func(d *disk) { clear(d.bytes[512:17408]) }, "no primary table"},
		"not readable":     {func(d *disk) { d.bad = tutela.Run{Offset: 512, Length: 512} }, "no primary table"},
		"entries unread":   {func(d *disk) { d.bad = tutela.Run{Offset: 2048, Length: 512} }, "cannot be read"},
		"another's place":  {func(d *disk) { d.bytes[512+24] = 9; seal(d.bytes[512:604]) }, "says it is in sector 9"},
		"huge header":      {func(d *disk) { d.bytes[512+13] = 0xFF }, "claims 65"},
		"huge entries":     {func(d *disk) { d.bytes[512+83] = 0xFF; seal(d.bytes[512:604]) }, "claims 4278190208 entries"},
	} {
		d := newGPT(400, 512, parts)
		c.spoil(&d)
		table := read(t, d)
		expect(t, table, "gpt 512 backup-table", listed)
		if !strings.Contains(table.Findings[0].Detail, c.want) {
			t.Errorf("%s: %q does not say %q", name, table.Findings[0].Detail, c.want)
		}
	}
}

func TestGPTWithoutMBR(t *testing.T) {
	d := newGPT(400, 512, gptPart{1, 40, 79, "x"})
	clear(d.bytes[:512])
	expect(t, read(t, d), "gpt 512 damaged", "1 @ 20480+20480")
	clear(d.bytes[:1024])
	expect(t, read(t, d), "gpt 512 backup-table damaged", "1 @ 20480+20480")
	d = newGPT(400, 512, gptPart{1, 40, 79, "x"})
	d.bad = tutela.Run{Offset: 0, Length: 512}
	expect(t, read(t, d), "gpt 512 read-error", "1 @ 20480+20480")
}

func TestGPTBothCopiesBad(t *testing.T) {
	d := newGPT(400, 512, gptPart{1, 40, 79, "x"})
	d.bytes[512+17]++
	d.bytes[399*512+17]++
	expect(t, read(t, d), "gpt 512 damaged", "1 @ 20480+20480")

	d.bytes[399*512] = 'e' // the backup is gone, the primary half trusted
	expect(t, read(t, d), "gpt 512 damaged", "1 @ 20480+20480")

	d.bytes[512] = 'e' // nothing is left but the protective entry
	expect(t, read(t, d), "mbr 512 damaged", "1 @ 512+204288")
}

func TestGPTSpareCopy(t *testing.T) {
	d := newGPT(400, 512, gptPart{1, 40, 79, "x"}, gptPart{2, 300, 350, "y"})
	d.bytes[399*512+17]++
	expect(t, read(t, d), "gpt 512 damaged", "1 @ 20480+20480", "2 @ 153600+26112")
	d.bytes = d.bytes[:320*512]
	expect(t, read(t, d), "gpt 512 truncated", "1 @ 20480+20480", "2 @ 153600+10240 truncated")
}

func TestGPTOnAGrownDisk(t *testing.T) {
	d := newGPT(400, 512, gptPart{1, 40, 79, "x"})
	d.bytes = append(d.bytes, make([]byte, 100*512)...)
	expect(t, read(t, d), "gpt 512", "1 @ 20480+20480") // the backup is found where the primary says
}

func TestGPTHostileEntries(t *testing.T) {
	const most = 1<<64 - 1
	d := newGPT(400, 512, gptPart{1, 0, most, ""}, gptPart{2, most, most, ""}, gptPart{3, 90, 80, ""}, gptPart{4, most - 1, 0, ""})
	expect(t, read(t, d), "gpt 512", "1 @ 0+204800 truncated", "2 @ 204800+0 truncated", "3 @ 46080+0 damaged", "4 @ 204800+0 damaged truncated")
}

func TestUnannouncedGPTIsMentioned(t *testing.T) {
	d := newGPT(400, 512, gptPart{1, 40, 79, "x"})
	d.put(0, 0, 0x83, 100, 100)
	expect(t, read(t, d), "mbr 512 damaged", "1 @ 51200+51200")
}

func TestUnreadableDisk(t *testing.T) {
	d := newDisk(4096)
	d.bad = tutela.Run{Offset: 0, Length: 4096}
	if _, err := Read(d); err == nil || !strings.Contains(err.Error(), "the head crashed") {
		t.Errorf("error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	mbr := realMBR(f)
	f.Add(mbr.bytes[:512])
	chain := newDisk(2 << 10)
	chain.put(0, 0, 0x05, 1, 100)
	chain.put(512, 0, 0x83, 1, 1)
	chain.put(512, 1, 0x05, 1, 1)
	chain.put(1024, 0, 0x83, 1, 1)
	chain.put(1024, 1, 0x05, 0, 1)
	f.Add(chain.bytes)
	f.Add(smallGPT(512).bytes)
	f.Add(smallGPT(4096).bytes)
	f.Add(newAPM(6, 512, applePart{"Apple_HFS", 3, 2}).bytes)
	f.Add(newAPM(4, 2048, applePart{"Apple_HFS", 3, 1}).bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = repair(bytes.Clone(b))
		d := disk{bytes: b}
		table, err := Read(d)
		if err != nil {
			t.Fatal(err) // every byte can be read
		}
		checkCover(t, table, d.Size())
		again, _ := Read(d)
		if !reflect.DeepEqual(table, again) {
			t.Error("two readings differ")
		}
	})
}

// smallGPT has four entries, so that a fuzzer can get around in it.
func smallGPT(sectorSize int64) disk {
	d := newDisk(int(6 * sectorSize))
	d.put(0, 0, 0xEE, 1, 5)
	array := make([]byte, 4*128)
	copy(array, linux)
	array[32], array[40] = 3, 3
	d.putGPT(sectorSize, 1, 5, 2, array)
	d.putGPT(sectorSize, 5, 1, 4, array)
	return d
}

// repair makes the checksum of a primary header right, so that the fuzzer gets past it.
func repair(b []byte) []byte {
	if len(b) >= 1024 && string(b[512:520]) == "EFI PART" && binary.LittleEndian.Uint32(b[524:]) == 92 {
		seal(b[512:604])
	}
	return b
}
