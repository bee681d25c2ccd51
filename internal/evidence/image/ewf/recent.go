package ewf

import "iter"

// recent keeps values in the order in which they were used. It is not safe for
// concurrent use. The zero value is empty.
type recent[K comparable, V any] struct {
	at   map[K]*node[K, V]
	root node[K, V] // of a ring: next is the last used, previous the oldest
}

type node[K comparable, V any] struct {
	key            K
	value          V
	previous, next *node[K, V]
}

func (r *recent[K, V]) len() int { return len(r.at) }

// get is the value under key, which is then the last used.
func (r *recent[K, V]) get(key K) (value V, ok bool) {
	n := r.at[key]
	if n == nil {
		return value, false
	}
	n.leave()
	n.enter(&r.root)
	return n.value, true
}

// has reports whether there is a value, and does not use it.
func (r *recent[K, V]) has(key K) bool { return r.at[key] != nil }

// put adds a value under a key that has none.
func (r *recent[K, V]) put(key K, value V) {
	if r.at == nil {
		r.at = map[K]*node[K, V]{}
		r.root.next, r.root.previous = &r.root, &r.root
	}
	n := &node[K, V]{key: key, value: value}
	n.enter(&r.root)
	r.at[key] = n
}

// drop takes a value out.
func (r *recent[K, V]) drop(key K) {
	if n := r.at[key]; n != nil {
		n.leave()
		delete(r.at, key)
	}
}

// oldestFirst are all values. The one at hand may be dropped.
func (r *recent[K, V]) oldestFirst() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for n := r.root.previous; n != nil && n != &r.root; {
			previous := n.previous
			if !yield(n.key, n.value) {
				return
			}
			n = previous
		}
	}
}

func (n *node[K, V]) enter(root *node[K, V]) {
	n.previous, n.next = root, root.next
	root.next.previous, root.next = n, n
}

func (n *node[K, V]) leave() {
	n.previous.next, n.next.previous = n.next, n.previous
}
