package volume

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// headOf is a disk of size bytes that begins with a file of testdata.
func headOf(t testing.TB, name string, size int) disk {
	d := newDisk(size)
	copy(d.bytes, unpack(t, name))
	return d
}

type applePart struct {
	kind          string
	start, length uint32
}

// newAPM is a disk of so many blocks with a map of these entries behind its own.
func newAPM(blocks, blockSize int, parts ...applePart) disk {
	d := newDisk(blocks * blockSize)
	copy(d.bytes, "ER")
	binary.BigEndian.PutUint16(d.bytes[2:], uint16(blockSize))
	binary.BigEndian.PutUint32(d.bytes[4:], uint32(blocks))
	all := append([]applePart{{"Apple_partition_map", 1, uint32(len(parts) + 1)}}, parts...)
	for i, p := range all {
		d.putApple((i+1)*blockSize, len(all), p)
	}
	return d
}

func (d disk) putApple(at, count int, p applePart) {
	b := d.bytes[at:]
	copy(b, "PM\x00\x00")
	binary.BigEndian.PutUint32(b[4:], uint32(count))
	binary.BigEndian.PutUint32(b[8:], p.start)
	binary.BigEndian.PutUint32(b[12:], p.length)
	copy(b[48:80], p.kind)
}

func TestRealAPM(t *testing.T) {
	table := read(t, headOf(t, "apm_parted.head.gz", 4194304))
	expect(t, table, "apm 512", "2 @ 32768+1015808", "3 @ 2097152+1048576")
	if p := table.Partitions[1]; p.Type != "Apple_UNIX_SVR2" || p.Name != "Daten" {
		t.Errorf("%+v", p)
	}
	want := []tutela.Run{{Offset: 0, Length: 32768}, {Offset: 1048576, Length: 1048576}, {Offset: 3145728, Length: 1048576}}
	if !reflect.DeepEqual(table.Gaps, want) {
		t.Errorf("gaps %v, want %v", table.Gaps, want)
	}
	expect(t, read(t, headOf(t, "apm_hybrid.head.gz", 1210368)), "apm 512", "2 @ 8192+894976")
}

// A disc with an MBR and a map is read by the MBR, and the map is told.
func TestRealMBRBeforeAPM(t *testing.T) {
	table := read(t, headOf(t, "apm_mbr_xorriso.head.gz", 1474560))
	expect(t, table, "mbr 512 damaged", "1 @ 32768+610304", "2 @ 643072+524288")
	if detail := table.Findings[0].Detail; !strings.Contains(detail, "at 2048 too") || !strings.Contains(detail, "3 Apple_HFS @ 98304+544768") {
		t.Error(detail)
	}
}

func TestAPMBlockSizes(t *testing.T) {
	for _, size := range []int{512, 1024, 2048, 4096} {
		table := read(t, newAPM(40, size, applePart{"Apple_Free", 3, 7}, applePart{"Apple_HFS", 10, 20}))
		if len(table.Partitions) != 1 || len(table.Findings) != 0 || table.SectorSize != int64(size) {
			t.Fatalf("blocks of %d: %+v", size, table)
		}
		if p := table.Partitions[0]; p.Number != 3 || p.Start != int64(10*size) || p.Length != int64(20*size) {
			t.Errorf("blocks of %d: %+v", size, p)
		}
	}
}

func TestAPMDamage(t *testing.T) {
	hfs := applePart{"Apple_HFS", 10, 20}
	for name, c := range map[string]struct {
		harm func(d disk)
		want []string
	}{
		"no driver descriptor":  {func(d disk) { clear(d.bytes[:16]) }, []string{"apm 512 damaged", "2 @ 5120+10240", "3 @ 15360+1024"}},
		"another block size":    {func(d disk) { d.bytes[2] = 8 }, []string{"apm 512 damaged", "2 @ 5120+10240", "3 @ 15360+1024"}},
		"block size is nothing": {func(d disk) { d.bytes[2] = 0; d.bytes[3] = 3 }, []string{"apm 512 damaged", "2 @ 5120+10240", "3 @ 15360+1024"}},
		"an entry is gone":      {func(d disk) { d.bytes[1024] = 0 }, []string{"apm 512 damaged", "3 @ 15360+1024"}},
		"too long":              {func(d disk) { d.bytes[1024+12] = 0xFF }, []string{"apm 512", "2 @ 5120+15360 truncated", "3 @ 15360+1024 damaged"}},
		"count is hostile":      {func(d disk) { d.bytes[512+4] = 0xFF }, []string{"apm 512 limit" + strings.Repeat(" damaged", 15), "2 @ 5120+10240", "3 @ 15360+1024"}},
		"count beyond the end":  {func(d disk) { d.bytes[512+7] = 50 }, []string{"apm 512" + strings.Repeat(" damaged", 16), "2 @ 5120+10240", "3 @ 15360+1024"}},
		"first count is zero":   {func(d disk) { d.bytes[512+7] = 0 }, []string{"apm 512", "2 @ 5120+10240", "3 @ 15360+1024"}},
		"first entry is gone":   {func(d disk) { d.bytes[512] = 0 }, []string{"apm 512 damaged", "2 @ 5120+10240", "3 @ 15360+1024"}},
		"the map is gone":       {func(d disk) { clear(d.bytes[512:2048]) }, []string{" 0"}},
	} {
		d := newAPM(40, 512, hfs, applePart{"Apple_UNIX_SVR2", 30, 2})
		c.harm(d)
		t.Run(name, func(t *testing.T) { expect(t, read(t, d), c.want...) })
	}
}

func TestAPMUnreadable(t *testing.T) {
	d := newAPM(40, 512, applePart{"Apple_HFS", 10, 20}, applePart{"Apple_HFS", 30, 2})
	d.bad = tutela.Run{Offset: 0, Length: 512}
	expect(t, read(t, d), "apm 512 damaged read-error", "2 @ 5120+10240", "3 @ 15360+1024")
	d.bad = tutela.Run{Offset: 1024, Length: 512}
	expect(t, read(t, d), "apm 512 read-error", "3 @ 15360+1024")
}

// A map that ends with the source is read as far as it goes.
func TestAPMTruncated(t *testing.T) {
	d := newAPM(40, 512, applePart{"Apple_HFS", 10, 20}, applePart{"Apple_HFS", 30, 2})
	d.bytes = d.bytes[:3*512]
	expect(t, read(t, d), "apm 512 truncated", "2 @ 1536+0 truncated")
}

func TestAPMAndGPT(t *testing.T) {
	gpt := newGPT(100, 2048, gptPart{slot: 1, first: 40, last: 50})
	for i := range 2 { // the map in blocks of 512, in what a GPT of 2048 leaves free
		gpt.putApple((i+1)*512, 2, []applePart{{"Apple_partition_map", 1, 2}, {"Apple_HFS", 160, 40}}[i])
	}
	// Sectors of 2048 are not looked for in a GPT: the protective MBR alone speaks for it.
	expect(t, read(t, gpt), "apm 512 damaged damaged", "2 @ 81920+20480")

	both := newGPT(100, 4096, gptPart{slot: 1, first: 40, last: 50})
	both.putApple(512, 2, applePart{"Apple_partition_map", 1, 2})
	both.putApple(1024, 2, applePart{"Apple_HFS", 160, 40})
	expect(t, read(t, both), "gpt 4096 damaged", "1 @ 163840+45056")
	clear(both.bytes[446:512]) // no protective MBR: the map stands before a GPT that nothing announces
	expect(t, read(t, both), "apm 512 damaged damaged", "2 @ 81920+20480")
}

func TestAppleText(t *testing.T) {
	if got := appleText([]byte("Macintosh \x80\x01\x00HD")); got != "Macintosh \uFFFD\uFFFD" {
		t.Errorf("%q", got)
	}
}

func TestMutantsOfAMap(t *testing.T) {
	d := newAPM(40, 512, applePart{"Apple_Driver43", 5, 5}, applePart{"Apple_HFS", 10, 20}, applePart{"Apple_HFS", 30, 2})
	evidencetest.MutantsOf(t, d.bytes, []tutela.Run{{Offset: 0, Length: 2560}}, func(damaged []byte) {
		table, err := Read(disk{bytes: damaged})
		if err != nil {
			t.Fatal(err)
		}
		checkCover(t, table, int64(len(damaged)))
	})
}
