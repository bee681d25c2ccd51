package validation

import (
	"context"
	"fmt"

	"tutela/internal/picture"
)

// pictures asks for PDQ hashes, made as a scan makes them where a match is to be
// reported: from all pixels, in a child.
func pictures() (all []question, err error) {
	rows, err := table("pictures.tsv", 3)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		data, err := file(row[0])
		if err != nil {
			return nil, err
		}
		all = append(all, question{
			area: "picture", name: "PDQ of " + row[0], source: row[1], expected: row[2],
			ask: func(ctx context.Context, s *sitting) (string, error) {
				v, err := s.host.Look(ctx, data, picture.Ask{Exact: true})
				return fmt.Sprintf("%s %d", v.Perceptual.PDQ, v.Perceptual.Quality), err
			},
		})
	}
	return all, nil
}
