package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"tutela/internal/timestamp"
)

const typeOTS = "application/vnd.opentimestamps.v1"

// Calendar is a server that collects hashes and anchors them in Bitcoin.
type Calendar struct{ URL string }

// Submit has a calendar promise to anchor the digest of the proof, and adds the
// promise to it.
func (c *Calendar) Submit(ctx context.Context, p *timestamp.Proof) error {
	answer, err := send(ctx, http.MethodPost, c.path("digest"), "application/x-www-form-urlencoded", typeOTS, p.Digest[:])
	if err != nil {
		return fmt.Errorf("calendar %s: %w", c.URL, err)
	}
	if err := p.Attach(p.Digest[:], answer); err != nil {
		return fmt.Errorf("calendar %s: %w", c.URL, err)
	}
	return nil
}

// Upgrade asks the calendar what became of the promises in the proof that name
// it, and adds the answers. Other calendars that a proof names are not asked:
// whoever wrote the proof does not choose whom this machine calls.
func (c *Calendar) Upgrade(ctx context.Context, p *timestamp.Proof) error {
	for _, a := range p.Attestations() {
		if a.Calendar == "" || !SameCalendar(a.Calendar, c.URL) {
			continue
		}
		answer, err := send(ctx, http.MethodGet, c.path("timestamp/"+hex.EncodeToString(a.Message)), "", typeOTS, nil)
		if err == nil {
			err = p.Attach(a.Message, answer)
		}
		if err != nil {
			return fmt.Errorf("calendar %s: %w", c.URL, err)
		}
	}
	return nil
}

// SameCalendar reports whether two addresses name one calendar.
func SameCalendar(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

func (c *Calendar) path(name string) string { return strings.TrimSuffix(c.URL, "/") + "/" + name }
