package lab

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tutela"
	"tutela/internal/ledger/check"
)

// ErrPolicy means that a policy cannot be kept.
var ErrPolicy = errors.New("the policy does not hold")

// SetPolicy makes p the lab's policy. It returns ErrPolicy for one that nobody
// could follow, and ErrUnsigned where it demands signatures and nobody signs this:
// a lab must not shut itself out.
func (l *Lab) SetPolicy(ctx context.Context, p Policy) error {
	if err := p.check(l.keys.VerifierKeys()); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if p.Signatures && l.signer == nil {
		return ErrUnsigned
	}
	ev, err := tutela.NewEvent(tutela.EventPolicyChange, time.Now(), l.actor, p)
	if err != nil {
		return err
	}
	_, err = l.Record(ctx, ev)
	return err
}

// check holds a policy against what those who follow it will demand. logKeys are
// those of the lab's log.
func (p *Policy) check(logKeys []string) error {
	if err := checkWitnesses(p.Witnesses, logKeys); err != nil {
		return err
	}
	for i, address := range p.TimeAuthorities {
		if err := checkAddress(address); err != nil {
			return fmt.Errorf("time-stamping authority %.80q: %w", address, err)
		}
		if slices.Contains(p.TimeAuthorities[:i], address) {
			return fmt.Errorf("time-stamping authority %.80q stands there twice", address)
		}
	}
	return checkCertificates(p.TimeRoots)
}

// WitnessLines is the part of a policy of C2SP tlog-policy that a lab keeps: its
// witness, group and quorum lines, without comments, words one blank apart.
func WitnessLines(policy []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(policy)) {
		words := strings.Fields(line)
		if len(words) > 0 && words[0] != "log" && !strings.HasPrefix(words[0], "#") {
			b.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	return b.String()
}

// checkWitnesses makes sure that the lines hold, that with the log's own keys they
// make a policy that may stand in a bundle, and that every witness can be asked.
func checkWitnesses(lines string, logKeys []string) error {
	if lines == "" {
		return nil
	}
	policy, err := check.ParsePolicy([]byte(lines))
	if err != nil {
		return err
	}
	if lines != WitnessLines([]byte(lines)) {
		return errors.New("its witnesses are not witness, group and quorum lines alone")
	}
	var b strings.Builder
	for _, vkey := range logKeys {
		fmt.Fprintf(&b, "log %s\n", vkey)
	}
	if _, err := check.ParseCanonicalPolicy([]byte(b.String() + policy.Text())); err != nil {
		return err
	}
	for _, w := range policy.Named() {
		if w.Address == "" {
			return fmt.Errorf("witness %.80q has no address", w.Name)
		}
		if err := checkAddress(w.Address); err != nil {
			return fmt.Errorf("witness %.80q: %w", w.Name, err)
		}
	}
	return nil
}

// checkAddress demands an address of the web, without a password in it: the policy
// is in the log, and whoever reads the log reads it.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("not an address that begins with http:// or https://")
	case u.User != nil:
		return errors.New("a name or password stands in the address")
	}
	return nil
}

// checkCertificates demands certificates in PEM and nothing but white space beside
// them; none are fine.
func checkCertificates(text string) error {
	rest := bytes.TrimSpace([]byte(text))
	for len(rest) > 0 {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return errors.New("there is something beside the certificates of time-stamping authorities")
		}
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return errors.New("the certificates of time-stamping authorities are not PEM")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("a certificate of a time-stamping authority: %w", err)
		}
		rest = bytes.TrimSpace(rest)
	}
	return nil
}
