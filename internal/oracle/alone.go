package oracle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"tutela"
)

// leftovers tells what has no counterpart under the same name. What has one under
// another name, by its content, is one difference and not two: readers disagree
// about which of two names a file has, above all on discs.
func (c *comparison) leftovers(ctx context.Context, v tutela.SealedVolume, ours []*ours, theirs []row) {
	lost := bySize(ours)
	for i := range theirs {
		r := &theirs[i]
		if o := c.elsewhere(ctx, v, r, lost[r.size]); o != nil {
			o.met = true
			c.result.Contents++
			c.differ(Difference{Name, v.Number, o.path, fmt.Sprintf("%s; tsk has the same %d bytes as %s, %s", o.state, r.size, show(r.path), r.state())})
			continue
		}
		c.differ(Difference{OnlyTheirs, v.Number, show(r.path), fmt.Sprintf("%s, %d bytes, at %s", r.state(), r.size, r.address)})
	}
	for _, o := range ours {
		if !o.met {
			c.differ(Difference{OnlyOurs, v.Number, o.path, fmt.Sprintf("%s, %d bytes%s%s", o.state, o.size, because(o), unlisted(v, o))})
		}
	}
}

// bySize are the records that a name could be looked for by content. Empty files
// are all alike.
func bySize(all []*ours) map[int64][]*ours {
	lost := map[int64][]*ours{}
	for _, o := range all {
		if !o.met && o.hashed && o.size > 0 {
			lost[o.size] = append(lost[o.size], o)
		}
	}
	return lost
}

// elsewhere is the first record with the content of a row.
func (c *comparison) elsewhere(ctx context.Context, v tutela.SealedVolume, r *row, candidates []*ours) *ours {
	if len(candidates) == 0 || !r.content() {
		return nil
	}
	sum, _, err := c.witness.content(ctx, c.image, v.Offset, r.address, r.size)
	at := slices.IndexFunc(candidates, func(o *ours) bool { return !o.met && o.sum == sum })
	if err != nil || at < 0 {
		return nil
	}
	return candidates[at]
}

// show is their path as ours is written.
func show(path string) string { return tutela.DisplayPath([]byte("/" + path)) }

// unlisted says why tsk has no such name, where that is known.
func unlisted(v tutela.SealedVolume, o *ours) string {
	if strings.HasPrefix(v.Filesystem, "hfs") && strings.Contains(o.path, ":") {
		return "; tsk lists no extended attributes and resource forks of HFS+"
	}
	return ""
}

// inOrder sorts differences so that they do not depend on which program ended
// first.
func inOrder(all []Difference) {
	slices.SortStableFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Detail, b.Detail))
	})
}
