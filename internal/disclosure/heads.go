package disclosure

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// ownHead is the head of the log of a lab with the signatures that were gathered
// for it, as a signed note.
func ownHead(ctx context.Context, l *lab.Lab) ([]byte, error) {
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := l.Heads().Load(head.Size)
	if errors.Is(err, fs.ErrNotExist) {
		return head.Signed, nil
	}
	return stored.Signed, err
}

// signedHead is a head of at least size entries, signed by a quorum and by nobody
// whom the policy does not name.
func (d *disclosing) signedHead(ctx context.Context, size uint64) ([]byte, error) {
	get := d.Head
	if get == nil {
		get = func(ctx context.Context) ([]byte, error) { return ownHead(ctx, d.l) }
	}
	signed, err := get(ctx)
	if err != nil {
		return nil, err
	}
	signed = withoutStrangers(signed, d.policy)
	if d.head, _, err = d.policy.Open(signed, check.OthersRefused); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoHead, err)
	}
	if d.head.Size < size {
		return nil, fmt.Errorf("the head of the log has %d entries, the disclosure is entry %d", d.head.Size, size-1)
	}
	return signed, nil
}

// withoutStrangers leaves out of a signed note the lines of keys that a policy
// does not name, such as those that the log had before they were changed.
func withoutStrangers(signed []byte, p *check.Policy) []byte {
	text, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	kept := append(bytes.Clone(text), "\n\n"...)
	for line := range bytes.Lines(lines) {
		if name, id, ok := signerOf(string(line)); ok {
			if _, err := p.Verifier(name, id); err != nil {
				continue
			}
		}
		kept = append(kept, line...)
	}
	return kept
}

// signerOf is the key that a signature line names. Lines of another form are for
// [check.Policy.Open] to refuse.
func signerOf(line string) (name string, id uint32, ok bool) {
	parts := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(parts) != 3 {
		return "", 0, false
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) < 4 {
		return "", 0, false
	}
	return parts[1], binary.BigEndian.Uint32(raw), true
}

// addHeads puts the checkpoint into the bundle, the earlier heads that others
// stamped, and the stamps.
func (d *disclosing) addHeads(ctx context.Context, files bundle, signed []byte, entries []ledger.Entry, shown selection) error {
	files["checkpoint"] = signed
	stamped, err := d.stampedHeads(signed)
	if err != nil {
		return err
	}
	log, err := d.l.ReadLog()
	if err != nil {
		return err
	}
	for _, h := range firstOver(stamped, shown.inOrder()) {
		files.addStamps(h)
		if h.Size == d.head.Size {
			continue
		}
		proof, err := log.Consistency(ctx, h.Size, d.head.Size)
		if err != nil {
			return err
		}
		files[fmt.Sprintf("prev/%d.checkpoint", h.Size)] = h.Signed
		files[fmt.Sprintf("prev/%d.proof", h.Size)] = joinHashes(proof)
		shown.addRotation(entries, h.Size)
	}
	return nil
}

// stampedHeads are the kept heads up to the checkpoint about whose very bytes
// somebody else said when they were, by rising size. Of the checkpoint these are
// the bytes that the bundle has.
func (d *disclosing) stampedHeads(signed []byte) (stamped []lab.StoredHead, err error) {
	for h, err := range d.l.Heads().All() {
		if err != nil {
			return nil, err
		}
		for _, version := range append([]lab.StoredHead{h}, h.Earlier...) {
			fits := h.Size < d.head.Size || h.Size == d.head.Size && bytes.Equal(version.Signed, signed)
			if fits && len(version.Stamps)+len(version.Anchors) > 0 {
				stamped = append(stamped, version)
				break
			}
		}
	}
	return stamped, nil
}

// firstOver are, of the stamped heads, those that are the first to cover a
// seizure or an event that a proof rests on, and the last one. A stamp over a head
// says that all its entries were there by then; later ones say less.
func firstOver(stamped []lab.StoredHead, shown []ledger.Entry) (chosen []lab.StoredHead) {
	for i, h := range stamped {
		covers := func(e ledger.Entry) bool {
			return rests(&e.Event) && e.Index < h.Size && (i == 0 || e.Index >= stamped[i-1].Size)
		}
		if i == len(stamped)-1 || slices.ContainsFunc(shown, covers) {
			chosen = append(chosen, h)
		}
	}
	return chosen
}

func rests(ev *tutela.Event) bool {
	return ev.Exhibit != "" && (ev.Kind == tutela.EventSeize || len(ev.Facts) > 0)
}

func (b bundle) addStamps(h lab.StoredHead) {
	for i, stamp := range h.Stamps {
		b[fmt.Sprintf("time/%d-%d.tsr", h.Size, i+1)] = stamp
	}
	for i, anchor := range h.Anchors {
		b[fmt.Sprintf("time/%d-%d.ots", h.Size, i+1)] = anchor
	}
}

func joinHashes(hashes []check.Hash) []byte {
	b := make([]byte, 0, len(hashes)*len(check.Hash{}))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}
