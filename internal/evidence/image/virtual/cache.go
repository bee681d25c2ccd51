package virtual

import (
	"bytes"
	"container/list"
	"sync"

	"tutela/internal/evidence"
)

// Cache keeps the values that were used last. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	most int

	mu    sync.Mutex // guards what follows
	order *list.List // of kept[K, V]; the last used first
	at    map[K]*list.Element
}

type kept[K comparable, V any] struct {
	key   K
	value V
}

// NewCache keeps at most so many values, and one at least.
func NewCache[K comparable, V any](most int) *Cache[K, V] {
	return &Cache[K, V]{most: max(most, 1), order: list.New(), at: map[K]*list.Element{}}
}

// Get is the value kept under key.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.at[key]
	if !ok {
		return value, false
	}
	c.order.MoveToFront(e)
	return e.Value.(kept[K, V]).value, true
}

// Put keeps a value, in the place of the one that was not used for longest.
func (c *Cache[K, V]) Put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[key]; ok {
		return // two decoded the same at once
	}
	if c.order.Len() < c.most {
		c.at[key] = c.order.PushFront(kept[K, V]{key, value})
		return
	}
	oldest := c.order.Back()
	delete(c.at, oldest.Value.(kept[K, V]).key)
	oldest.Value = kept[K, V]{key, value}
	c.order.MoveToFront(oldest)
	c.at[key] = oldest
}

// chunkMemory is how many bytes of decoded chunks an image keeps.
const chunkMemory = 8 << 20

// Chunks decodes the compressed chunks of an image and keeps those used last.
type Chunks struct {
	cache *Cache[int64, evidence.Source]
}

// NewChunks keeps chunks of the given length in bytes.
func NewChunks(length int64) Chunks {
	return Chunks{NewCache[int64, evidence.Source](int(min(chunkMemory/max(length, 1), 1<<10)))}
}

// Get is the chunk with a key, which decode makes where it is not kept.
func (c Chunks) Get(key int64, decode func() ([]byte, error)) (evidence.Source, error) {
	if chunk, ok := c.cache.Get(key); ok {
		return chunk, nil
	}
	b, err := decode()
	if err != nil {
		return nil, err
	}
	chunk := memory{bytes.NewReader(b)}
	c.cache.Put(key, chunk)
	return chunk, nil
}

// memory is a source in memory.
type memory struct{ *bytes.Reader }

func (m memory) Size() int64 { return m.Reader.Size() }
