package archive

import (
	"fmt"
	"io"

	"tutela"
)

// account counts the bytes of one member once, however often it is opened.
type account struct {
	root    *root
	outside bool // the bytes come from another file of the exhibit
	seen    int64
}

// advance says that the member was read up to pos. Once the root file has given
// out more than it may, it fails for this member and for all that follow.
func (a *account) advance(pos int64) error {
	if pos <= a.seen {
		return nil
	}
	r := a.root
	if pos > r.limits.MemberBytes {
		return &Error{tutela.FindingLimit, fmt.Errorf("the member has more than %d bytes; the rest was left", r.limits.MemberBytes)}
	}
	if !a.outside {
		r.expanded += pos - a.seen
	}
	a.seen = pos
	return r.checkExpanded()
}

// memberCost is what a member counts beside its content, in bytes, where an
// archive is held to its proportions: a record costs about as much, and archives
// in archives can name a million empty files in a few thousand bytes. No archive
// names a member in less than 46 bytes, so this alone stays far below the ratio
// of a bomb.
const memberCost = 1 << 10

func (r *root) checkExpanded() error {
	if r.spent == nil && r.expanded > r.limits.ExpandedBytes {
		r.spent = &Error{tutela.FindingLimit, fmt.Errorf("more than %d bytes come out of one file; the rest was left", r.limits.ExpandedBytes)}
	}
	// Divided, because the product could overflow.
	counted := r.expanded + r.entries*memberCost
	if r.spent == nil && counted > r.limits.RatioAfter && counted/r.limits.Ratio > r.size {
		r.spent = &Error{tutela.FindingBomb, fmt.Errorf("%d bytes expanded to more than %d times their size; the rest was left", r.size, r.limits.Ratio)}
	}
	if r.spent == nil {
		return nil
	}
	return r.spent
}

// metered is a member's decoded content, counted. Its errors are *Error, but
// for io.EOF and the end of the context, and they stay.
type metered struct {
	src     io.ReadCloser
	account *account
	pos     int64
	err     error
}

func (m *metered) Read(p []byte) (n int, err error) {
	if m.err != nil {
		return 0, m.err
	}
	if err := m.account.root.ctx.Err(); err != nil {
		return 0, err
	}
	n, err = m.src.Read(p)
	m.pos += int64(n)
	if over := m.account.advance(m.pos); over != nil {
		m.err = over
		return 0, m.err
	}
	if err != nil && err != io.EOF {
		err = fail(err)
	}
	m.err = err
	return n, err
}

func (m *metered) Close() error { return m.src.Close() }
