package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"tutela/internal/picture"
	"tutela/internal/picture/jpeg"
)

// Pictures as a phone takes them: 12 megapixels. Each is put together from
// quarters that are cut, not scaled, so that its detail is that of photographs.
const (
	phoneWidth  = 4000
	phoneHeight = 3000
	phoneCount  = 8
)

// jpegs measures reading brightness at an eighth against djpeg, and the way from
// bytes to a perceptual hash against the standard library.
func (b *bench) jpegs() (err error) {
	if err := install(b.ctx, "libjpeg-turbo-progs", "djpeg", "jpegtran"); err != nil {
		return err
	}
	dir, err := b.makePhonePictures()
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err != nil {
		return err
	}
	luma := filepath.Join(b.dir, "luma")
	build := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-o", luma, "./bench/luma")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build luma: %w\n%s", err, out)
	}
	library, err := b.buildLibjpeg()
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		goal goal
	}{{"baseline", atLeast(1.8)}, {"progressive", atLeast(10)}} {
		if err := b.lumaAgainst(luma, dir, kind.name); err != nil {
			return err
		}
		if err := b.lumaInMemory(library, dir, kind.name, kind.goal); err != nil {
			return err
		}
	}
	return b.hashAgainst(dir)
}

//go:embed djpeg.c.txt
var djpegProgram string

// buildLibjpeg compiles a program that does with libjpeg-turbo, from memory, what
// djpeg does.
func (b *bench) buildLibjpeg() (string, error) {
	if err := install(b.ctx, "gcc", "gcc"); err != nil {
		return "", err
	}
	program, source := filepath.Join(b.dir, "libjpeg"), filepath.Join(b.dir, "djpeg.c")
	if err := os.WriteFile(source, []byte(djpegProgram), 0o600); err != nil {
		return "", err
	}
	compile := func() error {
		out, err := exec.CommandContext(b.ctx, "gcc", "-O2", "-o", program, source, "-ljpeg").CombinedOutput()
		if err != nil {
			return fmt.Errorf("gcc: %w\n%s", err, out)
		}
		return nil
	}
	if compile() == nil {
		return program, nil
	}
	if err := apt(b.ctx, "", "install", "-y", "--no-install-recommends", "libjpeg62-turbo-dev"); err != nil {
		return "", err
	}
	return program, compile()
}

// roundsEach is how often a process that decodes from memory goes through its
// files.
const roundsEach = 5

// decoded are the seconds of the processor for each time through all files.
type decoded struct{ Rounds []float64 }

// lumaInMemory lets both decode every picture of a kind from memory, without the
// start of a process and the reading of a file.
func (b *bench) lumaInMemory(library, dir, kind string, g goal) error {
	var ours, theirs []float64
	for range max(b.rounds, 3) {
		cmd, err := b.part("luma-"+kind, dir, phoneCount)
		if err != nil {
			return err
		}
		args := []string{fmt.Sprint(roundsEach)}
		for i := range phoneCount {
			args = append(args, phoneName(dir, kind, i))
		}
		var mine, other decoded
		if err := errors.Join(answerOf(cmd, &mine), answerOf(exec.CommandContext(b.ctx, library, args...), &other)); err != nil {
			return err
		}
		ours, theirs = append(ours, mine.Rounds...), append(theirs, other.Rounds...)
	}
	say := func(who string, seconds []float64) string {
		return fmt.Sprintf("%s: %.1f ms a picture", who, 1000*median(seconds)/phoneCount)
	}
	b.out.add(b.out.title+", from memory, time of processors", say("tutela's reader", ours), say("libjpeg-turbo", theirs), compare(ours, theirs), g)
	return nil
}

// decodeLuma decodes the pictures of a kind as often as the peer does.
func decodeLuma(kind string) func(ctx context.Context, dir, count string) (any, error) {
	return func(ctx context.Context, dir, count string) (any, error) {
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		files := make([][]byte, n)
		for i := range files {
			if files[i], err = os.ReadFile(phoneName(dir, kind, i)); err != nil {
				return nil, err
			}
		}
		var d decoded
		for range roundsEach {
			r, err := timed(n, func() error {
				for _, data := range files {
					if _, err := jpeg.Read(data, jpeg.Options{Scale: 8}); err != nil {
						return err
					}
				}
				return ctx.Err()
			})
			if err != nil {
				return nil, err
			}
			d.Rounds = append(d.Rounds, r.CPU)
		}
		return d, nil
	}
}

// lumaAgainst lets both read every picture of a kind, each in a process.
func (b *bench) lumaAgainst(luma, dir, kind string) error {
	b.out.title = fmt.Sprintf("%d JPEGs of 12 megapixels, %s, to brightness at 1/8", phoneCount, kind)
	if err := b.sameLuma(luma, dir, kind); err != nil {
		return err
	}
	each := func(command string) *exec.Cmd {
		script := fmt.Sprintf(`for f in "$1"/%s-*.jpg; do %s "$f" || exit 1; done`, kind, command)
		return exec.CommandContext(b.ctx, "sh", "-c", script, "sh", dir)
	}
	results, err := b.contest(max(b.rounds, 5),
		contestant{"tutela's reader", func() (*exec.Cmd, func([]byte) error, error) { return b.discarding(each(luma)) }},
		contestant{"djpeg", func() (*exec.Cmd, func([]byte) error, error) {
			return b.discarding(each("djpeg -scale 1/8 -grayscale"))
		}})
	if err != nil {
		return err
	}
	say := func(r result) string {
		return fmt.Sprintf("%s: %.1f ms a picture", r.name, 1000*median(r.walls())/phoneCount)
	}
	b.out.add(b.out.title+", a process each", say(results[0]), say(results[1]), compare(results[0].walls(), results[1].walls()), none())
	return nil
}

// sameLuma makes sure, outside the contest, that both write the same bytes.
func (b *bench) sameLuma(luma, dir, kind string) error {
	for i := range phoneCount {
		name := phoneName(dir, kind, i)
		ours, err := exec.CommandContext(b.ctx, luma, name).Output()
		theirs, also := exec.CommandContext(b.ctx, "djpeg", "-scale", "1/8", "-grayscale", name).Output()
		if err := errors.Join(err, also); err != nil {
			return err
		}
		if !bytes.Equal(ours, theirs) {
			return fmt.Errorf("%s: djpeg writes other bytes", filepath.Base(name))
		}
	}
	return nil
}

// hashed are the rates of two ways to a perceptual hash.
type hashed struct{ Fast, Exact rate }

func (b *bench) hashAgainst(dir string) error {
	for _, kind := range []string{"baseline", "progressive"} {
		var ours, theirs []float64
		for range max(b.rounds, 3) {
			cmd, err := b.part("hash-"+kind, dir, phoneCount)
			if err != nil {
				return err
			}
			var h hashed
			if err := answerOf(cmd, &h); err != nil {
				return err
			}
			ours, theirs = append(ours, h.Fast.Seconds), append(theirs, h.Exact.Seconds)
		}
		g := none()
		if kind == "baseline" {
			g = atLeast(8)
		}
		say := func(who string, seconds []float64) string {
			return fmt.Sprintf("%s: %.1f ms a picture", who, 1000*median(seconds)/phoneCount)
		}
		b.out.add(fmt.Sprintf("JPEG of 12 megapixels, %s, to PDQ, one goroutine", kind), say("tutela", ours), say("image/jpeg and PDQ", theirs), compare(ours, theirs), g)
	}
	return nil
}

// hashPictures hashes the pictures of a kind, each quickly and exactly in turn.
func hashPictures(kind string) func(ctx context.Context, dir, count string) (any, error) {
	return func(ctx context.Context, dir, count string) (any, error) {
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		var h hashed
		for i := range n {
			data, err := os.ReadFile(phoneName(dir, kind, i))
			if err != nil {
				return nil, err
			}
			for _, way := range []struct {
				ask  picture.Ask
				into *rate
			}{{picture.Ask{}, &h.Fast}, {picture.Ask{Exact: true}, &h.Exact}} {
				r, err := timed(1, func() error {
					_, err := picture.Look(ctx, data, way.ask, picture.Limits{})
					return err
				})
				if err != nil {
					return nil, err
				}
				way.into.Count++
				way.into.Seconds += r.Seconds
				way.into.CPU += r.CPU
			}
		}
		return h, nil
	}
}

func phoneName(dir, kind string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%d.jpg", kind, i))
}

// makePhonePictures makes the pictures, baseline and progressive.
func (b *bench) makePhonePictures() (dir string, err error) {
	dir = filepath.Join(b.dir, "phone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return dir, err
	}
	sources := filepath.Join(dir, "wallpapers")
	defer func() { err = errors.Join(err, os.RemoveAll(sources)) }()
	if err := b.fetchWallpapers(sources); err != nil {
		return dir, err
	}
	cmd, err := b.part("phone", dir, phoneCount)
	if err != nil {
		return dir, err
	}
	var made picturesMade
	if err := answerOf(cmd, &made); err != nil {
		return dir, fmt.Errorf("make pictures: %w", err)
	}
	b.out.notes = append(b.out.notes, fmt.Sprintf("The JPEGs of 12 megapixels (%.1f MB on average) are four pieces of photographs each, encoded at quality 90, 4:2:0; jpegtran made them progressive.", float64(made.Bytes)/1e6/phoneCount))
	for i := range phoneCount {
		cmd := exec.CommandContext(b.ctx, "jpegtran", "-progressive", "-copy", "none", "-outfile", phoneName(dir, "progressive", i), phoneName(dir, "baseline", i))
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("jpegtran: %w\n%s", err, out)
		}
	}
	return dir, nil
}

// composePictures puts so many pictures together from the photographs in
// dir/wallpapers.
func composePictures(ctx context.Context, dir, count string) (any, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	sources, err := photographs(filepath.Join(dir, "wallpapers"))
	if err != nil {
		return nil, err
	}
	var made picturesMade
	for i := range n {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		img, err := compose(sources, rand.New(rand.NewPCG(uint64(i), 5)))
		if err != nil {
			return nil, err
		}
		size, err := encode(phoneName(dir, "baseline", i), img, 90)
		if err != nil {
			return nil, err
		}
		made.Files, made.Bytes = made.Files+1, made.Bytes+size
	}
	return made, nil
}

// compose fills a picture with pieces of photographs, from the left and the top,
// as large as the quarter that is to be filled, or as the photograph.
func compose(sources []string, r *rand.Rand) (image.Image, error) {
	img := image.NewRGBA(image.Rect(0, 0, phoneWidth, phoneHeight))
	for y := 0; y < phoneHeight; {
		height := phoneHeight
		for x := 0; x < phoneWidth; {
			whole, err := decode(sources[r.IntN(len(sources))])
			if err != nil {
				return nil, err
			}
			b := whole.Bounds()
			w, h := min(phoneWidth/2, b.Dx(), phoneWidth-x), min(phoneHeight/2, b.Dy())
			at := b.Min.Add(image.Pt(r.IntN(b.Dx()-w+1), r.IntN(b.Dy()-h+1)))
			draw.Draw(img, image.Rect(x, y, x+w, y+h), whole, at, draw.Src)
			x, height = x+w, min(height, h)
		}
		y += height
	}
	return img, nil
}
