package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"

	"tutela"
	"tutela/internal/ledger/check"
)

// tree is a folder trees/N-NAME: leaves of one tree that are opened.
type tree struct {
	n       uint64
	name    string // records or matches
	leaves  []placed
	proofs  [2]bool // whether proof and proof-sha512 are there
	indices []uint64
	first   []check.Hash
	second  []check.Hash512
}

func (t *tree) folder() string { return fmt.Sprintf("trees/%d-%s/", t.n, t.name) }

// groupTrees puts the files of trees together, by event and then by name.
func (b *bundle) groupTrees() (trees []*tree) {
	for _, p := range b.of(check.PathLeaf, check.PathTreeProof, check.PathTreeProof512) {
		if len(trees) == 0 || trees[len(trees)-1].n != p.N || trees[len(trees)-1].name != p.Tree {
			trees = append(trees, &tree{n: p.N, name: p.Tree})
		}
		t := trees[len(trees)-1]
		switch p.Kind {
		case check.PathLeaf:
			t.leaves = append(t.leaves, p)
		case check.PathTreeProof:
			t.proofs[0] = true
		case check.PathTreeProof512:
			t.proofs[1] = true
		}
	}
	return trees
}

// readTrees makes sure that every opened leaf stands in the tree that an event
// names, and that content is what its record says.
func (b *bundle) readTrees() error {
	b.trees = b.groupTrees()
	for _, t := range b.trees {
		if err := b.readTree(t); err != nil {
			return fmt.Errorf("%s: %w", t.folder(), err)
		}
	}
	for _, p := range b.of(check.PathContent) {
		if _, ok := b.files[fmt.Sprintf("trees/%d-records/%d.open", p.N, p.I)]; !ok {
			return fmt.Errorf("%s: content of no record", p.path)
		}
	}
	return nil
}

func (b *bundle) readTree(t *tree) error {
	e := b.events.at[t.n]
	if e == nil {
		return fmt.Errorf("event %d is not in the bundle", t.n)
	}
	first, one := e.fact(t.name)
	second, two := e.fact(t.name + secondSuffix)
	if !one || [2]bool{one, two} != t.proofs {
		return errors.New("the event names no such tree, or a proof is missing or too many")
	}
	for _, leaf := range t.leaves {
		if err := b.readLeaf(t, leaf, two); err != nil {
			return fmt.Errorf("leaf %d: %w", leaf.I, err)
		}
	}
	if err := proven(b, first, t.folder()+"proof", t.indices, t.first); err != nil {
		return err
	}
	if two {
		return proven(b, second, t.folder()+"proof-sha512", t.indices, t.second)
	}
	return nil
}

// proven holds leaves against the root that a fact names.
func proven[H check.Digest[H]](b *bundle, f tutela.Fact, path string, indices []uint64, leaves []H) error {
	proof, err := hashes[H](b, path)
	if err != nil {
		return err
	}
	root, err := check.ParseHashes[H](f.Value)
	if err != nil {
		return err
	}
	return check.VerifyMany(root[0], f.Number, check.ManyProof[H]{Indices: indices, Leaves: leaves, Hashes: proof})
}

func (b *bundle) readLeaf(t *tree, p placed, second bool) error {
	data, err := b.read(p.path)
	if err != nil {
		return err
	}
	t.indices, t.first = append(t.indices, p.I), append(t.first, check.Leaf(data))
	if second {
		t.second = append(t.second, check.Leaf512(data))
	}
	if len(data) <= saltSize {
		return errors.New("no body")
	}
	body := data[saltSize:]
	if t.name == tutela.FactMatches {
		if body[0] != check.MatchLetter {
			return errors.New("not a match")
		}
		return nil
	}
	said, err := check.ReadRecordSum(body)
	if err != nil {
		return err
	}
	return b.compareContent(p, said)
}

// compareContent holds the list against a record. That the content is what the
// list says was seen before.
func (b *bundle) compareContent(p placed, said check.RecordSum) error {
	content, ok := b.files[fmt.Sprintf("content/%d-records/%d", p.N, p.I)]
	if !ok {
		return nil
	}
	if !said.Digests || said.Size < 0 || uint64(said.Size) != content.Size || said.SHA256 != content.SHA256 {
		return errors.New("content that is not the record's")
	}
	return nil
}

// checkDisclosures holds what was opened against what the log says was.
func (b *bundle) checkDisclosures() error {
	opened, hashes, total := map[string]uint64{}, map[string]hash.Hash{}, uint64(0)
	for exhibit := range b.events.last {
		hashes[exhibit] = sha256.New()
	}
	for _, t := range b.trees {
		e := b.events.at[t.n]
		if e == nil || hashes[e.Exhibit] == nil {
			return fmt.Errorf("%s is about no exhibit", t.folder())
		}
		opened[e.Exhibit] += uint64(len(t.first))
		total += uint64(len(t.first))
		for _, leaf := range t.first {
			hashes[e.Exhibit].Write(leaf[:])
		}
	}
	for _, exhibit := range b.events.exhibits() {
		if err := b.checkDisclosure(exhibit, opened[exhibit], hashes[exhibit].Sum(nil)); err != nil {
			return fmt.Errorf("the disclosure of %q: %w", exhibit, err)
		}
	}
	if total != b.list.Opened {
		return fmt.Errorf("%d leaves were opened, BUNDLE says %d", total, b.list.Opened)
	}
	return nil
}

func (b *bundle) checkDisclosure(exhibit string, count uint64, sum []byte) error {
	e := b.events.last[exhibit]
	said, _ := e.fact(tutela.FactOpened)
	switch {
	case said.Number != count || !slices.Equal(said.Value, sum):
		return errors.New("other leaves were opened than the log says")
	case e.Text(tutela.FactTo) != b.list.To:
		return errors.New("the log says it was for somebody else")
	case e.Text(tutela.FactPurpose) != b.list.Purpose:
		return errors.New("the log says it was for another purpose")
	}
	return nil
}
