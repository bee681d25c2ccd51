package survey

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/encrypted"
)

// part is a partition, or the whole of an image without a table.
type part struct {
	Volume
	src    evidence.Source
	chain  []tutela.Locator
	fs     evidence.FileSystem // nil if no reader lists it
	number string              // "" for the whole image

	sealed   bool // encrypted, and no key was there
	unlocked bool // src is what lies behind the volume's encryption
}

// open finds who reads the volume and, where nobody does, what it is. With only
// no other reader is asked.
func (p *part) open(options Options, only string) {
	if only == "" {
		p.unlock(options.Keys)
	}
	if p.sealed {
		return
	}
	fs, name, err := options.Host.Volume(p.src, only)
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
	case !errors.Is(err, evidence.ErrNotThis):
		p.FileSystem = cmp.Or(nameOnly(p.src), "unknown")
		p.find(codeOf(err), err.Error())
	case only == "":
		p.name(options)
	}
}

func nameOnly(src evidence.Source) string {
	name, _ := recognise(src)
	return name
}

// name names what no reader knows.
func (p *part) name(options Options) {
	name, err := recognise(p.src)
	if err != nil {
		p.find(tutela.FindingReadError, err.Error())
	}
	if name == "" && p.unlockRemains(options.Keys) {
		if !p.sealed {
			p.open(options, "")
		}
		return
	}
	if name == "" {
		p.FileSystem = "unknown"
		p.find(tutela.FindingUnsupported, "unknown: no file system was recognised")
		if detail, ok := encrypted.Volume(p.src); ok {
			p.find(tutela.FindingEncrypted, detail)
		}
		return
	}
	p.FileSystem = name
	p.find(tutela.FindingUnsupported, name+": no reader in this version")
	if detail, ok := encrypted.CoreStorage(p.src); ok {
		p.find(tutela.FindingEncrypted, detail)
	}
}

func (p *part) find(code, detail string) {
	p.Findings = append(p.Findings, tutela.Finding{Code: code, Detail: detail})
}

// codeOf is the finding for an error of a reader that knew the format.
func codeOf(err error) string {
	var unread *evidence.ReadError
	var own interface{ Finding() tutela.Finding }
	switch {
	case errors.As(err, &own):
		return own.Finding().Code
	case errors.Is(err, evidence.ErrUnsupported):
		return tutela.FindingUnsupported
	case errors.As(err, &unread):
		return tutela.FindingReadError
	}
	return tutela.FindingDamaged
}

// walk lists the volume. Where something must be said about it, a volume entry
// says it: before the files what was known, after them what went wrong.
func (p *part) walk(ctx context.Context, options Options, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(p.Findings) > 0 {
		if err := visit(p.entry(p.Findings)); err != nil {
			return err
		}
	}
	if p.fs != nil {
		if err := p.walkFiles(ctx, options, limits, visit); err != nil {
			return err
		}
	}
	if !options.Unclaimed {
		return nil
	}
	return p.walkUnclaimed(ctx, options, limits, visit)
}

func (p *part) walkFiles(ctx context.Context, options Options, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	var failure error
	err := inOrder(visit, func(visit func(*evidence.Entry) error) (stop error) {
		failure, stop = guardedWalk(ctx, p.fs, limits, func(e *evidence.Entry) error {
			if err := visit(p.adopt(e)); err != nil || !options.Unclaimed {
				return err
			}
			return p.visitSlack(e, visit)
		})
		return stop
	})
	if err != nil || failure == nil {
		return err
	}
	return visit(p.entry([]tutela.Finding{{Code: codeOf(failure), Detail: p.FileSystem + ": " + failure.Error()}}))
}

// adopt is the entry of a reader, seen from the exhibit.
func (p *part) adopt(e *evidence.Entry) *evidence.Entry {
	out := *e
	out.Volume = p.number
	out.Chain = append(p.chain, e.Chain...) // p.chain has no room: this copies
	out.Runs, out.Slack = p.inImage(e.Runs), nil
	if e.Open != nil {
		out.Open = guardedOpen(e.Open)
	}
	return &out
}

// inImage are stretches of the volume as stretches of the image: none where the
// volume lies encrypted there.
func (p *part) inImage(runs []tutela.Run) []tutela.Run {
	if p.unlocked {
		return nil
	}
	if p.Offset == 0 {
		return runs
	}
	out := slices.Clone(runs)
	for i := range out {
		out[i].Offset += p.Offset
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
