package survey

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem"
	"tutela/internal/evidence/image"
	"tutela/internal/evidence/volume"
)

// medium is an image taken apart. It is not changed after newMedium.
type medium struct {
	path    string
	kind    string
	size    int64           // bytes
	src     evidence.Source // nil for a container
	closer  io.Closer       // of src; nil for a container
	chain   []tutela.Locator
	options Options
	notes   []tutela.Finding // of the container, as a whole
	table   volume.Table
	volumes []part
}

func newMedium(path string, img *image.Image, options Options) *medium {
	m := &medium{path: path, kind: "image", size: img.Size(), src: img, closer: img, chain: img.Chain(), options: options}
	// What reading finds out later would be another thing each time that a scan
	// is continued: what is known now is told.
	m.notes = slices.Clone(img.Notes())
	m.examine()
	return m
}

// newContainer stands for a file of size bytes that was recognised and cannot be
// read; cause names it.
func newContainer(name, path string, size int64, cause *image.UnsupportedError) *medium {
	chain := []tutela.Locator{{Layer: "container", At: name}}
	whole := part{Volume: Volume{Length: size, Type: cause.Format, FileSystem: "unknown"}, chain: chain}
	whole.find(tutela.FindingUnsupported, cause.Error())
	if strings.Contains(cause.Error(), "encrypt") {
		whole.find(tutela.FindingEncrypted, cause.Error())
	}
	return &medium{path: path, kind: "container", size: size, chain: chain, volumes: []part{whole}}
}

// Close closes the image, if there is one to close.
func (m *medium) Close() error {
	if m.closer == nil {
		return nil
	}
	return m.closer.Close()
}

// recognised reports whether the bytes alone say that this is an image.
func (m *medium) recognised() bool {
	for _, v := range m.volumes {
		if v.FileSystem != "unknown" || v.number != "" && v.Length > 0 {
			return true
		}
	}
	return false
}

// examine finds the volumes and opens the file system of each.
func (m *medium) examine() {
	table, err := volume.Read(m.src)
	if err != nil || table.Scheme == "" {
		m.volumes = []part{m.whole("")}
		return
	}
	m.table = *table
	m.spanning()
	for _, p := range table.Partitions {
		m.volumes = append(m.volumes, m.partition(p))
	}
	m.mentionBare()
}

// whole is the image as one volume, listed by the reader called only if that is
// not empty.
func (m *medium) whole(only string) part {
	p := part{Volume: Volume{Length: m.size}, src: m.src, chain: m.chain}
	p.open(m.options, only)
	return p
}

func (m *medium) partition(v volume.Partition) part {
	number := strconv.Itoa(v.Number)
	p := part{
		Volume: Volume{Number: v.Number, Offset: v.Start, Length: v.Length, Type: v.Type, Name: v.Name, Findings: slices.Clip(v.Findings)},
		src:    evidence.Section(m.src, v.Start, v.Length),
		chain:  m.step(number, v.Start, v.Length),
		number: number,
	}
	p.open(m.options, "")
	return p
}

// step is the chain to a stretch of a partitioned disk.
func (m *medium) step(what string, offset, length int64) []tutela.Locator {
	at := fmt.Sprintf("%s @ %d+%d", what, offset, length)
	return slices.Clip(append(slices.Clone(m.chain), tutela.Locator{Layer: m.table.Scheme, At: at}))
}

// spanning adds a file system that covers the disk, partitions and all, and that
// no partition mentions: the installation discs of Debian are such. Discs for the
// Macintosh and others at once have theirs where a partition is, too.
func (m *medium) spanning() {
	for _, f := range filesystem.Spanning() {
		if m.claimed(f.From) && m.table.Scheme != volume.APM {
			continue
		}
		if whole := m.whole(f.Name); whole.fs != nil {
			whole.find(tutela.FindingDamaged, f.Name+" covers the whole disk and the partition table does not mention it")
			m.volumes = append(m.volumes, whole)
		}
	}
}

func (m *medium) claimed(offset int64) bool {
	return slices.ContainsFunc(m.table.Partitions, func(p volume.Partition) bool {
		return p.Start <= offset && offset < p.Start+p.Length
	})
}

// mentionBare says so if the disk also begins like a file system. It was made
// before the partitions or after them (mkfs on a whole disk leaves the backup of
// a GPT at its end); the table alone cannot tell, so neither is hidden.
func (m *medium) mentionBare() {
	if m.claimed(0) {
		return
	}
	if name := nameOnly(m.src); name != "" {
		m.table.Findings = append(m.table.Findings, tutela.Finding{
			Code: tutela.FindingDamaged, Detail: "the disk also begins like " + name + ", which was not read",
		})
	}
}

func (m *medium) describe() Source {
	s := Source{
		Path: m.path, Kind: m.kind, Size: m.size,
		Scheme: m.table.Scheme, SectorSize: m.table.SectorSize, Gaps: m.table.Gaps, Findings: slices.Concat(m.notes, m.table.Findings),
	}
	for _, v := range m.volumes {
		s.Volumes = append(s.Volumes, v.Volume)
	}
	return s
}

// walk visits what must be said of the container and of the disk, then each
// volume, then the gaps, then what is carved out of those.
func (m *medium) walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	if err := m.visitNotes(visit); err != nil {
		return err
	}
	if err := m.visitTable(visit); err != nil {
		return err
	}
	for i := range m.volumes {
		if err := m.volumes[i].walk(ctx, m.options, limits, visit); err != nil {
			return err
		}
	}
	if err := m.walkGaps(ctx, visit); err != nil || !m.options.Unclaimed {
		return err
	}
	c := unclaimed{src: m.src, chain: m.chain, host: m.options.Host}
	return c.carve(ctx, limits, m.table.Gaps, visit)
}

func (m *medium) walkGaps(ctx context.Context, visit func(*evidence.Entry) error) error {
	for _, gap := range m.table.Gaps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(m.gap(gap)); err != nil {
			return err
		}
	}
	return nil
}

func (m *medium) visitNotes(visit func(*evidence.Entry) error) error {
	if len(m.notes) == 0 {
		return nil
	}
	return visit(volumeEntry("", m.chain, m.size, m.notes))
}

func (m *medium) visitTable(visit func(*evidence.Entry) error) error {
	if len(m.table.Findings) == 0 {
		return nil
	}
	return visit(volumeEntry("", m.step("table", 0, m.size), m.size, m.table.Findings))
}

// gap is the entry of a stretch between partitions: "/$Gap/offset+length", in
// bytes from the beginning of the image.
func (m *medium) gap(run tutela.Run) *evidence.Entry {
	return &evidence.Entry{
		Path:  fmt.Appendf(nil, "/$Gap/%d+%d", run.Offset, run.Length),
		Chain: m.step("gap", run.Offset, run.Length),
		Kind:  tutela.Gap,
		State: tutela.Slack,
		Size:  run.Length,
		Runs:  []tutela.Run{run},
		Open:  func() (evidence.Content, error) { return evidence.Stretch(m.src, run), nil },
	}
}
