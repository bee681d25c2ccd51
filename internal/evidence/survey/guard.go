package survey

import (
	"context"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

// Readers work on hostile bytes. They should not panic; where one does all the
// same, it must cost no more than the volume or the file it was working on.

// guardedWalk lists fs. The first result is what went wrong inside the reader,
// the second why the walk must stop: an error of visit, unchanged, or of ctx. A
// panic of visit is not the reader's and goes on.
func guardedWalk(ctx context.Context, fs evidence.FileSystem, limits evidence.Limits, visit func(*evidence.Entry) error) (failure, stop error) {
	visiting := false
	defer func() {
		if visiting {
			return
		}
		if cause := recover(); cause != nil {
			failure = panicked(cause)
		}
	}()
	err := fs.Walk(ctx, limits, func(e *evidence.Entry) error {
		if stop != nil {
			return stop
		}
		visiting = true
		stop = visit(e)
		visiting = false
		return stop
	})
	if stop == nil {
		stop = ctx.Err()
	}
	if stop != nil {
		return nil, stop
	}
	return err, nil
}

// guardedOpen is open with the panics of open and of the content turned into
// errors.
func guardedOpen(open func() (evidence.Content, error)) func() (evidence.Content, error) {
	return func() (c evidence.Content, err error) {
		defer rescue(&err)
		c, err = open()
		if err != nil {
			return nil, err
		}
		if at, ok := c.(io.ReaderAt); ok {
			return guardedAt{guarded{c}, at}, nil
		}
		return guarded{c}, nil
	}
}

func rescue(err *error) {
	if cause := recover(); cause != nil {
		*err = panicked(cause)
	}
}

type guarded struct{ content evidence.Content }

func (g guarded) Read(p []byte) (n int, err error) {
	defer rescue(&err)
	return g.content.Read(p)
}

func (g guarded) Close() (err error) {
	defer rescue(&err)
	return g.content.Close()
}

type guardedAt struct {
	guarded
	at io.ReaderAt
}

func (g guardedAt) ReadAt(p []byte, off int64) (n int, err error) {
	defer rescue(&err)
	return g.at.ReadAt(p, off)
}

func panicked(cause any) error { return fmt.Errorf("reader failed: %v", cause) }
