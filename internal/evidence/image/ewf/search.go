package ewf

// A table that is damaged and has no copy cannot be used entry by entry, even
// where its entries look right: a stretch of them may have moved, each to the
// beginning of another chunk. But chunks lie one behind the other and each tells
// where it ends, so that they are found without it, up to the first that is
// damaged too.

const (
	mostSearched = 2 << 30 // bytes of the medium that one table tells of
	mostFound    = 4 << 20 // chunks of all such tables
)

// found are the chunks of one table.
type found struct {
	at     []int64 // in the segment; one more than there are chunks
	packed []bool
}

func (f *found) count() int {
	if f == nil {
		return 0
	}
	return len(f.packed)
}

func (f *found) place(one *table, k int64) (place, error) {
	if k >= int64(len(f.packed)) {
		return place{}, errTable
	}
	return place{segment: one.segment, at: f.at[k], most: f.at[k+1] - f.at[k], packed: f.packed[k]}, nil
}

// search finds the chunks of a table; nil where it is not known where they begin
// or there would be too many.
func (t *tables) search(one *table) *found {
	if !one.leading || one.entries > mostSearched/t.size {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.searched += one.entries; t.searched > mostFound {
		return nil
	}
	first := t.firstChunk(one)
	f := t.walk(one, first)
	if f.count() == 0 && one.inside {
		f = t.walk(one, first+4) // EnCase 1 has a checksum before them
	}
	return f
}

// firstChunk is where the first chunk of a table lies: behind the descriptor of
// its sectors section, or behind the entries.
func (t *tables) firstChunk(one *table) int64 {
	if !one.inside {
		return one.chunks.Offset + descriptorSize
	}
	return one.at + 4*one.entries
}

func (t *tables) walk(one *table, at int64) *found {
	f := &found{at: []int64{at}}
	end := one.chunks.Offset + one.chunks.Length
	for n := range one.entries {
		length, packed, err := t.measure(one.first+n, place{segment: one.segment, at: at, most: end - at})
		if err != nil {
			break
		}
		at += length
		f.at, f.packed = append(f.at, at), append(f.packed, packed)
	}
	return f
}
