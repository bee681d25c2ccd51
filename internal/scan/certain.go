package scan

import (
	"sync"

	"tutela"
)

// certain hands what was found out about pictures from those who read them to
// the match run, which comes later and has no evidence at hand: the exact hashes
// of those whose quick ones met something, and matches by places. A record keeps
// the hash that was made quickly: what it says must not depend on the hash sets
// of the day. A match that is reported rests on the exact one.
//
// The zero value is ready. It holds what lies between observation and match,
// and no more.
type certain struct {
	mu   sync.Mutex
	lent map[tutela.SHA256]*loan // by content
}

type loan struct {
	picture *tutela.Perceptual // exact; nil if the quick hash has nothing near it
	found   []tutela.Match     // by places, in order, without a leaf; never changed
	times   int                // how many records with this content are on their way
}

// lend says what was found out about the picture of a record, once for each
// record: sure is the record with the picture that counts.
func (c *certain) lend(sure *tutela.Record, found []tutela.Match) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lent == nil {
		c.lent = map[tutela.SHA256]*loan{}
	}
	l := c.lent[sure.Digests.SHA256]
	if l == nil {
		l = new(loan)
		c.lent[sure.Digests.SHA256] = l
	}
	l.picture, l.found = sure.Picture, found
	l.times++
}

// take gives the record with the picture that is to be matched: the exact one
// where that was made, none where nothing lies near, and as it is where nobody
// looked: its matches are then not confirmed. found are the matches by places.
func (c *certain) take(r *tutela.Record) (sure *tutela.Record, found []tutela.Match) {
	if r.Picture == nil || !r.Hashed {
		return r, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lent[r.Digests.SHA256]
	if l == nil {
		return r, nil
	}
	if l.times--; l.times == 0 {
		delete(c.lent, r.Digests.SHA256)
	}
	copied := *r
	copied.Picture = l.picture
	return &copied, l.found
}
