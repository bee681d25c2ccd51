package report

// Tables in PDF. A row is set whole where a page can hold it, else line by line
// over as many as it takes; each page that a table reaches repeats its head.

const (
	cellPad  = 1.2 // mm beside and over the text of a cell
	cellSize = smallSize

	numberPad = 2.0 // mm more behind a number, which the next column begins too near to
)

// row is a row broken into lines: for each column those it takes.
type row [][]line

func (r row) height() int {
	highest := 1
	for _, cell := range r {
		highest = max(highest, len(cell))
	}
	return highest
}

// cut takes the first n lines of every cell off.
func (r row) cut(n int) (head, rest row) {
	for _, cell := range r {
		k := min(n, len(cell))
		head, rest = append(head, cell[:k]), append(rest, cell[k:])
	}
	return head, rest
}

func rowHeight(lines int) float64 { return float64(lines)*lineHeight(cellSize) + 2*cellPad }

func (s *setter) table(t table) {
	head := s.row(t, headCells(t))
	s.need(rowHeight(head.height()) + rowHeight(1) + lineHeight(smallSize))
	if t.caption != "" {
		s.text(say(bold(t.caption)), marginLeft, bodyWidth, smallSize)
		s.y += 0.8
	}
	s.tableHead(t, head)
	for _, cells := range t.rows {
		s.tableRow(t, head, s.row(t, cells))
	}
	s.y += 3.5
}

func headCells(t table) (cells []paragraph) {
	for _, name := range t.head {
		cells = append(cells, say(bold(name)))
	}
	return cells
}

func (s *setter) row(t table, cells []paragraph) (r row) {
	for i, share := range t.shares {
		room := share*bodyWidth - 2*cellPad
		if t.numbers != nil && t.numbers[i] {
			room -= numberPad
		}
		r = append(r, s.lines(cells[i], room, cellSize))
	}
	return r
}

func (s *setter) tableHead(t table, head row) {
	s.pdf.SetFillColor(236, 238, 241)
	s.pdf.Rect(marginLeft, s.y, bodyWidth, rowHeight(head.height()), "F")
	s.rowAt(t, head)
}

// tableRow sets a row, with a new page before it or in it where it must be.
func (s *setter) tableRow(t table, head, r row) {
	page := func() {
		s.newPage()
		s.tableHead(t, head)
	}
	whole := bodyBottom - bodyTop - rowHeight(head.height())
	if s.y+rowHeight(r.height()) > bodyBottom && rowHeight(r.height()) <= whole {
		page()
	}
	for {
		fit := int((bodyBottom - s.y - 2*cellPad) / lineHeight(cellSize))
		if fit < 1 {
			page()
			continue
		}
		part, rest := r.cut(fit)
		s.rowAt(t, part)
		if r.height() <= fit {
			return
		}
		r = rest
	}
}

// rowAt draws a row that fits, and a rule under it.
func (s *setter) rowAt(t table, r row) {
	x, height := marginLeft, rowHeight(r.height())
	for i, cell := range r {
		y := s.y + cellPad + cellSize*point
		for _, l := range cell {
			at := x + cellPad
			if t.numbers != nil && t.numbers[i] {
				at = x + t.shares[i]*bodyWidth - cellPad - numberPad - l.width()
			}
			s.lineAt(l, at, y, cellSize)
			y += lineHeight(cellSize)
		}
		x += t.shares[i] * bodyWidth
	}
	s.y += height
	s.rule(s.y, 0.1)
}
