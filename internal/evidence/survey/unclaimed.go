package survey

import (
	"context"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// visitSlack visits what lies between the end of a file and the end of what it
// was given: "/a/b.txt:$Slack".
func (p *part) visitSlack(e *evidence.Entry, visit func(*evidence.Entry) error) error {
	if len(e.Slack) == 0 {
		return nil
	}
	var extents []evidence.Extent
	var size int64
	for _, r := range e.Slack {
		extents = append(extents, evidence.Extent(r))
		size += r.Length
	}
	return visit(&evidence.Entry{
		Volume: p.number,
		Path:   append(slices.Clone(e.Path), ":$Slack"...),
		Chain:  append(slices.Clip(p.chain), e.Chain...),
		Kind:   tutela.File,
		State:  tutela.Slack,
		Size:   size,
		Runs:   p.inImage(e.Slack),
		Open:   func() (evidence.Content, error) { return evidence.NewExtents(p.src, extents, size), nil },
	})
}

// walkUnclaimed visits the free space of a volume and what is carved out of it.
// Where no reader lists the volume, all of it is looked through.
func (p *part) walkUnclaimed(ctx context.Context, options Options, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	u := unclaimed{src: p.src, part: p, chain: p.chain, host: options.Host}
	free, err := p.free(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if err := visit(p.entry([]tutela.Finding{{Code: codeOf(err), Detail: "free space: " + err.Error()}})); err != nil {
			return err
		}
	}
	if p.fs != nil {
		for _, run := range free {
			if err := visit(u.stretch(run)); err != nil {
				return err
			}
		}
	}
	return u.carve(ctx, limits, free, visit)
}

// free are the stretches of the volume that belong to nothing.
func (p *part) free(ctx context.Context) (free []tutela.Run, err error) {
	if p.sealed {
		return nil, nil // noise
	}
	if p.fs == nil {
		if p.src.Size() == 0 {
			return nil, nil
		}
		return []tutela.Run{{Length: p.src.Size()}}, nil
	}
	fs, ok := p.fs.(evidence.FreeSpace)
	if !ok {
		return nil, nil
	}
	defer rescue(&err)
	err = fs.Free(ctx, func(r tutela.Run) error {
		free = append(free, r)
		return nil
	})
	return free, err
}

// unclaimed is a volume, or a whole medium, whose free stretches are looked at.
type unclaimed struct {
	src   evidence.Source
	part  *part // nil for a medium
	chain []tutela.Locator
	host  Host
}

func (u unclaimed) number() string {
	if u.part == nil {
		return ""
	}
	return u.part.number
}

func (u unclaimed) inImage(runs []tutela.Run) []tutela.Run {
	if u.part == nil {
		return runs
	}
	return u.part.inImage(runs)
}

// stretch is a piece of free space: "/$Free/offset+length", in bytes from the
// beginning of the volume.
func (u unclaimed) stretch(run tutela.Run) *evidence.Entry {
	at := fmt.Sprintf("%d+%d", run.Offset, run.Length)
	return &evidence.Entry{
		Volume: u.number(),
		Path:   []byte("/$Free/" + at),
		Chain:  append(slices.Clip(u.chain), tutela.Locator{Layer: "free", At: at}),
		Kind:   tutela.Gap,
		State:  tutela.Slack,
		Size:   run.Length,
		Runs:   u.inImage([]tutela.Run{run}),
		Open:   func() (evidence.Content, error) { return evidence.Stretch(u.src, run), nil },
	}
}

// carve visits the files that are found in free stretches by their content.
func (u unclaimed) carve(ctx context.Context, limits evidence.Limits, free []tutela.Run, visit func(*evidence.Entry) error) error {
	if len(free) == 0 {
		return nil
	}
	failure, stop := guardedWalk(ctx, u.host.Carve(u.src, free), limits, func(e *evidence.Entry) error {
		out := *e
		out.Volume = u.number()
		out.Chain = append(slices.Clip(u.chain), e.Chain...)
		out.Runs, out.Slack = u.inImage(e.Runs), nil
		if e.Open != nil {
			out.Open = guardedOpen(e.Open)
		}
		return visit(&out)
	})
	if stop != nil || failure == nil {
		return stop
	}
	return visit(volumeEntry(u.number(), u.chain, u.src.Size(), []tutela.Finding{{Code: codeOf(failure), Detail: "carving: " + failure.Error()}}))
}
