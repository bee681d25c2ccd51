package mp4

import (
	"encoding/binary"

	"tutela"
)

// tables goes through the samples that the header lists, chunk by chunk
// (ISO/IEC 14496-12, 8.6 and 8.7).
func (w *walk) tables() error {
	m := w.m
	c := &cursor{m: m}
	for chunk := range m.offsets.count {
		at, ok := c.chunk(chunk)
		if !ok || c.sample >= m.samples {
			break
		}
		for range c.perChunk {
			if c.sample >= m.samples {
				break
			}
			size, step, composition, key := c.next()
			if key && !c.ours {
				m.notes.Add(tutela.FindingUnsupported, "frames of a second coding were left")
				key = false
			}
			if err := w.sample(at, size, composition, key); err != nil {
				return err
			}
			at += size
			w.decode += step
		}
	}
	if c.sample < m.samples {
		m.notes.Add(tutela.FindingDamaged, "the tables hold the places of %d of %d frames", c.sample, m.samples)
	}
	return nil
}

// cursor stands at a sample in all the tables at once.
type cursor struct {
	m      *Movie
	sample int64 // from 0

	run      int64 // in chunks
	perChunk int64
	ours     bool // the samples of this chunk are described by the first description

	timeRun, timeLeft int64
	step              int64
	compRun, compLeft int64
	comp              int64
	sync              int64 // next entry of syncs
}

// chunk goes to a chunk: the place of its first sample.
func (c *cursor) chunk(n int64) (at int64, ok bool) {
	for {
		e := c.m.chunks.entry(c.run)
		if e == nil || int64(binary.BigEndian.Uint32(e)) > n+1 {
			break
		}
		c.perChunk = int64(binary.BigEndian.Uint32(e[4:]))
		c.ours = binary.BigEndian.Uint32(e[8:]) <= 1
		c.run++
	}
	e := c.m.offsets.entry(n)
	if e == nil {
		return 0, false
	}
	if c.m.wide {
		at = int64(binary.BigEndian.Uint64(e))
		return at, at >= 0
	}
	return int64(binary.BigEndian.Uint32(e)), true
}

// next tells of the sample at which the cursor stands and goes to the next.
// Times are in ticks.
func (c *cursor) next() (size, step, composition int64, key bool) {
	size = c.size()
	for c.timeLeft == 0 {
		e := c.m.times.entry(c.timeRun)
		if e == nil {
			break // the last step stays
		}
		c.timeRun++
		c.timeLeft, c.step = int64(binary.BigEndian.Uint32(e)), int64(binary.BigEndian.Uint32(e[4:]))
	}
	for c.compLeft == 0 {
		e := c.m.composition.entry(c.compRun)
		if e == nil {
			break
		}
		c.compRun++
		c.compLeft, c.comp = int64(binary.BigEndian.Uint32(e)), int64(int32(binary.BigEndian.Uint32(e[4:])))
	}
	key = c.m.allSync || c.isSync()
	c.timeLeft, c.compLeft = max(c.timeLeft-1, 0), max(c.compLeft-1, 0)
	c.sample++
	return size, c.step, c.comp, key
}

func (c *cursor) size() int64 {
	if c.m.uniform > 0 {
		return c.m.uniform
	}
	switch c.m.sizeBits {
	case 4:
		if e := c.m.sizes.entry(c.sample / 2); e != nil {
			return int64(e[0] >> (4 * (1 - c.sample%2)) & 15)
		}
	case 8:
		if e := c.m.sizes.entry(c.sample); e != nil {
			return int64(e[0])
		}
	case 16:
		if e := c.m.sizes.entry(c.sample); e != nil {
			return int64(binary.BigEndian.Uint16(e))
		}
	case 32:
		if e := c.m.sizes.entry(c.sample); e != nil {
			return int64(binary.BigEndian.Uint32(e))
		}
	}
	return 0
}

// isSync reports whether the sample is in the list of key frames, which rises.
func (c *cursor) isSync() bool {
	for {
		e := c.m.syncs.entry(c.sync)
		if e == nil {
			return false
		}
		switch number := int64(binary.BigEndian.Uint32(e)) - 1; {
		case number == c.sample:
			return true
		case number > c.sample:
			return false
		}
		c.sync++
	}
}
