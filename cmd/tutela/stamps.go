package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/timestamp"
)

// ledgerStamps lists what vouches for when the heads were that are kept, and
// verifies each.
type ledgerStamps struct {
	Roots       string   `help:"Certificates that time-stamps must lead to, PEM. Default: those that the policy names." placeholder:"FILE" type:"existingfile"`
	BlockHeader []string `sep:"none" help:"A Bitcoin block header to verify anchors by: 160 hexadecimal digits, or a file of headers, each 80 bytes or on a line in hexadecimal digits; may be repeated." placeholder:"HEX|FILE"`
}

func (c *ledgerStamps) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	trust, err := c.trust(a, l)
	if err != nil {
		return err
	}
	var all []lab.Vouched
	var heads int
	for head, err := range l.Heads().All() {
		if err != nil {
			return err
		}
		heads++
		all = append(all, head.Vouched(trust)...)
	}
	if err := printVouched(a, heads, all); err != nil {
		return err
	}
	for _, v := range all {
		if v.State == lab.VouchFailed {
			return errIntegrity
		}
	}
	return nil
}

func (c *ledgerStamps) trust(a *app, l *lab.Lab) (t lab.Trust, err error) {
	if t.Roots, err = c.roots(a, l); err != nil {
		return t, err
	}
	for _, named := range c.BlockHeader {
		headers, err := blockHeaders(named)
		if err != nil {
			return t, err
		}
		t.Headers = append(t.Headers, headers...)
	}
	return t, nil
}

// roots are those of the file that was named, else of all policies the lab ever had.
func (c *ledgerStamps) roots(a *app, l *lab.Lab) (*x509.CertPool, error) {
	if c.Roots == "" {
		return l.TimeRoots(a.ctx)
	}
	text, err := readNamed(c.Roots)
	if err != nil {
		return nil, err
	}
	roots, err := timestamp.ParseRoots(text)
	if err != nil {
		return nil, misuse("%s: %v", c.Roots, err)
	}
	return roots, nil
}

// headerBytes is the size of a Bitcoin block header.
const headerBytes = 80

// blockHeaders reads headers as they were named on the command line.
func blockHeaders(named string) ([][]byte, error) {
	if h, err := hex.DecodeString(named); err == nil && len(h) == headerBytes {
		return [][]byte{h}, nil
	}
	data, err := readNamed(named)
	if errors.Is(err, os.ErrNotExist) {
		return nil, misuse("--block-header %.200q is neither 160 hexadecimal digits nor a file", named)
	}
	if err != nil {
		return nil, err
	}
	headers, ok := splitHeaders(data)
	if !ok {
		return nil, misuse("--block-header: %s holds something else than block headers", named)
	}
	return headers, nil
}

// splitHeaders takes a file of headers apart: lines of hexadecimal digits, or 80
// bytes after another.
func splitHeaders(data []byte) (headers [][]byte, ok bool) {
	for line := range strings.FieldsSeq(string(data)) {
		h, err := hex.DecodeString(line)
		if err != nil || len(h) != headerBytes {
			headers = nil
			break
		}
		headers = append(headers, h)
	}
	if headers != nil {
		return headers, true
	}
	for len(data) >= headerBytes {
		headers, data = append(headers, bytes.Clone(data[:headerBytes])), data[headerBytes:]
	}
	return headers, len(headers) > 0 && len(data) == 0
}

// vouchedLine is one line of `tutela ledger stamps --json`.
type vouchedLine struct {
	Type       string  `json:"message_type"`
	Size       uint64  `json:"size"`
	Signatures int     `json:"signatures"`
	Kind       string  `json:"kind"`
	State      string  `json:"state"`
	Time       *string `json:"time"`
	Accuracy   int64   `json:"accuracy_ms"`
	By         string  `json:"by"`
	Serial     string  `json:"serial"`
	Problem    string  `json:"problem"`
}

func lineOfVouched(v lab.Vouched) vouchedLine {
	return vouchedLine{"stamp", v.Size, v.Signatures, v.Kind, string(v.State), stamp(v.Time), v.Accuracy.Milliseconds(),
		tutela.DisplayPath([]byte(v.By)), v.Serial, tutela.DisplayPath([]byte(v.Problem))}
}

func printVouched(a *app, heads int, all []lab.Vouched) error {
	if a.json {
		return printEach(a, all, func(v lab.Vouched) any { return lineOfVouched(v) })
	}
	if len(all) == 0 {
		fmt.Fprintf(a.out, "No time-stamp yet; %s kept.\n", headsAre(heads))
		return nil
	}
	var rows [][]string
	for _, v := range all {
		line := lineOfVouched(v)
		rows = append(rows, []string{fmt.Sprint(v.Size), momentWithin(v), line.State, line.By, line.Problem})
	}
	table(a.out, "ENTRIES|EXISTED BY|STATE|SAYS|NOTE", rows)
	return nil
}

func headsAre(n int) string {
	if n == 1 {
		return "1 head is"
	}
	return fmt.Sprintf("%d heads are", n)
}

// momentWithin writes when a head existed, with seconds and how far that may be off.
func momentWithin(v lab.Vouched) string {
	if v.Time.IsZero() {
		return ""
	}
	text := v.Time.UTC().Format("2006-01-02 15:04:05 UTC")
	if v.Accuracy > 0 {
		text += " ± " + v.Accuracy.Round(time.Millisecond).String()
	}
	return text
}
