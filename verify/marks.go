package verify

import (
	"fmt"
	"time"

	"tutela/internal/ledger/check"
	"tutela/internal/timestamp"
)

// mark is a time-stamp or an anchor of a head, and what became of it. It never
// decides: whoever cannot check it must come to the same verdict.
type mark struct {
	placed
	at    time.Time // when the head existed, at the latest; zero if that is not proven
	by    string    // who says so
	whyNo error     // it was checked, and does not hold
}

// checkMarks makes sure that every time-stamp has its head, and checks those for
// which the reader brought something to check them by.
func (b *bundle) checkMarks() error {
	for _, p := range b.of(check.PathStamp, check.PathAnchor) {
		head := "checkpoint"
		if p.N != b.head.Size {
			head = fmt.Sprintf("prev/%d.checkpoint", p.N)
		}
		if _, ok := b.files[head]; !ok {
			return fmt.Errorf("%s: a time-stamp without a head", p.path)
		}
		m, err := b.checkMark(p)
		if err != nil {
			return err
		}
		b.marks = append(b.marks, m)
	}
	return nil
}

func (b *bundle) checkMark(p placed) (mark, error) {
	m := mark{placed: p}
	data, err := b.read(p.path)
	if err != nil {
		return m, err
	}
	switch head := b.head.earlier[p.N]; {
	case p.Kind == check.PathStamp && b.o.TimeRoots != nil:
		s, err := timestamp.Verify(data, head, b.o.TimeRoots)
		m.at, m.by, m.whyNo = s.Time, s.Authority, err
	case p.Kind == check.PathAnchor && len(b.o.BlockHeaders) > 0:
		a, err := timestamp.VerifyOTS(data, head, b.o.BlockHeaders)
		m.at, m.by, m.whyNo = a.Time, "block "+a.Block+" of Bitcoin", err
	}
	return m, nil
}
