package encrypted

import (
	"fmt"
	"math"

	"tutela/internal/evidence"
)

// MinSize is the fewest bytes that a volume or a content must have to be judged;
// no VeraCrypt volume is smaller.
const MinSize = 4 * MinSample

// places is what was seen in several places, each of MinSample bytes.
type places struct {
	all    counts
	passed int
	failed bool
}

func (p *places) judge(c *counts) {
	if _, _, ok := c.judge(); !ok {
		p.failed = true
		return
	}
	p.passed++
	for v, n := range c.of {
		p.all.of[v] += n
	}
	p.all.total += c.total
}

// verdict describes what looks encrypted, in words for a finding.
func (p *places) verdict(size int64) (detail string, ok bool) {
	chi, bits, ok := p.all.judge()
	if p.failed || !ok || p.passed < MinSize/MinSample {
		return "", false
	}
	return fmt.Sprintf("veracrypt-like: no header, %d bytes, entropy %.5f bits per byte, chi-square %.0f in %d places: encrypted, or overwritten with random bytes",
		size, bits, chi, p.passed), true
}

// spread is how many places of a volume are looked at.
const spread = 16

// Volume judges a volume by 16 stretches of 64 KiB, spread from its beginning to
// its end. Those that cannot be read are left out; half of them must be there.
// detail is for a finding.
func Volume(src evidence.Source) (detail string, ok bool) {
	size := src.Size()
	count := min(spread, size/MinSample)
	if size < MinSize {
		return "", false
	}
	var p places
	buf := make([]byte, MinSample)
	for i := range count {
		at := (size - MinSample) / (count - 1) * i
		if n, _ := src.ReadAt(buf, at); n < len(buf) {
			continue
		}
		var c counts
		c.add(buf)
		if p.judge(&c); p.failed {
			return "", false
		}
	}
	if int64(p.passed) < count/2 {
		return "", false
	}
	return p.verdict(size)
}

// Content judges a content as it is read. The first 256 KiB are looked at, and 64
// KiB at every power of two behind them, however the content is cut into
// chunks: the verdict depends on the bytes alone. What fails once costs no more.
// The zero value is ready.
type Content struct {
	places places
	at     int64 // bytes seen
	window counts
}

// See takes the next bytes of the content.
func (c *Content) See(chunk []byte) {
	for len(chunk) > 0 && !c.places.failed {
		skip := windowAt(c.at) - c.at
		if skip >= int64(len(chunk)) {
			c.at += int64(len(chunk))
			return
		}
		if skip > 0 {
			chunk = chunk[skip:]
			c.at += skip
		}
		n := min(int64(len(chunk)), MinSample-int64(c.window.total))
		c.window.add(chunk[:n])
		chunk = chunk[n:]
		c.at += n
		if c.window.total == MinSample {
			c.places.judge(&c.window)
			c.window = counts{}
		}
	}
}

// windowAt is where the stretch begins or goes on that is looked at next, seen
// from byte at.
func windowAt(at int64) int64 {
	if at < MinSize {
		return at
	}
	for begin := int64(2 * MinSize); begin > 0; begin *= 2 {
		if at < begin+MinSample {
			return max(at, begin)
		}
	}
	return math.MaxInt64
}

// Possible reports whether a content of size bytes could be judged at all;
// encrypted containers are whole sectors of 512 bytes long. -1 is not known yet.
func Possible(size int64) bool { return size == -1 || size >= MinSize && size%512 == 0 }

// Verdict judges what was seen of a content of size bytes. detail is for a finding.
func (c *Content) Verdict(size int64) (detail string, ok bool) {
	if !Possible(size) || c.at < size {
		return "", false
	}
	return c.places.verdict(size)
}
