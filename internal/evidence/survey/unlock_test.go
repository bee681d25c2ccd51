package survey

import (
	"compress/gzip"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

func gunzipped(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onDisk is a disk of one partition, from sector 2048 on.
func onDisk(volume []byte) []byte {
	disk := make([]byte, 1<<20+len(volume))
	disk[510], disk[511], disk[446+4] = 0x55, 0xAA, 0x83
	binary.LittleEndian.PutUint32(disk[446+8:], 2048)
	binary.LittleEndian.PutUint32(disk[446+12:], uint32(len(volume)/512))
	copy(disk[1<<20:], volume)
	return disk
}

// What lies behind encryption is reached through a step of its own, says which key
// opened it, and lies nowhere in the image as it is.
func TestUnlocked(t *testing.T) {
	disk := write(t, "disk.dd", onDisk(gunzipped(t, "../unlock/luks/testdata/fat.luks2.gz")))
	keys := evidence.Keys{Passphrases: []string{"abracadabra", "open sesame"}}
	all := list(t, opened(t, Options{Keys: keys, Unclaimed: true}, disk))
	volume := all[0]
	if len(volume.Findings) != 1 || volume.Findings[0] != (tutela.Finding{Code: tutela.FindingUnlocked, Detail: "luks2: passphrase 2 opened key slot 0"}) {
		t.Errorf("volume: %v", volume.Findings)
	}
	i := slices.IndexFunc(all, func(e evidence.Entry) bool { return string(e.Path) == "/notes.txt" })
	if i < 0 {
		t.Fatalf("%q", outlines(all))
	}
	notes := all[i]
	if got := slurp(t, notes); got != "Two crates, quay 4, Tuesday.\n" || notes.Volume != "1" || len(notes.Runs) > 0 || len(notes.Findings) > 0 {
		t.Errorf("%q: %+v", got, notes)
	}
	if len(notes.Chain) != 4 || notes.Chain[2] != (tutela.Locator{Layer: "luks2", At: "passphrase 2 opened key slot 0"}) {
		t.Errorf("chain %v", notes.Chain)
	}
	for _, e := range all {
		if e.Volume == "1" && len(e.Runs) > 0 {
			t.Errorf("%s lies at %v of the image", e.Path, e.Runs)
		}
	}

	sealed := list(t, opened(t, Options{Unclaimed: true}, disk))
	if want := "1|volume / 1179648 encrypted"; outline(sealed[0]) != want || sealed[1].Volume != "" {
		t.Errorf("%q, want %q and no more of it", outlines(sealed), want)
	}
}

// A volume whose header was wiped is opened by the copy of it.
func TestWipedHeader(t *testing.T) {
	volume := gunzipped(t, "../unlock/luks/testdata/fat.luks2.gz")
	clear(volume[:16<<10])
	disk := write(t, "disk.dd", onDisk(volume))
	all := list(t, opened(t, Options{Keys: evidence.Keys{Passphrases: []string{"open sesame"}}}, disk))
	if want := "1|volume / 1179648 unlocked backup-table"; outline(all[0]) != want || outline(all[1]) != "1|file /notes.txt 29" {
		t.Errorf("%q, want %q first", outlines(all), want)
	}
	sealed := list(t, opened(t, Options{}, disk))
	if want := "1|volume / 1179648 encrypted"; outline(sealed[0]) != want {
		t.Errorf("%q, want %q", outlines(sealed), want)
	}
}

// A volume of noise is called one, a partition and a whole image alike.
func TestNoiseLooksEncrypted(t *testing.T) {
	noise := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for want, b := range map[string][]byte{
		"1|volume / 2097152 unsupported encrypted": onDisk(noise),
		"|volume / 2097152 unsupported encrypted":  noise,
	} {
		e := list(t, opened(t, Options{}, write(t, "disk.dd", b)))[0]
		if outline(e) != want || !strings.HasPrefix(e.Findings[1].Detail, "veracrypt-like: no header, 2097152 bytes, entropy ") {
			t.Errorf("%s: %v", outline(e), e.Findings)
		}
	}
}

func TestCoreStorageIsEncrypted(t *testing.T) {
	b := at(88, "CS\x01\x00")
	b[8], b[168], b[172] = 1, 16, 2
	expect(t, opened(t, fakes(), write(t, "disk.dd", b)), "|volume / 81920 unsupported encrypted")
}
