package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"tutela/internal/pdq"
	"tutela/internal/picture"
)

// shiftFrom is the shorter side, in pixels, from which a picture may be hashed
// quickly.
const shiftFrom = 1024

// shifted is how many bits quick hashes lie from exact ones.
type shifted struct {
	Pictures, Quick         int // all, and those that were not made exactly at once
	Median, P95, P99, Worst int
}

// shift measures by how many bits quick hashes differ from exact ones.
func (b *bench) shift() (err error) {
	dir := filepath.Join(b.dir, "shift")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := b.fetchWallpapers(filepath.Join(dir, "wallpapers")); err != nil {
		return err
	}
	var s shifted
	if err := b.askIn(dir, "shift", b.scaled(300), &s); err != nil {
		return err
	}
	ours := fmt.Sprintf("median %d, p95 %d, p99 %d, worst %d bits over %d pieces of photographs, %d of them hashed quickly", s.Median, s.P95, s.P99, s.Worst, s.Pictures, s.Quick)
	b.out.rows = append(b.out.rows, row{what: "quick PDQ against exact, short sides from 1,024 pixels", ours: ours, goal: "p99 ≤ 4 bits", verdict: judge(s.P99 <= 4)})
	return nil
}

// measureShift cuts so many pieces out of the photographs in dir/wallpapers and
// hashes each in both ways.
func measureShift(ctx context.Context, dir, count string) (any, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	sources, err := photographs(filepath.Join(dir, "wallpapers"))
	if err != nil {
		return nil, err
	}
	var s shifted
	var bits []int
	for i, source := range sources {
		whole, err := decode(source)
		if err != nil {
			return nil, err
		}
		if size := whole.Bounds().Size(); min(size.X, size.Y) < shiftFrom {
			continue
		}
		for k := i; k < n; k += len(sources) {
			d, quick, err := shiftOf(ctx, piece(whole, rand.New(rand.NewPCG(uint64(k), 7))), 80+k%15)
			if err != nil {
				return nil, err
			}
			if bits = append(bits, d); quick {
				s.Quick++
			}
		}
	}
	if len(bits) == 0 {
		return nil, errors.New("no photograph is large enough")
	}
	slices.Sort(bits)
	at := func(share float64) int { return bits[int(share*float64(len(bits)-1)+0.5)] }
	s.Pictures, s.Median, s.P95, s.P99, s.Worst = len(bits), at(0.5), at(0.95), at(0.99), bits[len(bits)-1]
	return s, nil
}

// piece is a part of a picture, of any shape, whose sides are long enough.
func piece(whole image.Image, r *rand.Rand) image.Image {
	b := whole.Bounds()
	w, h := shiftFrom+r.IntN(b.Dx()-shiftFrom+1), shiftFrom+r.IntN(b.Dy()-shiftFrom+1)
	at := b.Min.Add(image.Pt(r.IntN(b.Dx()-w+1), r.IntN(b.Dy()-h+1)))
	part := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(part, part.Bounds(), whole, at, draw.Src)
	return part
}

func shiftOf(ctx context.Context, img image.Image, quality int) (bits int, quick bool, err error) {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: quality}); err != nil {
		return 0, false, err
	}
	fast, err := picture.Look(ctx, file.Bytes(), picture.Ask{}, picture.Limits{})
	exact, also := picture.Look(ctx, file.Bytes(), picture.Ask{Exact: true}, picture.Limits{})
	return pdq.Distance(fast.Perceptual.PDQ, exact.Perceptual.PDQ), fast.Perceptual.Scale != 0, errors.Join(err, also)
}
