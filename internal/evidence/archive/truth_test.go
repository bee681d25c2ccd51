package archive_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

// The containers of the ground truth all hold the same document, which lies
// beside them.
func TestGroundTruth(t *testing.T) {
	root := filepath.Join(evidencetest.Folder(t), "fslib", "ground_truth")
	document, err := os.ReadFile(filepath.Join(root, "document", "Computer forensics - Wikipedia.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	containers, err := filepath.Glob(filepath.Join(root, "container", "*"))
	if err != nil || len(containers) != 4 {
		t.Fatalf("containers: %q, %v", containers, err)
	}
	for _, name := range containers {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		x := archive.New(archive.Options{Spool: &memorySpool{}})
		err = x.Expand(context.Background(), rootEntry(filepath.Base(name)), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
			found = found || strings.HasSuffix(string(e.Path), ".pdf") && digest(e) == digestOf(string(document))
			return nil
		})
		if err != nil || !found {
			t.Errorf("%s: the document is not in it: %v", name, err)
		}
	}
}

// What every archive of the same files must give, whoever packed it how: the
// files of the first are in all the others.
func TestPackersAgree(t *testing.T) {
	want := map[string]string{
		"syslog": "0420b023f8dc1b71ff25191ce4ce88d10028f99f99f7c21532611f4c273aeae9", "calls.bin": "3293e5972db10a85f38d466f2b15e97befb8620292cc19ad0fd91a12eb84678b",
		"noise.bin": "0806a9bbe36798fdbb199e8afb27fe1f5cda9d5642c7a91aef5f147387650038", "names ünïcode.txt": "a9c097600c95e85a0ace757a552cb7c9ab65a96fee48402bd974acd337b6a2e6",
	}
	keys := evidence.Keys{Passphrases: []string{"secret"}}
	for _, name := range []string{
		"7z/l.solid.7z", "7z/bcj2.7z", "7z/ppmd.7z", "7z/lzma2.7z", "7z/copy.7z", "7z/bzip2.7z", "7z/deflate.7z", "7z/deflate64.7z", "deflate64.zip", "7z/delta.7z", "7z/plainhead.7z",
		"locked/locked.7z", "locked/lockedlist.7z", "locked/aes256.zip", "locked/zipcrypto.zip", "cab/mszip.cab", "cpio/links.newc.cpio", "cpio/bigendian.bin.cpio", "ar/t.ar",
	} {
		listing := listWith(t, filepath.Base(name), readTestdata(t, name), evidence.Limits{}, keys)
		for file, sum := range want {
			if !strings.Contains(listing, file+"\tfile\t") || !strings.Contains(listing, "\t"+sum+"\t") {
				t.Errorf("%s: %s is not in it as it was", name, file)
			}
		}
	}
}
