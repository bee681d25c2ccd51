package thumb

import (
	"encoding/binary"
	"math/bits"
)

// place is where a thumbnail lies: the pack's number and the offset in it. 0 is
// nowhere.
type place uint64

func placeOf(pack uint32, off int64) place { return place(pack)<<32 | place(uint32(off)) }
func (p place) pack() uint32               { return uint32(p >> 32) }
func (p place) offset() int64              { return int64(uint32(p)) }

// removed stands where a place was taken out, so that what was entered behind it
// is still found. No pack has the number 0.
const removed place = 1

// index finds places by the first 8 bytes of an id. Two contents of which those
// are equal exclude each other (one pair in 2⁶⁴); the whole id is compared when
// the thumbnail is read. Its tables hash openly with linear probing and are
// filled between 68 and 85 %, 18.8 to 23.5 bytes an entry. There are many small
// ones, so that growing one needs little memory for a moment.
type index struct{ tables [64]table }

type slot struct {
	key uint64
	at  place // 0: free
}

type table struct {
	slots []slot
	used  int // slots that are not free
	live  int // of these, not removed
}

func (x *index) table(id id) (*table, uint64) {
	return &x.tables[id[8]%64], binary.BigEndian.Uint64(id[:])
}

func (x *index) find(id id) place {
	t, key := x.table(id)
	if s := t.find(key); s != nil {
		return s.at
	}
	return 0
}

func (x *index) set(id id, at place) {
	t, key := x.table(id)
	if s := t.find(key); s != nil {
		s.at = at
		return
	}
	t.insert(key, at)
}

func (x *index) remove(id id) {
	t, key := x.table(id)
	if s := t.find(key); s != nil {
		s.at = removed
		t.live--
	}
}

func (x *index) len() (n int) {
	for i := range x.tables {
		n += x.tables[i].live
	}
	return n
}

// home is where a key is looked for first. Keys are as good as random.
func (t *table) home(key uint64) int {
	hi, _ := bits.Mul64(key, uint64(len(t.slots)))
	return int(hi)
}

func (t *table) find(key uint64) *slot {
	if len(t.slots) == 0 {
		return nil
	}
	for i := t.home(key); ; i++ {
		s := &t.slots[i%len(t.slots)]
		if s.at == 0 {
			return nil
		}
		if s.key == key && s.at != removed {
			return s
		}
	}
}

func (t *table) insert(key uint64, at place) {
	if (t.used+1)*20 > len(t.slots)*17 {
		t.grow()
	}
	i := t.home(key)
	for t.slots[i%len(t.slots)].at != 0 {
		i++
	}
	t.slots[i%len(t.slots)] = slot{key, at}
	t.used++
	t.live++
}

// grow makes the table a quarter larger than what lives in it needs.
func (t *table) grow() {
	old := t.slots
	*t = table{slots: make([]slot, max(8, t.live*20/17*5/4+1))}
	for _, s := range old {
		if s.at > removed {
			t.insert(s.key, s.at)
		}
	}
}
