package jpeg

import (
	"bytes"
	"strings"
)

// scan is a scan header: T.81, B.2.3.
type scan struct {
	of            []part
	columns, rows int // MCUs
	first, last   int // coefficients, in zigzag order
	high, low     int // successive approximation: Ah, Al
}

// part is a component's part in a scan.
type part struct {
	component *component
	index     int // in the frame
	dc, ac    int // slots of the Huffman tables
	h, v      int // blocks of it in an MCU
}

// coder reads MCUs of one scan.
type coder interface {
	// restart forgets all that the data before it told: T.81, F.2.1.3.1.
	restart()
	// decode reads at most so many MCUs of a row, from a column on, and at least
	// one. It stops when the stream's next passes safe. It returns how many it
	// read, and false if behind them comes what no encoder writes.
	decode(row, column, most, safe int) (read int, ok bool)
	// forget takes back an MCU that turned out to lie behind the end of the data.
	forget(row, column int)
}

// readScan reads a scan header, and the scan if it is needed.
func (d *decoder) readScan(b []byte) error {
	d.scan++
	sc, err := d.scanHeader(b)
	if err != nil {
		return err
	}
	c, err := d.coder(sc)
	if c == nil || err != nil { // the next marker is searched from here
		return err
	}
	d.entropy(sc, c)
	return nil
}

func (d *decoder) scanHeader(b []byte) (*scan, error) {
	if len(b) < 1 || b[0] < 1 || b[0] > 4 || len(b) != 4+2*int(b[0]) {
		return nil, damaged("scan header of %d bytes", len(b))
	}
	n := int(b[0])
	sc := &scan{columns: d.frame.columns, rows: d.frame.rows}
	for i := range n {
		if err := sc.add(&d.frame, b[1+2*i], b[2+2*i]); err != nil {
			return nil, err
		}
	}
	tail := b[1+2*n:]
	sc.first, sc.last, sc.high, sc.low = int(tail[0]), int(tail[1]), int(tail[2]>>4), int(tail[2]&15)
	return sc, sc.lay()
}

func (sc *scan) add(f *frame, id, tables byte) error {
	for i := range f.components {
		c := &f.components[i]
		if c.id != id {
			continue
		}
		for _, p := range sc.of {
			if p.component == c {
				return damaged("component %d twice in a scan", id)
			}
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return damaged("scan with Huffman table %#x", tables)
		}
		sc.of = append(sc.of, part{component: c, index: i, dc: int(tables >> 4), ac: int(tables & 15), h: c.h, v: c.v})
		return nil
	}
	return damaged("scan of component %d, which is none", id)
}

// lay lays out the MCUs: T.81, A.2. A component that is alone has one block in
// each, and none beyond its samples.
func (sc *scan) lay() error {
	if len(sc.of) == 1 {
		p := &sc.of[0]
		p.h, p.v = 1, 1
		sc.columns, sc.rows = p.component.wide, p.component.high
		return nil
	}
	blocks := 0
	for _, p := range sc.of {
		blocks += p.h * p.v
	}
	if blocks > 10 {
		return damaged("%d blocks in an MCU", blocks)
	}
	return nil
}

// luma reports whether the scan holds the first component.
func (sc *scan) luma() bool {
	for _, p := range sc.of {
		if p.index == 0 {
			return true
		}
	}
	return false
}

// coder gives what reads a scan, nil if it is not needed.
func (d *decoder) coder(sc *scan) (coder, error) {
	if !sc.luma() && !d.options.Chroma {
		return nil, nil
	}
	if d.progress != nil {
		return d.progressive(sc)
	}
	return d.sequential(sc)
}

// entropy reads the intervals of a scan: T.81, E.2.4. One that is damaged, or
// lost, leaves its blocks as they are.
func (d *decoder) entropy(sc *scan, c coder) {
	total := sc.columns * sc.rows
	interval := d.restart
	if interval == 0 {
		interval = total
	}
	read, expected, cut := 0, byte(0), false
	for from := 0; from < total; from += interval {
		to := min(from+interval, total)
		c.restart()
		read += d.interval(sc, c, from, to)
		if to == total {
			break
		}
		lost, ok := d.resume(&expected)
		if !ok {
			cut = true
			break
		}
		from += min(lost*interval, total)
	}
	d.blocks += read
	d.gap(read, total, cut)
}

// gap notes what is missing of a scan.
func (d *decoder) gap(read, total int, cut bool) {
	share := int(int64(read) * 100 / int64(total))
	switch {
	case read == total:
	case cut || nextMarker(d.data, d.at) < 0:
		d.note("ends in scan %d after %d %% of its blocks", d.scan, share)
	default:
		d.note("%d %% of the blocks of scan %d were read", share, d.scan)
	}
}

// interval reads MCUs up to another one, as far as they are there, and returns
// how many. Afterwards d.at is where the next marker is to be searched.
func (d *decoder) interval(sc *scan, c coder, from, to int) int {
	s := d.stream
	s.open(d.at)
	defer func() { d.at = s.at }()
	for at := from; at < to; {
		row, column := at/sc.columns, at%sc.columns
		read, ok := c.decode(row, column, min(to-at, sc.columns-column), s.safe())
		at += read
		switch {
		case !ok:
			c.forget(row, column+read)
			return at - from
		case s.left() < 0: // only the last can reach beyond the end
			c.forget(row, column+read-1)
			return at - 1 - from
		}
	}
	return to - from
}

// resume goes to the next restart marker and tells how many intervals were lost
// on the way, as far as a count modulo 8 can tell; false if there is none.
func (d *decoder) resume(expected *byte) (lost int, ok bool) {
	for {
		at := nextMarker(d.data, d.at)
		if at < 0 || d.data[at+1] < rst0 || d.data[at+1] > rst7 {
			return 0, false
		}
		d.at = at + 2
		number := d.data[at+1] - rst0
		switch ahead := (number - *expected) & 7; ahead {
		case 6, 7: // a late one
			continue
		case 1, 2:
			lost = int(ahead)
		}
		*expected = (number + 1) & 7
		return lost, true
	}
}

func indexFF(b []byte) int { return bytes.IndexByte(b, 0xff) }

// table gives the Huffman table of a class (0 DC, 1 AC) in a slot. Motion JPEG,
// which is sequential, may mean the usual one without saying so.
func (d *decoder) table(class, slot int) (*huffman, error) {
	if d.huffman[class][slot] == nil && !d.frame.progressive {
		d.huffman[class][slot] = usual(class, slot)
	}
	h := d.huffman[class][slot]
	if h == nil {
		return nil, damaged("no %s table %d", [2]string{"DC", "AC"}[class], slot)
	}
	return h, nil
}

// quantise keeps a component's table as it is when its first scan begins:
// later scans may find another one in its slot.
func (d *decoder) quantise(c *component) error {
	if c.quantised == nil {
		c.quantised = d.quantisations[c.table]
	}
	if c.quantised == nil {
		return damaged("no quantisation table %d", c.table)
	}
	return nil
}

// wanted are the components that the options ask for.
func (d *decoder) wanted() []component {
	if d.options.Chroma {
		return d.frame.components
	}
	return d.frame.components[:1]
}

// complete reports whether all that is wanted was met.
func (d *decoder) complete() bool {
	if d.progress != nil {
		return d.progress.complete(len(d.wanted()))
	}
	for _, c := range d.wanted() {
		if !c.read {
			return false
		}
	}
	return true
}

// lacks notes what never came, though the picture ends in good order.
func (d *decoder) lacks() {
	for i, c := range d.wanted() {
		switch {
		case d.progress == nil && !c.read, d.progress != nil && d.progress.dc[i] == unset:
			d.note("there is no scan of component %d", c.id)
		case d.progress != nil && d.progress.dc[i] != 0:
			d.note("the DC coefficients of component %d lack their last %d bits", c.id, d.progress.dc[i])
		}
	}
	if d.progress == nil {
		return
	}
	if n := d.progress.wanting(); n > 0 {
		d.note("%d of 63 AC coefficients are missing or lack their last bits", n)
	}
}

// planes gives what was read.
func (d *decoder) planes() (*Planes, error) {
	d.lacks()
	f := &d.frame
	if d.progress != nil {
		d.progress.finish(d)
	}
	p := &Planes{Width: f.width, Height: f.height, Scale: d.options.Scale, Y: d.y}
	if d.options.Scale == 8 {
		p.Y = f.components[0].reduced()
	}
	if d.options.Chroma && len(f.components) == 3 {
		p.Cb, p.Cr = f.components[1].reduced(), f.components[2].reduced()
	}
	p.Missing = strings.Join(d.missing, "; ")
	return p, nil
}
