package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// wallpaperPackages are Debian's packages of photographs; all are free (CC BY,
// CC BY-SA, CC0, GPL 2 or later: see their copyright files). They are fetched
// and unpacked into the data folder, not installed.
var wallpaperPackages = []string{"lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "mate-backgrounds", "ukui-wallpapers"}

// makePictures makes n different JPEG files of photographs.
func (b *bench) makePictures(n int) (data, error) {
	d := data{dir: filepath.Join(b.dir, "pictures")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return d, err
	}
	sources := filepath.Join(b.dir, "wallpapers")
	defer os.RemoveAll(sources)
	if err := b.fetchWallpapers(sources); err != nil {
		return d, err
	}
	var made picturesMade
	cmd, err := b.part("pictures", b.dir, n)
	if err != nil {
		return d, err
	}
	if err := answerOf(cmd, &made); err != nil {
		return d, fmt.Errorf("make pictures: %w", err)
	}
	d.files, d.bytes = made.Files, made.Bytes
	b.out.notes = append(b.out.notes, fmt.Sprintf("The %d JPEG files (%d MB, %.1f megapixels on average) were cut at random places from %d photographs in Debian's packages %s and encoded anew, baseline 4:2:0, quality 80 to 94.",
		made.Files, made.Bytes/1e6, made.Pixels/1e6/float64(made.Files), made.Sources, strings.Join(wallpaperPackages, ", ")))
	settleDisk()
	return d, d.warm(b.ctx)
}

// fetchWallpapers unpacks those of the packages that this release of Debian has.
func (b *bench) fetchWallpapers(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, name := range wallpaperPackages {
		errs = append(errs, apt(b.ctx, dir, "download", name))
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		return fmt.Errorf("fetch photographs: %w", errors.Join(errs...))
	}
	for _, archive := range archives {
		if out, err := exec.CommandContext(b.ctx, "dpkg-deb", "-x", archive, strings.TrimSuffix(archive, ".deb")).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(archive), err, out)
		}
	}
	return nil
}

// picturesMade is what the part tells.
type picturesMade struct {
	Files, Sources int
	Bytes          int64
	Pixels         float64
}

// derivePictures cuts pictures out of the photographs in dir/wallpapers and
// puts them into dir/pictures.
func derivePictures(ctx context.Context, dir, count string) (any, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	sources, err := photographs(filepath.Join(dir, "wallpapers"))
	if err != nil {
		return nil, err
	}
	made := make([]picturesMade, len(sources))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, source := range sources {
		group.Go(func() (err error) {
			made[i], err = cutPictures(ctx, source, filepath.Join(dir, "pictures"), i, len(sources), n)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	total := picturesMade{Sources: len(sources)}
	for _, m := range made {
		total.Files, total.Bytes, total.Pixels = total.Files+m.Files, total.Bytes+m.Bytes, total.Pixels+m.Pixels
	}
	return total, nil
}

// smallest and largest are in pixels, of what is cut.
const (
	smallest = 500_000
	largest  = 3_000_000
)

// photographs are the JPEG files below dir that are large enough to be cut.
func photographs(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		ext := strings.ToLower(filepath.Ext(name))
		if err != nil || !entry.Type().IsRegular() || ext != ".jpg" && ext != ".jpeg" {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if c, err := jpeg.DecodeConfig(f); err == nil && c.Width*c.Height >= 2*smallest {
			names = append(names, name)
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = errors.New("the packages hold no photograph")
	}
	slices.Sort(names)
	return names, err
}

// cutPictures makes the first-th of n pictures and every step-th after it from
// one photograph.
func cutPictures(ctx context.Context, source, into string, first, step, n int) (made picturesMade, err error) {
	whole, err := decode(source)
	if err != nil {
		return made, err
	}
	for i := first; i < n; i += step {
		if ctx.Err() != nil {
			return made, ctx.Err()
		}
		r := rand.New(rand.NewPCG(uint64(i), 3))
		part := cut(whole, r)
		name := filepath.Join(into, fmt.Sprintf("IMG_%04d.jpg", i))
		size, err := encode(name, part, 80+r.IntN(15))
		if err != nil {
			return made, err
		}
		made.Files++
		made.Bytes += size
		made.Pixels += float64(part.Bounds().Dx() * part.Bounds().Dy())
	}
	return made, nil
}

func decode(name string) (image.Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := jpeg.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", filepath.Base(name), err)
	}
	return img, nil
}

// cut is a piece of 4:3 or 3:4 anywhere in the picture.
func cut(whole image.Image, r *rand.Rand) image.Image {
	b := whole.Bounds()
	pixels := smallest + r.IntN(largest-smallest)
	w, h := sides(pixels)
	if r.IntN(4) == 0 {
		w, h = h, w
	}
	w, h = min(w, b.Dx()), min(h, b.Dy())
	at := b.Min.Add(image.Pt(r.IntN(b.Dx()-w+1), r.IntN(b.Dy()-h+1)))
	part := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(part, part.Bounds(), whole, at, draw.Src)
	return part
}

// sides are those of a picture of 4:3 with about so many pixels.
func sides(pixels int) (w, h int) {
	for w*h < pixels {
		w, h = w+4, h+3
	}
	return w, h
}

func encode(name string, img image.Image, quality int) (size int64, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := jpeg.Encode(f, img, &jpeg.Options{Quality: quality}); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
