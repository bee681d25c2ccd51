-- +goose Up

-- "ttla": whoever opens the file can see whose it is.
PRAGMA application_id = 0x74746c61;

-- The agency log, as applied. The nouns below it are made from it and kept as
-- JSON: they are few, and read whole.
CREATE TABLE events (
  idx         INTEGER PRIMARY KEY,
  kind        TEXT    NOT NULL,
  sec         INTEGER NOT NULL, -- Unix time
  nsec        INTEGER NOT NULL,
  actor       TEXT    NOT NULL,
  case_number TEXT    NOT NULL,
  exhibit     TEXT    NOT NULL,
  authority   TEXT    NOT NULL,
  detail      BLOB    NOT NULL,
  key         TEXT    NOT NULL,
  repeated    INTEGER NOT NULL, -- 1: the key had been applied before
  misfit      TEXT    NOT NULL  -- why it changed nothing
) STRICT;
CREATE INDEX events_key     ON events (key)         WHERE key <> '';
CREATE INDEX events_exhibit ON events (exhibit)     WHERE exhibit <> '';
CREATE INDEX events_case    ON events (case_number) WHERE case_number <> '';

CREATE TABLE cases (
  number TEXT PRIMARY KEY,
  body   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE authorities (
  reference   TEXT PRIMARY KEY,
  case_number TEXT NOT NULL REFERENCES cases (number),
  body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE exhibits (
  label       TEXT PRIMARY KEY,
  case_number TEXT NOT NULL REFERENCES cases (number),
  body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sets (
  name    TEXT    NOT NULL,
  version INTEGER NOT NULL,
  body    TEXT    NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE scans (
  id      INTEGER PRIMARY KEY,
  exhibit TEXT    NOT NULL REFERENCES exhibits (label),
  number  INTEGER NOT NULL,
  body    TEXT    NOT NULL,
  next    INTEGER NOT NULL DEFAULT 0,    -- the leaf to load next
  run     INTEGER NOT NULL DEFAULT 0,    -- the match run that is shown, 0 for none
  counts  TEXT    NOT NULL DEFAULT '{}', -- catalog.Counts
  UNIQUE (exhibit, number)
) STRICT;

-- What follows is loaded in millions. A location's id is scans.id << 40 | leaf:
-- the records of a scan lie together and in the order they are told in, without
-- an index of their own.

-- Strings that come again and again: types, decoders, codes, sets.
CREATE TABLE words (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE contents (
  id     INTEGER PRIMARY KEY,
  prefix INTEGER NOT NULL, -- the first eight bytes of sha256, big endian
  sha256 BLOB NOT NULL,    -- one row each; kept so by the only transaction that writes
  sha1   BLOB NOT NULL,
  md5    BLOB NOT NULL
) STRICT;
CREATE INDEX contents_prefix ON contents (prefix);

CREATE TABLE locations (
  id          INTEGER PRIMARY KEY,
  state       INTEGER NOT NULL,
  kind        INTEGER NOT NULL,
  size        INTEGER NOT NULL,
  content     INTEGER, -- contents.id, NULL where it was not digested
  mime        INTEGER NOT NULL, -- words.id
  volume      TEXT NOT NULL,
  path        BLOB NOT NULL,
  observation BLOB NOT NULL, -- times and chain, see observation.go
  failure     TEXT NOT NULL
) STRICT;
-- New contents get rising ids, so this index grows at its end while loading.
CREATE INDEX locations_content ON locations (content) WHERE content IS NOT NULL;
-- Nearly all is allocated; asking for that reads the table.
CREATE INDEX locations_state ON locations (state) WHERE state <> 1;

CREATE TABLE pictures (
  location INTEGER PRIMARY KEY,
  pdq      BLOB    NOT NULL,
  quality  INTEGER NOT NULL,
  width    INTEGER NOT NULL,
  height   INTEGER NOT NULL,
  decoder  INTEGER NOT NULL -- words.id
) STRICT;

CREATE TABLE findings (
  location INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  code     INTEGER NOT NULL, -- words.id
  detail   TEXT    NOT NULL,
  PRIMARY KEY (location, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_code ON findings (code, location);

CREATE TABLE matches (
  location INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  status   INTEGER NOT NULL,
  set_name INTEGER NOT NULL, -- words.id
  version  INTEGER NOT NULL,
  scheme   INTEGER NOT NULL, -- words.id
  code     TEXT    NOT NULL,
  kind     INTEGER NOT NULL,
  row      INTEGER NOT NULL,
  distance INTEGER NOT NULL,
  variant  TEXT    NOT NULL,
  PRIMARY KEY (location, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX matches_status ON matches (status, location);

-- +goose Down
-- There is no way back: an older tutela rebuilds the catalogue.
SELECT 1;
