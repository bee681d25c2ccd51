package survey

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// part is a partition, or the whole of an image without a table.
type part struct {
	Volume
	src    evidence.Source
	chain  []tutela.Locator
	fs     evidence.FileSystem // nil if no reader lists it
	number string              // "" for the whole image
}

// open finds who reads the volume and, where nobody does, what it is.
func (p *part) open(readers []reader) {
	fs, name, err := openWith(readers, p.src)
	if err == nil {
		p.fs, p.FileSystem, p.Listed = fs, name, true
		return
	}
	var unread *evidence.ReadError
	switch {
	case errors.As(err, &unread):
		p.find(tutela.FindingReadError, err.Error())
		p.FileSystem = cmp.Or(nameOnly(p.src), "unknown")
	case name != "":
		p.FileSystem = name
		p.find(codeOf(err), name+": "+err.Error())
	default:
		p.name()
	}
}

func nameOnly(src evidence.Source) string {
	name, _ := recognise(src)
	return name
}

// name names what no reader knows.
func (p *part) name() {
	name, err := recognise(p.src)
	if err != nil {
		p.find(tutela.FindingReadError, err.Error())
	}
	if name == "" {
		p.FileSystem = "unknown"
		p.find(tutela.FindingUnsupported, "unknown: no file system was recognised")
		return
	}
	p.FileSystem = name
	p.find(tutela.FindingUnsupported, name+": no reader in this version")
	if encrypted(name) {
		p.find(tutela.FindingEncrypted, name)
	}
}

func (p *part) find(code, detail string) {
	p.Findings = append(p.Findings, tutela.Finding{Code: code, Detail: detail})
}

// codeOf is the finding for an error of a reader that knew the format.
func codeOf(err error) string {
	var unread *evidence.ReadError
	switch {
	case errors.Is(err, evidence.ErrUnsupported):
		return tutela.FindingUnsupported
	case errors.As(err, &unread):
		return tutela.FindingReadError
	}
	return tutela.FindingDamaged
}

// walk lists the volume. Where something must be said about it, a volume entry
// says it: before the files what was known, after them what went wrong.
func (p *part) walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(p.Findings) > 0 {
		if err := visit(p.entry(p.Findings)); err != nil {
			return err
		}
	}
	if p.fs == nil {
		return nil
	}
	failure, stop := guardedWalk(ctx, p.fs, limits, func(e *evidence.Entry) error { return visit(p.adopt(e)) })
	if stop != nil || failure == nil {
		return stop
	}
	return visit(p.entry([]tutela.Finding{{Code: codeOf(failure), Detail: p.FileSystem + ": " + failure.Error()}}))
}

// adopt is the entry of a reader, seen from the exhibit.
func (p *part) adopt(e *evidence.Entry) *evidence.Entry {
	out := *e
	out.Volume = p.number
	out.Chain = append(p.chain, e.Chain...) // p.chain has no room: this copies
	out.Runs = moved(e.Runs, p.Offset)
	if e.Open != nil {
		out.Open = guardedOpen(e.Open)
	}
	return &out
}

func moved(runs []tutela.Run, by int64) []tutela.Run {
	if by == 0 {
		return runs
	}
	out := slices.Clone(runs)
	for i := range out {
		out[i].Offset += by
	}
	return out
}

func (p *part) entry(findings []tutela.Finding) *evidence.Entry {
	return volumeEntry(p.number, p.chain, p.Length, findings)
}

func volumeEntry(number string, chain []tutela.Locator, size int64, findings []tutela.Finding) *evidence.Entry {
	return &evidence.Entry{
		Volume: number, Path: []byte("/"), Chain: chain, Kind: tutela.Volume, State: tutela.Allocated, Size: size, Findings: slices.Clone(findings),
	}
}
