package ntfs

import (
	"context"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// Free implements [evidence.FreeSpace] by what $Bitmap calls free.
func (fs *FileSystem) Free(ctx context.Context, visit func(tutela.Run) error) error {
	w := newWalker(fs, evidence.Limits{}, nil)
	w.openBitmap()
	if w.bitmap == nil {
		return errors.New("$Bitmap cannot be read")
	}
	free := freeRun{cluster: fs.geo.cluster, visit: visit}
	end := fs.held() / fs.geo.cluster
	for first := int64(0); first < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := w.bitmap.buf[:min(int64(len(w.bitmap.buf)), (end-first+7)/8)]
		if n, err := w.bitmap.ReadAt(p, first/8); n < len(p) {
			return fmt.Errorf("$Bitmap: %w", err)
		}
		for _, used := range p {
			for bit := int64(0); bit < 8 && first < end; bit++ {
				if err := free.take(first, used>>bit&1 == 1); err != nil {
					return err
				}
				first++
			}
		}
	}
	return free.end(end)
}

// freeRun joins free clusters into stretches.
type freeRun struct {
	cluster int64 // bytes
	visit   func(tutela.Run) error
	from    int64 // the first free cluster of the stretch
	open    bool
}

func (f *freeRun) take(cluster int64, used bool) error {
	switch {
	case used:
		return f.end(cluster)
	case !f.open:
		f.from, f.open = cluster, true
	}
	return nil
}

func (f *freeRun) end(cluster int64) error {
	if !f.open {
		return nil
	}
	f.open = false
	return f.visit(tutela.Run{Offset: f.from * f.cluster, Length: (cluster - f.from) * f.cluster})
}
