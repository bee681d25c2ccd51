package mp4

import (
	"encoding/binary"
	"strings"

	"tutela"
	"tutela/internal/video/track"
)

// track reads a trak box, if it is of pictures and none was read before.
func (m *Movie) track(trak box) error {
	if m.id != 0 {
		return nil
	}
	t := &Movie{src: m.src, size: m.size, win: m.win, movieScale: m.movieScale}
	pictures := false
	var edits box
	err := m.boxes(trak.body, trak.end, func(b box) error {
		switch b.name {
		case "tkhd":
			return t.trackHeader(b)
		case "edts":
			edits = b
		case "mdia":
			return t.media(b, &pictures)
		}
		return nil
	})
	if err == nil && edits.end > 0 {
		err = t.boxes(edits.body, edits.end, t.edits)
	}
	if err != nil || !pictures || t.told.Name == "" {
		return err
	}
	m.adopt(t)
	return nil
}

// adopt makes the track that was read this movie's.
func (m *Movie) adopt(t *Movie) {
	m.id = max(t.id, 1)
	m.scale, m.shift = t.scale, t.shift
	m.times, m.offsets, m.chunks, m.sizes, m.composition, m.syncs = t.times, t.offsets, t.chunks, t.sizes, t.composition, t.syncs
	for _, own := range []*table{&m.times, &m.offsets, &m.chunks, &m.sizes, &m.composition, &m.syncs} {
		own.m = m
	}
	m.uniform, m.sizeBits, m.samples, m.wide = t.uniform, t.sizeBits, t.samples, t.wide
	m.allSync = t.syncs.width == 0
	told := t.told
	told.Container, told.Indexed = m.told.Container, !m.allSync
	if m.told.Duration > 0 {
		told.Duration = m.told.Duration
	}
	m.told = told
	for _, f := range t.notes.Findings() {
		m.notes.Add(f.Code, "%s", f.Detail)
	}
}

func (m *Movie) trackHeader(b box) error {
	h, err := m.field(b, 0, 16)
	if err != nil {
		return ignoreShort(err)
	}
	at := int64(12)
	if h[0] == 1 {
		at = 20
	}
	if h, err = m.field(b, at, 4); err != nil {
		return ignoreShort(err)
	}
	m.id = binary.BigEndian.Uint32(h)
	return nil
}

func (m *Movie) media(mdia box, pictures *bool) error {
	return m.boxes(mdia.body, mdia.end, func(b box) error {
		switch b.name {
		case "mdhd":
			scale, length, err := m.span(b)
			if err != nil {
				return ignoreShort(err)
			}
			m.scale, m.told.Duration = scale, track.Ticks(length, scale)
		case "hdlr":
			h, err := m.field(b, 8, 4)
			if err != nil {
				return ignoreShort(err)
			}
			*pictures = string(h) == "vide"
		case "minf":
			return m.boxes(b.body, b.end, func(b box) error {
				if b.name != "stbl" {
					return nil
				}
				return m.boxes(b.body, b.end, m.sampleTable)
			})
		}
		return nil
	})
}

// sampleTable reads where one of the tables of the samples is.
func (m *Movie) sampleTable(b box) (err error) {
	switch b.name {
	case "stsd":
		err = m.description(b)
	case "stts":
		m.times, err = m.full(b, 8)
	case "ctts":
		m.composition, err = m.full(b, 8)
	case "stsc":
		m.chunks, err = m.full(b, 12)
	case "stco":
		m.offsets, err = m.full(b, 4)
	case "co64":
		m.wide = true
		m.offsets, err = m.full(b, 8)
	case "stss":
		m.syncs, err = m.full(b, 4)
	case "stsz", "stz2":
		err = m.sampleSizes(b)
	}
	return ignoreShort(err)
}

func (m *Movie) sampleSizes(b box) error {
	h, err := m.field(b, 0, 12)
	if err != nil {
		return err
	}
	told, count := binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	m.sizeBits = 32
	if b.name == "stz2" {
		m.sizeBits, told = int(told&0xff), 0
	}
	if m.uniform = int64(told); m.uniform > 0 {
		m.samples = int64(count)
		return nil
	}
	switch m.sizeBits {
	case 4: // two samples a byte
		m.sizes = m.table(b, 12, 1, count/2+count%2)
		m.samples = min(int64(count), 2*m.sizes.count)
	case 8, 16, 32:
		m.sizes = m.table(b, 12, m.sizeBits/8, count)
		m.samples = m.sizes.count
	default:
		m.notes.Add(tutela.FindingDamaged, "sample sizes of %d bits", m.sizeBits)
	}
	return nil
}

// maxConfig bounds what is kept for a decoder, in bytes.
const maxConfig = 1 << 20

// description reads the first entry of stsd: what the samples are.
func (m *Movie) description(b box) error {
	entry, err := m.box(b.body+8, b.end)
	if err != nil {
		return err
	}
	m.told.Name = tutela.DisplayPath([]byte(strings.TrimRight(entry.name, " \x00")))
	m.told.Codec = codecs[strings.ToLower(entry.name)]
	if m.told.Name == "encv" {
		m.notes.Add(tutela.FindingEncrypted, "the frames are encrypted, each by itself")
	}
	h, err := m.field(entry, 24, 4)
	if err != nil {
		return err
	}
	m.told.Width, m.told.Height = int(binary.BigEndian.Uint16(h)), int(binary.BigEndian.Uint16(h[2:]))
	return m.boxes(entry.body+78, entry.end, m.extension)
}

// extension reads a box behind the description of the samples.
func (m *Movie) extension(b box) error {
	switch b.name {
	case "avcC", "hvcC", "av1C", "esds", "glbl":
	default:
		return nil
	}
	if b.end-b.body > maxConfig {
		m.notes.Add(tutela.FindingLimit, "the box %q has %d bytes", b.name, b.end-b.body)
		return nil
	}
	config, err := m.win.Copy(b.body, b.end-b.body)
	if err != nil {
		return err
	}
	if b.name != "esds" {
		m.told.Config = config
		return nil
	}
	kind, own := elementary(config)
	if c, known := objectTypes[kind]; known {
		m.told.Codec = c
	}
	m.told.Config = own
	return nil
}

// elementary takes from an ES descriptor the kind of stream and what its decoder
// needs (ISO/IEC 14496-1, 7.2.6).
func elementary(b []byte) (kind byte, config []byte) {
	if len(b) < 4 {
		return 0, nil
	}
	tag, body := descriptor(b[4:])
	if tag != 3 || len(body) < 3 {
		return 0, nil
	}
	flags, body := body[2], body[3:]
	skip := 0
	if flags&0x80 != 0 { // depends on another stream
		skip += 2
	}
	if flags&0x40 != 0 && skip < len(body) { // has an URL
		skip += 1 + int(body[skip])
	}
	if flags&0x20 != 0 { // has a clock stream
		skip += 2
	}
	tag, body = descriptor(body[min(skip, len(body)):])
	if tag != 4 || len(body) < 13 {
		return 0, nil
	}
	kind = body[0]
	if tag, own := descriptor(body[13:]); tag == 5 {
		return kind, own
	}
	return kind, nil
}

// descriptor splits off a tag and the body whose length follows it in steps of
// seven bits.
func descriptor(b []byte) (tag byte, body []byte) {
	if len(b) < 2 {
		return 0, nil
	}
	tag, b = b[0], b[1:]
	n := 0
	for i := 0; i < 4 && len(b) > 0; i++ {
		c := b[0]
		n, b = n<<7|int(c&0x7f), b[1:]
		if c < 0x80 {
			break
		}
	}
	return tag, b[:min(n, len(b))]
}

// objectTypes are the kinds of pictures that esds names (ISO/IEC 14496-1, table 5).
var objectTypes = map[byte]track.Codec{
	0x20: track.MPEG4,
	0x21: track.H264,
	0x60: track.MPEG2, 0x61: track.MPEG2, 0x62: track.MPEG2, 0x63: track.MPEG2, 0x64: track.MPEG2, 0x65: track.MPEG2,
	0x6a: track.MPEG1,
	0x6c: track.MJPEG,
}

// codecs are the codings by the name of their description, in lower case.
var codecs = map[string]track.Codec{
	"avc1": track.H264, "avc2": track.H264, "avc3": track.H264, "avc4": track.H264, "dva1": track.H264, "dvav": track.H264,
	"hvc1": track.HEVC, "hev1": track.HEVC, "dvh1": track.HEVC, "dvhe": track.HEVC, "hvc2": track.HEVC, "hev2": track.HEVC,
	"vp08": track.VP8, "vp09": track.VP9, "av01": track.AV1,
	"mp4v": track.MPEG4, "xvid": track.MPEG4, "divx": track.MPEG4, "3ivd": track.MPEG4,
	"s263": track.H263, "h263": track.H263,
	"jpeg": track.MJPEG, "mjpa": track.MJPEG, "dmb1": track.MJPEG, "avdj": track.MJPEG,
	"m1v ": track.MPEG1, "mpeg": track.MPEG1, "m2v1": track.MPEG2, "mp2v": track.MPEG2,
	"apch": track.ProRes, "apcn": track.ProRes, "apcs": track.ProRes, "apco": track.ProRes, "ap4h": track.ProRes, "ap4x": track.ProRes,
}

// edits reads how far the first shown moment lies from the track's beginning.
func (m *Movie) edits(b box) error {
	if b.name != "elst" {
		return nil
	}
	h, err := m.field(b, 0, 8)
	if err != nil {
		return ignoreShort(err)
	}
	long := h[0] == 1
	width := 12
	if long {
		width = 20
	}
	t := m.table(b, 8, width, binary.BigEndian.Uint32(h[4:]))
	for i := range min(t.count, 64) {
		e := t.entry(i)
		if e == nil {
			return nil
		}
		length, from := editOf(e, long)
		if from != -1 {
			m.shift -= from
			return nil
		}
		if m.movieScale > 0 && length > 0 { // nothing is shown for a while
			m.shift += int64(float64(length) * float64(m.scale) / float64(m.movieScale))
		}
	}
	return nil
}

func editOf(e []byte, long bool) (length, from int64) {
	if long {
		return int64(binary.BigEndian.Uint64(e)), int64(binary.BigEndian.Uint64(e[8:]))
	}
	return int64(binary.BigEndian.Uint32(e)), int64(int32(binary.BigEndian.Uint32(e[4:])))
}
