package ledger

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"tutela/internal/digest"
	"tutela/internal/ledger/check"
)

var testSeed = Seed{1, 2, 3}

// testBody is the i-th body of every tree in these tests.
func testBody(i uint64) []byte {
	r := rand.New(rand.NewPCG(i, 7))
	b := make([]byte, r.IntN(400))
	for j := range b {
		b[j] = byte(r.Uint32())
	}
	return append(b, fmt.Sprintf("body %d", i)...)
}

// growTree makes a tree of n leaves in a new folder.
func growTree(t testing.TB, n uint64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	tree, err := CreateTree(dir, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for i := range n {
		if err := tree.Append(testBody(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Commit([]byte("done")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openReader(t testing.TB, dir string) *Reader {
	t.Helper()
	r, err := ReadTree(dir, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestLeafIsWhatTheFormatSays builds leaves from the text of the format alone.
func TestLeafIsWhatTheFormatSays(t *testing.T) {
	const n = 300
	dir := growTree(t, n)
	r := openReader(t, dir)
	rng := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	var records []byte
	for i := range uint64(n) {
		seed := testSeed[:]
		for level := 39; level >= 0; level-- {
			sum := sha256.Sum256(append([]byte{0x22 + byte(i>>level&1)}, seed...))
			seed = sum[:]
		}
		salt := sha256.Sum256(append([]byte{0x20}, seed...))
		key := sha256.Sum256(append([]byte{0x21}, seed...))
		leaf := sha256.Sum256(append(append([]byte{0}, salt[:]...), testBody(i)...))
		if got, err := r.Leaf(i); err != nil || got != leaf {
			t.Fatalf("leaf %d is %s, %v; want %x", i, got, err, leaf)
		}
		rng.Append(leaf[:], nil)
		block, _ := aes.NewCipher(key[:])
		body := testBody(i)
		records = append(records, 0, 0, byte(len(body)>>8), byte(len(body)))
		cipher.NewCTR(block, leaf[:16]).XORKeyStream(body, body)
		records = append(records, body...)
	}
	root, _ := rng.GetRootHash(nil)
	if got := r.Root(); !bytes.Equal(got[:], root) {
		t.Errorf("root is %s, want %x", got, root)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "records")); !bytes.Equal(got, records) {
		t.Error("the file records is not what the format says")
	}
}

func TestSeedWalkEqualsSeedAt(t *testing.T) {
	for _, from := range []uint64{0, 1, 255, 256, 1<<20 - 3, maxLeaves - 40} {
		walk := walkFrom(testSeed, from)
		for i := from; i < from+40; i++ {
			if got, want := *walk.leaf(), testSeed.at(i); got != want {
				t.Fatalf("walk from %d: seed %d differs", from, i)
			}
		}
	}
}

func TestReaderGivesBackWhatWasAppended(t *testing.T) {
	const n = 3*tileLeaves + 57
	r := openReader(t, growTree(t, n))
	if r.Size() != n || string(r.Cursor()) != "done" {
		t.Fatalf("size %d, cursor %q", r.Size(), r.Cursor())
	}
	for _, from := range []uint64{0, 1, 300, n - 1, n} {
		i := from
		for body, err := range r.Bodies(from) {
			if err != nil || !bytes.Equal(body, testBody(i)) {
				t.Fatalf("body %d: %v", i, err)
			}
			i++
		}
		if i != n {
			t.Errorf("bodies from %d ended at %d", from, i)
		}
	}
	if _, err := r.Body(n); err == nil {
		t.Error("a body behind the last was given")
	}
	if found, err := r.Verify(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
}

func TestProofsHoldForAnotherVerifier(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 255, 256, 257, 511, 512, 1000, 1279} {
		r := openReader(t, growTree(t, n))
		root := r.Root()
		for i := uint64(0); i < n; i += 1 + n/37 {
			o, err := r.Opening(i)
			if err != nil {
				t.Fatal(err)
			}
			path, err := r.Prove(i)
			if err != nil {
				t.Fatal(err)
			}
			var raw [][]byte
			for _, h := range path {
				raw = append(raw, h[:])
			}
			leaf := o.Leaf()
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, i, n, leaf[:], raw, root[:]); err != nil {
				t.Errorf("leaf %d of %d: %v", i, n, err)
			}
		}
		if _, err := r.Prove(n); err == nil {
			t.Errorf("leaf %d of %d was proven", n, n)
		}
	}
}

// TestRootDependsOnBodiesAlone commits at other places, with other processors
// and with reopening in between.
func TestRootDependsOnBodiesAlone(t *testing.T) {
	const n = 20_000
	want := openReader(t, growTree(t, n)).Root()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for procs := range 3 {
		runtime.GOMAXPROCS(procs + 1)
		dir := filepath.Join(t.TempDir(), "tree")
		tree, err := CreateTree(dir, testSeed)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(uint64(procs), 1))
		for tree.Size() < n {
			for range min(r.Uint64N(5000), n-tree.Size()) {
				if err := tree.Append(testBody(tree.Size())); err != nil {
					t.Fatal(err)
				}
			}
			if err := tree.Commit(nil); err != nil {
				t.Fatal(err)
			}
			tree.Close()
			if tree, err = OpenTree(dir, testSeed); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := tree.Root(); err != nil || got != want {
			t.Errorf("%d processors: root %s, %v; want %s", procs+1, got, err, want)
		}
		tree.Close()
	}
}

func TestCreateRefusesATree(t *testing.T) {
	dir := growTree(t, 3)
	if _, err := CreateTree(dir, testSeed); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a tree: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "commit")); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateTree(dir, testSeed); !errors.Is(err, ErrDamaged) {
		t.Errorf("create over a tree that lost its commit: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "records")); err != nil || info.Size() == 0 {
		t.Errorf("records after that: %v, %v", info, err)
	}
	if _, err := OpenTree(t.TempDir(), testSeed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open where there is none: %v", err)
	}
}

func TestOtherSeedIsRefused(t *testing.T) {
	dir := growTree(t, 3)
	if _, err := OpenTree(dir, Seed{9}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("open: %v", err)
	}
	if _, err := ReadTree(dir, Seed{9}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("read: %v", err)
	}
}

func TestUncommittedIsNotKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	tree, err := CreateTree(dir, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(batchLeaves + 10) {
		if i == 5 {
			if err := tree.Commit([]byte("five")); err != nil {
				t.Fatal(err)
			}
		}
		if err := tree.Append(testBody(i)); err != nil {
			t.Fatal(err)
		}
	}
	tree.Close()
	if err := tree.Append(nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if r := openReader(t, dir); r.Size() != 5 {
		t.Errorf("reader sees %d leaves", r.Size())
	}
	tree, err = OpenTree(dir, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if tree.Size() != 5 || string(tree.Cursor()) != "five" {
		t.Errorf("size %d, cursor %q", tree.Size(), tree.Cursor())
	}
}

func TestTooLarge(t *testing.T) {
	tree, err := CreateTree(t.TempDir(), testSeed)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := tree.Append(make([]byte, maxBody+1)); err == nil {
		t.Error("a body too large was taken")
	}
	if err := tree.Commit(make([]byte, maxCursor+1)); err == nil {
		t.Error("a cursor too large was taken")
	}
	if err := tree.Append(make([]byte, maxBody)); err != nil {
		t.Error(err)
	}
	if err := tree.Commit(make([]byte, maxCursor)); err != nil {
		t.Error(err)
	}
}

// TestVerifyNamesTheRecord flips one bit in the record of a leaf, then in the
// leaf.
func TestVerifyNamesTheRecord(t *testing.T) {
	dir := growTree(t, 500)
	leaves, err := os.ReadFile(filepath.Join(dir, "leaves"))
	if err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "records"), leafTable(leaves).end(122)+prefixSize+2)
	r := openReader(t, dir)
	wantProblems(t, r, 123)
	if _, err := r.Body(123); !errors.Is(err, ErrDamaged) {
		t.Errorf("body 123: %v", err)
	}
	flip(t, filepath.Join(dir, "records"), leafTable(leaves).end(122)+prefixSize+2)
	wantProblems(t, r)
	flip(t, filepath.Join(dir, "leaves"), 77*leafSize)
	wantProblems(t, r, 77, -1)
	if _, err := openReader(t, dir).Prove(3); !errors.Is(err, ErrDamaged) {
		t.Errorf("prove: %v", err)
	}
}

func wantProblems(t *testing.T, r *Reader, want ...int64) {
	t.Helper()
	found, err := r.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, p := range found {
		got = append(got, p.Index)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("problems %v, want about %v", found, want)
	}
}

func flip(t *testing.T, name string, at int64) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x10
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEveryFlippedBitOfCommitIsSeen: no change of an acknowledged frame passes
// for a crash.
func TestEveryFlippedBitOfCommitIsSeen(t *testing.T) {
	d := newMemoryDisk()
	if err := createTree(d, testSeed); err != nil {
		t.Fatal(err)
	}
	tree, err := openTree(d, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		if err := errors.Join(tree.Append(testBody(i)), tree.Commit(fmt.Append(nil, "cursor ", i))); err != nil {
			t.Fatal(err)
		}
	}
	for bit := range len(d.files[commitName].cached) * 8 {
		bad := d.copy()
		bad.files[commitName].cached[bit/8] ^= 1 << (bit % 8)
		before := bad.copy()
		if _, err := openTree(bad, testSeed); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
		if !reflect.DeepEqual(bad, before) {
			t.Fatalf("bit %d of byte %d flipped: the files were touched", bit%8, bit/8)
		}
	}
}

func TestEmptyTree(t *testing.T) {
	r := openReader(t, growTree(t, 0))
	if r.Root() != check.EmptyRoot() || r.Size() != 0 || r.Cursor() == nil {
		t.Errorf("empty tree: root %s, size %d, cursor %q", r.Root(), r.Size(), r.Cursor())
	}
}

func BenchmarkTree(b *testing.B) {
	body := make([]byte, 200)
	dir := filepath.Join(b.TempDir(), "tree")
	tree, err := CreateTree(dir, testSeed)
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	for i := range b.N {
		if err := tree.Append(body); err != nil {
			b.Fatal(err)
		}
		if i%65536 == 65535 {
			if err := tree.Commit(nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tree.Commit(nil); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

func BenchmarkEnclose(b *testing.B) {
	e, bodies := newEncloser(), make([][]byte, runLeaves)
	for i := range bodies {
		bodies[i] = make([]byte, 200)
	}
	for i := 0; i < b.N; i += runLeaves {
		e.enclose(&testSeed, uint64(i), bodies[:min(runLeaves, b.N-i)])
	}
}

// TestLengthenEqualsAppend grows edges by any number of leaves from any size.
func TestLengthenEqualsAppend(t *testing.T) {
	batch := digest.NewBatch()
	for size := range 70 {
		for more := range 70 {
			var want check.Edge
			for i := range size {
				want.Append(check.Hash{1, byte(i)})
			}
			got := &want
			var leaves []check.Hash
			for i := range more {
				leaves = append(leaves, check.Hash{2, byte(i)})
			}
			got = lengthen(batch, got, leaves)
			for _, leaf := range leaves {
				want.Append(leaf)
			}
			if got.Size() != want.Size() || !slices.Equal(got.Nodes(), want.Nodes()) {
				t.Fatalf("%d leaves and %d more", size, more)
			}
		}
	}
}

// TestEncloserEqualsOneByOne holds leaves that were made side by side against
// leaves made alone, at the places where seeds branch and for bodies of all lengths.
func TestEncloserEqualsOneByOne(t *testing.T) {
	e := newEncloser()
	for _, from := range []uint64{0, 1, 7, 1023, 1<<20 - 3, 1<<39 - 5, maxLeaves - runLeaves} {
		for _, n := range []int{1, 2, 15, 16, 17, 100, runLeaves} {
			bodies := make([][]byte, n)
			for i := range bodies {
				bodies[i] = make([]byte, i*37%1200)
			}
			for i, leaf := range e.enclose(&testSeed, from, bodies) {
				seed := testSeed.at(from + uint64(i))
				if plain := make([]byte, len(bodies[i])); leaf != check.SaltedLeaf(seed.salt(), plain) {
					t.Fatalf("leaf %d of %d from %d", i, n, from)
				}
				if !openBody(&seed, bodies[i], leaf) {
					t.Fatalf("body %d of %d from %d", i, n, from)
				}
			}
		}
	}
}

// plainRoots are the roots of the test trees, made the plain way.
var plainRoots = func() func(n uint64) check.Hash {
	var lock sync.Mutex // guards what follows: tests run in parallel
	var edge check.Edge
	roots := []check.Hash{edge.Root()}
	return func(n uint64) check.Hash {
		lock.Lock()
		defer lock.Unlock()
		for uint64(len(roots)) <= n {
			seed := testSeed.at(edge.Size())
			edge.Append(check.SaltedLeaf(seed.salt(), testBody(edge.Size())))
			roots = append(roots, edge.Root())
		}
		return roots[n]
	}
}()

func plainRoot(n uint64) check.Hash { return plainRoots(n) }

// plainRootOf makes the root of a reader's bodies the plain way.
func plainRootOf(t *testing.T, r *Reader) check.Hash {
	t.Helper()
	var edge check.Edge
	for body, err := range r.Bodies(0) {
		if err != nil {
			t.Fatal(err)
		}
		seed := testSeed.at(edge.Size())
		edge.Append(check.SaltedLeaf(seed.salt(), body))
	}
	return edge.Root()
}
