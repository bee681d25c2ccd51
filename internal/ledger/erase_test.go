package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela/internal/ledger/check"
)

// plainSecond is the second tree of the first n test bodies, the long way.
func plainSecond(n uint64) plainTree {
	t := plainTree{node: plainNode512}
	for i := range n {
		seed := testSeed.at(i)
		salt := seed.salt()
		sum := sha512.Sum512(slices.Concat([]byte{0}, salt[:], testBody(i)))
		t.leaves = append(t.leaves, sum[:])
	}
	return t
}

func TestSecondRoot(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 255, 256, 700} {
		tree := plainSecond(n)
		want := tree.root(tree.leaves)
		r := openReader(t, growTree(t, n))
		root, err := r.SecondRoot(t.Context())
		if err != nil || !bytes.Equal(root[:], want) {
			t.Fatalf("second root of %d leaves is %x, %v; want %x", n, root, err, want)
		}
		for _, wanted := range [][]uint64{{0}, {n - 1}, {0, n / 2, n - 1}} {
			wanted = slices.Compact(slices.Clone(wanted))
			if n == 2 {
				wanted = []uint64{1}
			}
			proof, root, err := r.ProveMany512(t.Context(), wanted)
			if err != nil || !bytes.Equal(root[:], want) {
				t.Fatalf("%x, %v", root, err)
			}
			tree.want(t, n, wanted, want, asBytes(proof))
		}
	}
}

func TestSecondRootOfNothingAndOfDamage(t *testing.T) {
	empty := openReader(t, growTree(t, 0))
	if root, err := empty.SecondRoot(t.Context()); err != nil || root != sha512.Sum512(nil) {
		t.Errorf("%x, %v", root, err)
	}
	dir := growTree(t, 40)
	flip(t, filepath.Join(dir, recordsName), 900)
	if _, err := openReader(t, dir).SecondRoot(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("of a tree with a changed record: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := openReader(t, growTree(t, 3)).SecondRoot(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// eraseLeaves erases as a lab does.
func eraseLeaves(t *testing.T, d disk, secret Secret, n uint64, indices ...uint64) *Punctured {
	t.Helper()
	if err := noteErasure(t.Context(), d, secret, indices); err != nil {
		t.Fatal(err)
	}
	left, err := Puncture(secret, indices, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := blankErased(t.Context(), d, left); err != nil {
		t.Fatal(err)
	}
	return left
}

// TestEverythingElseIsProvable erases twice and then proves all that is left,
// alone and together, under both roots.
func TestEverythingElseIsProvable(t *testing.T) {
	const n = tileLeaves + 44
	dir := growTree(t, n)
	r := openReader(t, dir)
	root := r.Root()
	second := plainSecond(n)
	want := second.root(second.leaves)
	left := eraseLeaves(t, folder(dir), testSeed, n, 3, 4, 200)
	left = eraseLeaves(t, folder(dir), left, n, 0, 299)
	erased := []uint64{0, 3, 4, 200, 299}

	r, err := ReadTree(dir, left)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantProblems(t, r)
	if !slices.Equal(r.Erased(), erased) || r.Root() != root {
		t.Fatalf("erased %v, root %s", r.Erased(), r.Root())
	}
	var others []uint64
	first := plainTree{node: plainNode256, leaves: make([][]byte, n)}
	for i := range uint64(n) {
		if slices.Contains(erased, i) {
			continue
		}
		o, err := r.Opening(i)
		if err != nil {
			t.Fatal(err)
		}
		leaf := o.Leaf()
		first.leaves[i], others = leaf[:], append(others, i)
		path, err := r.Prove(i)
		if err != nil || check.VerifyInclusion(root, n, i, leaf, path) != nil {
			t.Fatalf("leaf %d is not provable any more: %v", i, err)
		}
	}
	proof, err := r.ProveMany(others)
	if err != nil {
		t.Fatal(err)
	}
	first.want(t, n, others, root[:], asBytes(proof))
	proof512, root512, err := r.ProveMany512(t.Context(), others)
	if err != nil || !bytes.Equal(root512[:], want) {
		t.Fatalf("second root %x, %v; want %x", root512, err, want)
	}
	second.want(t, n, others, want, asBytes(proof512))
	wantNowhere(t, dir, erased)
}

// wantNowhere checks that no file of a tree holds the records of leaves, as they
// were encrypted or as they were.
func wantNowhere(t *testing.T, dir string, indices []uint64) {
	t.Helper()
	whole := growTree(t, slices.Max(indices)+1)
	old := openReader(t, whole)
	for _, i := range indices {
		b, err := old.readBatch(i, i+1)
		if err != nil {
			t.Fatal(err)
		}
		record, err := b.enclosed(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{recordsName, leavesName, commitName, erasedName} {
			held, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(held, record[prefixSize:]) || bytes.Contains(held, testBody(i)) {
				t.Errorf("record %d is still in %s", i, name)
			}
		}
	}
}

func TestErasedRecordsKeepTheirPlaces(t *testing.T) {
	d := newMemoryDisk()
	if _, err := createAndWrite(d, 20); err != nil {
		t.Fatal(err)
	}
	left := eraseLeaves(t, d, testSeed, 20, 5)
	r, err := readTree(d, left)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	i := 0
	for record, err := range r.Records(5) {
		if i == 0 && (err != nil || !Erased(record)) {
			t.Fatalf("%v, %v", record, err)
		}
		if i == 1 && !errors.Is(err, ErrEncoding) { // test bodies are no records
			t.Fatalf("%v", err)
		}
		i++
	}
	if i != 2 {
		t.Fatalf("%d records", i)
	}
	for _, err := range r.Matches(5) {
		if !errors.Is(err, ErrEncoding) {
			t.Errorf("a match in place of the erased one: %v", err)
		}
	}
}

// TestEveryFileOperationOfErasingFails lets each file operation in turn fail, and
// then does it all again: nothing is lost, and in the end all is erased.
func TestEveryFileOperationOfErasingFails(t *testing.T) {
	const n = 20
	broken := errors.New("broken")
	left, err := Puncture(testSeed, []uint64{2, 19}, n)
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; ; at++ {
		memory := newMemoryDisk()
		if _, err := createAndWrite(memory, n); err != nil {
			t.Fatal(err)
		}
		failed := false
		d := &faultyDisk{disk: memory, interfere: func(count int, what string) error {
			if count == at {
				failed = true
				return broken
			}
			return nil
		}}
		err := noteErasure(t.Context(), d, testSeed, []uint64{2, 19})
		if err == nil {
			err = blankErased(t.Context(), d, left)
		}
		if failed != errors.Is(err, broken) {
			t.Fatalf("operation %d: %v", at, err)
		}
		eraseLeaves(t, memory, testSeed, n, 2, 19)
		r, err := readTree(memory, left)
		if err != nil {
			t.Fatal(err)
		}
		wantProblems(t, r)
		if _, err := r.SecondRoot(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if !failed {
			if at < 10 {
				t.Fatalf("only %d operations", at)
			}
			return
		}
	}
}

func TestErasedFileIsHeldAgainstItsSum(t *testing.T) {
	noted := map[uint64]erasedLeaf{3: {index: 3, leaf: check.Hash{1}}, 9: {index: 9, leaf512: Hash512{2}}}
	b := encodeErased(testSeed.fingerprint(), noted)
	if got, err := decodeErased(b, testSeed.fingerprint()); err != nil || len(got) != 2 || got[9] != noted[9] {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range b {
		for bit := range 8 {
			changed := slices.Clone(b)
			changed[i] ^= 1 << bit
			if _, err := decodeErased(changed, testSeed.fingerprint()); !errors.Is(err, ErrDamaged) {
				t.Fatalf("bit %d of byte %d was changed: %v", bit, i, err)
			}
		}
	}
}

func FuzzErasedFile(f *testing.F) {
	f.Add(encodeErased(testSeed.fingerprint(), map[uint64]erasedLeaf{3: {index: 3}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		noted, err := decodeErased(b, testSeed.fingerprint())
		if err == nil && !bytes.Equal(encodeErased(testSeed.fingerprint(), noted), b) {
			t.Error("another encoding was accepted")
		}
	})
}

func TestPuncturedSeedInAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.seed")
	p, err := Puncture(testSeed, []uint64{0, 5, 6, 99_999}, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Safe{}).SaveSeed(name, testSeed); err != nil {
		t.Fatal(err)
	}
	if s, err := (Safe{}).LoadSecret(name); err != nil || s != Secret(testSeed) {
		t.Fatalf("%v, %v", s, err)
	}
	if err := (Safe{}).ReplaceSecret(name, p); err != nil {
		t.Fatal(err)
	}
	s, err := (Safe{}).LoadSecret(name)
	if err != nil || fmt.Sprint(s) != fmt.Sprint(p) {
		t.Fatalf("another seed came back: %v", err)
	}
	if _, err := (Safe{}).LoadSeed(name); err == nil {
		t.Error("a punctured seed passed for a whole one")
	}
	if err := (Safe{}).SaveSecret(name, p); err == nil {
		t.Error("a seed was written over")
	}
}

// TestReplaceSecretCrashes stops after each step: the name is that of the old seed
// or of the new, whole, and going on ends in the new alone, with the old one's
// bytes overwritten.
func TestReplaceSecretCrashes(t *testing.T) {
	p, err := Puncture(testSeed, []uint64{7}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	crash := errors.New("crash")
	for _, at := range []string{"written", "held", "replaced", "gone"} {
		name := filepath.Join(t.TempDir(), "a.seed")
		if err := (Safe{}).SaveSeed(name, testSeed); err != nil {
			t.Fatal(err)
		}
		held, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = replaceSecret(name, p.encode(), func(step string) error {
			if step == at {
				return crash
			}
			return nil
		})
		if !errors.Is(err, crash) {
			t.Fatal(err)
		}
		s, err := (Safe{}).LoadSecret(name)
		_, whole := s.(Seed)
		if early := at == "written" || at == "held"; err != nil || whole != early {
			t.Fatalf("after %s: %T, %v", at, s, err)
		}
		if err := FinishReplacing(name); err != nil {
			t.Fatal(err)
		}
		if err := (Safe{}).ReplaceSecret(name, p); err != nil {
			t.Fatal(err)
		}
		if s, err = (Safe{}).LoadSecret(name); err != nil || fmt.Sprint(s) != fmt.Sprint(p) {
			t.Fatalf("after %s: %v", at, err)
		}
		old := make([]byte, 4096)
		n, _ := held.ReadAt(old, 0)
		if n == 0 || !blank(old[:n]) {
			t.Errorf("after %s: the old seed still stands on the disk: %q", at, old[:n])
		}
		held.Close()
		if files, _ := os.ReadDir(filepath.Dir(name)); len(files) != 1 {
			t.Errorf("after %s: %v", at, files)
		}
	}
}

func FuzzPuncturedSeed(f *testing.F) {
	for _, indices := range [][]uint64{{0}, {9}, {1, 2, 3, 8}} {
		p, err := Puncture(testSeed, indices, 10)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(p.encode()[:len(p.encode())-32]))
	}
	f.Fuzz(func(t *testing.T, body string) {
		p, err := parseRemnants(sealed(body))
		if err == nil && string(p.encode()) != sealed(body) {
			t.Error("another encoding was accepted")
		}
		if err == nil {
			p.walkFrom(0).leaf()
		}
	})
}

// sealed is a file whose sum is right, so that fuzzing gets behind it.
func sealed(body string) string {
	p := sha256.Sum256([]byte(body))
	return body + string(p[:])
}

// TestPuncturedSeedRefusesChanges flips every bit.
func TestPuncturedSeedRefusesChanges(t *testing.T) {
	p, err := Puncture(testSeed, []uint64{1, 8}, 10)
	if err != nil {
		t.Fatal(err)
	}
	text := string(p.encode())
	for i := range len(text) {
		for bit := range 8 {
			changed := []byte(text)
			changed[i] ^= 1 << bit
			if _, err := parseRemnants(string(changed)); !errors.Is(err, ErrEncoding) {
				t.Fatalf("bit %d of byte %d was changed: %v", bit, i, err)
			}
		}
	}
	body := text[:len(text)-32]
	for _, bad := range []string{
		remnantsHead, body[:len(body)-1], body + "x", strings.Replace(body, "none", "nine", 1),
		body[:47] + "\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + body[48:], // more leaves than there can be
		body[:48] + "\x03" + body[49:],                                 // a leaf more was erased
	} {
		if _, err := parseRemnants(sealed(bad)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
}
