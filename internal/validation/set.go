package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tutela"
	"tutela/internal/hashset"
)

// lookups asks a compiled hash set what it knows.
func lookups() (all []question, err error) {
	rows, err := table("lookups.tsv", 3)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		r, err := recordWith(row[0], row[1])
		if err != nil {
			return nil, err
		}
		all = append(all, question{
			area: "hash set", name: fmt.Sprintf("%s %.16s…", row[0], row[1]), source: "Python's hashlib; distances counted bit by bit, by sets.py", expected: row[2],
			ask: func(ctx context.Context, s *sitting) (string, error) { return s.known(ctx, r) },
		})
	}
	return all, nil
}

// recordWith is a record that has one digest, or is a picture with a hash.
func recordWith(kind, digits string) (r *tutela.Record, err error) {
	r = &tutela.Record{Hashed: true}
	switch kind {
	case "md5":
		r.Digests.MD5, err = tutela.ParseMD5(digits)
	case "sha1":
		r.Digests.SHA1, err = tutela.ParseSHA1(digits)
	case "sha256":
		r.Digests.SHA256, err = tutela.ParseSHA256(digits)
	case "pdq":
		r.Picture = &tutela.Perceptual{Quality: 100}
		r.Picture.PDQ, err = tutela.ParsePDQ(digits)
	default:
		err = fmt.Errorf("no digest is called %s", kind)
	}
	return r, err
}

// known says how a record is known: by the nearest match.
func (s *sitting) known(ctx context.Context, r *tutela.Record) (_ string, err error) {
	set, err := s.compiled(ctx)
	if err != nil {
		return "", err
	}
	sets := hashset.NewSets(set)
	defer func() { err = errors.Join(err, sets.Close()) }()
	answer, nearest := "unknown", 0
	for _, m := range sets.Match(0, r) {
		if answer == "unknown" || m.Distance < nearest {
			answer, nearest = fmt.Sprintf("%s at %d bits", m.Kind, m.Distance), m.Distance
		}
	}
	return answer, sets.Damage()
}

// compiled is the set of list.csv. It is compiled once in a sitting.
func (s *sitting) compiled(ctx context.Context) (*hashset.Set, error) {
	path := filepath.Join(s.dir, "list.set")
	if _, err := os.Stat(path); err == nil {
		return hashset.Open(path)
	}
	list, err := file("list.csv")
	if err != nil {
		return nil, err
	}
	rows, err := hashset.NewReader(hashset.CSV, strings.NewReader(string(list)), hashset.Options{})
	if err != nil {
		return nil, err
	}
	meta := hashset.Meta{Name: "known", Version: 1, Status: tutela.Alert, Format: string(hashset.CSV), Imported: time.Unix(1700000000, 0).UTC()}
	if _, _, err := hashset.Compile(ctx, path, meta, rows, hashset.Work{Memory: 1 << 20}); err != nil {
		return nil, err
	}
	return hashset.Open(path)
}
