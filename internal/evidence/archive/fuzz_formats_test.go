package archive_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// fuzzDamage lets the fuzzer write bytes into good archives: which one, and
// pairs of place and value.
func fuzzDamage(f *testing.F, mend func([]byte) []byte, keys evidence.Keys, good ...[]byte) {
	for i := range good {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte{0, 40, 0xff, 0, 60, 1})
	}
	f.Fuzz(func(t *testing.T, which uint8, damage []byte) {
		b := append([]byte{}, good[int(which)%len(good)]...)
		for ; len(damage) >= 3; damage = damage[3:] {
			b[int(binary.BigEndian.Uint16(damage))%len(b)] = damage[2]
		}
		evidencetest.Hostile(t, openMembers(mend, keys), b)
	})
}

func testdataFiles(f *testing.F, names ...string) (all [][]byte) {
	for _, name := range names {
		all = append(all, readTestdata(f, name))
	}
	return all
}

func FuzzSevenZip(f *testing.F) {
	fuzzDamage(f, mendSeven, evidence.Keys{}, testdataFiles(f, "7z/plainhead.7z", "7z/bcj2.7z", "7z/ppmd.7z", "7z/delta.7z", "7z/bzip2.7z")...)
}

func FuzzRAR(f *testing.F) {
	files := []file{{"a/text.txt", strings.Repeat("some text ", 40)}, {"b", "small"}}
	fuzzDamage(f, mendRAR, evidence.Keys{}, rar4File(0, 0, files...), rar4File(8, 0x10, files...), rar5File(0, 0, 0, files...), rar5File(4, 0, 3<<7, files...))
}

func FuzzUnlock(f *testing.F) {
	keys := evidence.Keys{Passphrases: []string{"no", "secret"}}
	fuzzDamage(f, nil, keys, testdataFiles(f, "locked/aes128.zip", "locked/infozip.zip", "locked/stream.zip", "deflate64.zip")...)
}

func FuzzCabinet(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, testdataFiles(f, "cab/mszip.cab", "cab/stored.cab")...)
}

func FuzzUnixArchives(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, testdataFiles(f, "cpio/syslog.bin.cpio", "cpio/syslog.crc.cpio", "cpio/syslog.odc.cpio", "cpio/links.newc.cpio", "ar/long.ar")...)
}

func FuzzOldStreams(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, testdataFiles(f, "streams/syslog.Z", "streams/two.lz4", "streams/syslog.lzma", "ab/deflated.ab")...)
}

func FuzzCompoundFile(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, append(testdataFiles(f, "ole/d.doc", "ole/d.xls"), compoundFile(oleSamples()...))...)
}

func FuzzThumbcache(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, thumbcacheFile(file{"4f3a", jpeg}, file{"", png}, file{"none", ""}))
}

func FuzzSQLite(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, append(testdataFiles(f, "ios/Manifest.db"), sqliteFile(f))...)
}

func FuzzBackup(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, testdataFiles(f, "ios/Manifest.mbdb", "ios/locked.plist", "ios/lockedxml.plist")...)
}

// FuzzSQLiteLog changes a log and mends its checksums.
func FuzzSQLiteLog(f *testing.F) {
	content, log := sqliteLogFiles(f)
	f.Add([]byte{})
	f.Add([]byte{0, 33, 1, 0, 60, 1})
	f.Fuzz(func(t *testing.T, damage []byte) {
		b := append([]byte{}, log...)
		for ; len(damage) >= 3; damage = damage[3:] {
			b[int(binary.BigEndian.Uint16(damage))%len(b)] = damage[2]
		}
		hostileLog(t, content, b)
	})
}
