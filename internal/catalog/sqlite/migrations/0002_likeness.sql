-- +goose Up

-- How many pixels a side were averaged before hashing; 0 for exact hashes.
ALTER TABLE pictures ADD COLUMN scale INTEGER NOT NULL DEFAULT 0;

-- What is read back of a video, with the hashes of its frames, see video.go.
CREATE TABLE videos (
  location INTEGER PRIMARY KEY,
  body     BLOB    NOT NULL
) STRICT;

-- What a match by likeness was made from.
ALTER TABLE matches ADD COLUMN decoder     TEXT    NOT NULL DEFAULT '';
ALTER TABLE matches ADD COLUMN scale       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE matches ADD COLUMN query_share INTEGER NOT NULL DEFAULT 0;
ALTER TABLE matches ADD COLUMN known_share INTEGER NOT NULL DEFAULT 0;

-- +goose Down
-- There is no way back: an older tutela rebuilds the catalogue.
SELECT 1;
