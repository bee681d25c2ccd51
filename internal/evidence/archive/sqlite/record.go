package sqlite

import (
	"errors"
	"io"
)

// Row is a row of a table. It and its values hold until the visit returns.
type Row struct {
	// ID is the rowid; in a table without rowids, the number of the row.
	ID     int64
	Values []Value // in the order they are stored in
}

// Kind is what a value is (2.1).
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Integer
	Real
	Text
	Blob
)

// Value is one value of a row.
type Value struct {
	Kind Kind
	Size int64 // bytes

	p     *payload
	at    int64 // in the payload
	fixed int64 // an integer that needs no bytes
}

// maxHeader bounds what is read of the header of a row, in bytes: nine for each
// of the columns that a table can have.
const maxHeader = 9 * 32768

var errRecord = errors.New("the header of the row does not fit it")

// row reads the header of a record (2.1). With an error, the row has the values
// before it.
func (c *cell) row(number int64) (*Row, error) {
	row := &Row{ID: c.rowid}
	if c.index {
		row.ID = number
	}
	p := &c.payload
	head, n, err := c.head()
	if err != nil {
		return row, err
	}
	at := int64(len(head))
	for head = head[n:]; len(head) > 0; head = head[n:] {
		var serial int64
		if serial, n = varint(head); n == 0 || serial < 0 {
			return row, errRecord
		}
		v := value(serial)
		v.p, v.at = p, at
		if v.Size > p.size-at {
			return row, errRecord
		}
		at += v.Size
		row.Values = append(row.Values, v)
	}
	return row, nil
}

// head is the header of the record, and how many bytes its size takes.
func (c *cell) head() (head []byte, n int, err error) {
	p := &c.payload
	size, n := varint(p.local)
	if n == 0 || size < int64(n) || size > p.size || size > maxHeader {
		return nil, 0, errRecord
	}
	if size <= int64(len(p.local)) {
		return p.local[:size], n, nil
	}
	head = make([]byte, size)
	_, err = io.ReadFull(p.reader(0, size), head)
	return head, n, err
}

// value is what a serial type says.
func value(serial int64) Value {
	switch {
	case serial >= 12 && serial%2 == 0:
		return Value{Kind: Blob, Size: (serial - 12) / 2}
	case serial >= 13:
		return Value{Kind: Text, Size: (serial - 13) / 2}
	case serial == 7:
		return Value{Kind: Real, Size: 8}
	case serial == 8 || serial == 9:
		return Value{Kind: Integer, fixed: serial - 8}
	case serial >= 1 && serial <= 6:
		return Value{Kind: Integer, Size: []int64{1, 2, 3, 4, 6, 8}[serial-1]}
	}
	return Value{} // 10 and 11 are for SQLite's own use
}

// Open reads the bytes of a value from their beginning.
func (v Value) Open() io.Reader {
	if v.p == nil {
		return io.LimitReader(nil, 0)
	}
	return v.p.reader(v.at, v.Size)
}

// Head is the beginning of a value, at most n bytes: as much of it as lies on the
// page of its row, which is nothing for some.
func (v Value) Head(n int64) []byte {
	if v.p == nil || v.at >= int64(len(v.p.local)) {
		return nil
	}
	rest := v.p.local[v.at:]
	return rest[:min(n, v.Size, int64(len(rest)))]
}

// Bytes are the bytes of a value, if there are at most so many.
func (v Value) Bytes(most int64) ([]byte, error) {
	if v.Size > most {
		return nil, errors.New("the value is too long")
	}
	b := make([]byte, v.Size)
	_, err := io.ReadFull(v.Open(), b)
	return b, err
}

// Text is a text in UTF-8, where a surrogate without its partner is three bytes
// as well.
func (v Value) Text(most int64) ([]byte, error) {
	if v.Kind != Text {
		return nil, errors.New("the value is not a text")
	}
	b, err := v.Bytes(most)
	if err != nil {
		return nil, err
	}
	return v.p.d.text(b), nil
}

// Integer is the value of an integer.
func (v Value) Integer() (int64, error) {
	if v.Kind != Integer {
		return 0, errors.New("the value is not an integer")
	}
	b, err := v.Bytes(8)
	if err != nil || len(b) == 0 {
		return v.fixed, err
	}
	n := int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return n, nil
}

// Place is where the value begins: in the database, or in the log, so many bytes
// from the beginning. section is its bytes where they lie there in one piece,
// else nil. What begins on an overflow page is said to begin where the row does.
func (v Value) Place() (at int64, inLog bool, section *io.SectionReader) {
	r, start, inLog := v.p.d.place(v.p.page)
	at = start + int64(v.p.at)
	if v.at >= int64(len(v.p.local)) {
		return at, inLog, nil
	}
	at += v.at
	if v.at+v.Size <= int64(len(v.p.local)) {
		section = io.NewSectionReader(r, at, v.Size)
	}
	return at, inLog, section
}
