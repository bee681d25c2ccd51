package pdf

import (
	"bufio"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

const (
	maxFilters = 16
	// maxRow bounds a row of samples, in bytes.
	maxRow = 1 << 22
)

var errFilters = errors.New("its filters do not hold together")

// stage is one filter with its parameters (7.4).
type stage struct {
	name  Name
	parms Dict
}

// asTheyAre are the filters whose output would be samples, and whose input is a
// picture of its own, by the ending that its file calls for.
var asTheyAre = map[Name]string{
	"DCTDecode": ".jpg", "DCT": ".jpg", "JPXDecode": ".jp2", "JBIG2Decode": ".jb2", "CCITTFaxDecode": ".g4", "CCF": ".g4",
}

// decode begins to decode a stream. Where its last filter is one of asTheyAre,
// the name of that comes with what stands before it.
func (f *File) decode(s *Stream, d Dict) (r io.Reader, last Name, err error) {
	stages, err := f.stages(d)
	if err != nil {
		return nil, "", err
	}
	r, stages, err = f.stored(s, stages)
	if err != nil {
		return nil, "", err
	}
	if n := len(stages); n > 0 && asTheyAre[stages[n-1].name] != "" {
		last, stages = stages[n-1].name, stages[:n-1]
	}
	for i, g := range stages {
		if i > 0 {
			r = &spending{r, f.options.Spend}
		}
		if r, err = g.begin(r); err != nil {
			return nil, "", err
		}
	}
	return r, last, nil
}

// spending tells what comes out of a filter that is not the last.
type spending struct {
	io.Reader
	spend func(int64) error
}

func (s *spending) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if over := s.spend(int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// stored is a stream's bytes, decrypted where they are encrypted (7.6).
func (f *File) stored(s *Stream, stages []stage) (io.Reader, []stage, error) {
	var r io.Reader = io.NewSectionReader(f.content, s.Data, s.Length)
	if s.Open {
		r = &cutReader{r}
	}
	how := Name("")
	if len(stages) > 0 && stages[0].name == "Crypt" {
		if how, _ = stages[0].parms["Name"].(Name); how == "" {
			how = "Identity"
		}
		stages = stages[1:]
	}
	if f.lock == nil {
		return r, stages, nil
	}
	r, err := f.lock.open(r, Ref{s.Number, s.Generation}, s.Kind, how)
	return r, stages, err
}

// cutReader ends as what has no end.
type cutReader struct{ io.Reader }

func (c *cutReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// stages are the filters of a stream in the order they are undone in.
func (f *File) stages(d Dict) ([]stage, error) {
	names, err := f.list(d, "Filter", "F")
	if err != nil {
		return nil, err
	}
	parms, err := f.list(d, "DecodeParms", "DP")
	if err != nil {
		return nil, err
	}
	if len(names) > maxFilters {
		return nil, fmt.Errorf("%d filters: %w", len(names), evidence.ErrUnsupported)
	}
	var out []stage
	for i, v := range names {
		name, ok := v.(Name)
		if !ok {
			return nil, errFilters
		}
		g := stage{name: name}
		if i < len(parms) {
			g.parms, _ = parms[i].(Dict)
			if err := f.resolveAll(g.parms); err != nil {
				return nil, err
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// list is one value or an array of them, by either of two keys.
func (f *File) list(d Dict, key, short Name) ([]any, error) {
	v, err := f.resolve(d[key])
	if v == nil && err == nil {
		v, err = f.resolve(d[short])
	}
	if v == nil || err != nil {
		return nil, err
	}
	all, ok := v.([]any)
	if !ok {
		return []any{v}, nil
	}
	for i := range min(len(all), maxFilters+1) {
		if all[i], err = f.resolve(all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// resolveAll puts in the values of a small dictionary what they refer to.
func (f *File) resolveAll(d Dict) error {
	for key, v := range d {
		ref, ok := v.(Ref)
		if !ok {
			continue
		}
		found, err := f.resolve(ref)
		if err != nil {
			return err
		}
		d[key] = found
	}
	return nil
}

// begin undoes the filter.
func (g stage) begin(r io.Reader) (io.Reader, error) {
	switch g.name {
	case "FlateDecode", "Fl":
		z, err := zlib.NewReader(bufio.NewReader(r))
		if err != nil {
			return nil, err
		}
		return g.predict(z)
	case "LZWDecode", "LZW":
		early, told := number(g.parms["EarlyChange"])
		return g.predict(newLZW(r, early != 0 || !told))
	case "ASCII85Decode", "A85":
		return &ascii85{src: bufio.NewReader(r)}, nil
	case "ASCIIHexDecode", "AHx":
		return &asciiHex{src: bufio.NewReader(r)}, nil
	case "RunLengthDecode", "RL":
		return &runLength{src: bufio.NewReader(r)}, nil
	}
	if asTheyAre[g.name] != "" {
		return nil, fmt.Errorf("%s before other filters: %w", g.name, evidence.ErrUnsupported)
	}
	return nil, fmt.Errorf("filter %.40q: %w", string(g.name), evidence.ErrUnsupported)
}

// predict undoes the predictor (7.4.4.4).
func (g stage) predict(r io.Reader) (io.Reader, error) {
	kind := g.number("Predictor", 1)
	if kind <= 1 {
		return r, nil
	}
	colors, bits, columns := g.number("Colors", 1), g.number("BitsPerComponent", 8), g.number("Columns", 1)
	if colors < 1 || colors > 64 || bits < 1 || bits > 16 || columns < 1 || columns > 8*maxRow {
		return nil, errFilters
	}
	row := (colors*bits*columns + 7) / 8
	if row > maxRow {
		return nil, fmt.Errorf("rows of %d bytes: %w", row, evidence.ErrUnsupported)
	}
	p := &predictor{src: bufio.NewReader(r), png: kind >= 10, step: int(max(1, colors*bits/8)), row: int(row)}
	if !p.png && bits != 8 {
		return nil, fmt.Errorf("the TIFF predictor for %d bits: %w", bits, evidence.ErrUnsupported)
	}
	return p, nil
}

func (g stage) number(key Name, otherwise int64) int64 {
	if n, ok := number(g.parms[key]); ok {
		return n
	}
	return otherwise
}

// predictor undoes the filters of PNG (W3C PNG, section 9) or that of TIFF
// (TIFF 6.0, section 14), row by row. Rows take memory as they are filled.
type predictor struct {
	src       *bufio.Reader
	png       bool
	step, row int // bytes of a sample of all colours, of a row
	above     []byte
	line, out []byte
	err       error
}

func (p *predictor) Read(b []byte) (int, error) {
	for len(p.out) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.err = p.next()
	}
	n := copy(b, p.out)
	p.out = p.out[n:]
	return n, nil
}

func (p *predictor) next() error {
	kind := byte(0)
	if p.png {
		var err error
		if kind, err = p.src.ReadByte(); err != nil {
			return err
		}
	}
	p.above, p.line = p.line, p.above
	line, err := readUpTo(p.src, p.line[:0], p.row)
	p.line = line
	if len(line) == 0 {
		return err
	}
	if len(p.above) < p.row {
		p.above = append(p.above, make([]byte, len(line)-min(len(line), len(p.above)))...)
	}
	if p.png {
		if kind > 4 {
			return fmt.Errorf("a row with predictor %d", kind)
		}
		undo(kind, line, p.above, p.step)
	} else {
		for i := p.step; i < len(line); i++ {
			line[i] += line[i-p.step]
		}
	}
	p.out = line
	return err // with a row that is cut off, what is there comes first
}

// readUpTo appends up to n bytes.
func readUpTo(r io.Reader, to []byte, n int) ([]byte, error) {
	for len(to) < n {
		if len(to) == cap(to) {
			to = append(to, 0)[:len(to)]
		}
		got, err := r.Read(to[len(to):min(cap(to), n)])
		to = to[:len(to)+got]
		if err != nil {
			return to, err
		}
	}
	return to, nil
}

func undo(kind byte, line, above []byte, step int) {
	for i := range line {
		var left, corner byte
		if i >= step {
			left, corner = line[i-step], above[i-step]
		}
		switch kind {
		case 1:
			line[i] += left
		case 2:
			line[i] += above[i]
		case 3:
			line[i] += byte((int(left) + int(above[i])) / 2)
		case 4:
			line[i] += paeth(left, above[i], corner)
		}
	}
}

func paeth(left, above, corner byte) byte {
	p := int(left) + int(above) - int(corner)
	a, b, c := distance(p, left), distance(p, above), distance(p, corner)
	switch {
	case a <= b && a <= c:
		return left
	case b <= c:
		return above
	}
	return corner
}

func distance(p int, v byte) int {
	if d := p - int(v); d >= 0 {
		return d
	}
	return int(v) - p
}
