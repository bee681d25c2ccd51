package verify

import (
	"fmt"
	"slices"
	"strings"

	"tutela/internal/ledger/check"
)

// head is the signed head of the log, and who vouches for it.
type head struct {
	check.Checkpoint
	signed    []byte
	policy    *check.Policy
	text      []byte // of the policy
	witnesses []check.Cosignature
	earlier   map[uint64][]byte // signed heads of this log by their sizes, this one included
}

// readHead holds the checkpoint against the bundle's policy and those of the
// reader.
func (b *bundle) readHead() (err error) {
	h := &b.head
	if h.text, err = b.read("policy"); err != nil {
		return err
	}
	if h.signed, err = b.read("checkpoint"); err != nil {
		return err
	}
	if h.policy, err = check.ParseCanonicalPolicy(h.text); err != nil {
		return fmt.Errorf("the bundle's policy: %w", err)
	}
	if h.Checkpoint, h.witnesses, err = h.policy.Open(h.signed, check.OthersRefused); err != nil {
		return fmt.Errorf("the head of the log: %w", err)
	}
	for i, text := range b.o.Policies {
		if err := h.satisfies(text); err != nil {
			return fmt.Errorf("policy %d of those you gave: %w", i+1, err)
		}
	}
	h.earlier = map[uint64][]byte{h.Size: h.signed}
	return nil
}

func (h *head) satisfies(text []byte) error {
	p, err := check.ParsePolicy(text)
	if err != nil {
		return err
	}
	_, _, err = p.Open(h.signed, check.OthersUnjudged)
	return err
}

// checkEarlierHeads makes sure that the log only grew.
func (b *bundle) checkEarlierHeads() error {
	for _, p := range b.of(check.PathPrevHead) {
		if err := b.checkEarlierHead(p); err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
	}
	for _, p := range b.of(check.PathPrevProof) {
		if _, ok := b.head.earlier[p.N]; !ok || p.N == b.head.Size {
			return fmt.Errorf("%s: a proof without a head", p.path)
		}
	}
	return nil
}

func (b *bundle) checkEarlierHead(p placed) error {
	signed, err := b.read(p.path)
	if err != nil {
		return err
	}
	keys, err := check.ParseLogKeys(b.keysAt(p.N)...)
	if err != nil {
		return err
	}
	c, err := keys.Open(signed)
	if err != nil {
		return err
	}
	if c.Origin != b.head.Origin || c.Size != p.N || c.Size >= b.head.Size {
		return fmt.Errorf("a head of %d entries of %q", c.Size, c.Origin)
	}
	path, err := hashes[check.Hash](b, fmt.Sprintf("prev/%d.proof", p.N))
	if err != nil {
		return err
	}
	if err := check.VerifyConsistency(c.Root, c.Size, b.head.Root, b.head.Size, path); err != nil {
		return err
	}
	b.head.earlier[p.N] = signed
	return nil
}

// keysAt are the keys that sign a head of n entries: those that the first
// rotation at or behind its last entry retired, or the policy's.
func (b *bundle) keysAt(n uint64) []string {
	i := slices.IndexFunc(b.events.all, func(e *event) bool { return e.Kind == keyRotate && e.index+1 >= n })
	if i < 0 {
		return b.head.policy.LogKeys()
	}
	return b.events.all[i].texts(retiredLogKey)
}

// What is handed on of gossip: a signed head has some 10 KB. The rest is passed over,
// as the format has it.
const (
	maxGossip     = 64 << 10 // bytes of one
	maxGossipKept = 1000
)

// readGossip hands on the heads of other logs.
func (b *bundle) readGossip() error {
	for _, p := range b.of(check.PathUnread) {
		if !strings.HasPrefix(p.path, "gossip/") || b.files[p.path].Size > maxGossip || len(b.gossip) == maxGossipKept {
			continue
		}
		signed, err := b.read(p.path)
		if err != nil {
			return err
		}
		b.gossip = append(b.gossip, signed)
	}
	return nil
}
