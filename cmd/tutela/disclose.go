package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/actor"
	"tutela/internal/authority"
	"tutela/internal/build"
	"tutela/internal/catalog"
	"tutela/internal/disclosure"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/verify"
)

type discloseCommand struct {
	Case      string   `required:"" help:"The case."`
	To        string   `required:"" help:"To whom, for the ledger and the bundle." placeholder:"WHOM"`
	Purpose   string   `required:"" help:"What for." placeholder:"P"`
	Item      []string `sep:"none" help:"A record to open, by its leaf as tutela find shows it; may be repeated. Default: every alert of the case." placeholder:"EXHIBIT[:SCAN]:LEAF"`
	Authority string   `help:"The authority to act under. Default: the one that stands longest." placeholder:"R"`
	Content   []string `sep:"none" help:"Where an exhibit's evidence is: the contents of its files that are opened go into the bundle; may be repeated. Default: records alone." placeholder:"EXHIBIT=PATH"`
	Keys      string   `help:"With --content: a file with a key on each line, as the scan was given." placeholder:"FILE" type:"path"`
	Tar       bool     `help:"Write one tar instead of a folder."`
	Output    string   `short:"o" required:"" help:"Where the bundle is to be; nothing may be there." placeholder:"DIR" type:"path"`
}

func (c *discloseCommand) Run(a *app) (err error) {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	if _, err := findCase(a, l, c.Case); err != nil {
		return err
	}
	if err := disclosure.Vacant(c.Output); err != nil {
		return explainDisclosure(err)
	}
	items, err := c.items(a, l)
	if err == nil {
		err = quorum(a, l)
	}
	if err != nil {
		return err
	}
	officer, err := officerKey(a, l)
	if err != nil {
		return err
	}
	kept := new(contents)
	defer func() { err = errors.Join(err, kept.Close()) }()
	opened, err := c.openAll(a, l, items, kept)
	if err != nil {
		return err
	}
	order, err := c.order(a, l, officer)
	if err != nil {
		return err
	}
	order.Content = kept.files
	done, err := order.Disclose(a.ctx, l, opened...)
	if err != nil {
		return explainDisclosure(err)
	}
	return c.tell(a, done, opened)
}

func (c *discloseCommand) order(a *app, l *lab.Lab, officer actor.Signer) (disclosure.Order, error) {
	o := disclosure.Order{
		Case: c.Case, To: c.To, Purpose: c.Purpose, Issued: now(), Officer: officer, Path: filepath.Clean(c.Output),
		Head: func(context.Context) ([]byte, error) { return vouchHead(a, l) },
	}
	if c.Tar {
		o.Form = disclosure.Tar
	}
	files := map[string][]byte{"verify.py": verify.Script}
	o.Enclose = func(of *disclosure.Contents) (map[string][]byte, error) {
		papers, err := bundledPapers(a, l, of)
		maps.Copy(files, papers)
		return files, err
	}
	err := encloseValidation(a, l, &o, files)
	return o, err
}

// encloseValidation adds how this program answered in this lab when it was asked
// what is known, if it was.
func encloseValidation(a *app, l *lab.Lab, o *disclosure.Order, files map[string][]byte) error {
	program, err := build.This()
	if err != nil {
		return err
	}
	v, report, err := l.LastValidation(a.ctx, program.Executable)
	if errors.Is(err, lab.ErrNoReport) {
		return nil
	}
	o.Show, files["tool/validation.txt"] = []uint64{v.Index}, report
	return err
}

// items are the records that were named, or every alert of the case.
func (c *discloseCommand) items(a *app, l *lab.Lab) (items []disclosure.Item, err error) {
	for _, word := range c.Item {
		item, err := c.item(a, l, word)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	if len(items) > 0 {
		return items, nil
	}
	exhibits, err := l.Catalog.Exhibits(a.ctx, c.Case)
	if err != nil {
		return nil, err
	}
	for _, e := range exhibits {
		if items, err = appendAlerts(a, l, items, e.Label); err != nil {
			return nil, err
		}
	}
	if len(items) == 0 {
		return nil, hint(fmt.Errorf("no sealed scan of case %s has an alert", c.Case), "name what is to be opened: --item EXHIBIT:LEAF, as tutela find --json shows them")
	}
	return items, nil
}

// appendAlerts adds the alerts of the newest sealed scan of an exhibit.
func appendAlerts(a *app, l *lab.Lab, items []disclosure.Item, label string) ([]disclosure.Item, error) {
	scans, err := l.Catalog.Scans(a.ctx, label)
	if err != nil {
		return nil, err
	}
	sealed := lastSealed(scans)
	if sealed == nil {
		return items, nil
	}
	for hit, err := range l.Catalog.Find(a.ctx, catalog.Query{Exhibit: label, Scan: sealed.Number, Match: catalog.MatchAlert}) {
		if err != nil {
			return nil, err
		}
		items = append(items, disclosure.Item{ScanID: hit.ScanID, Leaf: hit.Leaf})
	}
	return items, nil
}

// item reads EXHIBIT:LEAF or EXHIBIT:SCAN:LEAF. A label may have colons, and is
// preferred to a shorter one with a scan.
func (c *discloseCommand) item(a *app, l *lab.Lab, word string) (disclosure.Item, error) {
	label, last, ok := cutLast(word)
	leaf, err := strconv.ParseUint(last, 10, 64)
	if !ok || err != nil {
		return disclosure.Item{}, misuse("--item %q: EXHIBIT:LEAF or EXHIBIT:SCAN:LEAF, the leaf as tutela find --json shows it", word)
	}
	number := 0
	if _, err := l.Catalog.Exhibit(a.ctx, label); errors.Is(err, catalog.ErrNotFound) {
		if rest, scan, ok := cutLast(label); ok {
			if n, err := strconv.Atoi(scan); err == nil && n > 0 {
				label, number = rest, n
			}
		}
	}
	sealed, err := sealedScan(a, l, label, number)
	if err != nil {
		return disclosure.Item{}, err
	}
	if sealed.Case != c.Case {
		return disclosure.Item{}, misuse("--item %s: exhibit %s belongs to case %s", word, label, sealed.Case)
	}
	if leaf >= sealed.Seal.Records {
		return disclosure.Item{}, misuse("--item %s: %s has %s", word, sealed.ScanID, count(sealed.Seal.Records, "record"))
	}
	return disclosure.Item{ScanID: sealed.ScanID, Leaf: leaf}, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// byExhibit divides items, by label.
func byExhibit(items []disclosure.Item) (divided [][]disclosure.Item) {
	of := map[string][]disclosure.Item{}
	for _, item := range items {
		of[item.Exhibit] = append(of[item.Exhibit], item)
	}
	for _, label := range slices.Sorted(maps.Keys(of)) {
		divided = append(divided, of[label])
	}
	return divided
}

// openAll opens the records, exhibit by exhibit, and fetches what contents are asked
// for.
func (c *discloseCommand) openAll(a *app, l *lab.Lab, items []disclosure.Item, kept *contents) (opened []*disclosure.Opened, err error) {
	paths, err := c.evidenceOf()
	if err == nil {
		err = checkContent(paths, items)
	}
	if err != nil {
		return nil, err
	}
	for _, of := range byExhibit(items) {
		grant, one, err := c.open(a, l, of)
		if err == nil && paths[of[0].Exhibit] != "" {
			err = explainContent(c.fetch(a, l, grant, one, paths[of[0].Exhibit], kept), of[0].ScanID)
		}
		if err != nil {
			return nil, err
		}
		opened = append(opened, one)
	}
	return opened, nil
}

// open opens records of one exhibit, under a grant.
func (c *discloseCommand) open(a *app, l *lab.Lab, items []disclosure.Item) (authority.Grant, *disclosure.Opened, error) {
	newest := slices.MaxFunc(items, func(x, y disclosure.Item) int { return cmp.Compare(x.Number, y.Number) })
	grant, err := grantAccess(a, l, catalog.Scan{ScanID: newest.ScanID}, tutela.ActionDisclose, c.Authority)
	if err != nil {
		return grant, nil, err
	}
	opened, err := disclosure.Open(a.ctx, grant, l, items)
	if errors.Is(err, ledger.ErrErased) {
		return grant, nil, hint(err, "leave it out; who erased it, and why: tutela ledger log --exhibit %s", tutela.ShellWord(newest.Exhibit))
	}
	return grant, opened, err
}

// officerKey is the key of whoever acts: the one that was named, or else one that
// the lab keeps for them. The latter says no more than that somebody with access
// to the lab acted, so it is never made for a person who has a key of their own.
func officerKey(a *app, l *lab.Lab) (actor.Signer, error) {
	if a.signs != nil {
		return a.signs, nil
	}
	seed, err := l.PersonSeed(a.actor)
	if errors.Is(err, fs.ErrNotExist) {
		seed, err = makeOfficerSeed(a, l)
	}
	if err != nil {
		return nil, err
	}
	key, err := actor.FromSeed(seed, a.actor)
	if err != nil {
		return nil, err
	}
	err = l.SignWith(a.ctx, key)
	if errors.Is(err, lab.ErrNotEnrolled) { // new, or a crash came before
		if err = l.EnrolKey(a.ctx, a.actor, key.VerifierKey()); err == nil {
			err = l.SignWith(a.ctx, key)
		}
	}
	if errors.Is(err, lab.ErrKeyKnown) {
		return nil, hint(fmt.Errorf("the key that the lab kept for %s was withdrawn", a.actor), "sign with another: --key FILE, or --agent")
	}
	return key, err
}

func makeOfficerSeed(a *app, l *lab.Lab) (seed ledger.Seed, err error) {
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return seed, err
	}
	for _, key := range standing.Keys {
		if key.Actor == a.actor {
			return seed, &hinted{fmt.Errorf("%s has a key of their own, %s, and must sign with it", a.actor, tutela.KeyID(key.VKey)), "name it: --key FILE, or --agent", exitNotPermitted}
		}
	}
	if actor.KeyName(a.actor) == "" {
		return seed, misuse("--actor %q: a key needs a name with a letter or digit of a–z, 0–9", a.actor)
	}
	if seed, err = l.AddPersonSeed(a.actor); err != nil {
		return seed, err
	}
	a.say("%s has no key. The lab made one and keeps it: %s", a.actor, l.PersonSeedPath(a.actor))
	a.say("A key that only its owner has says more: tutela actor enrol, then --key FILE.")
	return seed, nil
}

// explainDisclosure says what now, where something can be done.
func explainDisclosure(err error) error {
	switch {
	case errors.Is(err, disclosure.ErrExists):
		return hint(err, "choose another place, or move what is there; nothing was written and nothing recorded")
	case errors.Is(err, disclosure.ErrBadOrder):
		return &hinted{err, "name case, recipient and purpose in one line of printable text", exitUsage}
	case errors.Is(err, disclosure.ErrNoHead):
		return hint(err, hintQuorum)
	case errors.Is(err, disclosure.ErrNoChain):
		return hint(err, "its events were recorded by a version that did not link them; scan it as a new exhibit")
	}
	return err
}

func (c *discloseCommand) tell(a *app, done *disclosure.Disclosed, opened []*disclosure.Opened) error {
	exhibits := []string{}
	for _, o := range opened {
		exhibits = append(exhibits, o.Exhibit())
	}
	line := struct {
		Type     string   `json:"message_type"`
		Case     string   `json:"case"`
		To       string   `json:"to"`
		Purpose  string   `json:"purpose"`
		Opened   uint64   `json:"opened"`
		Exhibits []string `json:"exhibits"`
		Path     string   `json:"path"`
		HeadSize uint64   `json:"head_size"`
		Root     string   `json:"root"`
		Policy   string   `json:"policy_sha256"`
	}{"disclosure", c.Case, c.To, c.Purpose, done.Opened, exhibits, filepath.Clean(c.Output), done.Head.Size, done.Head.Root.String(), done.Policy.String()}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Disclosed to %s for %s: %s of %s.\n", c.To, c.Purpose, recordsAndMatches(opened), strings.Join(exhibits, ", "))
		fmt.Fprintf(w, "  recorded  %s of the agency log\n", entries(done.Events))
		fmt.Fprintf(w, "  bundle    %s\n", line.Path)
		fmt.Fprintf(w, "  policy    %s\n", line.Policy)
		fmt.Fprintln(w, "Whoever gets it checks it with: python3 verify.py")
		fmt.Fprintln(w, "Tell them by another way what the policy's fingerprint is: it stands for the keys.")
	})
}

func recordsAndMatches(opened []*disclosure.Opened) string {
	records, matches := 0, 0
	for _, o := range opened {
		records += len(o.Items)
		for _, item := range o.Items {
			matches += len(item.Matches)
		}
	}
	return count(records, "record") + " and " + matchesOf(matches)
}

func entries(indices []uint64) string {
	word := "entries "
	if len(indices) == 1 {
		word = "entry "
	}
	return word + strings.Join(numbers(indices), ", ")
}

func numbers(indices []uint64) (words []string) {
	for _, n := range indices {
		words = append(words, strconv.FormatUint(n, 10))
	}
	return words
}
