package ewf

import (
	"bytes"
	"compress/zlib"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/adler32"

	"tutela/internal/evidencetest"
)

// canvas is a segment that is drawn section by section.
type canvas struct{ bytes.Buffer }

func newSegment(number int) *canvas {
	c := &canvas{}
	c.WriteString(signature + "\x01")
	c.Write(binary.LittleEndian.AppendUint16(nil, uint16(number)))
	c.Write([]byte{0, 0})
	return c
}

// section adds one that links to what follows it.
func (c *canvas) section(kind string, body []byte) (at int64) {
	at = int64(c.Len())
	size := uint64(descriptorSize + len(body))
	c.Write(drawDescriptor(kind, uint64(at)+size, size))
	c.Write(body)
	return at
}

// last adds the section that ends a segment.
func (c *canvas) last(kind string) { c.Write(drawDescriptor(kind, uint64(c.Len()), 0)) }

func drawDescriptor(kind string, next, size uint64) []byte {
	b := make([]byte, descriptorSize-4)
	copy(b, kind)
	binary.LittleEndian.PutUint64(b[16:], next)
	binary.LittleEndian.PutUint64(b[24:], size)
	return sealed(b)
}

// sealed is b with its Adler-32 behind it.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(b), adler32.Checksum(b))
}

func drawVolume(chunks, sectorsPerChunk, bytesPerSector, sectors uint64, set byte) []byte {
	b := make([]byte, volumeSize-4)
	b[0] = 1
	binary.LittleEndian.PutUint32(b[4:], uint32(chunks))
	binary.LittleEndian.PutUint32(b[8:], uint32(sectorsPerChunk))
	binary.LittleEndian.PutUint32(b[12:], uint32(bytesPerSector))
	binary.LittleEndian.PutUint64(b[16:], sectors)
	b[64] = set
	return sealed(b)
}

func drawTableHeader(entries int, base uint64) []byte {
	b := make([]byte, tableHeaderSize-4)
	binary.LittleEndian.PutUint32(b, uint32(entries))
	binary.LittleEndian.PutUint64(b[8:], base)
	return sealed(b)
}

func drawEntries(entries []uint32) []byte {
	var b []byte
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint32(b, e)
	}
	return sealed(b)
}

func drawHash(medium []byte) []byte {
	sum := md5.Sum(medium)
	return sealed(append(sum[:], make([]byte, 16)...))
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// drawing says how an image is drawn.
type drawing struct {
	perChunk int  // sectors
	perTable int  // chunks
	tables   int  // in each segment but the last
	set      byte // of the segments
	inside   bool // tables with chunks in them, as in EnCase 1
	footless bool // such tables without a checksum, as in SMART
	bad      []sectors
}

// media is some noise, some text and some nothing, of so many sectors.
func media(sectors int) []byte {
	var b []byte
	for i := 0; len(b) < sectors*512; i++ {
		sum := sha256.Sum256(fmt.Append(nil, i/32))
		switch i / 32 % 4 {
		case 0, 1:
			sum = sha256.Sum256(fmt.Append(nil, i))
		case 3:
			clear(sum[:])
		}
		b = append(b, sum[:]...)
	}
	return b[:sectors*512]
}

// draw makes an image of a medium; its segments are disk.E01, disk.E02 …
func (d drawing) draw(medium []byte) evidencetest.Storage {
	size := d.perChunk * 512
	chunks := (len(medium) + size - 1) / size
	volume := drawVolume(uint64(chunks), uint64(d.perChunk), 512, uint64(len(medium)/512), d.set)
	st := evidencetest.Storage{}
	for number, chunk := 1, 0; chunk < chunks; number++ {
		c := newSegment(number)
		if number == 1 {
			c.section("header", deflated([]byte("1\nmain\nc\tn\ta\te\tt\tm\tu\tp\ncase 7-B\t1\tdrawn\tnobody\t\t2002 3 4 10 19 59\t\t0\n\n")))
			c.section("volume", volume)
		} else {
			c.section("data", volume)
		}
		for t := 0; t < d.tables && chunk < chunks; t++ {
			n := min(d.perTable, chunks-chunk)
			d.table(c, medium[chunk*size:min((chunk+n)*size, len(medium))])
			chunk += n
		}
		if chunk < chunks {
			c.last("next")
		} else {
			d.end(c, medium, volume)
		}
		name, _ := follower("disk.E01", number-1)
		if number == 1 {
			name = "disk.E01"
		}
		st[name] = c.Bytes()
	}
	return st
}

func (d drawing) end(c *canvas, medium, volume []byte) {
	c.section("data", volume)
	if d.bad != nil {
		head := make([]byte, errorHeaderSize-4)
		binary.LittleEndian.PutUint32(head, uint32(len(d.bad)))
		var list []uint32
		for _, s := range d.bad {
			list = append(list, uint32(s.first), uint32(s.count))
		}
		c.section("error2", append(sealed(head), drawEntries(list)...))
	}
	c.section("hash", drawHash(medium))
	c.last("done")
}

// table adds some chunks and the table that tells of them.
func (d drawing) table(c *canvas, medium []byte) {
	var chunks []byte
	var entries []uint32
	size := d.perChunk * 512
	base := uint64(c.Len())
	from := descriptorSize
	if d.inside || d.footless {
		base, from = 0, c.Len()+descriptorSize+tableHeaderSize+4*((len(medium)+size-1)/size)
	}
	if d.inside {
		from += 4
	}
	for ; len(medium) > 0; medium = medium[min(size, len(medium)):] {
		chunk := medium[:min(size, len(medium))]
		packed := deflated(chunk)
		entry := uint32(from + len(chunks))
		if len(packed) < len(chunk) || d.footless {
			chunks = append(chunks, packed...)
			entry |= packedBit
		} else {
			chunks = append(chunks, sealed(chunk)...)
		}
		entries = append(entries, entry)
	}
	head := drawTableHeader(len(entries), base)
	if d.footless {
		list := drawEntries(entries)
		c.section("table", append(append(head, list[:len(list)-4]...), chunks...))
		return
	}
	if d.inside {
		c.section("table", append(append(head, drawEntries(entries)...), chunks...))
		return
	}
	c.section("sectors", chunks)
	c.section("table", append(head, drawEntries(entries)...))
	c.section("table2", append(head, drawEntries(entries)...))
}
