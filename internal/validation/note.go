package validation

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"tutela/internal/ledger/check"
)

// notes asks whether heads of a log, signed by another program, hold.
func notes() (all []question, err error) {
	rows, err := table("notes.tsv.zst", 4)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		signed, err := base64.StdEncoding.DecodeString(row[2])
		if err != nil {
			return nil, err
		}
		all = append(all, question{
			area: "ledger", name: row[0], source: "OpenSSL (Ed25519) and @noble/post-quantum 0.7.1 (ML-DSA-44)", expected: row[3],
			ask: func(context.Context, *sitting) (string, error) { return headOf(row[1], signed) },
		})
	}
	return all, nil
}

func headOf(keys string, signed []byte) (string, error) {
	k, err := check.ParseLogKeys(strings.Fields(keys)...)
	if err != nil {
		return "", err
	}
	c, err := k.Open(signed)
	if err != nil {
		return "refused", nil
	}
	return fmt.Sprintf("%d %s", c.Size, c.Root), nil
}
