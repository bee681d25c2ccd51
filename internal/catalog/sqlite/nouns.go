package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/catalog"
)

var _ catalog.Nouns = (*tx)(nil)

// get reads one noun that is kept as JSON.
func get[T any](t *tx, query string, args ...any) (noun T, err error) {
	var body string
	if err := t.one([]any{&body}, query, args...); err != nil {
		return noun, err
	}
	return noun, unpack(body, &noun)
}

// list reads many.
func list[T any](t *tx, query string, args ...any) (nouns []T, err error) {
	err = t.each(func(rows *sql.Rows) error {
		var body string
		var noun T
		if err := rows.Scan(&body); err != nil {
			return err
		}
		if err := unpack(body, &noun); err != nil {
			return err
		}
		nouns = append(nouns, noun)
		return nil
	}, query, args...)
	return nouns, err
}

func (t *tx) put(query string, noun any, keys ...any) error {
	body, err := json.Marshal(noun)
	if err != nil {
		return err
	}
	return t.exec(query, append(keys, string(body))...)
}

// unpack reads what put wrote; if it cannot, the file was changed.
func unpack(body string, into any) error {
	if err := json.Unmarshal([]byte(body), into); err != nil {
		return fmt.Errorf("%w: %v", catalog.ErrDamaged, err)
	}
	return nil
}

func (t *tx) Case(number string) (tutela.Case, error) {
	return get[tutela.Case](t, "SELECT body FROM cases WHERE number = ?", number)
}

func (t *tx) PutCase(c tutela.Case) error {
	return t.put("INSERT INTO cases (number, body) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = ?2", c, c.Number)
}

func (t *tx) Authority(reference string) (tutela.Authority, error) {
	return get[tutela.Authority](t, "SELECT body FROM authorities WHERE reference = ?", reference)
}

func (t *tx) PutAuthority(a tutela.Authority) error {
	return t.put("INSERT INTO authorities (reference, case_number, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET case_number = ?2, body = ?3", a, a.Reference, a.Case)
}

func (t *tx) Exhibit(label string) (tutela.Exhibit, error) {
	return get[tutela.Exhibit](t, "SELECT body FROM exhibits WHERE label = ?", label)
}

func (t *tx) PutExhibit(x tutela.Exhibit) error {
	return t.put("INSERT INTO exhibits (label, case_number, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET case_number = ?2, body = ?3", x, x.Label, x.Case)
}

func (t *tx) Scan(id catalog.ScanID) (catalog.Scan, error) {
	return get[catalog.Scan](t, "SELECT body FROM scans WHERE exhibit = ?1 AND (?2 = 0 OR number = ?2) ORDER BY number DESC LIMIT 1", id.Exhibit, id.Number)
}

func (t *tx) PutScan(s catalog.Scan) error {
	return t.put("INSERT INTO scans (exhibit, number, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = ?3", s, s.Exhibit, s.Number)
}

func (t *tx) SetVersions(name string) ([]catalog.Set, error) {
	return list[catalog.Set](t, "SELECT body FROM sets WHERE name = ? ORDER BY version", name)
}

func (t *tx) PutSet(s catalog.Set) error {
	return t.put("INSERT INTO sets (name, version, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = ?3", s, s.Set.Name, s.Set.Version)
}

func (t *tx) Account(name string) (tutela.Account, error) {
	return get[tutela.Account](t, "SELECT body FROM accounts WHERE name = ?", name)
}

func (t *tx) PutAccount(a tutela.Account) error {
	return t.put("INSERT INTO accounts (name, body) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = ?2", a, a.Name)
}

// Case implements [catalog.Store].
func (s *Store) Case(ctx context.Context, number string) (tutela.Case, error) {
	c, err := s.read(ctx).Case(number)
	return c, named(err, "case", number)
}

// Authority implements [catalog.Store].
func (s *Store) Authority(ctx context.Context, reference string) (tutela.Authority, error) {
	a, err := s.read(ctx).Authority(reference)
	return a, named(err, "authority", reference)
}

// Exhibit implements [catalog.Store].
func (s *Store) Exhibit(ctx context.Context, label string) (tutela.Exhibit, error) {
	x, err := s.read(ctx).Exhibit(label)
	return x, named(err, "exhibit", label)
}

// Scan implements [catalog.Store].
func (s *Store) Scan(ctx context.Context, id catalog.ScanID) (catalog.Scan, error) {
	scan, err := s.read(ctx).Scan(id)
	return scan, namedScan(err, id)
}

// Cases implements [catalog.Store].
func (s *Store) Cases(ctx context.Context) ([]tutela.Case, error) {
	cases, err := list[tutela.Case](s.read(ctx), "SELECT body FROM cases ORDER BY number")
	return cases, named(err, "list", "cases")
}

// Authorities implements [catalog.Store].
func (s *Store) Authorities(ctx context.Context, caseNumber string) ([]tutela.Authority, error) {
	const query = "SELECT body FROM authorities WHERE ?1 = '' OR case_number = ?1 ORDER BY reference"
	authorities, err := list[tutela.Authority](s.read(ctx), query, caseNumber)
	return authorities, named(err, "authorities of case", caseNumber)
}

// Exhibits implements [catalog.Store].
func (s *Store) Exhibits(ctx context.Context, caseNumber string) ([]tutela.Exhibit, error) {
	const query = "SELECT body FROM exhibits WHERE ?1 = '' OR case_number = ?1 ORDER BY label"
	exhibits, err := list[tutela.Exhibit](s.read(ctx), query, caseNumber)
	return exhibits, named(err, "exhibits of case", caseNumber)
}

// Scans implements [catalog.Store].
func (s *Store) Scans(ctx context.Context, exhibit string) ([]catalog.Scan, error) {
	const query = "SELECT body FROM scans WHERE ?1 = '' OR exhibit = ?1 ORDER BY exhibit, number"
	scans, err := list[catalog.Scan](s.read(ctx), query, exhibit)
	return scans, named(err, "scans of exhibit", exhibit)
}

// Sets implements [catalog.Store].
func (s *Store) Sets(ctx context.Context) ([]catalog.Set, error) {
	sets, err := list[catalog.Set](s.read(ctx), "SELECT body FROM sets ORDER BY name, version")
	return sets, named(err, "list", "hash sets")
}

// Account implements [catalog.Store].
func (s *Store) Account(ctx context.Context, name string) (tutela.Account, error) {
	a, err := s.read(ctx).Account(name)
	return a, named(err, "account", name)
}

// Accounts implements [catalog.Store].
func (s *Store) Accounts(ctx context.Context) ([]tutela.Account, error) {
	accounts, err := list[tutela.Account](s.read(ctx), "SELECT body FROM accounts ORDER BY name")
	return accounts, named(err, "list", "accounts")
}

// Rollup implements [catalog.Store].
func (s *Store) Rollup(ctx context.Context, id catalog.ScanID) (catalog.Counts, error) {
	counts, err := get[catalog.Counts](s.read(ctx), "SELECT counts FROM scans WHERE exhibit = ?1 AND (?2 = 0 OR number = ?2) ORDER BY number DESC LIMIT 1", id.Exhibit, id.Number)
	return counts, namedScan(err, id)
}

func named(err error, what, key string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, key, explain(err))
}

func namedScan(err error, id catalog.ScanID) error {
	if errors.Is(err, catalog.ErrNotFound) && id.Number == 0 {
		return fmt.Errorf("a scan of exhibit %s: %w", id.Exhibit, err)
	}
	return named(err, "exhibit", id.String())
}
