package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tutela"
	"tutela/internal/demo"
	"tutela/internal/pdq"
	"tutela/internal/picture"
	"tutela/internal/term"
)

type demoCommand struct {
	Dir string `help:"A new folder for the evidence and the lab. Default: a temporary one; both stay there." placeholder:"DIR"`
}

// Run takes drawn evidence the whole way with the commands a person would type.
// It fails if anything that was planted is not found as it must be.
func (c *demoCommand) Run(a *app) error {
	began := time.Now()
	d, err := c.prepare(a)
	if err != nil {
		return err
	}
	authority, err := serveThrowAway()
	if err != nil {
		return fmt.Errorf("demo: serve time-stamps on this machine: %w", err)
	}
	defer authority.close()
	d.authority = authority
	defer d.stopWitnesses()
	for _, part := range []func() error{d.draw, d.openLab, d.askFirst, d.scan, d.explain, d.verify, d.date, d.disclose, d.tamper, d.dismiss} {
		if err := part(); err != nil {
			return err
		}
	}
	d.tell("Done in %s. Everything is in %s; go on with, for example:", term.Span(time.Since(began)), d.dir)
	fmt.Fprintf(d.out, "\n    export TUTELA_LAB=%s\n    tutela find --match alert\n    tutela exhibit show LAPTOP\n    tutela ledger log\n", d.lab)
	return nil
}

// demonstration is one run of the demo.
type demonstration struct {
	ctx  context.Context
	out  io.Writer
	dir  string
	lab  string
	plan *demo.Plan

	authority *throwAway
	witnesses []*throwAwayWitness
}

func (c *demoCommand) prepare(a *app) (*demonstration, error) {
	if a.json {
		return nil, misuse("demo tells a story; it has no --json")
	}
	dir := c.Dir
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "tutela-demo-")
	} else if err = os.MkdirAll(dir, 0o700); err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, err
	}
	return &demonstration{ctx: a.ctx, out: a.out, dir: dir, lab: filepath.Join(dir, "lab")}, nil
}

// tell begins a new part of the story.
func (d *demonstration) tell(format string, args ...any) {
	fmt.Fprintf(d.out, "\n%s\n", fmt.Sprintf(format, args...))
}

// run shows a command and runs it. It fails if the exit code is not the one
// that belongs to the story.
func (d *demonstration) run(want int, args ...string) error {
	var words []string
	for _, arg := range args {
		words = append(words, tutela.ShellWord(arg))
	}
	fmt.Fprintf(d.out, "\n  $ tutela %s\n", strings.Join(words, " "))
	var text bytes.Buffer
	code := run(d.ctx, append([]string{"--lab", d.lab, "--actor", "examiner", "--key=", "--agent=false"}, args...), &text, &text)
	fmt.Fprint(d.out, indent(text.String()))
	if code == exitInterrupted {
		return context.Cause(d.ctx)
	}
	if code != want {
		return fmt.Errorf("demo: tutela %s ended with %d, not %d", args[0], code, want)
	}
	return nil
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func (d *demonstration) draw() (err error) {
	d.tell("1. Evidence. Abstract pictures, documents and archives are drawn: a laptop's home folder\n   and a disk image with two volumes. Two hash lists know some of them.")
	d.plan, err = demo.Draw(d.ctx, filepath.Join(d.dir, "evidence"), hashDrawing)
	return err
}

func hashDrawing(img image.Image) (hash string, quality int) {
	size := img.Bounds().Size()
	p := picture.Picture{Image: img, Width: size.X, Height: size.Y}
	h, q := pdq.Hash(p.Luma())
	return h.String(), q
}

func (d *demonstration) openLab() error {
	d.tell("2. A lab: signing keys, a ledger, a catalogue; two witnesses who remember the heads of its log; a policy\n   that has heads cosigned by both and time-stamped, here by this program itself. A case, two exhibits, two hash sets.")
	fmt.Fprintf(d.out, "\n  $ tutela init %s --agency 'Example Police' --country BE\n", tutela.ShellWord(d.lab))
	var errs bytes.Buffer
	if code := run(d.ctx, []string{"--actor", "examiner", "--key=", "--agent=false", "init", d.lab, "--agency", "Example Police", "--country", "BE"}, io.Discard, &errs); code != exitOK {
		return fmt.Errorf("demo: tutela init: %s", errs.String())
	}
	roots := filepath.Join(d.dir, "time-roots.pem")
	if err := os.WriteFile(roots, d.authority.roots, 0o600); err != nil {
		return err
	}
	policy, err := d.callWitnesses("witness.example/court", "witness.example/oversight")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"lab", "policy", "--witnesses", policy, "--time-authority", d.authority.address, "--time-roots", roots},
		{"case", "open", "2026-17", "--title", "Demonstration"},
		{"exhibit", "add", "LAPTOP", "--case", "2026-17", "--kind", "computer"},
		{"exhibit", "add", "DISK", "--case", "2026-17", "--kind", "drive"},
		{"set", "import", d.plan.AlertList, "--name", "demo-alerts", "--status", "alert"},
		{"set", "import", d.plan.KnownGoodList, "--name", "demo-system-files", "--status", "known-good"},
	} {
		if err := d.run(exitOK, args...); err != nil {
			return err
		}
	}
	return nil
}

// callWitnesses makes witnesses that know the lab's log, has them serve, and writes
// the policy that demands them all.
func (d *demonstration) callWitnesses(names ...string) (policy string, err error) {
	var keys, errs bytes.Buffer
	if code := run(d.ctx, []string{"--lab", d.lab, "--key=", "--agent=false", "ledger", "keys"}, &keys, &errs); code != exitOK {
		return "", fmt.Errorf("demo: tutela ledger keys: %s", errs.String())
	}
	known := filepath.Join(d.dir, "log-keys.txt")
	if err := os.WriteFile(known, keys.Bytes(), 0o600); err != nil {
		return "", err
	}
	var lines, groups strings.Builder
	for i, name := range names {
		dir := filepath.Join(d.dir, fmt.Sprintf("witness-%d", i+1))
		for _, args := range [][]string{{"witness", "init", dir, "--name", name}, {"witness", "add-log", dir, known}} {
			if err := d.run(exitOK, args...); err != nil {
				return "", err
			}
		}
		w, err := serveWitness(dir)
		if err != nil {
			return "", fmt.Errorf("demo: serve as a witness on this machine: %w", err)
		}
		d.witnesses = append(d.witnesses, w)
		theirs, ours, err := witnessPolicy(d.ctx, dir, w.address)
		if err != nil {
			return "", err
		}
		lines.WriteString(theirs)
		groups.WriteString(ours)
	}
	policy = filepath.Join(d.dir, "witnesses.policy")
	text := fmt.Sprintf("%s%sgroup all all %s\nquorum all\n", lines.String(), groups.String(), strings.Join(names, " "))
	return policy, os.WriteFile(policy, []byte(text), 0o600)
}

// witnessPolicy is what a witness tells labs, but for its quorum: the lines of its
// keys, and its group.
func witnessPolicy(ctx context.Context, dir, address string) (keys, group string, err error) {
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"witness", "show", dir, "--policy", address}, &out, &errs); code != exitOK {
		return "", "", fmt.Errorf("demo: tutela witness show: %s", errs.String())
	}
	for line := range strings.Lines(out.String()) {
		switch {
		case strings.HasPrefix(line, "witness "):
			keys += line
		case strings.HasPrefix(line, "group "):
			group += line
		}
	}
	return keys, group, nil
}

func (d *demonstration) stopWitnesses() (err error) {
	for _, w := range d.witnesses {
		err = errors.Join(err, w.stop())
	}
	return err
}

func (d *demonstration) askFirst() error {
	d.tell("3. Nothing is read without an authority, and the refusal is written down too.")
	if err := d.run(exitNotPermitted, "scan", "LAPTOP", d.plan.Folder); err != nil {
		return err
	}
	until := time.Now().AddDate(0, 1, 0).Format("2006-01-02")
	return d.run(exitOK, "authority", "add", "--case", "2026-17", "--kind", "search-warrant", "--reference", "W-2026-4711", "--issuer", "Example Court", "--until", until)
}

func (d *demonstration) scan() error {
	d.tell("4. Scan: every file is read once; its digests, type and perceptual hash go into the exhibit\n   ledger, the matches into a match run, both roots into the signed agency log.")
	if err := d.run(exitOK, "scan", "LAPTOP", d.plan.Folder); err != nil {
		return err
	}
	return d.run(exitOK, "scan", "DISK", d.plan.Disk)
}

// explain tells what was found and why, from what `tutela find` answers, and
// holds it against what was planted.
func (d *demonstration) explain() error {
	d.tell("5. What was found, and why:")
	items, err := d.find()
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	wrong := 0
	counts := map[demo.Expectation]int{}
	for _, p := range d.plan.Planted {
		got, found := items[placeOf(exhibitOf(p.Source), p.Volume, p.Path, p.State.String())]
		counts[p.Expect]++
		if !found || expectationOf(got) != p.Expect {
			wrong++
			fmt.Fprintf(d.out, "  NOT AS PLANTED  %s %s: expected %s\n", exhibitOf(p.Source), p.Path, p.Expect)
			continue
		}
		if p.Expect == demo.AlertExact || p.Expect == demo.AlertNear {
			fmt.Fprintf(d.out, "  ALERT  %s%s %s\n         %s: %s\n", got.Exhibit, volumeMark(got.Volume), got.Path, because(got), p.Why)
		}
	}
	fmt.Fprintf(d.out, "\n  %d planted things: %d alerts by digest, %d by likeness; %d known files that nobody has to look at; %d unknown.\n",
		len(d.plan.Planted), counts[demo.AlertExact], counts[demo.AlertNear], counts[demo.KnownGood], counts[demo.Unknown])
	if wrong > 0 {
		return fmt.Errorf("demo: %d planted things were not found as they must be", wrong)
	}
	return nil
}

func exhibitOf(s demo.Source) string {
	if s == demo.Disk {
		return "DISK"
	}
	return "LAPTOP"
}

func placeOf(exhibit, volume, path, state string) string {
	return strings.Join([]string{exhibit, volume, path, state}, "\x00")
}

// find asks for everything, as another program would.
func (d *demonstration) find() (map[string]item, error) {
	var lines, errs bytes.Buffer
	if code := run(d.ctx, []string{"--lab", d.lab, "--key=", "--agent=false", "--json", "find"}, &lines, &errs); code != exitOK {
		return nil, fmt.Errorf("demo: tutela find: %s", errs.String())
	}
	items := map[string]item{}
	decoder := json.NewDecoder(&lines)
	for decoder.More() {
		var one item
		if err := decoder.Decode(&one); err != nil {
			return nil, err
		}
		items[placeOf(one.Exhibit, one.Volume, one.Path, one.State)] = one
	}
	return items, nil
}

func expectationOf(it item) demo.Expectation {
	near := false
	for _, m := range it.Matches {
		switch {
		case m.Status == "known-good":
			return demo.KnownGood
		case m.Status == "alert" && m.Kind != "pdq":
			return demo.AlertExact
		case m.Status == "alert":
			near = true
		}
	}
	if near {
		return demo.AlertNear
	}
	return demo.Unknown
}

func because(it item) string {
	m := it.Matches[0]
	if m.Kind == "pdq" {
		return fmt.Sprintf("looks alike (%d of 256 bits differ), %s", m.Distance, it.State)
	}
	return fmt.Sprintf("same %s, %s", m.Kind, it.State)
}

func (d *demonstration) verify() error {
	d.tell("6. Verify: every leaf and root is computed again and held against the signed log.")
	if err := d.run(exitOK, "ledger", "verify"); err != nil {
		return err
	}
	return d.run(exitOK, "ledger", "prove", "LAPTOP", "0")
}

// date shows what others say of when it was.
func (d *demonstration) date() error {
	d.tell("7. When: the lab's clock proves nothing. A time-stamping authority signed the head of the log after\n   each scan. This one ends with the demonstration and tells this machine's own clock; a lab names real ones.")
	return d.run(exitOK, "ledger", "stamps")
}

// disclose hands the alerts to a court, and checks the bundle as the court would:
// first as it is, then a copy with one bit changed.
func (d *demonstration) disclose() error {
	d.tell("8. Disclose: the alerts go to a court, in a bundle that needs neither this lab nor this program\n   to be checked. One of its verifiers is a file of Python in the bundle itself.")
	bundle, changed := filepath.Join(d.dir, "bundle"), filepath.Join(d.dir, "tampered-bundle")
	if err := d.run(exitOK, "disclose", "--case", "2026-17", "--to", "Example Court", "--purpose", "trial", "-o", bundle); err != nil {
		return err
	}
	if err := d.check(exitOK, bundle); err != nil {
		return err
	}
	d.tell("   And with one bit of one record changed in a copy of it:")
	if err := os.CopyFS(changed, os.DirFS(bundle)); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(changed, "trees", "*-records", "*.open"))
	if err != nil || len(names) == 0 {
		return errors.Join(err, errors.New("demo: the bundle opens no record"))
	}
	if err := flipBit(names[0]); err != nil {
		return err
	}
	return d.check(exitIntegrity, changed)
}

// check has both verifiers judge a bundle, which must end with this exit code.
func (d *demonstration) check(want int, bundle string) error {
	if err := d.run(want, "verify", bundle); err != nil {
		return err
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		d.tell("   There is no python3 on this machine; where there is, this checks it: python3 %s", filepath.Join(bundle, "verify.py"))
		return nil
	}
	script := filepath.Join(bundle, "verify.py")
	fmt.Fprintf(d.out, "\n  $ python3 %s\n", tutela.ShellWord(script))
	judge := exec.CommandContext(d.ctx, python, "-B", script)
	text, err := judge.CombinedOutput()
	fmt.Fprint(d.out, indent(string(text)))
	if judge.ProcessState == nil {
		return err
	}
	if code := judge.ProcessState.ExitCode(); code != want {
		return fmt.Errorf("demo: verify.py ended with %d, not %d", code, want)
	}
	return nil
}

// tamper flips one bit in a copy of the lab and expects to be caught.
func (d *demonstration) tamper() error {
	d.tell("9. Somebody changes one bit of one record in a copy of the lab:")
	copied := &demonstration{ctx: d.ctx, out: d.out, dir: d.dir, lab: filepath.Join(d.dir, "tampered-lab")}
	if err := os.CopyFS(copied.lab, os.DirFS(d.lab)); err != nil {
		return err
	}
	if err := onlyForMe(filepath.Join(copied.lab, "keys")); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(copied.lab, "ledger", "exhibits", "*", "1", "records", "records"))
	if err != nil || len(names) == 0 {
		return errors.Join(err, errors.New("demo: the copy of the lab holds no records"))
	}
	if err := flipBit(names[0]); err != nil {
		return err
	}
	return copied.run(exitIntegrity, "ledger", "verify")
}

// dismiss takes the authority and the witnesses, which end now, out of the policy.
func (d *demonstration) dismiss() error {
	d.tell("Witnesses and time-stamping authority end with this program. The lab asks nobody any more; what is cosigned\nand stamped stays so. Real ones are somebody else's.")
	return d.run(exitOK, "lab", "policy", "--no-witnesses", "--no-time-authority")
}

// onlyForMe takes keys from everybody else: a copy has the modes that the
// umask gives, and keys that others may read are refused.
func onlyForMe(dir string) error {
	return filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chmod(name, 0o600)
	})
}

func flipBit(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(name, data, 0o600)
}
