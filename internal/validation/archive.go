package validation

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

// archives asks what lies in an archive of each kind.
func archives() (all []question, err error) {
	rows, err := table("archives.tsv", 4)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		answer, err := sortedTable(row[2])
		if err != nil {
			return nil, err
		}
		all = append(all, question{
			area: "archive", name: row[1], source: row[3], expected: answer,
			ask: of(row[0], members),
		})
	}
	return all, nil
}

// members are the files in an archive, also in one that lies in another, as rows of
// their paths in the innermost.
func members(ctx context.Context, s *sitting, m medium) (string, error) {
	parent := &evidence.Entry{Path: []byte("/" + m.name), Kind: tutela.File, State: tutela.Allocated, Size: int64(len(m.data))}
	options := archive.Options{Limits: evidence.DefaultLimits(), Spool: inMemory{}}
	var rows []string
	err := s.host.Expand(ctx, options, parent, bytes.NewReader(m.data), parent.Size, func(e *evidence.Entry) error {
		if i := bytes.LastIndex(e.Path, []byte("!/")); i >= 0 {
			e.Path = e.Path[i+1:]
		}
		e.State = tutela.Allocated
		if row := rowOf(e); row != "" && !bytes.HasSuffix(e.Path, []byte(".tar")) {
			rows = append(rows, row)
		}
		return ctx.Err()
	})
	return joined(rows), err
}

// inMemory is a spool for archives that are small.
type inMemory struct{}

func (inMemory) Put(_ context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	b, err := io.ReadAll(io.LimitReader(r, min(limit, largest)+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return opened{bytes.NewReader(b)}, err
}
