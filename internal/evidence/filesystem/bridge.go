package filesystem

import (
	"context"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/iso"
	"tutela/internal/evidence/filesystem/udf"
)

// bridge is a disc with two trees over the same files, UDF for those who read
// it and ISO 9660 for the others. UDF has the true names and is listed whole;
// behind it comes what only the other tree leads to, for things can be hidden
// there.
type bridge struct {
	udf *udf.FileSystem
	iso *iso.FileSystem
}

var _ evidence.FreeSpace = bridge{}

// openUDF opens a UDF volume, and the ISO 9660 tree beside it if there is one.
func openUDF(src evidence.Source) (evidence.FileSystem, error) {
	u, err := udf.Open(src)
	if err != nil {
		return nil, err
	}
	if i, err := iso.Open(src); err == nil {
		return bridge{u, i.Bridged()}, nil
	}
	return u, nil
}

// Walk implements [evidence.FileSystem].
func (b bridge) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	seen := map[any]bool{}
	err := b.udf.Walk(ctx, limits, func(e *evidence.Entry) error {
		if e.State == tutela.Allocated {
			seen[whereabouts(e)] = true
		}
		return visit(e)
	})
	if err != nil {
		return err
	}
	return b.iso.Walk(ctx, limits, func(e *evidence.Entry) error {
		if len(e.Findings) == 0 && seen[whereabouts(e)] {
			return nil
		}
		return visit(e)
	})
}

// whereabouts is what an entry of one tree has in common with that of the other:
// where its content lies, or its name if it has none.
func whereabouts(e *evidence.Entry) any {
	if len(e.Runs) > 0 {
		return [2]int64{e.Runs[0].Offset, e.Size}
	}
	return strings.ToLower(string(e.Path))
}

// Free implements [evidence.FreeSpace] by the map of the UDF volume.
func (b bridge) Free(ctx context.Context, visit func(tutela.Run) error) error {
	return b.udf.Free(ctx, visit)
}
