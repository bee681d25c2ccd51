package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Table is a table of the database. One without rowids is stored as an index.
type Table struct {
	Name string

	columns columns
	root    uint32
	index   bool
}

// maxSQL bounds what is read of a CREATE TABLE, in bytes; more is not understood.
const maxSQL = 1 << 20

// schemaRoot is the page where the tables are listed (2.6).
const schemaRoot = 1

// Tables visits the tables in the order they are listed in. It returns the first
// error of visit unchanged, or that of the context.
func (d *Database) Tables(ctx context.Context, visit func(*Table) error) error {
	return d.walk(ctx, schemaRoot, func(row *Row) error {
		t, err := d.table(row)
		if err != nil {
			d.tell(fmt.Errorf("row %d of the list of tables: %w", row.ID, err))
			return nil
		}
		if t == nil {
			return nil
		}
		return visit(t)
	})
}

// table reads a row of the list; nil if it is no table, or one without pages.
func (d *Database) table(row *Row) (*Table, error) {
	if len(row.Values) < 5 {
		return nil, errRecord
	}
	kind, err := row.Values[0].Text(64)
	if err != nil || string(kind) != "table" {
		return nil, err
	}
	root, err := row.Values[3].Integer()
	if err != nil && row.Values[3].Kind != Null || root == 0 {
		return nil, err // a virtual table has none
	}
	if root < 0 || root > int64(d.pages) {
		return nil, errNoPage
	}
	name, err := row.Values[1].Text(maxSQL)
	if err != nil {
		return nil, err
	}
	t := &Table{Name: string(name), root: uint32(root)}
	if sql, err := row.Values[4].Text(maxSQL); err == nil {
		t.columns = parseColumns(string(sql))
	}
	return t, nil
}

// Rows visits the rows of a table. It returns the first error of visit unchanged,
// or that of the context. It can be called once for each table.
func (d *Database) Rows(ctx context.Context, t *Table, visit func(*Row) error) error {
	w := &tree{ctx: ctx, d: d}
	w.visit = func(row *Row) error {
		t.index = w.index
		return visit(row)
	}
	return w.page(t.root, 0)
}

// Column names the i-th value of a row.
func (t *Table) Column(i int) string {
	stored := t.columns.stored
	if t.index {
		stored = t.columns.keyed
	}
	if i < len(stored) {
		return stored[i]
	}
	return fmt.Sprintf("column %d", i+1)
}

// Find is the place of a column's value in a row that has rowids, -1 if there is
// no such column.
func (t *Table) Find(column string) int { return slices.Index(t.columns.stored, column) }

// columns are the names of a table's columns.
type columns struct {
	stored []string // in the order of the table; without those that are computed
	keyed  []string // the primary key first (2.4)
}

// parseColumns takes the names out of a CREATE TABLE, and nothing else; none if
// it is not understood.
func parseColumns(sql string) (c columns) {
	tokens := tokenize(sql)
	begin := slices.IndexFunc(tokens, func(t token) bool { return t.is("(") })
	if begin < 0 {
		return c
	}
	var key []string
	for _, def := range definitions(tokens[begin+1:]) {
		switch first := def[0]; {
		case first.is("CONSTRAINT"), first.is("PRIMARY"), first.is("UNIQUE"), first.is("CHECK"), first.is("FOREIGN"):
			key = append(key, keyOf(def)...)
		case computed(def):
		default:
			c.stored = append(c.stored, first.text)
			if contains(def, "PRIMARY") {
				key = append(key, first.text)
			}
		}
	}
	c.keyed = keyFirst(key, c.stored)
	return c
}

// keyFirst is the order in which a table without rowids stores its columns.
func keyFirst(key, stored []string) (all []string) {
	has := func(names []string, name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}
	for _, k := range key {
		at := slices.IndexFunc(stored, func(n string) bool { return strings.EqualFold(n, k) })
		if at >= 0 && !has(all, k) {
			all = append(all, stored[at])
		}
	}
	keys := len(all)
	for _, name := range stored {
		if !has(all[:keys], name) {
			all = append(all, name)
		}
	}
	return all
}

// definitions splits what stands in the parentheses at its commas.
func definitions(tokens []token) (defs [][]token) {
	depth, begin := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")") && depth > 0:
			depth--
		case depth == 0 && (t.is(",") || t.is(")")):
			if i > begin {
				defs = append(defs, tokens[begin:i])
			}
			begin = i + 1
			if t.is(")") {
				return defs
			}
		}
	}
	return defs
}

// keyOf are the columns of a table constraint that is the primary key.
func keyOf(def []token) (key []string) {
	at := slices.IndexFunc(def, func(t token) bool { return t.is("PRIMARY") })
	if at < 0 || at+2 >= len(def) || !def[at+1].is("KEY") || !def[at+2].is("(") {
		return nil
	}
	for _, column := range definitions(def[at+3:]) {
		key = append(key, column[0].text)
	}
	return key
}

// computed reports whether a column has no value in the record.
func computed(def []token) bool {
	at := slices.IndexFunc(def[1:], func(t token) bool { return t.is("AS") })
	return at >= 0 && !contains(def[at:], "STORED")
}

func contains(def []token, word string) bool {
	return slices.ContainsFunc(def[1:], func(t token) bool { return t.is(word) })
}

// token is a word of SQL, a name in quotes, or a mark.
type token struct {
	text   string
	quoted bool
}

func (t token) is(word string) bool { return !t.quoted && strings.EqualFold(t.text, word) }

func tokenize(sql string) (tokens []token) {
	for len(sql) > 0 {
		var t token
		t, sql = nextToken(sql)
		if t.text != "" || t.quoted {
			tokens = append(tokens, t)
		}
	}
	return tokens
}

// nextToken is the first token and what is behind it; an empty one for space and
// comments.
func nextToken(sql string) (t token, rest string) {
	switch c := sql[0]; {
	case strings.HasPrefix(sql, "--"):
		_, rest, _ = strings.Cut(sql, "\n")
		return token{}, rest
	case strings.HasPrefix(sql, "/*"):
		_, rest, _ = strings.Cut(sql[2:], "*/")
		return token{}, rest
	case c == '[':
		name, rest, _ := strings.Cut(sql[1:], "]")
		return token{name, true}, rest
	case c == '"' || c == '\'' || c == '`':
		return quoted(sql)
	case strings.IndexByte(" \t\r\n\f", c) >= 0:
		return token{}, sql[1:]
	case !isWord(c):
		return token{text: sql[:1]}, sql[1:]
	}
	n := 1
	for n < len(sql) && isWord(sql[n]) {
		n++
	}
	return token{text: sql[:n]}, sql[n:]
}

// quoted reads a name in quotes, which are doubled inside.
func quoted(sql string) (t token, rest string) {
	quote := sql[0]
	var name strings.Builder
	for i := 1; i < len(sql); i++ {
		if sql[i] != quote {
			name.WriteByte(sql[i])
			continue
		}
		if i+1 < len(sql) && sql[i+1] == quote {
			name.WriteByte(quote)
			i++
			continue
		}
		return token{name.String(), true}, sql[i+1:]
	}
	return token{name.String(), true}, ""
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
