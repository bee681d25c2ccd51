package btrfs

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

var _ evidence.FreeSpace = (*FileSystem)(nil)

const (
	itemAllocated = 168 // an extent
	itemNode      = 169 // a node of a tree
	extentTreeID  = 2
	reservedBytes = 1 << 20  // at the beginning of each device
	superReserve  = 64 << 10 // around each copy of the superblock
)

// Free implements [evidence.FreeSpace]: what no chunk has of the device, and what
// no extent has of the chunks (BTRFS "Extent tree").
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	err := fs.free(ctx, visit)
	if stop, ok := errors.AsType[visitError](err); ok {
		return stop.err
	}
	return err
}

func (fs *FileSystem) free(ctx context.Context, visit func(tutela.Run) error) error {
	root, err := fs.subvolume(extentTreeID)
	if err != nil {
		return fmt.Errorf("btrfs: extent tree: %w", err)
	}
	j := &joiner{visit: visit, end: min(fs.src.Size(), int64(min(fs.sb.deviceBytes, 1<<62)))}
	at := int64(reservedBytes)
	for _, p := range fs.placed() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.at < at {
			return fmt.Errorf("btrfs: chunks lie over each other at byte %d", at)
		}
		if err := j.give(at, p.at); err != nil {
			return err
		}
		if err := fs.freeOfChunk(ctx, root, p, j); err != nil {
			return err
		}
		at = p.at + int64(p.chunk.length)
	}
	if err := j.give(at, j.end); err != nil {
		return err
	}
	return j.flush()
}

// placedChunk is a copy of a chunk on this device.
type placedChunk struct {
	at    int64
	chunk *chunk
}

// placed are the copies of all chunks, by where they lie.
func (fs *FileSystem) placed() (all []placedChunk) {
	for i := range fs.chunks {
		for _, s := range fs.chunks[i].stripes {
			if end := s.offset + fs.chunks[i].length; s.offset < 1<<62 && end < 1<<62 && end > s.offset {
				all = append(all, placedChunk{int64(s.offset), &fs.chunks[i]})
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].at < all[j].at })
	return all
}

// freeOfChunk gives what lies between the extents of a chunk. Chunks that are
// striped over devices are left out: their places are not known here.
func (fs *FileSystem) freeOfChunk(ctx context.Context, root node, p placedChunk, j *joiner) error {
	for _, striped := range profiles {
		if p.chunk.profile&striped.bit != 0 {
			return nil
		}
	}
	from, end := p.chunk.start, p.chunk.start+p.chunk.length
	next := from // logical
	err := fs.scan(root, key{from, 0, 0}, key{end - 1, 255, 1<<64 - 1}, func(k key, _ []byte) error {
		length := k.offset
		switch k.kind {
		case itemNode:
			length = uint64(fs.sb.node)
		case itemAllocated:
		default:
			return ctx.Err()
		}
		if k.object < next || length == 0 || length > end-k.object {
			return fmt.Errorf("extent at address %d, %d bytes long, makes no sense", k.object, length)
		}
		err := j.give(p.at+int64(next-from), p.at+int64(k.object-from))
		next = k.object + length
		return err
	})
	if err != nil {
		if stop, ok := errors.AsType[visitError](err); ok {
			return stop
		}
		return fmt.Errorf("btrfs: extent tree: %w", err)
	}
	return j.give(p.at+int64(next-from), p.at+int64(p.chunk.length))
}

// joiner gives out stretches that come in order, joined where they touch, without
// the copies of the superblock and what lies behind the end.
type joiner struct {
	visit func(tutela.Run) error
	end   int64
	last  tutela.Run
}

func (j *joiner) give(from, to int64) error {
	for _, super := range superPlaces {
		if from < super+superReserve && super < to {
			if err := j.add(from, super); err != nil {
				return err
			}
			from = super + superReserve
		}
	}
	return j.add(from, to)
}

func (j *joiner) add(from, to int64) error {
	if to = min(to, j.end); from >= to {
		return nil
	}
	if j.last.Length > 0 && j.last.Offset+j.last.Length == from {
		j.last.Length += to - from
		return nil
	}
	was := j.last
	if j.last = (tutela.Run{Offset: from, Length: to - from}); was.Length == 0 {
		return nil
	}
	if err := j.visit(was); err != nil {
		return visitError{err}
	}
	return nil
}

func (j *joiner) flush() error {
	if j.last.Length == 0 {
		return nil
	}
	return j.visit(j.last)
}
