package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

// sevenWith is a 7z file with a header that is written as it is given.
func sevenWith(header string) []byte {
	b := make([]byte, 32, 32+len(header))
	copy(b, "7z\xbc\xaf\x27\x1c\x00\x04")
	binary.LittleEndian.PutUint64(b[20:], uint64(len(header)))
	return mendSeven(append(b, header...))
}

// What a header claims is never allocated.
func TestSevenZipClaimsAreNotBelieved(t *testing.T) {
	const huge = "\xff\xff\xff\xff\xff\xff\xff\xff\x00" // 2^56-1
	oneFolder := func(coder string, size string) string {
		return "\x01\x04\x06\x00\x01\x09\xf0\x00\x00\x00\x40\x00\x07\x0b\x01\x00\x01" + coder + "\x0c" + size + "\x00\x00\x05\x01\x11\x05\x00f\x00\x00\x00\x00\x00"
	}
	gigabytes := "\xf0\x00\x00\x00\x40" // 2^30
	for name, tc := range map[string]struct{ header, want string }{
		"files":        {"\x01\x05" + huge + "\x00\x00", tutela.FindingLimit},
		"streams":      {"\x01\x04\x06\x00" + huge + "\x09\x00", tutela.FindingDamaged},
		"folders":      {"\x01\x04\x07\x0b" + huge + "\x00", tutela.FindingDamaged},
		"coders":       {"\x01\x04\x07\x0b\x01\x00" + huge, tutela.FindingDamaged},
		"properties":   {"\x01\x04\x07\x0b\x01\x00\x01\x23\x03\x01\x01" + huge, tutela.FindingDamaged},
		"substreams":   {"\x01\x04\x07\x0b\x01\x00\x01\x01\x00\x0c\x01\x00\x08\x0d" + huge, tutela.FindingDamaged},
		"name bytes":   {"\x01\x05\x01\x11" + huge, tutela.FindingDamaged},
		"dictionary":   {oneFolder("\x23\x03\x01\x01\x05\x5d\x00\x00\x00\x7f", gigabytes), tutela.FindingLimit},
		"dictionary 2": {oneFolder("\x21\x21\x01\x26", gigabytes), tutela.FindingLimit},
		"ppmd memory":  {oneFolder("\x23\x03\x04\x01\x05\x06\x00\x00\x00\x7f", "\x05"), tutela.FindingLimit},
		"method":       {oneFolder("\x04\x04\xf7\x11\x01", "\x05"), tutela.FindingUnsupported},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := expand(t, sevenWith(tc.header), evidence.Limits{})
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
			t.Errorf("%s: allocated %d bytes", name, allocated)
		}
		if got.findings[tc.want] == 0 {
			t.Errorf("%s: %q, findings %v", name, got.paths, got.findings)
		}
	}
}

// An archive that was not finished has no header, and bytes.
func TestSevenZipWithoutHeader(t *testing.T) {
	b := sevenWith("")
	if got := expand(t, b, evidence.Limits{}); len(got.paths) != 0 {
		t.Errorf("empty: %q, findings %v", got.paths, got.findings)
	}
	if got := expand(t, append(b, "some packed bytes"...), evidence.Limits{}); got.findings[tutela.FindingDamaged] != 1 {
		t.Errorf("unfinished: %q, findings %v", got.paths, got.findings)
	}
}

// The members of a folder are decoded in one pass, though each is opened by
// itself; a second look at one of them costs another.
func TestSolidIsDecodedOnce(t *testing.T) {
	for _, name := range []string{"7z/l.solid.7z", "cab/blocks.cab"} {
		content := countingReaderAt{bytes.NewReader(readTestdata(t, name)), new(int64)}
		size := content.r.Size()
		x := archive.New(archive.Options{Spool: &memorySpool{}})
		err := x.Expand(context.Background(), rootEntry("r"), content, size, func(e *evidence.Entry) error {
			if _, code := readAll(t, e); code != "" {
				t.Errorf("%s: %s", e.Path, code)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if *content.n > 2*size+4096 {
			t.Errorf("%s: %d bytes read of %d", name, *content.n, size)
		}
		err = x.Expand(context.Background(), rootEntry("r"), content, size, func(e *evidence.Entry) error {
			first, second := digest(e), digest(e)
			if first != second || strings.Contains(first, " ") {
				t.Errorf("%s: %s, then %s", e.Path, first, second)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
