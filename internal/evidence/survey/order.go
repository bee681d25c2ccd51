package survey

import (
	"bytes"
	"slices"
	"sync"

	"tutela/internal/evidence"
)

// window is how many entries are put in order at a time. It must never change
// while a scan is continued: the order is what its cursor counts.
const window = 1 << 14

// inOrder runs a walk and visits its entries, window by window, in the order in
// which their content begins in the source; those whose place is not known come
// first, as they came. A walk that is ended by an error other than of visit has
// what it gave visited all the same.
func inOrder(visit func(*evidence.Entry) error, walk func(visit func(*evidence.Entry) error) error) error {
	var w entries
	var stop error
	err := walk(func(e *evidence.Entry) error {
		kept := *e // a reader may use its entry again
		if w = append(w, &kept); len(w) < window {
			return nil
		}
		stop = w.visit(visit)
		w = nil
		return stop
	})
	if stop != nil {
		return stop
	}
	if stop = w.visit(visit); stop != nil {
		return stop
	}
	return err
}

type entries []*evidence.Entry

func (w entries) visit(visit func(*evidence.Entry) error) error {
	slices.Clone(w).introduce() // in the order in which they came
	slices.SortStableFunc(w, func(a, b *evidence.Entry) int { return int(min(max(begins(a)-begins(b), -1), 1)) })
	for _, e := range w {
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// begins is where the content begins, in bytes; -1 where that is not known.
func begins(e *evidence.Entry) int64 {
	if len(e.Runs) == 0 {
		return -1
	}
	return e.Runs[0].Offset
}

// introduce lets each entry find the others of its window that lie beside it or
// below its folder. Few ask: the places are sorted out when the first does.
func (w entries) introduce() {
	places := sync.OnceValue(w.places)
	for _, e := range w {
		if e.Beside != nil {
			continue
		}
		e.Beside = func(name string) *evidence.Entry {
			folder := e.Path[:bytes.LastIndexByte(e.Path, '/')+1]
			return places()[string(folder)+name]
		}
	}
}

// places are the entries by their path; of two with the same the first.
func (w entries) places() map[string]*evidence.Entry {
	places := make(map[string]*evidence.Entry, len(w))
	for _, e := range w {
		if places[string(e.Path)] == nil {
			places[string(e.Path)] = e
		}
	}
	return places
}
