package oracle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"tutela"
)

// scripted is a witness that says what a test has it say.
type scripted struct {
	table    []partition
	tableErr error
	rows     map[int64][]row // by offset of the volume
	fails    map[int64]error // after the rows
	contents map[string]string
}

func (s *scripted) partitions(context.Context, string) ([]partition, error) {
	return s.table, s.tableErr
}

func (s *scripted) list(_ context.Context, _ string, offset int64, visit func(row) error) error {
	for _, r := range s.rows[offset] {
		if err := visit(r); err != nil {
			return err
		}
	}
	return s.fails[offset]
}

func (s *scripted) content(_ context.Context, _ string, _ int64, address string, limit int64) (tutela.SHA256, int64, error) {
	data, known := s.contents[address]
	if !known {
		return tutela.SHA256{}, 0, errors.New("icat: no such inode")
	}
	if int64(len(data)) > limit {
		return tutela.SHA256{}, limit, errors.New("too much")
	}
	return sha256.Sum256([]byte(data)), int64(len(data)), nil
}

// theirs is a row for a file.
func theirs(address, path, content string) row {
	return row{nameType: 'r', metaType: 'r', address: address, path: path, size: int64(len(content))}
}

func deleted(r row) row {
	r.deleted = true
	return r
}

func record(volume, path, content string, state tutela.State) *tutela.Record {
	return &tutela.Record{
		Volume: volume, Path: []byte(path), Kind: tutela.File, State: state, Size: int64(len(content)),
		Hashed: true, Digests: tutela.Digests{SHA256: sha256.Sum256([]byte(content))},
	}
}

func sequence(all ...*tutela.Record) iter.Seq2[*tutela.Record, error] {
	return func(yield func(*tutela.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

var bare = []tutela.SealedVolume{{Filesystem: "ext4"}}

func expect(t *testing.T, got *Result, want ...string) {
	t.Helper()
	if lines := got.Lines(); !slices.Equal(lines, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func mustCompare(t *testing.T, w witness, volumes []tutela.SealedVolume, records ...*tutela.Record) *Result {
	t.Helper()
	got, err := compare(t.Context(), w, "image", volumes, sequence(records...))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func sum(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func TestAgreement(t *testing.T) {
	w := &scripted{
		tableErr: errors.New("mmls: none"),
		rows: map[int64][]row{0: {
			theirs("1", "a.txt", "one"), deleted(theirs("2", "gone.txt", "two")), theirs("3", "odd^name", "three"),
			{nameType: 'd', metaType: 'd', path: "folder"}, {nameType: 'V', metaType: 'V', path: "$OrphanFiles"},
			{nameType: 'l', metaType: 'l', path: "link", address: "4", size: 5},
			{nameType: 'r', metaType: 'r', path: "again", address: "1", size: 3, deleted: true, realloc: true},
			theirs("none", "$OrphanFiles/OrphanFile-16", ""),
		}},
		contents: map[string]string{"1": "one", "2": "two", "3": "three"},
	}
	got := mustCompare(t, w, bare,
		record("", "/a.txt", "one", tutela.Allocated), record("", "/gone.txt", "two", tutela.Deleted),
		record("", "/odd\nname", "three", tutela.Allocated), record("", "/a.txt!/member", "x", tutela.Embedded),
		&tutela.Record{Path: []byte("/link"), Kind: tutela.Symlink, State: tutela.Allocated, Size: 5},
		record("", "/again", "not what icat would give", tutela.Deleted),
		record("", "/$OrphanFiles/OrphanFile-16", "", tutela.Allocated),
		&tutela.Record{Path: []byte("/"), Kind: tutela.Directory, State: tutela.Allocated})
	expect(t, got)
	if got.Records != 6 || got.Rows != 6 || got.Agreed != 6 || got.Contents != 3 || len(got.NotCompared) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestDifferences(t *testing.T) {
	w := &scripted{
		rows: map[int64][]row{0: {
			theirs("1", "bytes", "theirs"), theirs("2", "state", "same"), theirs("3", "new", "new"), theirs("9", "F0000001", "moved"),
			theirs("none", "unread", "x"), theirs("4", "ours-unread", "theirs"), deleted(theirs("5", "over", "theirs")),
		}},
		contents: map[string]string{"1": "theirs", "2": "same", "3": "new", "4": "theirs", "5": "theirs", "9": "moved"},
	}
	lost := &tutela.Record{Path: []byte("/ours-unread"), Kind: tutela.File, State: tutela.Allocated, Size: 6, Failure: "bad sector"}
	over := record("", "/over", "ours", tutela.Deleted)
	over.Findings = []tutela.Finding{{Code: tutela.FindingOverwritten, Detail: "by another"}}
	got := mustCompare(t, w, bare, lost, over, record("", "/bytes", "ours", tutela.Allocated),
		record("", "/state", "same", tutela.Deleted), record("", "/old", "old", tutela.Allocated),
		record("", "/unread", "x", tutela.Allocated), record("", "/long name", "moved", tutela.Allocated))
	expect(t, got,
		"content: /bytes: we read 4 bytes, sha256 "+sum("ours")+"; tsk reads 6 bytes, sha256 "+sum("theirs"),
		"name: /long name: allocated; tsk has the same 5 bytes as /F0000001, allocated",
		"only-theirs: /new: allocated, 3 bytes, at 3",
		"only-ours: /old: allocated, 3 bytes",
		"content: /ours-unread: we did not read all of it: bad sector; tsk reads 6 bytes, sha256 "+sum("theirs"),
		"content: /over: we read 4 bytes, sha256 "+sum("ours")+"; tsk reads 6 bytes, sha256 "+sum("theirs")+"; our record says overwritten: by another",
		"state: /state: deleted for us, allocated for tsk",
		"content: /unread: tsk could not read it: icat: no such inode; we read 1 bytes, sha256 "+sum("x"),
	)
	var listed strings.Builder
	for _, line := range got.Lines() {
		listed.WriteString(line + "\n")
	}
	if got.Digest() != sha256.Sum256([]byte(listed.String())) {
		t.Error("the digest is not that of the lines")
	}
	if got.Count(Content) != 4 || got.Count(OnlyOurs) != 1 || got.Agreed != 0 || got.Contents != 2 {
		t.Errorf("%+v", got)
	}
}

// TestSameName pairs deleted files of one name by their content, however they are
// ordered.
func TestSameName(t *testing.T) {
	w := &scripted{
		rows: map[int64][]row{0: {
			deleted(theirs("1", "_ILE.TXT", "aa")), theirs("2", "_ILE.TXT", "bb"), deleted(theirs("3", "_ILE.TXT", "cc")),
		}},
		contents: map[string]string{"1": "aa", "2": "bb", "3": "cc"},
	}
	got := mustCompare(t, w, bare, record("", "/_ILE.TXT", "cc", tutela.Deleted), record("", "/_ILE.TXT", "bb", tutela.Allocated),
		record("", "/_ILE.TXT", "aa", tutela.Deleted))
	expect(t, got)
}

func TestVolumes(t *testing.T) {
	volumes := []tutela.SealedVolume{
		{Number: "1", Filesystem: "ntfs", Offset: 1 << 20}, {Number: "2", Filesystem: "apfs", Offset: 2 << 20},
		{Number: "3", Filesystem: "ext4", Offset: 3 << 20}, {Number: "4", Filesystem: "fat16", Offset: 4<<20 + 1},
	}
	w := &scripted{
		table:    []partition{{1 << 20, 1 << 20, "NTFS"}, {2 << 20, 1 << 20, "APFS"}, {9 << 20, 1 << 20, "Linux"}},
		rows:     map[int64][]row{1 << 20: {theirs("1", "a", "a")}, 3 << 20: {theirs("1", "a", "a")}},
		fails:    map[int64]error{2 << 20: errors.New("fls: Cannot determine\nfile system type"), 3 << 20: errors.New("fls: broken")},
		contents: map[string]string{"1": "a"},
	}
	got := mustCompare(t, w, volumes, record("1", "/a", "a", tutela.Allocated), record("2", "/b", "b", tutela.Allocated), record("3", "/a", "a", tutela.Allocated))
	expect(t, got,
		"volume: volume 3: our ext4 at byte 3145728 is no partition for tsk",
		"volume: volume 4: our fat16 at byte 4194305 is no partition for tsk",
		"volume: tsk has a partition at byte 9437184 of 1048576 bytes, Linux, that we do not have")
	want := []string{
		"volume 2 (apfs): fls: Cannot determine file system type", "volume 3 (ext4), after 1 names: fls: broken",
		"volume 4 (fat16): it begins inside of a sector, at byte 4194305, and tsk counts in sectors",
	}
	if !slices.Equal(got.NotCompared, want) || got.Records != 2 || got.Agreed != 2 {
		t.Errorf("%+v", got)
	}
	w.tableErr = errors.New("mmls: no table")
	got = mustCompare(t, w, volumes[:1], record("1", "/a", "a", tutela.Allocated))
	if len(got.Differences) != 0 || !slices.Equal(got.NotCompared, []string{"the partition table: mmls: no table"}) {
		t.Errorf("%+v", got)
	}
}

func TestCompareEnds(t *testing.T) {
	broken := errors.New("broken")
	_, err := compare(t.Context(), &scripted{}, "image", bare, func(yield func(*tutela.Record, error) bool) { yield(nil, broken) })
	if !errors.Is(err, broken) {
		t.Errorf("records that cannot be read: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := &scripted{rows: map[int64][]row{0: {theirs("1", "a", "a")}}}
	if _, err := compare(ctx, w, "image", bare, sequence()); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
