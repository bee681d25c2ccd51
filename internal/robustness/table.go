package robustness

import (
	"slices"

	"tutela"
	"tutela/internal/pdq"
)

// Table is what a run found.
type Table struct {
	Photographs, Drawings int      // originals that are known, by kind
	Flat                  []string // originals left out: too flat for any hash set
	Rows                  []Row    // by transform
	Others                []Row    // by other transform, in no mean
	Variants              []Earned // by name, the picture as it is first; of Rows alone
	Comparisons           int64    // of a copy with a known picture that is not in it
	Distances             int64    // of hashes, for those comparisons
	False                 []Collision
	// Closest is the fewest bits between a copy, or a variant of it, and a
	// picture that is not in it.
	Closest Collision
}

// Row is what became of the copies made by one transform.
type Row struct {
	Transform
	Photographs, Drawings Share
}

// Share is how many copies were found.
type Share struct {
	Copies int
	Plain  int // by the hash of the copy as it is
	All    int // by that or by a variant
}

// Both is the share of all pictures.
func (r Row) Both() Share {
	p, d := r.Photographs, r.Drawings
	return Share{p.Copies + d.Copies, p.Plain + d.Plain, p.All + d.All}
}

// Earned is what one variant brought.
type Earned struct {
	Variant string // "" for the picture as it is
	Made    int    // copies of which it was made and could be matched
	Found   int    // copies that it found
	Alone   int    // copies that nothing else found
}

// Collision is a copy near a picture that is not in it.
type Collision struct {
	Transform, Copy string
	Variant         string // "" for the copy as it is
	Known           string
	Distance        int // bits
}

// PlainMean is the mean over the transforms of the share that plain hashes find,
// in percent, of all pictures.
func (t *Table) PlainMean() float64 { return t.mean(Row.Both, plain) }

// Mean is PlainMean with variants.
func (t *Table) Mean() float64 { return t.mean(Row.Both, withVariants) }

// Gain is how many times as many copies variants find, by those means.
func (t *Table) Gain() float64 { return t.Mean() / t.PlainMean() }

func plain(s Share) float64        { return percent(s.Plain, s.Copies) }
func withVariants(s Share) float64 { return percent(s.All, s.Copies) }

func (t *Table) mean(of func(Row) Share, found func(Share) float64) (sum float64) {
	for _, r := range t.Rows {
		sum += found(of(r)) / float64(len(t.Rows))
	}
	return sum
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// tally makes the table of a run.
type tally struct {
	*Table
	set    []Picture
	known  []*tutela.PDQ
	earned map[string]*Earned
}

func tabulate(set []Picture, known []*tutela.PDQ, seen [][]sighting) *Table {
	t := &tally{&Table{Closest: Collision{Distance: 257}}, set, known, map[string]*Earned{}}
	t.Rows, t.Others = rows(Transforms()), rows(Others())
	for i, copies := range seen {
		t.original(i)
		for k, s := range copies {
			t.copy(i, k, s)
		}
	}
	for _, name := range sortedKeys(t.earned) {
		t.Variants = append(t.Variants, *t.earned[name])
	}
	return t.Table
}

func rows(transforms []Transform) (all []Row) {
	for _, t := range transforms {
		all = append(all, Row{Transform: t})
	}
	return all
}

// copy counts the copy of a picture by the transform of a number.
func (t *tally) copy(i, k int, s sighting) {
	if k < len(t.Rows) {
		t.earn(i, s)
		t.own(i, &t.Rows[k], s)
		t.strangers(i, t.Rows[k].Name, s)
		return
	}
	r := &t.Others[k-len(t.Rows)]
	t.own(i, r, s)
	t.strangers(i, r.Name, s)
}

func sortedKeys(m map[string]*Earned) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *tally) original(i int) {
	switch {
	case t.known[i] == nil:
		t.Flat = append(t.Flat, t.set[i].Name)
	case t.set[i].Kind == Photograph:
		t.Photographs++
	default:
		t.Drawings++
	}
}

// own counts whether a copy meets its original.
func (t *tally) own(i int, r *Row, s sighting) {
	share := &r.Drawings
	if t.set[i].Kind == Photograph {
		share = &r.Photographs
	}
	by := t.met(i, s)
	share.Copies++
	if len(by) > 0 {
		share.All++
	}
	if slices.Contains(by, "") {
		share.Plain++
	}
}

// met are the variants by which a copy meets its original.
func (t *tally) met(i int, s sighting) (by []string) {
	for _, h := range s.hashes {
		if pdq.Distance(h.pdq, *t.known[i]) <= pdq.MaxRadius {
			by = append(by, h.variant)
		}
	}
	return by
}

// earn counts what each variant of a copy brought.
func (t *tally) earn(i int, s sighting) {
	for _, h := range s.hashes {
		t.variant(h.variant).Made++
	}
	by := t.met(i, s)
	for _, name := range by {
		t.variant(name).Found++
	}
	if len(by) == 1 {
		t.variant(by[0]).Alone++
	}
}

func (t *tally) variant(name string) *Earned {
	e, ok := t.earned[name]
	if !ok {
		e = &Earned{Variant: name}
		t.earned[name] = e
	}
	return e
}

// strangers holds a copy against all known pictures that are not in it.
func (t *tally) strangers(i int, transform string, s sighting) {
	for k, known := range t.known {
		if known == nil || slices.Contains(s.shows, k) {
			continue
		}
		t.Comparisons++
		t.Distances += int64(len(s.hashes))
		near := Collision{transform, t.set[i].Name, "", t.set[k].Name, 257}
		for _, h := range s.hashes {
			if d := pdq.Distance(h.pdq, *known); d < near.Distance {
				near.Variant, near.Distance = h.variant, d
			}
		}
		t.stranger(near)
	}
}

func (t *tally) stranger(c Collision) {
	if c.Distance <= pdq.MaxRadius {
		t.False = append(t.False, c)
	}
	if c.Distance < t.Closest.Distance {
		t.Closest = c
	}
}
