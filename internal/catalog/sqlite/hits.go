package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"tutela"
	"tutela/internal/catalog"
)

// hits reads all about locations; ids must rise. Case and scan are the
// caller's to fill in.
func (t *tx) hits(ids []int64) ([]catalog.Hit, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list := jsonIDs(ids)
	hits, at := make([]catalog.Hit, 0, len(ids)), make(map[int64]int, len(ids))
	err := t.each(func(rows *sql.Rows) error {
		id, hit, err := scanHit(rows)
		at[id] = len(hits)
		hits = append(hits, hit)
		return err
	}, `SELECT l.id, l.state, l.kind, l.size, l.volume, l.path, l.observation, l.failure, t.text, c.sha256, c.sha1, c.md5, p.pdq, p.quality, p.width, p.height, d.text, p.scale, v.body
		FROM json_each(?) j CROSS JOIN locations l ON l.id = j.value
		JOIN words t ON t.id = l.mime
		LEFT JOIN contents c ON c.id = l.content
		LEFT JOIN pictures p ON p.location = l.id LEFT JOIN words d ON d.id = p.decoder
		LEFT JOIN videos v ON v.location = l.id
		ORDER BY l.id`, list)
	if err != nil {
		return nil, err
	}
	if len(hits) != len(ids) {
		return nil, fmt.Errorf("%w: %d of %d locations can be read whole", catalog.ErrDamaged, len(hits), len(ids))
	}
	if err := t.addFindings(hits, at, list); err != nil {
		return nil, err
	}
	return hits, t.addMatches(hits, at, list)
}

func scanHit(rows *sql.Rows) (id int64, h catalog.Hit, err error) {
	r := &h.Record
	var observation, sha256, sha1, md5, pdq, video sql.RawBytes
	var quality, width, height, scale sql.NullInt64
	var decoder sql.NullString
	if err := rows.Scan(&id, &r.State, &r.Kind, &r.Size, &r.Volume, &r.Path, &observation, &r.Failure, &r.Type,
		&sha256, &sha1, &md5, &pdq, &quality, &width, &height, &decoder, &scale, &video); err != nil {
		return 0, h, err
	}
	h.Leaf = leafOf(id)
	if r.Times, r.Chain, err = parseObservation(observation); err != nil {
		return 0, h, err
	}
	if sha256 != nil {
		r.Hashed = true
		if err := setDigests(&r.Digests, sha256, sha1, md5); err != nil {
			return 0, h, err
		}
	}
	if video != nil {
		if r.Video, err = parseVideo(video); err != nil {
			return 0, h, err
		}
	}
	if pdq == nil {
		return id, h, nil
	}
	hash, err := parsePDQ(pdq)
	r.Picture = &tutela.Perceptual{PDQ: hash, Quality: int(quality.Int64), Width: int(width.Int64), Height: int(height.Int64), Decoder: decoder.String, Scale: int(scale.Int64)}
	return id, h, err
}

func parsePDQ(b []byte) (p tutela.PDQ, err error) {
	if len(b) != len(p) {
		return p, fmt.Errorf("%w: a PDQ of %d bytes", catalog.ErrDamaged, len(b))
	}
	copy(p[:], b)
	return p, nil
}

func (t *tx) addFindings(hits []catalog.Hit, at map[int64]int, list string) error {
	return t.each(func(rows *sql.Rows) error {
		var id int64
		var f tutela.Finding
		if err := rows.Scan(&id, &f.Code, &f.Detail); err != nil {
			return err
		}
		r := &hits[at[id]].Record
		r.Findings = append(r.Findings, f)
		return nil
	}, `SELECT f.location, w.text, f.detail FROM json_each(?) j CROSS JOIN findings f ON f.location = j.value
		JOIN words w ON w.id = f.code ORDER BY f.location, f.seq`, list)
}

func (t *tx) addMatches(hits []catalog.Hit, at map[int64]int, list string) error {
	return t.each(func(rows *sql.Rows) error {
		var id, row int64
		var m tutela.Match
		if err := rows.Scan(&id, &m.Status, &m.Set, &m.Version, &m.Category.Scheme, &m.Category.Code, &m.Kind, &row, &m.Distance, &m.Variant,
			&m.Decoder, &m.Scale, &m.QueryShare, &m.KnownShare); err != nil {
			return err
		}
		h := &hits[at[id]]
		m.Leaf, m.Row = h.Leaf, uint64(row)
		h.Matches = append(h.Matches, m)
		return nil
	}, `SELECT m.location, m.status, s.text, m.version, c.text, m.code, m.kind, m.row, m.distance, m.variant, m.decoder, m.scale, m.query_share, m.known_share
		FROM json_each(?) j CROSS JOIN matches m ON m.location = j.value
		JOIN words s ON s.id = m.set_name JOIN words c ON c.id = m.scheme ORDER BY m.location, m.seq`, list)
}

// jsonIDs lets one question mark stand for any number of ids.
func jsonIDs(ids []int64) string {
	list, err := json.Marshal(ids)
	if err != nil {
		panic("internal error: numbers are always JSON")
	}
	return string(list)
}
