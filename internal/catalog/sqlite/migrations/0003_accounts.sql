-- +goose Up

-- People who may log in, as the agency log tells them.
CREATE TABLE accounts (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
-- There is no way back: an older tutela rebuilds the catalogue.
SELECT 1;
