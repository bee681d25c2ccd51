package hfsplus

import (
	"context"
	"fmt"
	"math/bits"

	"tutela"
	"tutela/internal/evidence"
)

// bitmap is the allocation file: a bit for each block of the volume, high bit
// first, set where something has it (TN1150 "Allocation File").
type bitmap struct {
	content *evidence.Extents
	buf     []byte
}

func (fs *FileSystem) bitmap() *bitmap {
	a := fs.resolve(fs.header.allocation, cnidAllocation, dataFork)
	return &bitmap{a.content(fs.meta), make([]byte, 64<<10)}
}

// used is how many of the blocks from first up to, not including, end belong to
// something.
func (b *bitmap) used(first, end int64) (set int64, err error) {
	for first < end {
		at := first / 8
		p := b.buf[:min(int64(len(b.buf)), (end+7)/8-at)]
		if err := readFull(b.content, p, at); err != nil {
			return 0, fmt.Errorf("allocation file: %w", err)
		}
		p[0] &= 0xff >> (first % 8)
		covered := (at + int64(len(p))) * 8
		if covered > end {
			p[len(p)-1] &= 0xff << (covered - end)
		}
		for _, v := range p {
			set += int64(bits.OnesCount8(v))
		}
		first = covered
	}
	return set, nil
}

// Free implements [evidence.FreeSpace] from the allocation file.
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	b := fs.bitmap()
	begin := int64(-1) // of the free blocks that end where we are
	give := func(end int64) error {
		run := tutela.Run{Offset: fs.header.start + begin*fs.header.block, Length: (end - begin) * fs.header.block}
		run.Length = min(run.Length, fs.src.Size()-run.Offset)
		if begin < 0 || run.Length <= 0 {
			return nil
		}
		return visit(run)
	}
	for at := int64(0); at < fs.header.blocks; at += int64(len(b.buf)) * 8 {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := b.buf[:min(int64(len(b.buf)), (fs.header.blocks-at+7)/8)]
		if err := readFull(b.content, p, at/8); err != nil {
			if begin >= 0 {
				if err := give(at); err != nil {
					return err
				}
			}
			return fmt.Errorf("hfs+: allocation file: %w", err)
		}
		for i := range min(int64(len(p))*8, fs.header.blocks-at) {
			free := p[i/8]&(0x80>>(i%8)) == 0
			if free == (begin >= 0) {
				continue
			}
			if free {
				begin = at + i
				continue
			}
			if err := give(at + i); err != nil {
				return err
			}
			begin = -1
		}
	}
	if begin < 0 {
		return nil
	}
	return give(fs.header.blocks)
}
