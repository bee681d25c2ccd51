package sqlite

import (
	"database/sql"
	"fmt"
	"strings"
)

// rowsAtOnce is how many rows one statement takes. Calling SQLite costs more
// than a row does; past some tens of rows nothing more is won.
const rowsAtOnce = 32

// chunks runs one statement again and again with up to rowsAtOnce rows of
// values. A statement for the full number is prepared once.
type chunks struct {
	t       *tx
	query   string // with %s where "(?,?),(?,?)" goes
	columns int
	args    []any
	full    *sql.Stmt // nil until it is needed
}

func (t *tx) chunks(query string, columns int) *chunks {
	return &chunks{t: t, query: query, columns: columns, args: make([]any, 0, rowsAtOnce*columns)}
}

func (c *chunks) close() {
	if c.full != nil {
		c.full.Close()
	}
}

// add adds a row. The values must stay as they are until each or exec.
func (c *chunks) add(values ...any) { c.args = append(c.args, values...) }

func (c *chunks) rows() int { return len(c.args) / c.columns }

// each runs the statement on what was added and visits what it returns.
func (c *chunks) each(visit func(*sql.Rows) error) error {
	rows, err := c.run()
	c.args = c.args[:0]
	if err != nil {
		return err
	}
	return visitAll(rows, visit)
}

func (c *chunks) run() (*sql.Rows, error) {
	if c.rows() < rowsAtOnce {
		return c.t.q.QueryContext(c.t.ctx, c.statement(), c.args...)
	}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	return c.full.QueryContext(c.t.ctx, c.args...)
}

// exec runs the statement on what was added.
func (c *chunks) exec() (err error) {
	defer func() { c.args = c.args[:0] }()
	if c.rows() < rowsAtOnce {
		return c.t.exec(c.statement(), c.args...)
	}
	if err := c.prepare(); err != nil {
		return err
	}
	_, err = c.full.ExecContext(c.t.ctx, c.args...)
	return err
}

func (c *chunks) prepare() (err error) {
	if c.full == nil {
		c.full, err = c.t.q.PrepareContext(c.t.ctx, c.statement())
	}
	return err
}

func (c *chunks) statement() string {
	row := "(" + strings.Repeat("?,", c.columns-1) + "?)"
	return fmt.Sprintf(c.query, strings.Repeat(row+",", c.rows()-1)+row)
}

// inserter inserts many rows of one table. They are in it after flush.
type inserter struct{ *chunks }

func (t *tx) inserter(into string, columns int) inserter {
	return inserter{t.chunks(into+" VALUES %s", columns)}
}

func (i inserter) row(values ...any) error {
	i.add(values...)
	if i.rows() < rowsAtOnce {
		return nil
	}
	return i.exec()
}

// flush inserts what is left and ends the inserter.
func (i inserter) flush() error {
	defer i.close()
	if i.rows() == 0 {
		return nil
	}
	return i.exec()
}
