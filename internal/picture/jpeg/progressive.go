package jpeg

// progress is what a progressive picture has come to: T.81, G.
type progress struct {
	blocks []coefficients // luma's, at scales 1 and 4; nil at scale 8
	// bits tells for each component how many lower bits its DC coefficients still
	// lack, unset before the first scan; ac the same for luma's coefficients in
	// zigzag order.
	dc     [4]int
	ac     [64]int
	visits int // AC scans that were read
	scale  Scale
}

// coefficients are those of a block, quantised, in zigzag order. The first is
// unused.
type coefficients [64]int16

const unset = 16

// maximumVisits of luma for AC coefficients. Encoders make about ten; a small
// file can hold hundreds of thousands that each visit every block.
const maximumVisits = 200

func newProgress(f *frame, scale Scale) *progress {
	p := &progress{scale: scale, dc: [4]int{unset, unset, unset, unset}}
	for i := range p.ac {
		p.ac[i] = unset
	}
	if scale != 8 {
		p.blocks = make([]coefficients, len(f.components[0].dc))
	}
	return p
}

// needed are the coefficients, in zigzag order, that a reduction to 2×2 samples
// looks at: those of the columns and rows 0, 1, 3, 5 and 7.
func needed(k int) bool {
	odd := func(n uint8) bool { return n == 0 || n&1 == 1 }
	return odd(zigzag[k]&7) && odd(zigzag[k]>>3)
}

// progressive prepares a scan, if it is needed.
func (d *decoder) progressive(sc *scan) (coder, error) {
	if sc.last > 63 || sc.first > sc.last || sc.low > 13 || sc.high > 14 {
		return nil, damaged("scan of coefficients %d to %d, bits %d to %d", sc.first, sc.last, sc.high, sc.low)
	}
	if sc.first == 0 {
		return d.dcScan(sc)
	}
	return d.acScan(sc)
}

// continues reports whether a scan brings what comes next to coefficients that
// lack so many bits: the first scan, or one bit more. Scans that do not are passed over, which
// bounds how often a file can make us visit its blocks.
func (sc *scan) continues(lacking int) bool {
	if sc.high == 0 {
		return lacking == unset
	}
	return lacking == sc.high && sc.low == sc.high-1
}

func (d *decoder) stray() (coder, error) {
	d.note("scan %d does not continue the ones before", d.scan)
	return nil, nil
}

func (d *decoder) dcScan(sc *scan) (coder, error) {
	if sc.last != 0 {
		return nil, damaged("scan of coefficients 0 to %d", sc.last)
	}
	c := &dcScan{stream: d.stream, scan: sc}
	for i := range sc.of {
		p := &sc.of[i]
		if !sc.continues(d.progress.dc[p.index]) {
			return d.stray()
		}
		if err := d.quantise(p.component); err != nil {
			return nil, err
		}
		if sc.high > 0 {
			continue
		}
		h, err := d.table(0, p.dc)
		if err != nil {
			return nil, err
		}
		h.look()
		c.tables[i] = h
	}
	for _, p := range sc.of {
		d.progress.dc[p.index] = sc.low
	}
	return c, nil
}

func (d *decoder) acScan(sc *scan) (coder, error) {
	if len(sc.of) != 1 {
		return nil, damaged("AC scan of %d components", len(sc.of))
	}
	p := d.progress
	if !sc.luma() || !p.needs(sc) {
		return nil, nil
	}
	for _, lacking := range p.ac[sc.first : sc.last+1] {
		if !sc.continues(lacking) {
			return d.stray()
		}
	}
	if err := d.quantise(sc.of[0].component); err != nil {
		return nil, err
	}
	h, err := d.table(1, sc.of[0].ac)
	if err != nil {
		return nil, err
	}
	if p.visits++; p.visits > maximumVisits {
		return nil, damaged("more than %d scans", maximumVisits)
	}
	h.look()
	for k := sc.first; k <= sc.last; k++ {
		p.ac[k] = sc.low
	}
	return &acScan{stream: d.stream, scan: sc, table: h, blocks: p.blocks}, nil
}

// needs reports whether the scale needs any of an AC scan's coefficients.
func (p *progress) needs(sc *scan) bool {
	for k := sc.first; k <= sc.last; k++ {
		if p.scale == 1 || p.scale == 4 && needed(k) {
			return true
		}
	}
	return false
}

// complete reports whether no scan can bring anything that the scale needs.
func (p *progress) complete(components int) bool {
	for i := range components {
		if p.dc[i] != 0 {
			return false
		}
	}
	return p.wanting() == 0
}

// wanting counts the coefficients that the scale needs and whose last bits have
// not come.
func (p *progress) wanting() int {
	n := 0
	for k := 1; k < 64 && p.scale != 8; k++ {
		if p.ac[k] != 0 && (p.scale == 1 || needed(k)) {
			n++
		}
	}
	return n
}

// finish transforms what all scans together gave. Where none was of the luma, all
// stays mid-grey.
func (p *progress) finish(d *decoder) {
	luma := &d.frame.components[0]
	if p.blocks == nil || luma.quantised == nil {
		return
	}
	pic := newPicture(&d.y, p.scale, luma.quantised)
	var block [64]int32
	for row := range luma.high {
		for column := range luma.wide {
			at := row*luma.stride + column
			for k, v := range p.blocks[at] {
				block[zigzag[k]] = int32(v)
			}
			block[0] = int32(luma.dc[at])
			pic.draw(&block, column, row)
		}
	}
}

// dcScan reads DC coefficients: T.81, G.1.2.1.
type dcScan struct {
	stream     *stream
	scan       *scan
	tables     [4]*huffman // by part of the scan; none in a refinement
	predictors [4]int
}

func (c *dcScan) restart() { c.predictors = [4]int{} }

func (c *dcScan) decode(row, column, most, safe int) (read int, ok bool) {
	for read < most && (read == 0 || c.stream.next <= safe) {
		for i := range c.scan.of {
			if !c.component(i, row, column+read) {
				return read, false
			}
		}
		read++
	}
	return read, true
}

// component reads one component's blocks of an MCU.
func (c *dcScan) component(i, row, column int) bool {
	p := &c.scan.of[i]
	for y := range p.v {
		line := p.component.dc[(row*p.v+y)*p.component.stride+column*p.h:][:p.h]
		for x := range line {
			if c.scan.high > 0 {
				line[x] |= int16(c.stream.take(1) << c.scan.low)
			} else if !c.first(i, &line[x]) {
				return false
			}
		}
	}
	return true
}

func (c *dcScan) first(i int, to *int16) bool {
	c.stream.refill()
	size, ok := c.stream.symbol(c.tables[i])
	if !ok {
		return false
	}
	c.predictors[i] += c.stream.value(uint(size))
	*to = int16(c.predictors[i] << c.scan.low)
	return true
}

// forget takes back coefficients; a refinement leaves them as they are.
func (c *dcScan) forget(row, column int) {
	if c.scan.high > 0 {
		return
	}
	for _, p := range c.scan.of {
		for y := range p.v {
			clear(p.component.dc[(row*p.v+y)*p.component.stride+column*p.h:][:p.h])
		}
	}
}

// acScan reads a band of luma's AC coefficients: T.81, G.1.2.2 and G.1.2.3.
type acScan struct {
	stream *stream
	scan   *scan
	table  *huffman
	blocks []coefficients
	empty  int // blocks to come in which the band ends at once
}

func (c *acScan) restart() { c.empty = 0 }

func (c *acScan) forget(row, column int) {
	if c.scan.high == 0 {
		clear(c.at(row, column)[c.scan.first : c.scan.last+1])
	}
}

func (c *acScan) at(row, column int) *coefficients {
	return &c.blocks[row*c.scan.of[0].component.stride+column]
}

func (c *acScan) decode(row, column, most, safe int) (read int, ok bool) {
	for read < most && (read == 0 || c.stream.next <= safe) {
		if c.empty > 0 && c.scan.high == 0 {
			n := min(c.empty, most-read)
			c.empty -= n
			read += n
			continue
		}
		if !c.block(c.at(row, column+read)) {
			return read, false
		}
		read++
	}
	return read, true
}

func (c *acScan) block(b *coefficients) bool {
	if c.scan.high > 0 {
		return c.refine(b)
	}
	for k := c.scan.first; k <= c.scan.last; {
		symbol, ok := c.stream.symbol(c.table)
		if !ok {
			return false
		}
		run, size := int(symbol>>4), uint(symbol&15)
		if size == 0 && run < 15 {
			c.empty = c.run(run) - 1
			return true
		}
		if k += run; k > c.scan.last {
			return false
		}
		if size > 0 {
			b[k] = int16(c.stream.value(size) << c.scan.low)
		}
		k++
	}
	return true
}

// run reads how many blocks an EOBn stands for, this one included.
func (c *acScan) run(n int) int { return 1<<n + c.stream.take(uint(n)) }

// refine reads a bit more of the coefficients that are not 0, and which others
// become so.
func (c *acScan) refine(b *coefficients) bool {
	k := c.scan.first
	for c.empty == 0 && k <= c.scan.last {
		symbol, ok := c.stream.symbol(c.table)
		if !ok {
			return false
		}
		run, size := int(symbol>>4), symbol&15
		if size == 0 && run < 15 {
			c.empty = c.run(run)
			break
		}
		fresh := int16(0)
		if size > 0 { // its size is 1: G.1.2.3
			fresh = int16(c.sign() << c.scan.low)
		}
		if k = c.correct(b, k, run); k > c.scan.last {
			return false
		}
		b[k] = fresh
		k++
	}
	if c.empty > 0 {
		c.correct(b, k, 64)
		c.empty--
	}
	return true
}

func (c *acScan) sign() int { return 2*c.stream.take(1) - 1 }

// correct passes over zeros coefficients that are 0 and reads a bit for each
// other. It returns the place of the next that is 0, behind the band if there is
// none.
func (c *acScan) correct(b *coefficients, k, zeros int) int {
	for ; k <= c.scan.last; k++ {
		if b[k] == 0 {
			if zeros == 0 {
				return k
			}
			zeros--
			continue
		}
		if c.stream.take(1) == 0 {
			continue
		}
		if bit := int16(1) << c.scan.low; b[k] > 0 {
			b[k] += bit
		} else {
			b[k] -= bit
		}
	}
	return k
}
