package validation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/digest"
)

// digests asks for MD5, SHA-1, SHA-256 and SHA-512 of messages, by every way that
// leads to them in this program: one stream alone, many side by side, and batches.
func digests() (all []question, err error) {
	rows, err := table("digests.tsv", 5)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		message, err := hex.DecodeString(row[2])
		if err != nil {
			return nil, err
		}
		times, err := strconv.Atoi(row[3])
		if err != nil || times < 1 || times > 1e6 {
			return nil, fmt.Errorf("digests.tsv: repeated %q times", row[3])
		}
		message = bytes.Repeat(message, times)
		all = append(all, question{
			area: "digest", name: fmt.Sprintf("%s of %s, length %d", row[0], title(message), len(message)), source: row[1], expected: row[4],
			ask: func(ctx context.Context, _ *sitting) (string, error) { return digestOf(ctx, row[0], message) },
		})
	}
	return all, nil
}

// title is how a message is called: its first characters, or bytes.
func title(message []byte) string {
	const shown = 12
	if head := message[:min(len(message), shown)]; len(bytes.Trim(head, ordinary)) > 0 {
		return hex.EncodeToString(head[:min(len(head), shown/2)]) + " …"
	}
	if len(message) > shown {
		return strconv.Quote(string(message[:shown])) + " …"
	}
	return strconv.Quote(string(message))
}

const ordinary = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "

// digestOf is the digest that every way gives, or what each gives where they differ.
func digestOf(ctx context.Context, algorithm string, message []byte) (string, error) {
	if algorithm == "sha512" {
		return fmt.Sprintf("%x", sha512.Sum512(message)), nil
	}
	alone, _, err := digest.Sum(bytes.NewReader(message))
	if err != nil {
		return "", err
	}
	sums, err := sideBySide(ctx, message)
	if err != nil {
		return "", err
	}
	var ways []string
	for _, s := range append(sums, alone) {
		ways = append(ways, named(algorithm, s))
	}
	if algorithm == "sha256" && len(message) <= digest.MessageLimit {
		ways = append(ways, batched(message)...)
	}
	return strings.Join(slices.Compact(ways), ", "), nil
}

func named(algorithm string, d tutela.Digests) string {
	switch algorithm {
	case "md5":
		return d.MD5.String()
	case "sha1":
		return d.SHA1.String()
	case "sha256":
		return d.SHA256.String()
	}
	return "no digest is called " + algorithm
}

// abreast is more streams than there are lanes.
const abreast = 20

// sideBySide digests a message many times at once, in the lanes of this processor.
func sideBySide(ctx context.Context, message []byte) (sums []tutela.Digests, err error) {
	streams := make(chan *digest.Stream, abreast)
	for range abreast {
		streams <- &digest.Stream{R: bytes.NewReader(message)}
	}
	close(streams)
	failed := digest.NewHasher().Run(ctx, streams, func(s *digest.Stream) {
		sums = append(sums, s.Sum)
		if s.Err != nil {
			err = s.Err
		}
	})
	if failed != nil {
		return nil, failed
	}
	if len(sums) != abreast && err == nil {
		err = fmt.Errorf("%d of %d streams came back", len(sums), abreast)
	}
	return sums, err
}

// batched digests a message many times as the ledger digests leaves.
func batched(message []byte) (sums []string) {
	b := digest.NewBatch()
	var room [abreast][sha256.Size]byte
	for i := range room {
		copy(b.Message(&room[i], len(message)), message)
	}
	b.Flush()
	for _, sum := range room {
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	return sums
}
