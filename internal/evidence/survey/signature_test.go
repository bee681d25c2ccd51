package survey

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"tutela/internal/evidence"
)

// memory is a source in memory.
type memory struct{ *bytes.Reader }

func (m memory) Size() int64 { return m.Reader.Size() }

func sourceOf(b []byte) evidence.Source { return memory{bytes.NewReader(b)} }

func at(offset int, magic string) []byte {
	b := make([]byte, 80<<10)
	copy(b[offset:], magic)
	return b
}

// fat is a boot sector of a volume with the given number of clusters.
func fat(clusters, perFAT uint32) []byte {
	b := at(0, "\xEB\x3C\x90MSDOS5.0\x00\x02\x01\x01\x00\x02\x00\x02\x00\x00\xF8")
	b[510], b[511] = 0x55, 0xAA
	binary.LittleEndian.PutUint16(b[22:], uint16(perFAT))
	binary.LittleEndian.PutUint32(b[32:], 1+2*perFAT+32+clusters)
	return b
}

// ext is a superblock with the given features.
func ext(compatible, incompatible, readOnly uint32) []byte {
	b := at(1024+56, "\x53\xef")
	for offset, v := range map[int]uint32{0: 100, 4: 1000, 24: 2, 32: 32768, 76: 1, 92: compatible, 96: incompatible, 100: readOnly} {
		binary.LittleEndian.PutUint32(b[1024+offset:], v)
	}
	return b
}

func TestRecognise(t *testing.T) {
	for name, contents := range map[string][][]byte{
		"fat12":     {fat(4084, 12)},
		"fat16":     {fat(4085, 16), fat(65524, 256)},
		"fat32":     {fat(65525, 512)},
		"exfat":     {at(3, "EXFAT   ")},
		"ntfs":      {at(3, "NTFS    ")},
		"ext2":      {ext(0, 2, 1)},
		"ext3":      {ext(4, 6, 3)},
		"ext4":      {ext(4, 0x42, 3), ext(4, 2, 0x10)},
		"xfs":       {at(0, "XFSB\x00\x00\x10\x00")},
		"hfs+":      {at(1024, "H+\x00\x04")},
		"hfsx":      {at(1024, "HX\x00\x05")},
		"apfs":      {at(32, "NXSB")},
		"btrfs":     {at(0x10040, "_BHRfS_M")},
		"squashfs":  {at(0, "hsqs")},
		"udf":       {append(at(32769, "BEA01")[:34817], append([]byte("NSR03"), make([]byte, 4096)...)...)},
		"bitlocker": {at(3, "-FVE-FS-")},
		"luks1":     {at(0, "LUKS\xba\xbe\x00\x01")},
		"luks2":     {at(0, "LUKS\xba\xbe\x00\x02")},
		"swap":      {at(4086, "SWAPSPACE2"), at(65526, "SWAPSPACE2")},
		"lvm2":      {at(512, "LABELONE"+strings.Repeat("\x00", 16)+"LVM2 001")},
		"":          {nil, make([]byte, 100), make([]byte, 80<<10), at(1080, "\x53\xef"), at(0, "\xEB\x3C\x90")},
	} {
		for i, content := range contents {
			if got, err := recognise(sourceOf(content)); got != name || err != nil {
				t.Errorf("%s %d: %q, %v", name, i, got, err)
			}
		}
	}
}

func TestEncryptedVolumesSaySo(t *testing.T) {
	for name, want := range map[string]string{
		"bitlocker": "|volume / 81920 encrypted damaged",
		"luks2":     "|volume / 81920 encrypted damaged",
		"apfs":      "|volume / 81920 damaged",
	} {
		content := map[string][]byte{"bitlocker": at(3, "-FVE-FS-"), "luks2": at(0, "LUKS\xba\xbe\x00\x02"), "apfs": at(32, "NXSB")}[name]
		entries := expect(t, opened(t, Options{}, write(t, "disk", content)), want)
		if got := entries[0].Findings[0].Detail; !strings.HasPrefix(got, name) {
			t.Errorf("finding %q", got)
		}
	}
}

func FuzzRecognise(f *testing.F) {
	f.Add(fat(4084, 12)[:512])
	f.Add(ext(4, 6, 3)[:2048])
	f.Add([]byte("XFSB\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, err := recognise(sourceOf(b))
		if err != nil {
			t.Fatal(err) // every byte can be read
		}
		if again, _ := recognise(sourceOf(bytes.Clone(b))); again != name {
			t.Errorf("%q and then %q", name, again)
		}
	})
}
