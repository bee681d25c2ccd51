package disclosure

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"tutela/internal/actor"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// bundle is the files of a bundle, by path.
type bundle map[string][]byte

// Limits of the format.
const (
	maxFiles = 1_000_000
	maxFile  = 16<<20 + 32 // bytes
	maxList  = 64 << 20    // bytes of BUNDLE
)

// compose makes all files. indices are the disclose events.
func (d *disclosing) compose(ctx context.Context, signed []byte, indices []uint64) (bundle, error) {
	files := bundle{"policy": []byte(d.policy.Text()), "README.txt": d.readme(), "tool/build.txt": buildInfo()}
	if _, err := check.ParseCanonicalPolicy(files["policy"]); err != nil {
		return nil, err
	}
	for _, o := range d.opened {
		for _, t := range o.trees {
			files.addTree(t)
		}
	}
	shown, err := d.addEvents(ctx, files, signed, indices)
	if err != nil {
		return nil, err
	}
	if err := d.addGossip(files); err != nil {
		return nil, err
	}
	if err := d.enclose(files, shown); err != nil {
		return nil, err
	}
	return files, d.sign(files)
}

func (b bundle) addTree(t *opening) {
	folder := fmt.Sprintf("trees/%d-%s/", t.event, t.name)
	for i, leaf := range t.leaves {
		b[fmt.Sprintf("%s%d.open", folder, leaf)] = opened(t.opened[i])
	}
	b[folder+"proof"] = joinHashes(t.proof)
	if t.twice {
		second := []byte{}
		for _, h := range t.second {
			second = append(second, h[:]...)
		}
		b[folder+"proof-sha512"] = second
	}
}

// opened is a leaf in the form of the bundle: its salt, then its body.
func opened(o check.Opening) []byte { return append(o.Salt[:], o.Body...) }

// addEvents adds the chain of custody of each exhibit, the heads, the events of
// the keys that all of these need, and the proof of them all.
func (d *disclosing) addEvents(ctx context.Context, files bundle, signed []byte, indices []uint64) ([]ledger.Entry, error) {
	var labels []string
	for _, o := range d.opened {
		labels = append(labels, o.Exhibit())
	}
	entries, err := readHistory(ctx, d.l, labels...)
	if err != nil {
		return nil, err
	}
	shown := selection{}
	for i, label := range labels {
		links, err := chain(entries, label, indices[i])
		if err != nil {
			return nil, err
		}
		shown.add(links...)
	}
	if err := d.addHeads(ctx, files, signed, entries, shown); err != nil {
		return nil, err
	}
	shown.addShown(entries, d.Show)
	shown.addKeys(entries, d.Officer.KeyID())
	return shown.inOrder(), d.proveEvents(ctx, files, shown.inOrder())
}

func (d *disclosing) proveEvents(ctx context.Context, files bundle, shown []ledger.Entry) error {
	log, err := d.l.ReadLog()
	if err != nil {
		return err
	}
	var indices []uint64
	for _, e := range shown {
		indices = append(indices, e.Index)
	}
	openings, proof, err := log.ProveMany(ctx, indices, d.head.Size)
	if err != nil {
		return err
	}
	for i, index := range indices {
		files[fmt.Sprintf("events/%d.entry", index)] = opened(openings[i])
	}
	files["events/proof"] = joinHashes(proof)
	return nil
}

// addGossip adds the heads of other agencies' logs, as this one last saw them.
func (d *disclosing) addGossip(files bundle) error {
	heads, err := d.l.Passed()
	for name, signed := range heads {
		files["gossip/"+name] = signed
	}
	return err
}

// enclose adds what the caller gives.
func (d *disclosing) enclose(files bundle, shown []ledger.Entry) error {
	if d.Enclose == nil {
		return nil
	}
	more, err := d.Enclose(&Contents{
		Case: d.Case, To: d.To, Purpose: d.Purpose, Issued: d.issued(), Officer: d.person,
		Head: d.head, Policy: d.policy.Text(), Events: shown, Opened: d.opened,
	})
	if err != nil {
		return err
	}
	for path, data := range more {
		if err := checkEnclosed(path); err != nil {
			return err
		}
		files[path] = data
	}
	return nil
}

func (d *disclosing) issued() time.Time { return d.Issued.UTC().Truncate(time.Second) }

// sign makes BUNDLE, which names every other file, and the officer's signature of
// it.
func (d *disclosing) sign(files bundle) error {
	list, err := d.list(files)
	if err != nil {
		return err
	}
	line, err := actor.NoteLine(d.Officer, list)
	if err != nil {
		return err
	}
	files["BUNDLE"], files["BUNDLE.sig"] = list, line
	return nil
}

func (d *disclosing) list(files bundle) ([]byte, error) {
	if n := len(files) + len(d.stored) + 2; n > maxFiles {
		return nil, fmt.Errorf("%d files, a bundle has at most %d: choose fewer items", n, maxFiles)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tutela-bundle@v1\ncase %s\nto %s\npurpose %s\nissued %s\nofficer %s\nopened %d\n",
		d.Case, d.To, d.Purpose, d.issued().Format("2006-01-02T15:04:05Z"), d.person, d.count())
	for _, path := range paths(files, d.stored) {
		if s, ok := d.stored[path]; ok {
			fmt.Fprintf(&b, "%s %d %s\n", s.sum, s.size, path)
			continue
		}
		if len(files[path]) > maxFile {
			return nil, fmt.Errorf("%s has %d bytes, a file of a bundle has at most %d", path, len(files[path]), maxFile)
		}
		fmt.Fprintf(&b, "%x %d %s\n", sha256.Sum256(files[path]), len(files[path]), path)
	}
	if b.Len() > maxList {
		return nil, fmt.Errorf("a list of %d bytes, at most %d are allowed: choose fewer items", b.Len(), maxList)
	}
	return []byte(b.String()), nil
}

// buildInfo says what program made the bundle: its version, the versions of all
// modules in it and how it was built.
func buildInfo() []byte {
	if info, ok := debug.ReadBuildInfo(); ok {
		return []byte(info.String())
	}
	return []byte("not known: built without modules\n")
}

const readme = `This is a disclosure bundle, tutela-bundle@v1.

  Case     %s
  To       %s
  Purpose  %s
  Issued   %s by %s

It shows records of what was found on seized media, and proves that they stand
in the agency's ledger unchanged since they were sealed there. Nothing in it has
to be believed: everything can be computed again, without the agency, without
its program and without a network.

To check it, with Python 3.9 or later and nothing else:

    python3 verify.py

The page that it prints says what is proven and what is not. It ends with the
fingerprint of the policy, which names the keys of the agency and its witnesses.
Compare that with what you were told by another way: a bundle that somebody else
made with keys of his own would otherwise hold as well.

  BUNDLE, BUNDLE.sig   every file here, signed by whoever discloses
  checkpoint, policy   the signed head of the agency's log, and whose keys count
  events/              the history of each exhibit, from seizure to this disclosure
  trees/               the records that were opened, and what hash sets said of them
  prev/, time/         earlier heads of the log, and what says when they were
  tool/, report/       the program that was used; words for people, which prove nothing
%s`

const (
	withContent = `  content/             the files themselves, as the records say they were
`
	withoutContent = `
There is no content of files here: the agency's ledger keeps digests. Whoever is
handed a file can compute its SHA-256 and compare it with the record's.
`
)

func (d *disclosing) readme() []byte {
	end := withoutContent
	if len(d.stored) > 0 {
		end = withContent
	}
	return fmt.Appendf(nil, readme, d.Case, d.To, d.Purpose, d.issued().Format("2006-01-02 15:04:05 UTC"), d.person, end)
}
