package validation

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"tutela/internal/ledger/check"
)

// trees asks for the roots of RFC 6962 trees, and for proofs that hold in them.
func trees() (all []question, err error) {
	rows, err := table("roots.tsv", 3)
	if err != nil {
		return nil, err
	}
	var leaves []check.Hash
	for _, row := range rows {
		if row[0] != "0" {
			data, err := hex.DecodeString(row[1])
			if err != nil {
				return nil, err
			}
			leaves = append(leaves, check.Leaf(data))
		}
		if strconv.Itoa(len(leaves)) != row[0] {
			return nil, fmt.Errorf("roots.tsv: row of %s leaves after %d", row[0], len(leaves))
		}
		first := leaves[:len(leaves):len(leaves)]
		all = append(all, question{
			area: "ledger", name: fmt.Sprintf("root of %s leaves", row[0]), expected: row[2],
			source: "RFC 6962; test vectors of Certificate Transparency",
			ask:    func(context.Context, *sitting) (string, error) { return rootOf(first), nil },
		})
	}
	proofs, err := proofs()
	return append(all, proofs...), err
}

func rootOf(leaves []check.Hash) string {
	var e check.Edge
	for _, leaf := range leaves {
		e.Append(leaf)
	}
	return e.Root().String()
}

// proofs asks whether paths hold: inclusion\tsize\tindex or old size\tleaf or old
// root\troot\tpath\tverdict.
func proofs() (all []question, err error) {
	rows, err := table("proofs.tsv", 7)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		all = append(all, question{
			area: "ledger", name: fmt.Sprintf("%s proof, %s in %s leaves (%s)", row[0], row[2], row[1], row[6]), expected: row[6],
			source: "RFC 6962, 2.1.1 and 2.1.2, by proofs.py",
			ask:    func(context.Context, *sitting) (string, error) { return holds(row) },
		})
	}
	return all, nil
}

func holds(row []string) (string, error) {
	size, err := strconv.ParseUint(row[1], 10, 64)
	if err != nil {
		return "", err
	}
	index, err := strconv.ParseUint(row[2], 10, 64)
	if err != nil {
		return "", err
	}
	hashes, err := hashesOf(append([]string{row[3], row[4]}, strings.Fields(row[5])...))
	if err != nil {
		return "", err
	}
	if row[0] == "consistency" {
		err = check.VerifyConsistency(hashes[0], index, hashes[1], size, hashes[2:])
	} else {
		err = check.VerifyInclusion(hashes[1], size, index, hashes[0], hashes[2:])
	}
	if err != nil {
		return "refused", nil
	}
	return "holds", nil
}

func hashesOf(texts []string) (hashes []check.Hash, err error) {
	for _, text := range texts {
		var h check.Hash
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != len(h) {
			return nil, fmt.Errorf("%q is no hash", text)
		}
		hashes = append(hashes, check.Hash(b))
	}
	return hashes, nil
}
