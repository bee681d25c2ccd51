// Package witness keeps logs from telling two stories. A witness is somebody else
// who remembers the newest head of a log that he was shown, and puts his signature
// only under one that continues it: C2SP tlog-witness.
//
// Whoever runs a witness calls [Create] once, then [Open] and [Server.Serve]. What
// goes over the wire is [Request], read by [ParseRequest], and the answers of
// [SizeBody] and [ParseSize].
//
// Promised: a head stands durably in the witness's folder before its cosignature
// leaves; no two heads of one log are cosigned of which the larger does not continue
// the smaller, by however many requests at once; a head that contradicts what was
// cosigned is kept beside it, as proof. Not promised: that the witness is another
// person than the log's owner. That is for those to see to who name it in a policy.
package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tutela/internal/ledger/check"
)

// What C2SP tlog-witness fixes of the wire, and what this package adds to bound it.
const (
	// AddPath follows the address of a witness.
	AddPath = "/add-checkpoint"
	// SizeType is the content type of an answer of 409: the witness's own size.
	SizeType = "text/x.tlog.size"
	// LinesType is the content type of cosignatures and checkpoints, which the
	// specification leaves open.
	LinesType = "text/plain; charset=utf-8"
	// MaxProof is the most hashes that a consistency proof has.
	MaxProof = 63
	// MaxBody is the most bytes that a request has. It leaves room for a dozen
	// signatures by ML-DSA-44 beside the longest proof.
	MaxBody = 64 << 10
	// MaxAnswer is the most bytes that an answer has: some cosignatures, or words.
	MaxAnswer = 32 << 10
)

// ErrRequest is wrapped by every refusal of [ParseRequest] and [ParseSize].
var ErrRequest = errors.New("not in the form of tlog-witness")

// Request is the body of add-checkpoint.
type Request struct {
	Old        uint64       // leaves of the checkpoint that the witness knows; 0 if none
	Proof      []check.Hash // that the new checkpoint continues that one, at most [MaxProof]
	Checkpoint []byte       // signed, with all its lines
}

// Encode is the request as it is sent.
func (r Request) Encode() []byte {
	body := fmt.Appendf(nil, "old %d\n", r.Old)
	for _, h := range r.Proof {
		body = base64.StdEncoding.AppendEncode(body, h[:])
		body = append(body, '\n')
	}
	body = append(body, '\n')
	return append(body, r.Checkpoint...)
}

// ParseRequest reads what [Request.Encode] writes and nothing else; the checkpoint
// in it is not judged. Errors wrap [ErrRequest].
func ParseRequest(body []byte) (r Request, err error) {
	if len(body) > MaxBody {
		return r, fmt.Errorf("%w: %d bytes are more than %d", ErrRequest, len(body), MaxBody)
	}
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	if !found || len(checkpoint) == 0 {
		return r, fmt.Errorf("%w: no empty line with a checkpoint behind it", ErrRequest)
	}
	first, rest, proven := strings.Cut(string(head), "\n")
	size, found := strings.CutPrefix(first, "old ")
	if !found {
		return r, fmt.Errorf("%w: does not begin with the old size", ErrRequest)
	}
	if r.Old, err = decimal(size); err != nil {
		return r, err
	}
	if proven {
		if r.Proof, err = parseProof(rest); err != nil {
			return r, err
		}
	}
	r.Checkpoint = checkpoint
	return r, nil
}

func parseProof(text string) (proof []check.Hash, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) > MaxProof {
		return nil, fmt.Errorf("%w: proof of more than %d lines", ErrRequest, MaxProof)
	}
	for i, line := range lines {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != len(check.Hash{}) || strings.ContainsRune(line, '\r') {
			return nil, fmt.Errorf("%w: line %d of the proof is not a hash", ErrRequest, i+1)
		}
		proof = append(proof, check.Hash(raw))
	}
	return proof, nil
}

// decimal reads a size in its one form: no sign, no leading zero.
func decimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%w: size %.24q", ErrRequest, s)
	}
	return n, nil
}

// SizeBody is the body of an answer of 409 by a witness whose newest checkpoint has
// size leaves.
func SizeBody(size uint64) []byte { return fmt.Appendf(nil, "%d\n", size) }

// ParseSize reads what [SizeBody] writes and nothing else. Errors wrap [ErrRequest].
func ParseSize(body []byte) (uint64, error) {
	if len(body) > 21 { // 20 digits and a line feed
		return 0, fmt.Errorf("%w: size of %d bytes", ErrRequest, len(body))
	}
	line, whole := strings.CutSuffix(string(body), "\n")
	if !whole {
		return 0, fmt.Errorf("%w: size %.24q", ErrRequest, body)
	}
	return decimal(line)
}
