package scan

import (
	"sync"

	"tutela"
)

// certain hands the exact hashes of pictures from those who read them to the
// match run, which comes later and has no evidence at hand. A record keeps the
// hash that was made quickly: what it says must not depend on the hash sets of
// the day. A match that is reported rests on the exact one.
//
// The zero value is ready. It holds what lies between observation and match,
// and no more.
type certain struct {
	mu   sync.Mutex
	lent map[tutela.SHA256]*loan // by content
}

type loan struct {
	picture *tutela.Perceptual // exact; nil if the quick hash has nothing near it
	times   int                // how many records with this content are on their way
}

// lend says how sure the picture of a record is, once for each record.
func (c *certain) lend(r *tutela.Record, exact *tutela.Perceptual) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lent == nil {
		c.lent = map[tutela.SHA256]*loan{}
	}
	l := c.lent[r.Digests.SHA256]
	if l == nil {
		l = new(loan)
		c.lent[r.Digests.SHA256] = l
	}
	l.picture = exact
	l.times++
}

// take gives the record with the picture that is to be matched: the exact one
// where that was made, none where nothing lies near, and as it is where nobody
// looked: its matches are then not confirmed.
func (c *certain) take(r *tutela.Record) *tutela.Record {
	if r.Picture == nil || r.Picture.Scale == 0 || !r.Hashed {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lent[r.Digests.SHA256]
	if l == nil {
		return r
	}
	if l.times--; l.times == 0 {
		delete(c.lent, r.Digests.SHA256)
	}
	sure := *r
	sure.Picture = l.picture
	return &sure
}
