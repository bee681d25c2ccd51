package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/scan"
	"tutela/internal/term"
)

type ledgerCommand struct {
	Head   ledgerHead   `cmd:"" help:"Show the signed head of the agency log."`
	Log    ledgerLog    `cmd:"" help:"List the events of the agency log."`
	Reads  ledgerReads  `cmd:"" help:"List who read what, under which authority and why: the access ledger."`
	Verify ledgerVerify `cmd:"" help:"Recompute everything: the agency log, every exhibit ledger, every seal."`
	Prove  ledgerProve  `cmd:"" help:"Prove one record of an exhibit, down from the signed head."`
	Anchor ledgerAnchor `cmd:"" help:"Have the head cosigned by the policy's witnesses."`
	Gossip ledgerGossip `cmd:"" help:"Take heads of logs that other agencies show, and hold them against what is known."`
	Stamp  ledgerStamp  `cmd:"" help:"Have a head stamped by the policy's time-stamping authorities, or anchored in Bitcoin."`
	Stamps ledgerStamps `cmd:"" help:"List when the heads that were kept existed, and verify who says so."`
	Erase  ledgerErase  `cmd:"" help:"Erase single records for ever; everything else stays provable."`
	Renew  ledgerRenew  `cmd:"" help:"Give sealed ledgers a second root, under SHA-512, before anybody doubts the first."`
	Scrub  ledgerScrub  `cmd:"" help:"Read every byte of the exhibit ledgers, say which file is damaged and where, and repair what can be."`
	Rescan ledgerRescan `cmd:"" help:"Read the evidence again and hold it against the ledger; with --oracle, by another program."`

	ledgerKeyCommands
}

type ledgerHead struct {
	Signed bool `help:"Write the head as it is signed and cosigned, and nothing else: for handing it over, and for other programs."`
}

func (c *ledgerHead) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	log, err := l.ReadLog()
	if err != nil {
		return err
	}
	head, err := log.Head(a.ctx)
	if err != nil {
		return err
	}
	cosigned, err := cosignedSoFar(a, l, head)
	if err != nil {
		return err
	}
	if c.Signed && !a.json {
		_, err := a.out.Write(cosigned.Signed)
		return err
	}
	line := struct {
		Type       string        `json:"message_type"`
		Origin     string        `json:"origin"`
		Size       uint64        `json:"size"`
		Root       string        `json:"root"`
		Checkpoint string        `json:"checkpoint"`
		Print      string        `json:"fingerprint"`
		Cosigned   []cosignature `json:"cosigned"`
		Quorum     bool          `json:"quorum"`
	}{"head", head.Origin, head.Size, head.Root.String(), string(cosigned.Signed), l.KeyFingerprint(), cosignatures(cosigned), cosigned.Quorum}
	return a.print(line, func(w io.Writer) {
		facts(w, "Log", head.Origin, "Entries", term.Count(head.Size), "Root", head.Root.String(), "Keys", l.KeyFingerprint(), "Cosigned", cosignedBy(cosigned))
		fmt.Fprintln(w, "Next: tutela ledger head --signed, to hand it over as it is signed")
	})
}

type ledgerLog struct {
	Case    string `help:"About this case only."`
	Exhibit string `help:"About this exhibit only." placeholder:"LABEL"`
	Limit   int    `help:"The last so many. Default: all." placeholder:"N"`
}

func (c *ledgerLog) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	log, err := l.ReadLog()
	if err != nil {
		return err
	}
	var events []catalog.Entry
	for entry, err := range log.Events(a.ctx, 0) {
		if err != nil {
			return err
		}
		ev := entry.Event
		if (c.Case == "" || c.Case == ev.Case) && (c.Exhibit == "" || c.Exhibit == ev.Exhibit) {
			events = append(events, catalog.Entry{Index: entry.Index, Event: ev})
		}
	}
	if c.Limit > 0 {
		events = events[max(len(events)-c.Limit, 0):]
	}
	if a.json {
		return printEach(a, events, eventLine)
	}
	listEvents(a.out, events)
	return nil
}

func listEvents(w io.Writer, events []catalog.Entry) {
	if len(events) == 0 {
		fmt.Fprintln(w, "No events.")
		return
	}
	var rows [][]string
	for _, e := range events {
		rows = append(rows, []string{strconv.FormatUint(e.Index, 10), moment(e.Time), string(e.Kind), e.Actor, e.Case, e.Exhibit, e.Authority})
	}
	table(w, "ENTRY|TIME|EVENT|ACTOR|CASE|EXHIBIT|AUTHORITY", rows)
}

func eventLine(e catalog.Entry) any {
	return struct {
		Type      string          `json:"message_type"`
		Index     uint64          `json:"index"`
		Kind      string          `json:"kind"`
		Time      *string         `json:"time"`
		Actor     string          `json:"actor"`
		Case      string          `json:"case"`
		Exhibit   string          `json:"exhibit"`
		Authority string          `json:"authority"`
		Detail    json.RawMessage `json:"detail"`
		Signer    string          `json:"signer,omitempty"`
		Misfit    string          `json:"misfit,omitempty"`
	}{"event", e.Index, string(e.Kind), stamp(e.Time), e.Actor, e.Case, e.Exhibit, e.Authority, detailOf(e.Event), e.Signer, e.Misfit}
}

// detailOf is an event's detail, which is JSON unless a newer version wrote it.
func detailOf(ev tutela.Event) json.RawMessage {
	if json.Valid(ev.Detail) {
		return ev.Detail
	}
	return json.RawMessage("null")
}

// collect reads a sequence to its end.
func collect[T any](all iter.Seq2[T, error]) (out []T, err error) {
	for one, err := range all {
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

type ledgerVerify struct {
	Exhibit []string `arg:"" optional:"" help:"These exhibits only. Default: all."`
}

func (c *ledgerVerify) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	stop := waiting(a, "verifying")
	verdict, err := l.Verify(a.ctx, c.Exhibit)
	stop()
	if err != nil {
		return err
	}
	line := struct {
		Type     string   `json:"message_type"`
		OK       bool     `json:"ok"`
		Exhibits int      `json:"exhibits"`
		Records  uint64   `json:"records"`
		Entries  uint64   `json:"log_entries"`
		Erased   uint64   `json:"erased"`
		Second   int      `json:"second_roots"`
		Heads    int      `json:"heads"`
		Stamps   int      `json:"stamps"`
		Reads    uint64   `json:"reads"`
		Problems []string `json:"problems"`
		Notes    []string `json:"notes"`
	}{"verdict", len(verdict.Problems) == 0, verdict.Exhibits, verdict.Records, verdict.Entries, verdict.Erased, verdict.Second,
		verdict.Heads, verdict.Stamps, verdict.Reads, append([]string{}, verdict.Problems...), append([]string{}, verdict.Notes...)}
	err = a.print(line, func(w io.Writer) { printVerdict(w, verdict) })
	if err == nil && len(verdict.Problems) > 0 {
		return errIntegrity
	}
	return err
}

func printVerdict(w io.Writer, v lab.Verdict) {
	for _, p := range v.Problems {
		fmt.Fprintln(w, "PROBLEM:", p)
	}
	for _, n := range v.Notes {
		fmt.Fprintln(w, "NOTE:", n)
	}
	verb := "verified"
	if len(v.Problems) > 0 {
		verb = "examined"
	}
	fmt.Fprintf(w, "%s %s: %s, %s, %s of the agency log.%s\n",
		map[bool]string{true: "OK:", false: "NOT OK:"}[len(v.Problems) == 0], verb, count(v.Exhibits, "exhibit"), count(v.Records, "record"), count(v.Entries, "entry"), erasedLeaves(v.Erased)+secondRoots(v.Second)+keptHeads(v.Heads, v.Stamps)+writtenReads(v.Reads))
}

func keptHeads(heads, stamps int) string {
	if heads == 0 {
		return ""
	}
	return fmt.Sprintf(" %s kept, %s verified.", count(heads, "head"), count(stamps, "time-stamp"))
}

func writtenReads(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %s in the access ledger.", count(n, "read"))
}

func erasedLeaves(n uint64) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " 1 leaf was erased."
	}
	return fmt.Sprintf(" %s leaves were erased.", term.Count(n))
}

func secondRoots(trees int) string {
	if trees == 0 {
		return ""
	}
	return fmt.Sprintf(" %s under SHA-512 too.", count(trees, "tree"))
}

type ledgerProve struct {
	Exhibit string `arg:"" help:"The exhibit's label."`
	Leaf    uint64 `arg:"" help:"The record's leaf, as tutela find shows it."`
	Scan    int    `help:"Default: the newest sealed scan." placeholder:"N"`
}

func (c *ledgerProve) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := sealedScan(a, l, c.Exhibit, c.Scan)
	if err != nil {
		return err
	}
	p, err := l.Prove(a.ctx, *s, c.Leaf)
	if err != nil {
		return err
	}
	return a.print(proofLine(p), func(w io.Writer) { printProof(w, p) })
}

// sealedScan is a sealed scan of an exhibit, which must be there: number 0 is the
// newest.
func sealedScan(a *app, l *lab.Lab, exhibit string, number int) (*catalog.Scan, error) {
	if _, err := findExhibit(a, l, exhibit); err != nil {
		return nil, err
	}
	scans, err := l.Catalog.Scans(a.ctx, exhibit)
	if err != nil {
		return nil, err
	}
	for i := range scans {
		if number != 0 && scans[i].Number == number && scans[i].Seal != nil {
			return &scans[i], nil
		}
	}
	if s := lastSealed(scans); s != nil && number == 0 {
		return s, nil
	}
	return nil, hint(fmt.Errorf("exhibit %s has no such sealed scan", exhibit), "tutela exhibit show %s", tutela.ShellWord(exhibit))
}

func proofLine(p *lab.Proof) any {
	line := struct {
		Type      string   `json:"message_type"`
		Exhibit   string   `json:"exhibit"`
		Scan      int      `json:"scan"`
		Leaf      uint64   `json:"leaf"`
		Path      string   `json:"path"`
		Salt      string   `json:"salt"`
		Record    string   `json:"record"`
		Inclusion []string `json:"inclusion"`
		Size      uint64   `json:"size"`
		Root      string   `json:"root"`
		LogIndex  uint64   `json:"log_index"`
		LogProof  string   `json:"log_proof"`
		LogSalt   string   `json:"log_salt"`
		LogBody   string   `json:"log_body"`
		LogKeys   []string `json:"log_keys"`
		Second    []string `json:"inclusion_sha512,omitempty"`
		Root512   string   `json:"root_sha512,omitempty"`
		LogIndex2 *uint64  `json:"second_log_index,omitempty"`
		LogProof2 string   `json:"second_log_proof,omitempty"`
		LogSalt2  string   `json:"second_log_salt,omitempty"`
		LogBody2  string   `json:"second_log_body,omitempty"`
	}{Type: "proof", Exhibit: p.Scan.Exhibit, Scan: p.Scan.Number, Leaf: p.Leaf, Path: p.Record.DisplayPath(),
		Salt: p.Opening.Salt.String(), Record: base64.StdEncoding.EncodeToString(p.Opening.Body), Inclusion: hashes(p.Inclusion),
		Size: p.Size, Root: p.Root.String(), LogIndex: p.Scan.LogIndex, LogProof: string(p.Seal.Text()),
		LogSalt: p.Seal.Opening.Salt.String(), LogBody: base64.StdEncoding.EncodeToString(p.Seal.Opening.Body), LogKeys: p.LogKeys}
	if p.Second != nil {
		line.Root512 = p.Second.Root.String()
		line.Second = hashes(p.Second.Inclusion)
	}
	if r := renewalOf(p); r != nil {
		line.LogIndex2, line.LogProof2, line.LogSalt2 = &r.Index, string(r.Text()), r.Opening.Salt.String()
		line.LogBody2 = base64.StdEncoding.EncodeToString(r.Opening.Body)
	}
	return line
}

// renewalOf is the proof of the event that names the second root, where that is
// not the seal.
func renewalOf(p *lab.Proof) *ledger.Proof {
	if p.Second == nil {
		return nil
	}
	return p.Second.Renewal
}

func hashes[H fmt.Stringer](path []H) []string {
	out := []string{}
	for _, h := range path {
		out = append(out, h.String())
	}
	return out
}

func printProof(w io.Writer, p *lab.Proof) {
	fmt.Fprintf(w, "Leaf %d of scan %d of %s is %s.\n", p.Leaf, p.Scan.Number, p.Scan.Exhibit, p.Record.DisplayPath())
	if p.Record.Hashed {
		fmt.Fprintf(w, "  content   sha256 %s\n", p.Record.Digests.SHA256)
	}
	fmt.Fprintf(w, "  leaf      %s, from the record and its salt\n", p.Opening.Leaf())
	fmt.Fprintf(w, "  root      %s, over %s leaves, by %d hashes beside the way\n", p.Root, term.Count(p.Size), len(p.Inclusion))
	if p.Second != nil {
		named := p.Scan.LogIndex
		if r := renewalOf(p); r != nil {
			named = r.Index
		}
		fmt.Fprintf(w, "  root      %s, over the same under SHA-512, named by entry %d\n", p.Second.Root, named)
	}
	fmt.Fprintf(w, "  seal      entry %d of the agency log names that root\n", p.Scan.LogIndex)
	fmt.Fprintf(w, "  head      the log of %s entries is signed by %d keys\n", term.Count(p.Head.Size), len(p.LogKeys))
	fmt.Fprintln(w, "Every step was checked. With --json the proof is printed for somebody else to check.")
}

type ledgerRescan struct {
	Exhibit   string   `arg:"" help:"The exhibit's label."`
	Path      []string `arg:"" help:"Where the exhibit's bytes are."`
	Authority string   `help:"The authority to act under." placeholder:"R"`
	Keys      string   `help:"A file with a key on each line, as the scan was given." placeholder:"FILE" type:"path"`
	Oracle    string   `help:"Compare with what another program finds: tsk, The Sleuth Kit. One image only." placeholder:"NAME"`
}

// AfterApply is called by kong once the arguments are known.
func (c *ledgerRescan) AfterApply() error { return absolute(c.Path) }

func (c *ledgerRescan) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	sealed, err := c.sealed(a, l)
	if err != nil {
		return err
	}
	if c.Oracle != "" {
		return c.consult(a, l, *sealed)
	}
	seized, err := openEvidence(a.ctx, c.Path, scan.Profile(sealed.Start.Profile), c.Keys)
	if err != nil {
		return err
	}
	defer seized.Close()
	return c.rescan(a, l, *sealed, seized)
}

// sealed is the newest sealed scan of the exhibit.
func (c *ledgerRescan) sealed(a *app, l *lab.Lab) (*catalog.Scan, error) {
	if _, err := findExhibit(a, l, c.Exhibit); err != nil {
		return nil, err
	}
	scans, err := l.Catalog.Scans(a.ctx, c.Exhibit)
	if err != nil {
		return nil, err
	}
	sealed := lastSealed(scans)
	if sealed == nil {
		return nil, hint(fmt.Errorf("exhibit %s has no sealed scan to hold the evidence against", c.Exhibit), "tutela scan %s PATH", tutela.ShellWord(c.Exhibit))
	}
	return sealed, nil
}

func (c *ledgerRescan) rescan(a *app, l *lab.Lab, s catalog.Scan, seized *seized) error {
	grant, err := grantAccess(a, l, s, tutela.ActionRescan, c.Authority)
	if err != nil {
		return err
	}
	j := job(l, s.ScanID, nil)
	j.Profile = scan.Profile(s.Start.Profile)
	seized.hand(&j)
	began, watch := time.Now(), watchScan(a, j)
	defer watchClock(a, l)()
	differences := []string{}
	compared, err := scan.Rescan(a.ctx, grant, j, func(d scan.Difference) error {
		differences = append(differences, d.String())
		return nil
	})
	watch.stop()
	if err != nil {
		return err
	}
	return printRescan(a, s, compared, differences, time.Since(began))
}

func printRescan(a *app, s catalog.Scan, compared uint64, differences []string, took time.Duration) error {
	line := struct {
		Type        string   `json:"message_type"`
		OK          bool     `json:"ok"`
		Exhibit     string   `json:"exhibit"`
		Scan        int      `json:"scan"`
		Records     uint64   `json:"records"`
		Differences []string `json:"differences"`
		Seconds     float64  `json:"seconds"`
	}{"rescan", len(differences) == 0, s.Exhibit, s.Number, compared, differences, took.Seconds()}
	err := a.print(line, func(w io.Writer) {
		for _, d := range differences {
			fmt.Fprintln(w, "DIFFERENT:", d)
		}
		fmt.Fprintf(w, "%s of scan %d of %s read again: %s.\n", count(compared, "record"), s.Number, s.Exhibit, count(len(differences), "difference"))
	})
	if err == nil && len(differences) > 0 {
		return errIntegrity
	}
	return err
}

// scanLine is one scan in JSON.
func scanLine(s catalog.Scan) any {
	line := struct {
		Type     string  `json:"message_type"`
		Exhibit  string  `json:"exhibit"`
		Scan     int     `json:"scan"`
		State    string  `json:"state"`
		Profile  string  `json:"profile"`
		Started  *string `json:"started"`
		Sealed   *string `json:"sealed"`
		Records  *uint64 `json:"records"`
		Bytes    *int64  `json:"bytes"`
		Root     *string `json:"root"`
		LogIndex *uint64 `json:"log_index"`
	}{Type: "scan", Exhibit: s.Exhibit, Scan: s.Number, State: string(s.State()), Profile: s.Start.Profile, Started: stamp(s.Started), Sealed: stamp(s.Sealed)}
	if s.Seal != nil {
		root := s.Seal.Root.String()
		line.Records, line.Bytes, line.Root, line.LogIndex = &s.Seal.Records, &s.Seal.Bytes, &root, &s.LogIndex
	}
	return line
}
