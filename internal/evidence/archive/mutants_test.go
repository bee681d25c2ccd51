package archive_test

import (
	"archive/zip"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// Damaged archives of every format keep what all readers promise.
func TestMutants(t *testing.T) {
	text := file{"a/text.txt", strings.Repeat("some text ", 40)}
	small := file{"b", "small"}
	keys := evidence.Keys{Passphrases: []string{"secret"}}
	for _, tc := range []struct {
		name    string
		content []byte
		mend    func([]byte) []byte
		keys    evidence.Keys
		hot     []tutela.Run
	}{
		{name: "7z", content: readTestdata(t, "7z/plainhead.7z"), mend: mendSeven, hot: []tutela.Run{{Offset: 0, Length: 40}, {Offset: 2100, Length: 2000}}},
		{name: "7z packed header", content: readTestdata(t, "7z/bcj2.7z")},
		{name: "7z ppmd", content: readTestdata(t, "7z/ppmd.7z"), mend: mendSeven},
		{name: "rar4", content: rar4File(0, 0, text, small), mend: mendRAR},
		{name: "rar4 solid", content: rar4File(8, 0x10, text, small), mend: mendRAR},
		{name: "rar5", content: rar5File(0, 0, 0, text, small), mend: mendRAR},
		{name: "rar5 compressed", content: rar5File(4, 0, 3<<7, text, small), mend: mendRAR},
		{name: "cab", content: readTestdata(t, "cab/mszip.cab"), hot: []tutela.Run{{Length: 200}}},
		{name: "cpio newc", content: readTestdata(t, "cpio/syslog.crc.cpio")},
		{name: "cpio odc", content: readTestdata(t, "cpio/syslog.odc.cpio")},
		{name: "cpio bin", content: readTestdata(t, "cpio/syslog.bin.cpio")},
		{name: "ar", content: readTestdata(t, "ar/long.ar")},
		{name: "Z", content: readTestdata(t, "streams/syslog.Z")},
		{name: "lz4", content: readTestdata(t, "streams/two.lz4")},
		{name: "lz4 legacy", content: readTestdata(t, "streams/legacy.lz4")},
		{name: "lzma", content: readTestdata(t, "streams/syslog.lzma")},
		{name: "ab", content: readTestdata(t, "ab/deflated.ab")},
		{name: "zip aes", content: readTestdata(t, "locked/aes128.zip"), keys: keys},
		{name: "zip pkzip", content: readTestdata(t, "locked/infozip.zip"), keys: keys},
		{name: "zip deflate64", content: readTestdata(t, "deflate64.zip")},
		{name: "zip", content: makeZip(t, zip.Deflate, text, small)},
		{name: "ole", content: compoundFile(oleSamples()...), hot: []tutela.Run{{Length: 600}, {Offset: 5000, Length: 8000}}},
		{name: "doc", content: readTestdata(t, "ole/d.doc")},
		{name: "xls", content: readTestdata(t, "ole/d.xls")},
		{name: "thumbcache", content: thumbcacheFile(text, small, file{"c", "\xff\xd8\xff\xe0 and so on"})},
		{name: "sqlite", content: sqliteFile(t)},
		{name: "sqlite pages", content: sqliteFile(t), hot: sqlitePages},
		{name: "sqlite in sqlite", content: evidencetest.Image(t, "dfvfs/test_data/blob.db"), hot: []tutela.Run{{Length: 4096}}},
		{name: "ios", content: readTestdata(t, "ios/Manifest.db"), hot: []tutela.Run{{Length: 200}, {Offset: 3800, Length: 296}, {Offset: 20480, Length: 8192}}},
		{name: "mbdb", content: readTestdata(t, "ios/Manifest.mbdb")},
		{name: "plist", content: readTestdata(t, "ios/locked.plist")},
		{name: "plist xml", content: readTestdata(t, "ios/lockedxml.plist")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			evidencetest.Mutants(t, openMembers(tc.mend, tc.keys), tc.content, tc.hot...)
		})
	}
}
