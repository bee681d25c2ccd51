package verify

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"tutela/internal/timestamp"
)

// Given are the files that a reader names to check a bundle by. The zero value
// names none.
type Given struct {
	Policies     []string // files
	TimeRoots    string   // a file of certificates in PEM, and of nothing else
	BlockHeaders []string // each 160 hexadecimal digits, or a file of them or of 80 bytes
}

// Read reads them.
func (g Given) Read() (o Options, err error) {
	for _, name := range g.Policies {
		text, err := os.ReadFile(name)
		if err != nil {
			return o, fmt.Errorf("read policy: %w", err)
		}
		o.Policies = append(o.Policies, text)
	}
	if g.TimeRoots != "" {
		pem, err := os.ReadFile(g.TimeRoots)
		if err != nil {
			return o, fmt.Errorf("read roots of time-stamps: %w", err)
		}
		if o.TimeRoots, err = timestamp.ParseRoots(pem); err != nil {
			return o, fmt.Errorf("read roots of time-stamps: %s: %w", g.TimeRoots, err)
		}
	}
	for _, word := range g.BlockHeaders {
		header, err := readBlockHeader(word)
		if err != nil {
			return o, fmt.Errorf("read block header: %w", err)
		}
		o.BlockHeaders = append(o.BlockHeaders, header)
	}
	return o, nil
}

// blockHeader is the size of a block header of Bitcoin, in bytes.
const blockHeader = 80

func readBlockHeader(word string) ([]byte, error) {
	if raw, err := hex.DecodeString(word); err == nil && len(raw) == blockHeader {
		return raw, nil
	}
	b, err := os.ReadFile(word)
	if err != nil || len(b) == blockHeader {
		return b, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(raw) != blockHeader {
		return nil, fmt.Errorf("%s holds neither %d bytes nor %d hexadecimal digits", word, blockHeader, 2*blockHeader)
	}
	return raw, nil
}
