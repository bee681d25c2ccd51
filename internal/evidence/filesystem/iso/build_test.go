package iso_test

import "encoding/binary"

// disc is an image under construction, in sectors of 2048 bytes. Directories
// have one sector each.
type disc struct{ b []byte }

const (
	sector    = 2048
	rootAt    = 20
	directory = 1 << 1
	more      = 1 << 7
)

// newDisc is a disc of n sectors with a primary descriptor and a root
// directory in sector 20.
func newDisc(n int) *disc {
	d := &disc{make([]byte, n*sector)}
	pvd := d.sector(16)
	copy(pvd, "\x01CD001\x01")
	binary.LittleEndian.PutUint32(pvd[80:], uint32(n))
	binary.LittleEndian.PutUint16(pvd[128:], sector)
	copy(pvd[156:], entry("\x00", rootAt, sector, directory, ""))
	copy(d.sector(17), "\xffCD001\x01")
	return d
}

func (d *disc) sector(n int) []byte { return d.b[n*sector : (n+1)*sector] }

// directory fills a sector with "." and ".." and the given records. use goes
// into the system use area of ".".
func (d *disc) directory(at int, use string, records ...string) {
	dots := []string{entry("\x00", at, sector, directory, use), entry("\x01", rootAt, sector, directory, "")}
	to := d.sector(at)
	for _, r := range append(dots, records...) {
		copy(to, r)
		to = to[len(r):]
	}
}

// entry is a directory record (ECMA-119 9.1).
func entry(name string, location, length int, flags byte, use string) string {
	b := make([]byte, 33, 64)
	binary.LittleEndian.PutUint32(b[2:], uint32(location))
	binary.BigEndian.PutUint32(b[6:], uint32(location))
	binary.LittleEndian.PutUint32(b[10:], uint32(length))
	binary.BigEndian.PutUint32(b[14:], uint32(length))
	copy(b[18:], []byte{124, 2, 3, 4, 5, 6, 4}) // 2024-02-03 04:05:06 +01:00
	b[25] = flags
	b[32] = byte(len(name))
	b = append(b, name...)
	if len(name)%2 == 0 {
		b = append(b, 0)
	}
	b = append(b, use...)
	b[0] = byte(len(b))
	return string(b)
}

// field is a system use field (SUSP 4.1).
func field(signature, payload string) string {
	return signature + string([]byte{byte(4 + len(payload)), 1}) + payload
}

func both32(n int) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(n))
	return string(binary.BigEndian.AppendUint32(b, uint32(n)))
}

// rockRoot is what "." of the root says on a Rock Ridge disc.
func rockRoot() string {
	return field("SP", "\xbe\xef\x00") + field("ER", "\x0a\x00\x00\x01RRIP_1991A")
}
