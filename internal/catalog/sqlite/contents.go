package sqlite

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/catalog"
)

// contents gives every digested row of the batch the id of its content, and
// returns how many of these are new to the scan.
//
// Digests are random, so in the order of the records each would be looked for
// in another page. Sorted, a batch goes through the index once from end to end.
func (t *tx) contents(b *batch, scan int64) (fresh uint64, err error) {
	rows := byDigest(b)
	distinct, err := distinctOf(rows)
	if err != nil {
		return 0, err
	}
	known, err := t.knownContents(distinct)
	if err != nil {
		return 0, err
	}
	if err := t.insertContents(distinct); err != nil {
		return 0, err
	}
	share(rows)
	here, err := t.within(scan, known)
	return uint64(len(distinct)) - here, err
}

func byDigest(b *batch) []*row {
	rows := make([]*row, 0, len(b.rows))
	for i := range b.rows {
		if b.rows[i].hashed {
			rows = append(rows, &b.rows[i])
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return bytes.Compare(a.digests.SHA256[:], b.digests.SHA256[:]) })
	return rows
}

// distinctOf is the first row of each content.
func distinctOf(rows []*row) (distinct []*row, err error) {
	for i, r := range rows {
		if i == 0 || rows[i-1].digests.SHA256 != r.digests.SHA256 {
			distinct = append(distinct, r)
			continue
		}
		if rows[i-1].digests != r.digests {
			return nil, contradiction(r.digests)
		}
	}
	return distinct, nil
}

// share gives the id of a content to the rows that repeat it.
func share(rows []*row) {
	for i, r := range rows {
		if i > 0 && rows[i-1].digests.SHA256 == r.digests.SHA256 {
			r.content = rows[i-1].content
		}
	}
}

// contradiction: one SHA-256 with two MD5s or SHA-1s. No evidence can do that,
// only a ledger that was not written by tutela.
func contradiction(d tutela.Digests) error {
	return fmt.Errorf("content %s: its other digests: %w", d.SHA256, catalog.ErrDiffers)
}

// knownContents gives contents that the catalogue holds the id they have, and
// returns them.
func (t *tx) knownContents(distinct []*row) (known []*row, err error) {
	c := t.chunks("SELECT id, sha256, sha1, md5 FROM contents WHERE prefix IN (VALUES %s)", 1)
	defer c.close()
	for chunk := range slices.Chunk(distinct, rowsAtOnce) {
		for _, r := range chunk {
			c.add(prefix(r.digests.SHA256))
		}
		err := c.each(func(rows *sql.Rows) error {
			id, digests, err := scanContent(rows)
			if err != nil {
				return err
			}
			i, found := slices.BinarySearchFunc(chunk, digests.SHA256, func(r *row, d tutela.SHA256) int { return bytes.Compare(r.digests.SHA256[:], d[:]) })
			if !found {
				return nil // only begins the same
			}
			if chunk[i].digests != digests {
				return contradiction(digests)
			}
			chunk[i].content = id
			known = append(known, chunk[i])
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// prefix is what contents are looked up by: with eight bytes instead of 32 the
// index is a third of the size, and a batch touches a third of its pages.
func prefix(d tutela.SHA256) int64 { return int64(binary.BigEndian.Uint64(d[:8])) }

// insertContents inserts those that have no id yet, with ids that follow.
func (t *tx) insertContents(distinct []*row) error {
	var next int64
	if err := t.one([]any{&next}, "SELECT coalesce(max(id), 0) + 1 FROM contents"); err != nil {
		return err
	}
	into := t.inserter("INSERT INTO contents (id, prefix, sha256, sha1, md5)", 5)
	for _, r := range distinct {
		if r.content != 0 {
			continue
		}
		r.content = next
		next++
		if err := into.row(r.content, prefix(r.digests.SHA256), r.digests.SHA256[:], r.digests.SHA1[:], r.digests.MD5[:]); err != nil {
			return err
		}
	}
	return into.flush()
}

func scanContent(rows *sql.Rows) (id int64, d tutela.Digests, err error) {
	var sha256, sha1, md5 sql.RawBytes
	if err := rows.Scan(&id, &sha256, &sha1, &md5); err != nil {
		return 0, d, err
	}
	return id, d, setDigests(&d, sha256, sha1, md5)
}

func setDigests(d *tutela.Digests, sha256, sha1, md5 []byte) error {
	if len(sha256) != len(d.SHA256) || len(sha1) != len(d.SHA1) || len(md5) != len(d.MD5) {
		return fmt.Errorf("%w: digests of %d, %d and %d bytes", catalog.ErrDamaged, len(sha256), len(sha1), len(md5))
	}
	copy(d.SHA256[:], sha256)
	copy(d.SHA1[:], sha1)
	copy(d.MD5[:], md5)
	return nil
}

// within is how many of the contents the scan has locations of already.
func (t *tx) within(scan int64, known []*row) (n uint64, err error) {
	c := t.chunks(fmt.Sprintf("SELECT count(*) FROM (VALUES %%s) AS c WHERE EXISTS (SELECT 1 FROM locations WHERE content = c.column1 AND id >= %d AND id < %d)", locationID(scan, 0), locationID(scan+1, 0)), 1)
	defer c.close()
	for chunk := range slices.Chunk(known, rowsAtOnce) {
		for _, r := range chunk {
			c.add(r.content)
		}
		err := c.each(func(rows *sql.Rows) error {
			var here uint64
			err := rows.Scan(&here)
			n += here
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}
