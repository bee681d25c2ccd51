package scan

import (
	"context"
	"io"
	"time"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/picture"
	"tutela/internal/video"
)

// Host reads contents that may be hostile. Package confine has one that does so
// in processes of their own; its errors and entries are those of the packages
// that do the work. An error that has a method Finding says by that how the
// reader ended.
type Host interface {
	// Expand is archive.Expander.Expand.
	Expand(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error
	// Look is picture.Look.
	Look(ctx context.Context, data []byte, ask picture.Ask) (picture.View, error)
	// Video goes through a video as package video does, with whatever decodes
	// the frames that it cannot.
	Video(ctx context.Context, content io.ReaderAt, size int64) (video.View, error)
}

// Thumbnails keeps small pictures by the content they are of. It must be safe
// for concurrent use. What Put was given must be durable once Sync returns nil.
type Thumbnails interface {
	Has(content tutela.SHA256) bool
	Put(content tutela.SHA256, jpeg []byte) error
	Sync() error
}

// here reads in this process.
type here struct{}

func (here) Expand(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error {
	return archive.New(o).Expand(ctx, parent, content, size, visit)
}

func (here) Look(ctx context.Context, data []byte, ask picture.Ask) (picture.View, error) {
	return picture.Look(ctx, data, ask, picture.Limits{})
}

func (here) Video(ctx context.Context, content io.ReaderAt, size int64) (video.View, error) {
	var w watcher
	ending, err := video.Scan(ctx, content, size, false, &w)
	w.view.Video.Duration, w.view.Strip = ending.Duration, ending.Strip
	w.view.Findings = append(w.view.Findings, ending.Findings...)
	return w.view, err
}

// watcher takes what is told of a video that no decoder elsewhere looks at.
type watcher struct{ view video.View }

var _ video.Sink = (*watcher)(nil)

// Told implements [video.Sink].
func (w *watcher) Told(v tutela.Video, coding string, _ bool) error {
	if w.view.Video = v; coding != "" {
		w.view.Findings = append(w.view.Findings, tutela.Finding{Code: tutela.FindingNotDecoded, Detail: "video not decoded: no decoder in this process for " + v.Codec})
	}
	return nil
}

// Frame implements [video.Sink].
func (w *watcher) Frame(f tutela.Frame) error {
	if video.Comparable(f) {
		w.view.Video.Frames = append(w.view.Video.Frames, f)
	}
	return nil
}

// Stream implements [video.Sink].
func (w *watcher) Stream() error { return nil }

// Packet implements [video.Sink].
func (w *watcher) Packet(time.Duration, []byte) error { return nil }
