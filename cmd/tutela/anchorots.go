package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/timestamp"
	"tutela/internal/timestamp/client"
)

// anchored is the line of JSON about one OpenTimestamps proof.
type anchored struct {
	Type     string   `json:"message_type"`
	Size     uint64   `json:"size"`
	Calendar string   `json:"calendar"`
	Blocks   []uint64 `json:"blocks"` // that attest it; none while it is pending
}

// anchorHead has a calendar promise to anchor a head.
func anchorHead(a *app, l *lab.Lab, size uint64, calendar string) error {
	signed, err := keptHead(a, l, size)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.ctx, stampPatienceHand)
	defer cancel()
	proof := timestamp.NewProof(signed)
	if err := (&client.Calendar{URL: calendar}).Submit(ctx, proof); err != nil {
		return err
	}
	if err := l.Heads().AddAnchor(size, proof.Encode()); err != nil {
		return err
	}
	return printAnchored(a, size, calendar, proof)
}

// upgradeAnchors asks a calendar what became of its promises about all heads.
func upgradeAnchors(a *app, l *lab.Lab, calendar string) error {
	var errs []error
	asked := 0
	for head, err := range l.Heads().All() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, version := range append([]lab.StoredHead{head}, head.Earlier...) {
			for _, proof := range version.Anchors {
				one, err := upgradeAnchor(a, l, head.Size, proof, calendar)
				if one {
					asked++
				}
				errs = append(errs, err)
			}
		}
	}
	if asked == 0 {
		a.say("Nothing is pending at %s.", tutela.DisplayPath([]byte(calendar)))
	}
	return errors.Join(errs...)
}

// upgradeAnchor asks about one proof, if it is pending at the calendar.
func upgradeAnchor(a *app, l *lab.Lab, size uint64, was []byte, calendar string) (asked bool, err error) {
	proof, err := timestamp.ParseProof(was)
	if err != nil {
		return false, err
	}
	if !promised(proof, calendar) || len(blocksOf(proof)) > 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(a.ctx, stampPatienceHand)
	defer cancel()
	if err := (&client.Calendar{URL: calendar}).Upgrade(ctx, proof); err != nil {
		return true, fmt.Errorf("head of %s: %w", count(size, "entry"), err)
	}
	if grown := proof.Encode(); !bytes.Equal(grown, was) {
		if err := l.Heads().ReplaceAnchor(size, was, grown); err != nil {
			return true, err
		}
	}
	return true, printAnchored(a, size, calendar, proof)
}

func promised(p *timestamp.Proof, calendar string) bool {
	for _, att := range p.Attestations() {
		if att.Calendar != "" && client.SameCalendar(att.Calendar, calendar) {
			return true
		}
	}
	return false
}

// blocksOf are the heights of the Bitcoin blocks that a proof leads to.
func blocksOf(p *timestamp.Proof) []uint64 {
	blocks := []uint64{}
	for _, att := range p.Attestations() {
		if att.Bitcoin {
			blocks = append(blocks, att.Height)
		}
	}
	return blocks
}

func printAnchored(a *app, size uint64, calendar string, p *timestamp.Proof) error {
	line := anchored{"anchored", size, tutela.DisplayPath([]byte(calendar)), blocksOf(p)}
	return a.print(line, func(w io.Writer) {
		if len(line.Blocks) == 0 {
			fmt.Fprintf(w, "The head of %s is promised a block by %s. Ask again in some hours: tutela ledger stamp --calendar %s --upgrade\n",
				count(size, "entry"), line.Calendar, tutela.ShellWord(calendar))
			return
		}
		fmt.Fprintf(w, "The head of %s is in Bitcoin block %d, says %s. Check it: tutela ledger stamps --block-header FILE\n", count(size, "entry"), line.Blocks[0], line.Calendar)
	})
}
