package verify_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/verify"
)

var update = flag.Bool("update", false, "write the vectors of testdata anew")

// vector is a bundle that every verifier must judge alike, and why.
type vector struct {
	name, why string
	holds     bool
	files     map[string][]byte
	patch     *patch // of good.tar, instead of files
}

// patch replaces bytes of a file from a place on; behind its end it adds.
type patch struct {
	at   int
	with []byte
}

func (p *patch) apply(b []byte) []byte {
	out := append(bytes.Clone(b), make([]byte, max(0, p.at+len(p.with)-len(b)))...)
	copy(out[p.at:], p.with)
	return out
}

// listed is the good bundle with files changed, and list and signature made anew.
func listed(change func(files map[string][]byte)) map[string][]byte {
	d := newDrawing()
	files := d.draw()
	change(files)
	return d.seal(files)
}

// drawn is a bundle whose drawing was changed.
func drawn(change func(d *drawing)) map[string][]byte {
	d := newDrawing()
	change(d)
	return d.draw()
}

// logged is a bundle whose log says otherwise.
func logged(edit string) map[string][]byte {
	return drawn(func(d *drawing) { d.edit = edits[edit] })
}

func replace(path, old, new string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		changed := bytes.Replace(files[path], []byte(old), []byte(new), 1)
		if bytes.Equal(changed, files[path]) {
			panic("nothing to replace in " + path)
		}
		files[path] = changed
	}
}

func flip(path string, at int) func(map[string][]byte) {
	return func(files map[string][]byte) {
		files[path] = bytes.Clone(files[path])
		files[path][at] ^= 1
	}
}

// lines keeps some lines of a file.
func lines(path string, keep ...int) func(map[string][]byte) {
	return func(files map[string][]byte) {
		all := bytes.SplitAfter(files[path], []byte("\n"))
		var kept []byte
		for _, i := range keep {
			kept = append(kept, all[i]...)
		}
		files[path] = kept
	}
}

// drawVectors are all of them but the good one.
func drawVectors() []vector {
	good := newDrawing().draw()
	unsigned := maps.Clone(good)
	unsigned["README.txt"] = []byte("read them\n")
	list := string(good["BUNDLE"])
	hash, _, _ := strings.Cut(strings.SplitAfter(list, "\n")[7], " ")
	capitals := signList(maps.Clone(good), strings.Replace(list, hash, strings.ToUpper(hash), 1))
	other := noteKey{"erika-mustermann", 1, 10}
	stranger := maps.Clone(good)
	stranger["BUNDLE.sig"] = []byte(other.line(good["BUNDLE"], "", 0, nil))
	tar := drawnTar(good)
	return []vector{
		{name: "one-witness-of-two", holds: true, why: "a quorum of one is enough for the policy", files: listed(lines("checkpoint", 0, 1, 2, 3, 4, 5, 6))},
		{name: "another-time-of-issue", holds: true, why: "nothing but the officer's signature binds `issued`", files: drawn(func(d *drawing) { d.header[3] = "0001-01-01T00:00:00Z" })},
		{name: "changed-file", why: "a file has the hash that BUNDLE names", files: unsigned},
		{name: "capital-digits", why: "hashes are in lower-case digits", files: capitals},
		{name: "signed-by-a-stranger", why: "the key of BUNDLE.sig was enrolled for the officer", files: stranger},
		{name: "turning-mark", why: "values hold no mark that turns the direction of writing", files: drawn(func(d *drawing) { d.header[2] = "tri\u202eal" })},
		{name: "leap-second", why: "`issued` is a time of the calendar without leap seconds", files: drawn(func(d *drawing) { d.header[3] = "2026-12-31T23:59:60Z" })},
		{name: "unknown-file", why: "a path that the format does not name", files: listed(func(f map[string][]byte) { f["notes.txt"] = []byte("x") })},
		{name: "leading-zero", why: "numbers have no leading zeros", files: listed(func(f map[string][]byte) { f["time/014-1.tsr"] = []byte("stamp") })},
		{name: "flipped-leaf", why: "opened leaves stand under the root that the log names", files: listed(flip("trees/6-records/1.open", 40))},
		{name: "flipped-content", why: "content has the SHA-256 of its record", files: listed(flip("content/6-records/1", 3))},
		{name: "flipped-second-proof", why: "the second root is checked too", files: listed(flip("trees/6-records/proof-sha512", 70))},
		{name: "hash-too-many", why: "no hash of a proof is left over", files: listed(func(f map[string][]byte) {
			f["events/proof"] = append(bytes.Clone(f["events/proof"]), make([]byte, 32)...)
		})},
		{name: "missing-event", why: "events stand in the log, and chains have no gap", files: listed(func(f map[string][]byte) { delete(f, "events/9.entry") })},
		{name: "missing-log-signature", why: "all keys of the log sign its head", files: listed(lines("checkpoint", 0, 1, 2, 3, 4, 6, 7))},
		{name: "no-witness", why: "a quorum of witnesses signs the head", files: listed(lines("checkpoint", 0, 1, 2, 3, 4, 5))},
		{name: "signature-twice", why: "no key signs twice", files: listed(lines("checkpoint", 0, 1, 2, 3, 4, 5, 6, 7, 6))},
		{name: "stray-bits-of-base64", why: "base64 is in its one form", files: listed(func(f map[string][]byte) { f["checkpoint"] = strayBits(f["checkpoint"]) })},
		{name: "misspelt-policy", why: "a policy has known words only", files: listed(replace("policy", "quorum ", "qourum "))},
		{name: "policy-with-two-spaces", why: "the policy is in its one form", files: listed(replace("policy", "quorum ", "quorum  "))},
		{name: "rewritten-log", why: "earlier heads are beginnings of this log", files: listed(flip("prev/12.proof", 5))},
		{name: "stamp-without-head", why: "each time-stamp has its head", files: listed(func(f map[string][]byte) { f["time/13-1.tsr"] = []byte("stamp") })},
		{name: "gap-in-the-chain", why: "each event names the one before about its exhibit", files: logged("a gap in the chain")},
		{name: "never-seized", why: "a chain begins with a seizure", files: logged("never seized")},
		{name: "disclosed-to-somebody-else", why: "the log says to whom", files: logged("to somebody else")},
		{name: "one-opened-more", why: "the log says how many leaves were opened", files: logged("one opened more")},
		{name: "signed-then-changed", why: "the signature of an event covers it", files: logged("signed, then changed")},
		{name: "key-withdrawn", why: "a key that was withdrawn signs no more", files: logged("withdrawn")},
		{name: "rotation-of-other-keys", why: "earlier heads are signed by the keys that the log had then", files: logged("rotation of other keys")},
		{name: "long-integer", why: "integers are in their shortest form", files: drawn(func(d *drawing) {
			d.bodies = func(i int, body []byte) []byte {
				if i == 9 {
					return bytes.Replace(body, []byte("E\x02\x09match-run"), []byte("E\x02\x89\x00match-run"), 1)
				}
				return body
			}
		})},
		{name: "fact-of-another-kind", why: "a seal has no matches", files: drawn(func(d *drawing) {
			d.edit = func(e map[int]*tutela.Event) { e[9].Kind = tutela.EventSeal }
		})},
		{name: "tar-with-another-mode", why: "a tar has one form", patch: &patch{100, []byte("0000755\x00")}},
		{name: "tar-with-bytes-behind", why: "nothing stands behind the end of a tar", patch: &patch{len(tar), make([]byte, 512)}},
		{name: "tar-with-bytes-between", why: "files are padded with zeroes", patch: &patch{bytes.Index(tar[512:], []byte("\n\x00\x00"))/512*512 + 512 + 511, []byte{1}}},
	}
}

// strayBits sets bits of the last base64 character that decode to nothing.
func strayBits(note []byte) []byte {
	out := bytes.Clone(note)
	i := bytes.LastIndexByte(out, '=') - 1
	for out[i] == '=' {
		i--
	}
	out[i]++
	return out
}

// vectorFiles are the files of testdata: the good bundle twice, of each vector
// what differs from it, and the table.
func vectorFiles(vectors []vector) map[string][]byte {
	good := newDrawing().draw()
	out := map[string][]byte{"good.tar": drawnTar(good)}
	for path, data := range good {
		out["good/"+path] = data
	}
	var table strings.Builder
	fmt.Fprintf(&table, "holds\tgood\t\ta folder\nholds\tgood.tar\t\tthe same as a tar\n")
	for _, v := range vectors {
		verdict, how := "refused", []string{}
		if v.holds {
			verdict = "holds"
		}
		if v.patch != nil {
			how = append(how, fmt.Sprintf("patch %d %x", v.patch.at, v.patch.with))
		}
		for _, path := range slices.Sorted(maps.Keys(good)) {
			if _, ok := v.files[path]; !ok && v.patch == nil {
				how = append(how, "without "+path)
			}
		}
		for path, data := range v.files {
			if before, ok := good[path]; !ok || !bytes.Equal(before, data) {
				out["changed/"+v.name+"/"+path] = data
			}
		}
		fmt.Fprintf(&table, "%s\t%s\t%s\t%s\n", verdict, v.name, strings.Join(how, ", "), v.why)
	}
	out["vectors.txt"] = []byte(table.String())
	return out
}

// TestVectors: what lies in testdata is what is drawn here, and both verifiers
// judge it as its table says.
func TestVectors(t *testing.T) {
	vectors := drawVectors()
	want := vectorFiles(vectors)
	if *update {
		writeVectors(t, want)
	}
	got := readVectors(t)
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if !bytes.Equal(got[path], want[path]) {
			t.Errorf("testdata/%s is not what is drawn: go test ./verify -run TestVectors -update", path)
		}
		delete(got, path)
	}
	for path := range got {
		if path != "README.md" {
			t.Errorf("testdata/%s is no vector's", path)
		}
	}
}

func writeVectors(t *testing.T, files map[string][]byte) {
	for _, old := range []string{"good", "changed"} {
		if err := os.RemoveAll(filepath.Join("testdata", old)); err != nil {
			t.Fatal(err)
		}
	}
	for path, data := range files {
		at := filepath.Join("testdata", filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readVectors(t *testing.T) map[string][]byte {
	files, total := map[string][]byte{}, 0
	err := fs.WalkDir(os.DirFS("testdata"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "fuzz/") {
			return err
		}
		files[path], err = os.ReadFile(filepath.Join("testdata", path))
		total += len(files[path])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > 400_000 {
		t.Errorf("the vectors have %d bytes", total)
	}
	return files
}

// TestTableOfVectors reads testdata as a stranger would: by its README alone.
func TestTableOfVectors(t *testing.T) {
	files, panel := readVectors(t), judges(t)
	good := map[string][]byte{}
	for path, data := range files {
		if rest, ok := strings.CutPrefix(path, "good/"); ok {
			good[rest] = data
		}
	}
	for line := range strings.Lines(string(files["vectors.txt"])) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		m := mutant{name: field[1], files: maps.Clone(good), bound: field[0] == "refused"}
		if field[1] == "good.tar" {
			m.tar = files["good.tar"]
		}
		for path, data := range files {
			if rest, ok := strings.CutPrefix(path, "changed/"+field[1]+"/"); ok {
				m.files[rest] = data
			}
		}
		for how := range strings.SplitSeq(field[2], ", ") {
			word := strings.Fields(how)
			switch {
			case len(word) == 2 && word[0] == "without":
				delete(m.files, word[1])
			case len(word) == 3 && word[0] == "patch":
				m.tar = patchOf(t, word).apply(files["good.tar"])
			}
		}
		if held(t, panel, m) != (field[0] == "holds") {
			t.Errorf("%s: not as the table says: %s", field[1], field[3])
		}
	}
	for _, path := range []string{"testdata/good", "testdata/good.tar"} {
		if v, err := verify.Path(path, verify.Options{}); err != nil || !v.OK {
			t.Errorf("%s: %+v, %v", path, v, err)
		}
	}
}

func patchOf(t *testing.T, word []string) *patch {
	p := new(patch)
	if _, err := fmt.Sscan(word[1], &p.at); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.with, err = hex.DecodeString(word[2]); err != nil {
		t.Fatal(err)
	}
	return p
}
