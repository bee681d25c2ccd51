package mp4

import (
	"encoding/binary"

	"tutela"
	"tutela/internal/video/track"
)

// fragmentDefaults are what holds for the samples of a fragment that tell
// nothing of themselves.
type fragmentDefaults struct {
	duration, size, flags uint32
}

// Flags of tfhd and trun (ISO/IEC 14496-12, 8.8.7 and 8.8.8).
const (
	hasBase          = 0x1
	hasDescription   = 0x2
	hasDuration      = 0x8
	hasSize          = 0x10
	hasFlags         = 0x20
	hasDataOffset    = 0x1
	hasFirstFlags    = 0x4
	eachDuration     = 0x100
	eachSize         = 0x200
	eachFlags        = 0x400
	eachComposition  = 0x800
	sampleNotSync    = 0x10000   // of a sample's flags
	sampleDependsYes = 0x1000000 // on others
)

// allFragments goes through every moof of the file.
func (w *walk) allFragments() error {
	return w.through(0, w.m.size, func(moof box) error {
		if moof.name != "moof" {
			return nil
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		return w.through(moof.body, moof.end, func(traf box) error {
			if traf.name != "traf" {
				return nil
			}
			f := &fragment{walk: w, defaults: w.m.defaults, base: moof.start, next: moof.start}
			return w.through(traf.body, traf.end, f.take)
		})
	})
}

// through visits boxes, and tells the limit of samples from the end of a visit.
func (w *walk) through(start, end int64, visit func(box) error) error {
	limit := false
	err := w.m.boxes(start, end, func(b box) error {
		err := visit(b)
		limit = err == errEnough
		return err
	})
	if limit {
		return errEnough
	}
	return err
}

// fragment is a stretch of a track, as one traf tells of it.
type fragment struct {
	*walk
	defaults fragmentDefaults
	ours     bool
	base     int64 // from which offsets count
	next     int64 // where the samples of a run lie that does not tell
}

func (f *fragment) take(b box) error {
	switch b.name {
	case "tfhd":
		return ignoreShort(f.header(b))
	case "tfdt":
		return ignoreShort(f.time(b))
	case "trun":
		if f.ours {
			return f.run(b)
		}
	}
	return nil
}

func (f *fragment) header(b box) error {
	h, err := f.m.field(b, 0, 8)
	if err != nil {
		return err
	}
	flags := binary.BigEndian.Uint32(h) & 0xffffff
	f.ours = binary.BigEndian.Uint32(h[4:]) == f.m.id
	at := int64(8)
	if flags&hasBase != 0 {
		if h, err = f.m.field(b, at, 8); err != nil {
			return err
		}
		f.base = int64(binary.BigEndian.Uint64(h))
		f.next = f.base
		at += 8
	}
	if flags&hasDescription != 0 {
		at += 4
	}
	for _, d := range []struct {
		flag uint32
		into *uint32
	}{{hasDuration, &f.defaults.duration}, {hasSize, &f.defaults.size}, {hasFlags, &f.defaults.flags}} {
		if flags&d.flag == 0 {
			continue
		}
		if h, err = f.m.field(b, at, 4); err != nil {
			return err
		}
		*d.into = binary.BigEndian.Uint32(h)
		at += 4
	}
	return nil
}

func (f *fragment) time(b box) error {
	h, err := f.m.field(b, 0, 8)
	if err != nil || !f.ours {
		return err
	}
	at := int64(binary.BigEndian.Uint32(h[4:]))
	if h[0] == 1 {
		if h, err = f.m.field(b, 4, 8); err != nil {
			return err
		}
		at = int64(binary.BigEndian.Uint64(h))
	}
	if at >= 0 && at < 1<<60 {
		f.decode = at
	}
	return nil
}

// run reads a trun: samples that lie one after another.
func (f *fragment) run(b box) error {
	h, err := f.m.field(b, 0, 8)
	if err != nil {
		return ignoreShort(err)
	}
	flags, count := binary.BigEndian.Uint32(h)&0xffffff, binary.BigEndian.Uint32(h[4:])
	at, offset := int64(8), f.next
	if flags&hasDataOffset != 0 {
		if h, err = f.m.field(b, at, 4); err != nil {
			return ignoreShort(err)
		}
		offset = f.base + int64(int32(binary.BigEndian.Uint32(h)))
		at += 4
	}
	first, special := f.defaults.flags, false
	if flags&hasFirstFlags != 0 {
		if h, err = f.m.field(b, at, 4); err != nil {
			return ignoreShort(err)
		}
		first, special = binary.BigEndian.Uint32(h), true
		at += 4
	}
	return f.samples(b, at, offset, flags, int64(count), first, special)
}

func (f *fragment) samples(b box, at, offset int64, flags uint32, count int64, first uint32, special bool) error {
	width := 0
	for _, each := range []uint32{eachDuration, eachSize, eachFlags, eachComposition} {
		if flags&each != 0 {
			width += 4
		}
	}
	t := table{m: f.m, win: track.NewWindow(f.m.src, f.m.size), at: b.body + at, width: width, count: count}
	if width > 0 {
		t = f.m.table(b, at, width, uint32(count))
	}
	for i := range t.count {
		s := f.sampleOf(&t, i, flags)
		if i == 0 && special {
			s.flags = first
		}
		if offset < 0 || offset > f.m.size {
			f.m.notes.Add(tutela.FindingTruncated, "fragments lie beyond the end of the file")
			break
		}
		if err := f.sample(offset, int64(s.size), s.composition, s.flags&(sampleNotSync|sampleDependsYes) == 0); err != nil {
			return err
		}
		offset += int64(s.size)
		f.decode += int64(s.duration)
	}
	f.next = offset
	f.lasts(f.decode)
	return nil
}

// fragmentSample is what a trun tells of a sample.
type fragmentSample struct {
	fragmentDefaults
	composition int64
}

func (f *fragment) sampleOf(t *table, i int64, flags uint32) fragmentSample {
	s := fragmentSample{fragmentDefaults: f.defaults}
	if t.width == 0 {
		return s
	}
	e := t.entry(i)
	for _, each := range []struct {
		flag uint32
		set  func(uint32)
	}{
		{eachDuration, func(v uint32) { s.duration = v }},
		{eachSize, func(v uint32) { s.size = v }},
		{eachFlags, func(v uint32) { s.flags = v }},
		{eachComposition, func(v uint32) { s.composition = int64(int32(v)) }},
	} {
		if flags&each.flag != 0 && len(e) >= 4 {
			each.set(binary.BigEndian.Uint32(e))
			e = e[4:]
		}
	}
	return s
}
