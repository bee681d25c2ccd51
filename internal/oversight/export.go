package oversight

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"tutela"
	"tutela/internal/durable"
	"tutela/internal/ledger/check"
)

// ExportFormat is the version of what Export writes. It must never change.
const ExportFormat = "tutela-oversight@v1"

// The files of an export. docs/reference/oversight-format.md is the specification.
const (
	manifestName   = "manifest.json"
	policyName     = "policy"
	checkpointName = "checkpoint"
	entriesName    = "entries.jsonl"
)

// readsName is the file of one access ledger.
func readsName(period int) string { return fmt.Sprintf("reads-%d.jsonl", period) }

// ErrExported means that something lies where an export is to be.
var ErrExported = errors.New("something is there already")

// Source is what an export is made from. Both sequences begin at 0, yield no more
// than n openings, and end after an error.
type Source interface {
	// Openings opens the first n entries of the agency log.
	Openings(ctx context.Context, n uint64) iter.Seq2[check.Opening, error]
	// ReadOpenings opens the first n leaves of an access ledger.
	ReadOpenings(ctx context.Context, period int, n uint64) iter.Seq2[check.Opening, error]
}

// SignedHead is what an export rests on.
type SignedHead struct {
	Policy     []byte // canonical C2SP tlog-policy: the log's keys, its witnesses, the quorum
	Checkpoint []byte // signed note, with lines by keys of the policy alone
}

// manifest says what lies in the folder. Everything in it is held against the rest.
type manifest struct {
	Format     string         `json:"format"`
	Origin     string         `json:"origin"`
	Policy     tutela.SHA256  `json:"policy_sha256"`
	Checkpoint tutela.SHA256  `json:"checkpoint_sha256"`
	Entries    uint64         `json:"entries"`
	Reads      []accessLedger `json:"reads"`
}

type accessLedger struct {
	Period int    `json:"period"`
	Leaves uint64 `json:"leaves"`
}

// opened is one line of entries.jsonl and reads-N.jsonl.
type opened struct {
	Index uint64 `json:"index"`
	Salt  string `json:"salt"` // 64 hexadecimal digits
	Body  string `json:"body"` // canonical encoding of the event, base64
}

// Export writes every entry of the agency log under the head, and every leaf of the
// access ledgers that those entries have a root over, into a new folder, and verifies
// it. Nothing of it is there before all of it is. It returns [ErrExported] if dir
// exists. What the export holds beside events: nothing.
func Export(ctx context.Context, from Source, head SignedHead, dir string) (*Audit, error) {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, fmt.Errorf("export to %s: %w", dir, ErrExported))
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".tmp-oversight-")
	if err != nil {
		return nil, fmt.Errorf("export for oversight: %w", err)
	}
	defer os.RemoveAll(work)
	if err := write(ctx, from, head, work); err != nil {
		return nil, fmt.Errorf("export for oversight: %w", err)
	}
	a, err := Verify(ctx, work, Given{})
	if err == nil && !a.OK {
		err = fmt.Errorf("what was written does not verify: %s", a.Problems[0])
	}
	if err == nil {
		err = errors.Join(durable.SyncDir(work), os.Rename(work, dir))
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("export for oversight: %w", err)
	}
	return a, nil
}

func write(ctx context.Context, from Source, head SignedHead, dir string) error {
	policy, err := check.ParseCanonicalPolicy(head.Policy)
	if err != nil {
		return err
	}
	c, _, err := policy.Open(head.Checkpoint, check.OthersRefused)
	if err != nil {
		return err
	}
	m := manifest{
		Format: ExportFormat, Origin: c.Origin, Entries: c.Size, Reads: []accessLedger{},
		Policy: sha256.Sum256(head.Policy), Checkpoint: sha256.Sum256(head.Checkpoint),
	}
	err = writeOpenings(filepath.Join(dir, entriesName), from.Openings(ctx, c.Size), m.take)
	if err != nil {
		return err
	}
	for _, of := range m.Reads {
		leaves := from.ReadOpenings(ctx, of.Period, of.Leaves)
		if err := writeOpenings(filepath.Join(dir, readsName(of.Period)), leaves, nil); err != nil {
			return err
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return errors.Join(
		durable.WriteFile(filepath.Join(dir, policyName), head.Policy, 0o600),
		durable.WriteFile(filepath.Join(dir, checkpointName), head.Checkpoint, 0o600),
		durable.WriteFile(filepath.Join(dir, manifestName), append(text, '\n'), 0o600),
	)
}

// take notes how far the access ledgers go.
func (m *manifest) take(o check.Opening) error {
	ev, _, err := check.DecodeEvent(o.Body)
	if err != nil || ev.Kind != tutela.EventAccessRoot {
		return err
	}
	var root tutela.AccessRoot
	if err := tutela.DecodeDetail(ev.Detail, &root); err != nil {
		return err
	}
	if n := len(m.Reads); n > 0 && m.Reads[n-1].Period == root.Period {
		m.Reads[n-1].Leaves = root.Leaves
		return nil
	}
	m.Reads = append(m.Reads, accessLedger{root.Period, root.Leaves})
	return nil
}

// writeOpenings writes a file of openings, a line each, durably.
func writeOpenings(name string, all iter.Seq2[check.Opening, error], visit func(check.Opening) error) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, index := bufio.NewWriterSize(f, 1<<20), uint64(0)
	for o, err := range all {
		if err == nil && visit != nil {
			err = visit(o)
		}
		if err == nil {
			err = writeOpening(w, index, o)
		}
		if err != nil {
			return err
		}
		index++
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

func writeOpening(w io.Writer, index uint64, o check.Opening) error {
	line, err := json.Marshal(opened{index, o.Salt.String(), base64.StdEncoding.EncodeToString(o.Body)})
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// parseCanonical reads a line of JSON in the one form that Export writes it in.
func parseCanonical[T any](line []byte) (out T, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return out, err
	}
	again, err := json.Marshal(out)
	if err == nil && !bytes.Equal(append(again, '\n'), line) {
		err = errors.New("not in its one form")
	}
	return out, err
}
