package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/transparency-dev/tessera/api/layout"
	"tutela/internal/ledger/check"
)

// Verify checks the whole log: the signatures of its checkpoint, that every
// body opens what its entry commits to, that every tile follows from the
// entries (a plain log has none), and the root from them. It lists what does not agree, at most
// 100 problems. The error is about reading, not about what was read.
func (r *LogReader) Verify(ctx context.Context) ([]Problem, error) {
	var found problems
	h, bodies, err := r.snapshot()
	if err != nil {
		found.add(-1, "%v", err)
		return found, nil
	}
	defer bodies.Close()
	unopened, err := bodies.Verify(ctx, nil)
	if err != nil {
		return found, fmt.Errorf("verify agency log: %w", err)
	}
	for _, p := range unopened {
		found.add(p.Index, "body: %s", p.What)
	}
	t := &tileCheck{ctx: ctx, r: r, found: &found}
	for from := uint64(0); from < h.Size; from += layout.TileWidth {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		leaves, err := bodies.readLeaves(from, min(from+layout.TileWidth, h.Size))
		if err != nil {
			return found, fmt.Errorf("verify agency log: %w", err)
		}
		if r.isPlain() {
			t.leaves(leaves)
		} else {
			t.entries(from, leaves)
		}
	}
	t.finish()
	if root := t.edge.Root(); root != h.Root {
		found.add(-1, "the entries lead to root %s, the signed one is %s", root, h.Root)
	}
	return found, nil
}

// tileCheck makes the tiles of a log again and compares them.
type tileCheck struct {
	ctx    context.Context
	r      *LogReader
	found  *problems
	edge   check.Edge
	levels [][]check.Hash // the tile being filled at each level
	done   []uint64       // how many full tiles lie before it
}

// entries compares one bundle of entries with what they must commit to, and
// adds their leaves to the tiles.
func (t *tileCheck) entries(from uint64, want leafTable) {
	got, err := t.r.readEntries(from/layout.TileWidth, want.count())
	if err != nil {
		t.found.add(int64(from), "entries from here on: %v", err)
	}
	var bundle []byte
	for i := range want.count() {
		entry := check.Entry(want.hash(i))
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
		bundle = append(bundle, entry...)
		if err == nil && !bytes.Equal(got[i], entry) {
			t.found.add(int64(from)+int64(i), "the entry commits to another body")
		}
		leaf := check.Leaf(entry)
		t.edge.Append(leaf)
		t.add(0, leaf)
	}
	t.partials(layout.EntriesPath(from/layout.TileWidth, 1), bundle, want.count())
}

// leaves adds the leaves of entries that lie in no file.
func (t *tileCheck) leaves(commitments leafTable) {
	for i := range commitments.count() {
		t.edge.Append(check.Leaf(check.Entry(commitments.hash(i))))
	}
}

func (t *tileCheck) add(level int, h check.Hash) {
	if level == len(t.levels) {
		t.levels, t.done = append(t.levels, nil), append(t.done, 0)
	}
	t.levels[level] = append(t.levels[level], h)
	if len(t.levels[level]) < layout.TileWidth {
		return
	}
	root := t.compare(level)
	t.levels[level] = t.levels[level][:0]
	t.done[level]++
	t.add(level+1, root)
}

// finish compares the tiles on the right edge.
func (t *tileCheck) finish() {
	for level, hashes := range t.levels {
		if len(hashes) > 0 {
			t.compare(level)
		}
	}
}

// compare holds the tile being filled against its file and returns its root.
func (t *tileCheck) compare(level int) check.Hash {
	var edge check.Edge
	var want []byte
	for _, h := range t.levels[level] {
		edge.Append(h)
		want = append(want, h[:]...)
	}
	got, err := t.r.readTile(t.ctx, uint64(level), t.done[level], uint8(len(t.levels[level])))
	switch {
	case err != nil:
		t.found.add(-1, "tile %d of level %d: %v", t.done[level], level, err)
	case len(got) < len(want) || !bytes.Equal(got[:len(want)], want):
		t.found.add(-1, "tile %d of level %d does not follow from the entries", t.done[level], level)
	}
	t.partials(layout.TilePath(uint64(level), t.done[level], 1), want, len(t.levels[level]))
	return edge.Root()
}

// partials holds a tile's partial states against its n elements of one size.
// Nothing rests on the shorter ones any more, but whoever mirrored the log was
// served them; longer ones are there while somebody appends, or after a crash
// until the log is opened again, and must agree as far as the head goes. What
// has no width for a name is no tile, and served to nobody: a writer that was
// killed leaves temporary files.
func (t *tileCheck) partials(first string, whole []byte, n int) {
	dir := filepath.Dir(t.r.tile(first))
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.found.add(-1, "%v", err)
	}
	for _, f := range files {
		width, err := strconv.ParseUint(f.Name(), 10, 8) // a partial tile has 1 to 255 elements
		if err != nil || width == 0 {
			continue
		}
		want := whole[:len(whole)/n*min(int(width), n)]
		got, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || !bytes.HasPrefix(got, want) || int(width) <= n && len(got) != len(want) {
			t.found.add(-1, "%s does not follow from the entries", path.Join(path.Dir(first), f.Name()))
		}
	}
}
