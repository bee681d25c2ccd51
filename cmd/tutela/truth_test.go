package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tutela/internal/evidencetest"
)

// TestTruth takes every public test image the whole way, through `tutela scan`
// and `tutela find`, and holds what is found against what is known to be there.
// The table of formats in docs/reference/evidence.md is written from what it
// counts: UPDATE_DOCS=1 does so.
func TestTruth(t *testing.T) {
	lab := truthLab(t)
	results := map[string]*tally{}
	for _, image := range truthImages(t) {
		t.Run(image.name, func(t *testing.T) {
			found := lab.scan(t, image)
			r := results[image.format]
			if r == nil {
				r = &tally{}
				results[image.format] = r
			}
			image.compare(t, found, r)
		})
	}
	if !t.Failed() {
		holdTable(t, results)
	}
}

// truthImage is a test image and what is known of it.
type truthImage struct {
	name   string // below the folder of test images; also the file that is scanned
	volume string
	format string // the row of the table it counts for

	live    []string          // rows that must be there, allocated
	only    bool              // and nothing else of the volume may be
	deleted []string          // rows that another program found deleted
	names   []string          // paths of deleted files of which the name alone is left
	listing string            // what to hold it against, if that is not named like the image
	except  map[string]string // paths that the other program is wrong about, and why
}

// truthImages are the images of which something is known.
func truthImages(t *testing.T) []truthImage {
	ground := evidencetest.GroundTruth(t)
	noFolder := slices.DeleteFunc(slices.Clone(ground), func(row string) bool { return strings.HasPrefix(row, "folder/") })
	const contained = "dfvfs_ext2"
	images := []truthImage{
		{name: "fslib/fat16.dd", format: "fat", live: ground},
		{name: "fslib/fat32.dd", format: "fat", live: ground},
		{name: "fslib/mbr_fat16.dd", volume: "1", format: "fat", live: noFolder},
		{name: "fslib/exfat.dd", format: "exfat", live: ground, except: map[string]string{
			"._image": "its cluster belongs to README.md now, whose bytes icat gives",
		}},
		{name: "fslib/ntfs.dd", format: "ntfs", live: ground},
		{name: "fslib/ext2.dd", format: "ext", live: ground},
		{name: "fslib/ext3.dd", format: "ext", live: ground},
		{name: "fslib/ext4.dd", format: "ext", live: ground},
		{name: "fslib/hfs+.dd", format: "hfs+", live: ground},
		{name: "fslib/gpt_apfs.dd", volume: "1", format: "apfs", live: noFolder},
		{name: "velocidex/test.ntfs.dd", format: "ntfs", only: true},
		{name: "velocidex/test.ntfs.dd.E01", format: "e01", only: true},
		{name: "velocidex/fat12.dd", format: "fat", only: true},
		{name: "velocidex/fat16.dd", format: "fat", only: true},
		{name: "velocidex/hierarchy_32.ext4", format: "ext", only: true},
		{name: "velocidex/hierarchy_64.ext4", format: "ext", only: true},
		{name: "velocidex/tiny.ext4", format: "ext", only: true},
		{name: "dfvfs/test_data/ext2.E01", format: "e01", listing: contained, only: true},
		{name: "dfvfs/test_data/ext2.split.E01", format: "e01", listing: contained, only: true},
		{name: "dfvfs/test_data/ext2.splitraw.000", format: "raw", listing: contained, only: true},
		{name: "dfvfs/test_data/ext2.qcow2", format: "qcow2", listing: contained, only: true},
		{name: "dfvfs/test_data/ext2.vmdk", format: "vmdk", listing: contained, only: true},
		{name: "dfvfs/test_data/ext2.vhd", format: "vhd", listing: contained, only: true},
		{name: "dfvfs/test_data/windows_volume.qcow2", format: "qcow2", listing: "dfvfs_windows_volume"},
		{name: "dfvfs/test_data/hfsplus.raw", format: "hfs+", listing: "dfvfs_hfsplus.raw"},
		{name: "dfvfs/test_data/hfsplus_zlib.dmg", volume: "1", format: "dmg", listing: "dfvfs_ext2"},
		{name: "dfvfs/test_data/apfs.raw", format: "apfs", listing: "dfvfs_apfs.raw"},
		{name: "dfvfs/test_data/iso9660.raw", format: "iso9660", listing: "dfvfs_iso9660.raw", only: true},
		{name: "diskfs/rockridge.iso", format: "iso9660", listing: "diskfs_rockridge.iso", only: true},
		{name: "diskfs/dir_read.sqs", format: "squashfs", listing: "diskfs_dir_read.sqs", only: true},
		{name: "diskfs/file.sqs", format: "squashfs", listing: "diskfs_file.sqs", only: true},
		{name: "xfs/image.xfs", format: "xfs", listing: "xfs_image.xfs", only: true},
	}
	for i := range images {
		images[i].learn(t)
	}
	return images
}

// learn adds what other programs say is there.
func (image *truthImage) learn(t *testing.T) {
	name := cmp.Or(image.listing, strings.ReplaceAll(image.name, "/", "_")) + ".tsv"
	listing, err := os.ReadFile(filepath.Join("testdata", "truth", name))
	if err == nil {
		image.live = strings.Split(strings.TrimSpace(string(listing)), "\n")
		return
	}
	listing, err = os.ReadFile(filepath.Join(evidencetest.Folder(t), "expected", name))
	if err != nil {
		if len(image.live) == 0 {
			t.Fatalf("%s: nothing is known of it: %v", image.name, err)
		}
		return
	}
	for line := range strings.Lines(string(listing)) {
		state, row, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		path, _, _ := strings.Cut(row, "\t")
		switch {
		case image.except[path] != "":
		case state == "D":
			image.deleted = append(image.deleted, row)
		case state == "R": // fls: the name is left, its inode belongs to another file now
			image.names = append(image.names, path)
		case image.only || image.listing != "":
			image.live = append(image.live, row)
		}
	}
}

// location is a line of `tutela find --json`.
type location struct {
	Volume, Path, State, SHA256 string
	Size                        int64
	Findings                    []string
}

func (l *location) row() string {
	return strings.TrimPrefix(l.Path, "/") + "\t" + strconv.FormatInt(l.Size, 10) + "\t" + l.SHA256
}

// tally is what was counted for a format.
type tally struct {
	images, live, deleted, others int
}

func (image *truthImage) compare(t *testing.T, found []location, r *tally) {
	r.images++
	live, deleted, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, l := range found {
		if l.Volume != image.volume {
			continue
		}
		if l.State == "deleted" {
			names[strings.TrimPrefix(l.Path, "/")] = true
		}
		if l.SHA256 == "" {
			continue
		}
		switch l.State {
		case "allocated":
			live[l.row()] = true
		case "deleted", "orphan":
			deleted[l.row()] = true
		}
	}
	for _, row := range image.live {
		if !live[row] {
			t.Errorf("missing: %s", row)
		}
		delete(live, row)
	}
	if image.only {
		for row := range live {
			t.Errorf("not known to be there: %s", row)
		}
	}
	for _, row := range image.deleted {
		if !deleted[row] {
			t.Errorf("deleted, not found: %s", row)
		}
		delete(deleted, row)
	}
	for _, name := range image.names {
		if !names[name] {
			t.Errorf("deleted name, not found: %s", name)
		}
	}
	r.live += len(image.live)
	r.deleted += len(image.deleted)
	r.others += len(deleted)
}

// truthfulLab is a lab in which the test images are exhibits.
type truthfulLab struct {
	dir    string
	folder string
}

func truthLab(t *testing.T) *truthfulLab {
	l := &truthfulLab{dir: filepath.Join(t.TempDir(), "lab"), folder: evidencetest.Folder(t)}
	l.do(t, exitOK, "init", l.dir, "--agency", "Federal Police", "--country", "BE")
	l.do(t, exitOK, "case", "open", "2026-17", "--title", "Known answers")
	l.do(t, exitOK, "authority", "add", "--case", "2026-17", "--kind", "search-warrant", "--reference", "W-1", "--issuer", "Court", "--until", "2999-01-01")
	return l
}

// do runs a command and returns what it printed.
func (l *truthfulLab) do(t *testing.T, code int, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	if args[0] != "init" {
		args = append([]string{"--lab", l.dir}, args...)
	}
	if got := run(t.Context(), args, &out, &errs); got != code && code >= 0 {
		t.Fatalf("tutela %s: exit code %d\n%s%s", strings.Join(args, " "), got, out.String(), errs.String())
	}
	return out.Bytes()
}

func (l *truthfulLab) scan(t *testing.T, image truthImage) (found []location) {
	t.Helper()
	label := strings.Map(func(r rune) rune {
		if r == '/' || r == '+' {
			return '-'
		}
		return r
	}, image.name)
	l.do(t, exitOK, "exhibit", "add", label, "--case", "2026-17")
	l.do(t, -1, "scan", label, filepath.Join(l.folder, image.name))
	lines := bufio.NewScanner(bytes.NewReader(l.do(t, exitOK, "--json", "find", "--exhibit", label, "--limit", "100000")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one location
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		found = append(found, one)
	}
	return found
}

// holdTable holds the table of formats in the reference against what was
// counted.
func holdTable(t *testing.T, tallies map[string]*tally) {
	const page, begin, end = "../../docs/reference/evidence.md", "<!-- truth:begin -->\n", "<!-- truth:end -->\n"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table: %s%s", page, begin, end)
	}
	want := before + begin + truthTable(tallies) + end + after
	if want == string(raw) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s does not say what was counted: write it anew with UPDATE_DOCS=1 go test ./cmd/tutela -run TestTruth", page)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func truthTable(tallies map[string]*tally) string {
	var b strings.Builder
	b.WriteString("| format | images | live files, all right | deleted files that another program finds, all right | deleted files besides |\n|---|---|---|---|---|\n")
	for _, f := range slices.Sorted(maps.Keys(tallies)) {
		c := tallies[f]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", f, c.images, c.live, c.deleted, c.others)
	}
	return b.String()
}
