package demo

import (
	"context"
	"fmt"
	"io"
	"os"
)

// The disk's layout in sectors of 512 bytes. Between the volumes, and behind
// the second, lie gaps that no partition claims.
const (
	sectorSize  = 512
	diskSectors = 24 << 20 / sectorSize
	ntfsFirst   = 1 << 20 / sectorSize
	ntfsSectors = 16 << 20 / sectorSize
	gapFirst    = ntfsFirst + ntfsSectors
	isoFirst    = 18 << 20 / sectorSize
	isoSectors  = 4 << 20 / sectorSize
)

// writeDisk makes the image. Only what is not zero is written, so that the file
// is sparse where the host allows it.
func (p *Plan) writeDisk(ctx context.Context, a *album) error {
	f, err := os.OpenFile(p.Disk, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("make disk image: %w", err)
	}
	err = p.fillDisk(ctx, f, a)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write disk image: %w", err)
	}
	return nil
}

func (p *Plan) fillDisk(ctx context.Context, f *os.File, a *album) error {
	if err := f.Truncate(diskSectors * sectorSize); err != nil {
		return err
	}
	err := writeGPT(f, diskSectors, []partition{
		{first: ntfsFirst, sectors: ntfsSectors, name: "home"},
		{first: isoFirst, sectors: isoSectors, name: "disc"},
	})
	if err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	if err := p.fillVolume(ctx, "1", a, homeVolume, at(f, ntfsFirst), formatNTFS); err != nil {
		return err
	}
	note := []byte("These bytes lie between two partitions. No file system knows them.\n")
	if _, err := f.WriteAt(note, gapFirst*sectorSize); err != nil {
		return err
	}
	return p.fillVolume(ctx, "2", a, discVolume, at(f, isoFirst), formatISO)
}

func at(f *os.File, sector int64) io.WriterAt { return io.NewOffsetWriter(f, sector*sectorSize) }

func formatNTFS(w io.WriterAt, files []file) error {
	return writeNTFS(w, ntfsGeometry{hidden: ntfsFirst, sectors: ntfsSectors, label: "home"}, files)
}

func formatISO(w io.WriterAt, files []file) error {
	return writeISO(w, isoSectors*sectorSize, "DISC", files)
}

// fillVolume tells a volume's story, writes it and plants it.
func (p *Plan) fillVolume(ctx context.Context, number string, a *album,
	story func(*album) ([]file, error), w io.WriterAt, format func(io.WriterAt, []file) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	files, err := story(a)
	if err != nil {
		return err
	}
	if err := format(w, files); err != nil {
		return fmt.Errorf("volume %s: %w", number, err)
	}
	for i := range files {
		p.plant(Disk, number, &files[i])
	}
	return nil
}
