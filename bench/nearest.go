package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tutela"
	"tutela/internal/hashset/near"
	"tutela/internal/pdq"
)

//go:embed faiss.py
var faissProgram string

// Look-ups are asked with hashes that are known but for some bits, and with as
// many that are not.
const (
	nearKnown   = 4_000_000
	nearMore    = 10_000_000
	nearQueries = 20_000 // of ours; FAISS gets some of the same
	flatSingles = 200
	flatBatch   = 1000
	nearBatch   = 1000
)

// found is the answer of one engine.
type found struct {
	rate
	Hits int
}

func (b *bench) nearest() (err error) {
	if err := b.installFAISS(); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "near")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	note, err := b.faissNote()
	if err != nil {
		return err
	}
	b.out.notes = append(b.out.notes, note)
	n := b.scaled(nearKnown)
	var built nearBuilt
	if err := b.askIn(dir, "near-build", n, &built); err != nil {
		return err
	}
	for _, way := range []struct {
		name, part string
		asked      int // of FAISS
		goal       goal
	}{{"single", "near-single", flatSingles, atLeast(25)}, {"batch", "near-batch", flatBatch, atLeast(15)}} {
		if err := b.againstFAISS(dir, way.name, way.part, way.asked, n, way.goal); err != nil {
			return err
		}
	}
	return nil
}

// debianPython is the Python that Debian's modules are for; another may come
// first on the way.
const debianPython = "/usr/bin/python3"

// installFAISS installs the module and tries it.
func (b *bench) installFAISS() error {
	try := func() error { return exec.CommandContext(b.ctx, debianPython, "-c", "import faiss").Run() }
	if try() == nil {
		return nil
	}
	return errors.Join(apt(b.ctx, "", "install", "-y", "--no-install-recommends", "python3-faiss"), try())
}

// faissNote says which FAISS it is.
func (b *bench) faissNote() (string, error) {
	out, err := exec.CommandContext(b.ctx, debianPython, "-c", "import faiss; print(faiss.__version__)").Output()
	return fmt.Sprintf("FAISS %s is Debian's package, which is compiled for any processor of its kind: it counts bits without POPCNT. One compiled with it could not go through hashes faster than memory gives them.", strings.TrimSpace(string(out))), err
}

func (b *bench) againstFAISS(dir, mode, part string, asked, n int, g goal) error {
	var ours, theirs []float64 // seconds for each look-up
	for range min(max(b.rounds, 3), 3) {
		var mine, many, flat found // the same questions, and enough of them to be timed
		if err := errors.Join(b.askIn(dir, part, asked, &mine), b.askIn(dir, part, timedQueries(mode, asked), &many)); err != nil {
			return err
		}
		if err := answerOf(b.faiss(dir, mode, asked), &flat); err != nil {
			return fmt.Errorf("FAISS: %w", err)
		}
		if mine.Hits != flat.Hits || mine.Hits < asked/2 {
			return fmt.Errorf("%s: we found %d, FAISS %d", mode, mine.Hits, flat.Hits)
		}
		b.tell("  %s: tutela %.0f/s, FAISS %.0f/s", mode, many.perSecond(), flat.perSecond())
		ours, theirs = append(ours, many.Seconds/float64(many.Count)), append(theirs, flat.Seconds/float64(flat.Count))
	}
	what := map[string]string{"single": "one at a time", "batch": fmt.Sprintf("%d at a time", flatBatch)}[mode]
	say := func(who string, seconds []float64) string { return fmt.Sprintf("%s: %.0f/s", who, 1/median(seconds)) }
	b.out.add(fmt.Sprintf("near look-ups (up to 31 bits) among %d PDQ, %s, one thread, all found", n, what),
		say("tutela", ours), say("FAISS IndexBinaryFlat", theirs), compare(ours, theirs), g)
	return nil
}

// timedQueries are how many look-ups of ours are timed: single ones take too
// little time to be counted by the hundred.
func timedQueries(mode string, asked int) int {
	if mode == "single" {
		return nearQueries
	}
	return asked
}

func (b *bench) faiss(dir, mode string, count int) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, debianPython, "-c", faissProgram, filepath.Join(dir, "known"), filepath.Join(dir, "queries"), mode, fmt.Sprint(count))
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// nearMany builds an index of ten million and asks it.
func (b *bench) nearMany() (err error) {
	dir := filepath.Join(b.dir, "near-many")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n := b.scaled(nearMore)
	var built nearBuilt
	if err := b.askIn(dir, "near-build", n, &built); err != nil {
		return err
	}
	var single, batch found
	if err := errors.Join(b.askIn(dir, "near-single", nearQueries, &single), b.askIn(dir, "near-batch", nearBatch, &batch)); err != nil {
		return err
	}
	limit := int64(float64(4.5e9) * b.scale)
	b.out.rows = append(b.out.rows,
		row{what: fmt.Sprintf("near index of %d PDQ: built", n), ours: fmt.Sprintf("%.1f s (%.1f s of processors), %.2f GB with the hashes", built.Seconds, built.CPU, float64(built.Bytes)/1e9),
			goal: "< 30 s, < 4.5 GB", verdict: judge(built.Seconds < 30 && built.Bytes < limit)},
		row{what: fmt.Sprintf("near look-ups among %d PDQ, one goroutine", n), ours: fmt.Sprintf("%.0f/s one at a time, %.0f/s in batches of %d (32 bytes a hash)", single.perSecond(), batch.perSecond(), nearBatch),
			goal: "≥ 1,500/s", verdict: judge(single.perSecond() >= 1500)})
	return nil
}

// nearBuilt is what building an index took.
type nearBuilt struct {
	rate
	Bytes int64 // of hashes and index
}

// buildNear draws so many hashes and what is asked, and builds the index, all as
// files in dir.
func buildNear(ctx context.Context, dir, count string) (any, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	queries := make([]byte, 0, 32*nearQueries)
	err = fillFile(filepath.Join(dir, "known"), func(w io.Writer) error {
		every := max(n/(nearQueries/2), 1)
		for i := range n {
			h := drawnHash(i, held)
			if _, err := w.Write(h[:]); err != nil {
				return err
			}
			if i%every == 0 && len(queries) < 32*nearQueries {
				other := drawnHash(i, foreign)
				queries = append(append(queries, turned(h, i)...), other[:]...)
			}
		}
		return nil
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "queries"), queries, 0o600)
	}
	if err != nil {
		return nil, err
	}
	var b nearBuilt
	b.rate, err = timed(n, func() error { return writeNear(ctx, dir, n) })
	for _, name := range []string{"known", "index"} {
		info, also := os.Stat(filepath.Join(dir, name))
		if err = errors.Join(err, also); err == nil {
			b.Bytes += info.Size()
		}
	}
	return b, err
}

func drawnHash(n, stream int) (h tutela.PDQ) {
	fillDrawn(h[:], n, stream)
	return h
}

// turned is the hash with 12 bits turned.
func turned(h tutela.PDQ, n int) []byte {
	for bit := range 12 {
		h[2*bit] ^= 1 << (n % 8)
	}
	return h[:]
}

func fillFile(name string, fill func(w io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(fill(w), w.Flush(), f.Close())
}

func writeNear(ctx context.Context, dir string, n int) error {
	hashes, err := mapped(filepath.Join(dir, "known"))
	if err != nil {
		return err
	}
	each := func(visit func(id uint32, h *tutela.PDQ) error) error {
		for id := range n {
			if err := visit(uint32(id), (*tutela.PDQ)(hashes[32*id:])); err != nil {
				return err
			}
		}
		return nil
	}
	return fillFile(filepath.Join(dir, "index"), func(w io.Writer) error {
		return near.Write(ctx, w, uint64(n), each, 256<<20)
	})
}

// askNear asks the index in dir as many questions as count says.
func askNear(ask func(x *near.Index, queries []tutela.PDQ) (hits int)) func(ctx context.Context, dir, count string) (any, error) {
	return func(_ context.Context, dir, count string) (any, error) {
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		var files [3][]byte
		for i, name := range []string{"index", "known", "queries"} {
			if files[i], err = mapped(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		}
		x, err := near.Open(files[0], files[1])
		if err != nil {
			return nil, err
		}
		queries := make([]tutela.PDQ, min(n, len(files[2])/32))
		for i := range queries {
			copy(queries[i][:], files[2][32*i:])
		}
		ask(x, queries[:min(10, n)]) // brings the pages in
		touch(files[0])
		touch(files[1])
		var f found
		f.rate, err = timed(len(queries), func() error { f.Hits = ask(x, queries); return nil })
		return f, err
	}
}

func askSingly(x *near.Index, queries []tutela.PDQ) (hits int) {
	for _, q := range queries {
		x.Search(q, pdq.MaxRadius, func(uint32, int) { hits++ })
	}
	return hits
}

func askTogether(x *near.Index, queries []tutela.PDQ) (hits int) {
	x.Batch(queries, pdq.MaxRadius, func(int, uint32, int) { hits++ })
	return hits
}

// touch, which must stay a call lest it be left out, reads a byte of every page, so that no look-up waits for one.
//
//go:noinline
func touch(b []byte) (sum byte) {
	for i := 0; i < len(b); i += 4096 {
		sum += b[i]
	}
	return sum
}

// askIn runs a part in a folder that stays.
func (b *bench) askIn(dir, name string, size int, answer any) error {
	cmd, err := b.part(name, dir, size)
	if err != nil {
		return err
	}
	began := time.Now()
	defer func() { b.tell("  %s %d: %.1f s", name, size, time.Since(began).Seconds()) }()
	settleDisk()
	return answerOf(cmd, answer)
}
