package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutela"
	"tutela/internal/hashset"
)

// Sizes of the sets that are asked for digests.
const (
	exactAgainst = 10_000_000
	exactMany    = 100_000_000
	exactQueries = 2_000_000
	hfindQueries = 300_000
)

// exact measures look-ups against hfind of The Sleuth Kit, over one list of MD5:
// half of what is asked is known.
func (b *bench) exact() (err error) {
	if err := install(b.ctx, "sleuthkit", "hfind"); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "exact")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n := b.scaled(exactAgainst)
	if err := b.askIn(dir, "exact-build", n, new(exactBuilt)); err != nil {
		return err
	}
	if err := writeHfind(dir, n); err != nil {
		return err
	}
	list := filepath.Join(dir, "known.md5")
	if out, err := exec.CommandContext(b.ctx, "hfind", "-i", "md5sum", list).CombinedOutput(); err != nil {
		return fmt.Errorf("hfind -i: %w\n%s", err, bytes.TrimSpace(out))
	}
	var ours, theirs []float64 // seconds for each look-up
	for range min(max(b.rounds, 3), 5) {
		var l lookUps
		if err := b.askIn(dir, "exact-ask", n, &l); err != nil {
			return err
		}
		each, err := b.hfind(dir, list)
		if err != nil {
			return err
		}
		mine := (l.Known.Seconds + l.Unknown.Seconds) / float64(l.Known.Count+l.Unknown.Count)
		b.tell("  tutela %.2f M/s, hfind %.3f M/s", 1e-6/mine, 1e-6/each)
		ours, theirs = append(ours, mine), append(theirs, each)
	}
	say := func(who string, seconds []float64) string {
		return fmt.Sprintf("%s: %.2f M/s", who, 1e-6/median(seconds))
	}
	b.out.add(fmt.Sprintf("exact look-ups in a set of %d MD5, half of them known, one thread", n), say("tutela", ours), say("hfind -f", theirs), compare(ours, theirs), atLeast(50))
	return nil
}

// writeHfind writes the set as a list of md5sum, and what is asked of it.
func writeHfind(dir string, n int) error {
	list := func(name, format string, count int, digest func(i int) tutela.MD5) error {
		return fillFile(filepath.Join(dir, name), func(w io.Writer) error {
			for i := range count {
				if _, err := fmt.Fprintf(w, format, digest(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	asked := func(i int) tutela.MD5 {
		if i%2 == 0 {
			return drawnMD5(scattered(i, n), held)
		}
		return drawnMD5(scattered(i, n), foreign)
	}
	return errors.Join(
		list("known.md5", "%s  a\n", n, func(i int) tutela.MD5 { return drawnMD5(i, held) }),
		list("one", "%s\n", 1, asked),
		list("asked", "%s\n", hfindQueries, asked))
}

// scattered leads to all places among n, in no order.
func scattered(i, n int) int { return int(uint64(i) * 2_654_435_761 % uint64(n)) }

func drawnMD5(n, stream int) (d tutela.MD5) {
	fillDrawn(d[:], n, stream)
	return d
}

// hfind is the time of one look-up, in seconds: a run with many less a run with
// one, which takes as long to start.
func (b *bench) hfind(dir, list string) (float64, error) {
	run := func(asked string) (time.Duration, []byte, error) {
		c, out, err := runMeasured(exec.CommandContext(b.ctx, "hfind", "-f", filepath.Join(dir, asked), list))
		return c.wall, out, err
	}
	start, _, err := run("one")
	if err != nil {
		return 0, fmt.Errorf("hfind: %w", err)
	}
	wall, out, err := run("asked")
	if err != nil {
		return 0, fmt.Errorf("hfind: %w", err)
	}
	known := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if !strings.HasSuffix(lines.Text(), "Hash Not Found") {
			known++
		}
	}
	if known != hfindQueries/2 {
		return 0, fmt.Errorf("hfind knows %d of %d", known, hfindQueries/2)
	}
	return (wall - start).Seconds() / hfindQueries, nil
}

// exactLarge measures a set of a hundred million SHA-256.
func (b *bench) exactLarge() (err error) {
	dir := filepath.Join(b.dir, "exact-large")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n := b.scaled(exactMany)
	cmd, err := b.part("exact-large-build", dir, n)
	if err != nil {
		return err
	}
	c, out, err := runMeasured(cmd)
	if err != nil {
		return err
	}
	var built exactBuilt
	if err := json.Unmarshal(out, &built); err != nil {
		return err
	}
	var l lookUps
	if err := b.askIn(dir, "exact-large-ask", n, &l); err != nil {
		return err
	}
	each := float64(built.Bytes) / float64(n)
	b.out.rows = append(b.out.rows,
		row{what: fmt.Sprintf("set of %d SHA-256: size on disk", n), ours: fmt.Sprintf("%.2f bytes each, compiled in %.0f s with %d MB at its peak", each, built.Seconds, c.peak/1e6), goal: "≤ 35 bytes", verdict: judge(each <= 35)},
		row{what: fmt.Sprintf("set of %d SHA-256: opened", n), ours: fmt.Sprintf("%.1f ms", 1000*l.Open.Seconds), goal: "< 50 ms", verdict: judge(l.Open.Seconds < 0.050)},
		row{what: fmt.Sprintf("exact look-ups in a set of %d SHA-256, one goroutine", n), ours: fmt.Sprintf("%.2f M/s of unknown, %.2f M/s of known digests", l.Unknown.perSecond()/1e6, l.Known.perSecond()/1e6)})
	return nil
}

// lookUps are the rates of two kinds of questions, and the time of opening.
type lookUps struct {
	Open           rate
	Known, Unknown rate
}

// exactBuilt is what compiling a set took.
type exactBuilt struct {
	rate
	Bytes int64
}

// drawDigest gives an assertion its digest and says which that is.
type drawDigest struct {
	assert func(n int, a *tutela.Assertion)
	ask    func(n, stream int) tutela.Digests
}

func md5Alone() drawDigest {
	return drawDigest{
		func(n int, a *tutela.Assertion) { d := drawnMD5(n, held); a.MD5 = &d },
		func(n, stream int) tutela.Digests { return tutela.Digests{MD5: drawnMD5(n, stream)} },
	}
}

func sha256Alone() drawDigest {
	draw := func(n, stream int) (d tutela.SHA256) { fillDrawn(d[:], n, stream); return d }
	return drawDigest{
		func(n int, a *tutela.Assertion) { d := draw(n, held); a.SHA256 = &d },
		func(n, stream int) tutela.Digests { return tutela.Digests{SHA256: draw(n, stream)} },
	}
}

// buildExact compiles a set of so many rows in dir.
func buildExact(draw drawDigest) func(ctx context.Context, dir, count string) (any, error) {
	return func(ctx context.Context, dir, count string) (any, error) {
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		var b exactBuilt
		path := filepath.Join(dir, "1.set")
		meta := hashset.Meta{Name: "drawn", Version: 1, Status: tutela.KnownGood, Format: "drawn"}
		b.rate, err = timed(n, func() error {
			_, _, err := hashset.Compile(ctx, path, meta, &drawn{rows: n, digests: draw.assert}, hashset.Work{})
			return err
		})
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err == nil {
			b.Bytes = info.Size()
		}
		return b, err
	}
}

// askExact opens the set in dir and asks for what it holds and what it does not.
func askExact(draw drawDigest) func(ctx context.Context, dir, count string) (any, error) {
	return func(_ context.Context, dir, count string) (any, error) {
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		var l lookUps
		var set *hashset.Set
		l.Open, err = timed(1, func() (err error) { set, err = hashset.Open(filepath.Join(dir, "1.set")); return err })
		if err != nil {
			return nil, err
		}
		defer set.Close()
		for _, way := range []struct {
			stream int
			want   bool
			into   *rate
		}{{held, true, &l.Known}, {foreign, false, &l.Unknown}} {
			digests := make([]tutela.Digests, exactQueries) // drawn outside the time
			for i := range digests {
				digests[i] = draw.ask(scattered(i, n), way.stream)
			}
			for range 2 { // the first time brings the pages in
				if *way.into, err = timed(len(digests), func() error { return askAll(set, digests, way.want) }); err != nil {
					return nil, err
				}
			}
		}
		return l, nil
	}
}

// atATime is how many contents are looked up at a time, about as many as a
// scan commits in one step.
const atATime = 16384

// askAll looks all of them up and holds how many are known against what should
// be.
func askAll(set *hashset.Set, digests []tutela.Digests, want bool) error {
	met, should := 0, 0
	if want {
		should = len(digests)
	}
	for chunk := range slices.Chunk(digests, atATime) {
		set.ExactAll(chunk, func(int, uint64, tutela.MatchKind) { met++ })
	}
	if err := set.Damage(); err != nil {
		return err
	}
	if met != should {
		return fmt.Errorf("%d of %d are known, not %d", met, len(digests), should)
	}
	return nil
}
