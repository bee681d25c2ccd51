package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tutela"
	"tutela/internal/lab"
)

// labPolicy shows what the lab demands of itself, or changes what is named and
// leaves the rest.
type labPolicy struct {
	Signatures      *bool    `negatable:"" help:"Nothing is recorded that its actor has not signed."`
	SecondRoot      *bool    `negatable:"" help:"Every seal carries a root under SHA-512 too."`
	Validated       *bool    `negatable:"" help:"Nothing is scanned by a build that has not been validated here."`
	Witnesses       string   `help:"A policy of C2SP tlog-policy: its witness lines (with addresses), groups and quorum." placeholder:"FILE" type:"existingfile" xor:"witnesses"`
	NoWitnesses     bool     `help:"No witness need cosign." xor:"witnesses"`
	TimeAuthority   []string `sep:"none" help:"Address of an RFC 3161 time-stamping authority; may be repeated. Replaces those before." placeholder:"URL" xor:"authority"`
	NoTimeAuthority bool     `help:"No time-stamps." xor:"authority"`
	TimeRoots       string   `help:"Certificates that time-stamps must lead to, PEM." placeholder:"FILE" type:"existingfile" xor:"roots"`
	NoTimeRoots     bool     `help:"No certificates." xor:"roots"`
}

func (c *labPolicy) Run(a *app) error {
	if c.asks() {
		return c.show(a)
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return err
	}
	before := standing.Policy
	p, err := c.change(before)
	if err != nil {
		return err
	}
	if err := l.SetPolicy(a.ctx, p); err != nil {
		return hintPolicy(err)
	}
	return printPolicy(a, p, lowered(before, p))
}

// asks reports whether nothing is to be changed.
func (c *labPolicy) asks() bool {
	return c.Signatures == nil && c.SecondRoot == nil && c.Validated == nil && c.Witnesses == "" && !c.NoWitnesses &&
		len(c.TimeAuthority) == 0 && !c.NoTimeAuthority && c.TimeRoots == "" && !c.NoTimeRoots
}

func (c *labPolicy) show(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return err
	}
	return printPolicy(a, standing.Policy, nil)
}

// change is a policy with what was named put in.
func (c *labPolicy) change(p lab.Policy) (lab.Policy, error) {
	for _, demand := range []struct {
		named *bool
		into  *bool
	}{{c.Signatures, &p.Signatures}, {c.SecondRoot, &p.SecondRoot}, {c.Validated, &p.Validated}} {
		if demand.named != nil {
			*demand.into = *demand.named
		}
	}
	if len(c.TimeAuthority) > 0 || c.NoTimeAuthority {
		p.TimeAuthorities = c.TimeAuthority
	}
	if c.Witnesses != "" || c.NoWitnesses {
		text, err := readNamed(c.Witnesses)
		if err != nil {
			return p, err
		}
		if p.Witnesses = lab.WitnessLines(text); p.Witnesses == "" && !c.NoWitnesses {
			return p, misuse("%s: it names no witness; to ask none: --no-witnesses", c.Witnesses)
		}
	}
	if c.TimeRoots != "" || c.NoTimeRoots {
		text, err := readNamed(c.TimeRoots)
		if err != nil {
			return p, err
		}
		p.TimeRoots = string(text)
	}
	return p, nil
}

// maxPolicyFile is the largest file that goes into a policy, in bytes: it must fit
// into an event.
const maxPolicyFile = 256 << 10

// readNamed reads a file; nothing if none is named.
func readNamed(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPolicyFile+1))
	if err == nil && len(text) > maxPolicyFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxPolicyFile)
	}
	return text, err
}

func hintPolicy(err error) error {
	if errors.Is(err, lab.ErrUnsigned) {
		return &hinted{err: err, code: exitNotPermitted,
			hint: "whoever demands signatures signs that first: enrol your key (tutela actor enrol NAME --key-file FILE.pub), then add --key FILE or --agent"}
	}
	if errors.Is(err, lab.ErrPolicy) {
		return &hinted{err: err, code: exitUsage, hint: "nothing was changed; what the lab demands now: tutela lab policy"}
	}
	return err
}

// lowered names what the new policy demands less of.
func lowered(before, now lab.Policy) (names []string) {
	for _, demand := range []struct {
		name string
		less bool
	}{
		{"signatures", before.Signatures && !now.Signatures},
		{"second root", before.SecondRoot && !now.SecondRoot},
		{"validation", before.Validated && !now.Validated},
		{"witnesses", before.Witnesses != "" && now.Witnesses == ""},
		{"time-stamps", len(before.TimeAuthorities) > 0 && len(now.TimeAuthorities) == 0},
	} {
		if demand.less {
			names = append(names, demand.name)
		}
	}
	return names
}

func printPolicy(a *app, p lab.Policy, less []string) error {
	line := struct {
		Type            string   `json:"message_type"`
		Signatures      bool     `json:"signatures"`
		SecondRoot      bool     `json:"second_root"`
		Validated       bool     `json:"validated"`
		Witnesses       string   `json:"witnesses"`
		TimeAuthorities []string `json:"time_authorities"`
		TimeRoots       string   `json:"time_roots"`
		Lowered         []string `json:"lowered"`
	}{"policy", p.Signatures, p.SecondRoot, p.Validated, p.Witnesses, append([]string{}, p.TimeAuthorities...), p.TimeRoots, append([]string{}, less...)}
	return a.print(line, func(w io.Writer) {
		demanded := map[bool]string{true: "demanded", false: "not demanded"}
		facts(w, "Signatures", demanded[p.Signatures], "Second root", demanded[p.SecondRoot], "Validated", demanded[p.Validated],
			"Witnesses", orNone(witnessLines(p.Witnesses)), "Time", orNone(p.TimeAuthorities), "Time roots", orNone(issuers(p.TimeRoots)))
		if len(less) > 0 {
			fmt.Fprintf(w, "\nNo longer demanded: %s. The log says so, and who changed it.\n", strings.Join(less, ", "))
		}
	})
}

// witnessLines are the lines of a policy, on a screen: a key of ML-DSA-44 would fill
// it.
func witnessLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		for i, word := range words {
			words[i] = shortKey(word)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// orNone writes a list under itself, beside its name.
func orNone(lines []string) string {
	if text := strings.Join(lines, "\n             "); text != "" {
		return text
	}
	return "none"
}

// issuers are the names in the certificates of a policy, which hold.
func issuers(text string) (names []string) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			names = append(names, tutela.DisplayPath([]byte(cert.Subject.String())))
		}
	}
	return names
}
