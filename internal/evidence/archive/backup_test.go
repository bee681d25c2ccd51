package archive_test

import (
	"crypto/sha1"
	"fmt"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// backupFiles are the files of the backup that both manifests of testdata/ios
// list, by domain and path.
var backupFiles = map[[2]string]string{
	{"CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG"}: "\xff\xd8\xff\xe0 picture one",
	{"CameraRollDomain", "Media/DCIM/100APPLE/IMG_0002.PNG"}: "\x89PNG\r\n\x1a\n picture two",
	{"AppDomain-org.example", "Documents/größe.bin"}:         "some bytes",
	{"HomeDomain", "Library/short.txt"}:                      "short",
	{"KeychainDomain", "keychain-backup.plist"}:              "noise",
}

// backupFolder finds the files of the backup where a manifest says they lie.
func backupFolder(path func(id string) string) func(string) *evidence.Entry {
	places := map[string]*evidence.Entry{}
	for name, content := range backupFiles {
		id := fmt.Sprintf("%x", sha1.Sum([]byte(name[0]+"-"+name[1])))
		places[path(id)] = besideEntry([]byte(content))
	}
	return func(name string) *evidence.Entry { return places[name] }
}

// The files of a backup are listed by the names they had, with the content that
// lies beside the manifest, whichever manifest it is.
func TestBackups(t *testing.T) {
	for _, tc := range []struct {
		manifest string
		path     func(string) string
	}{
		{"Manifest.db", func(id string) string { return id[:2] + "/" + id }},
		{"Manifest.mbdb", func(id string) string { return id }},
	} {
		t.Run(tc.manifest, func(t *testing.T) {
			got := expandLines(t, tc.manifest, readTestdata(t, "ios/"+tc.manifest), backupFolder(tc.path))
			evidencetest.GoldenText(t, "ios-"+tc.manifest, got)
			for name, content := range backupFiles {
				line := fmt.Sprintf("!/%s/%s\tfile\t%d\t%s\t2017-07-14T02:40:00Z", name[0], name[1], len(content), digestOf(content))
				if locked := name[0] == "KeychainDomain"; strings.Contains(got, line) == locked {
					t.Errorf("%s: listed as read, or not listed: %v", line, locked)
				}
			}
		})
	}
}

// The files of a backup are bytes of the exhibit, not of the manifest: a small
// manifest of a large backup is no bomb. One that lists a file again and again is.
func TestBackupIsNoBomb(t *testing.T) {
	const rows, size = 400, 1 << 20
	db, file := openSQL(t, "CREATE TABLE Files (fileID TEXT, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB)",
		fmt.Sprintf("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d) INSERT INTO Files SELECT printf('%%040x', i<<96), 'D', i, 1, NULL FROM c", rows))
	run(t, db, "UPDATE Files SET fileID=printf('%08x%032x', rowid, 0)")
	big := besideEntry(make([]byte, size))
	list := func() string {
		return expandLines(t, "Manifest.db", readFile(t, file), func(name string) *evidence.Entry {
			if strings.Contains(name, "/") {
				return big
			}
			return nil
		})
	}
	zeros := digestOf(string(make([]byte, size)))
	if got := list(); strings.Count(got, zeros) != rows || strings.Contains(got, "bomb") {
		t.Errorf("%d of %d files:\n%.2000s", strings.Count(got, zeros), rows, got)
	}
	run(t, db, "UPDATE Files SET fileID=printf('%040x', 7)")
	if got := list(); !strings.Contains(got, "bomb: ") {
		t.Errorf("a file that is listed %d times is no bomb", rows)
	}
}

// A program that decrypts a backup leaves the key in the manifest.
func TestDecryptedBackup(t *testing.T) {
	const id = "51a4616e576dd33cd2abadfea874eb8ff246bf0e"
	got := expandLines(t, "Manifest.mbdb", readTestdata(t, "ios/Manifest.mbdb"), func(name string) *evidence.Entry {
		if name == id {
			return besideEntry([]byte(jpeg))
		}
		return nil
	})
	if !strings.Contains(got, "keychain-backup.plist\tfile\t"+fmt.Sprintf("%d\t%s", len(jpeg), digestOf(jpeg))) {
		t.Error(got)
	}
}
