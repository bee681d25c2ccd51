package timestamp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// DifficultyFloor is what [VerifyOTS] demands of a block header. No block of
// Bitcoin has had less since the autumn of 2019, and a header of one's own would
// cost 4·10²² hashes. It keeps out headers that were made at home; it does not prove
// that a header is of the chain that everybody follows.
const DifficultyFloor = 1e13

// Anchor says that something existed when a block was mined.
type Anchor struct {
	Height     uint64    // as the proof has it: a header does not tell its own
	Time       time.Time // of the header; a miner may be off by up to two hours
	Block      string    // its hash, as Bitcoin writes it
	Difficulty float64   // 1 is the easiest that Bitcoin allows
}

// VerifyOTS says when message existed, at the latest, by an OpenTimestamps proof
// that leads to the Merkle root of one of the block headers, 80 bytes each. The
// caller says which headers to trust, from a node of their own or several sources;
// checked here are its proof of work, against the target it states itself, and
// [DifficultyFloor]. Of several blocks the earliest counts. A proof that
// is only pending proves nothing. Errors wrap [ErrProof].
func VerifyOTS(proof, message []byte, headers [][]byte) (Anchor, error) {
	return VerifyOTSAbove(DifficultyFloor, proof, message, headers)
}

// VerifyOTSAbove is [VerifyOTS] with another floor, for blocks before 2019 and
// chains that are made for tests.
func VerifyOTSAbove(floor float64, proof, message []byte, headers [][]byte) (Anchor, error) {
	p, err := ParseProof(proof)
	if err != nil {
		return Anchor{}, err
	}
	if p.Digest != sha256.Sum256(message) {
		return Anchor{}, fmt.Errorf("%w: it is about other bytes than these", ErrProof)
	}
	a, err := anchor(p.Attestations(), headers, floor)
	if err != nil {
		return Anchor{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return a, nil
}

// anchor is the earliest block that attests.
func anchor(all []Attestation, headers [][]byte, floor float64) (Anchor, error) {
	why := errors.New("no block attests it: it is pending")
	var found []Anchor
	for _, a := range all {
		if !a.Bitcoin {
			continue
		}
		at := slices.IndexFunc(headers, func(h []byte) bool { return len(h) == headerSize && bytes.Equal(h[36:68], a.Message) })
		if at < 0 {
			why = fmt.Errorf("it leads to block %d, whose header was not given", a.Height)
			continue
		}
		one, err := readHeader(headers[at], floor)
		if err != nil {
			why = err
			continue
		}
		one.Height = a.Height
		found = append(found, one)
	}
	if len(found) == 0 {
		return Anchor{}, why
	}
	return slices.MinFunc(found, func(a, b Anchor) int { return a.Time.Compare(b.Time) }), nil
}

// headerSize is that of a Bitcoin block header: version 4, previous block 32,
// Merkle root 32, time 4, target 4, nonce 4 bytes, little-endian.
const headerSize = 80

// readHeader checks the proof of work of a header.
func readHeader(h []byte, floor float64) (Anchor, error) {
	target, err := targetOf(binary.LittleEndian.Uint32(h[72:]))
	if err != nil {
		return Anchor{}, err
	}
	once := sha256.Sum256(h)
	hash := sha256.Sum256(once[:])
	slices.Reverse(hash[:])
	if new(big.Int).SetBytes(hash[:]).Cmp(target) > 0 {
		return Anchor{}, errors.New("the block header has no proof of work")
	}
	a := Anchor{
		Time:       time.Unix(int64(binary.LittleEndian.Uint32(h[68:])), 0).UTC(),
		Block:      hex.EncodeToString(hash[:]),
		Difficulty: difficulty(target),
	}
	if a.Difficulty < floor {
		return Anchor{}, fmt.Errorf("the block header was too easy to make: difficulty %.3g, at least %.3g is demanded", a.Difficulty, floor)
	}
	return a, nil
}

// targetOf unpacks nBits: a byte of size, then three of mantissa with a sign.
func targetOf(bits uint32) (*big.Int, error) {
	size, mantissa := uint(bits>>24), int64(bits&0x7fffff)
	if bits&0x800000 != 0 || mantissa == 0 || size > 32 {
		return nil, errors.New("the block header states no target")
	}
	t := big.NewInt(mantissa)
	if size < 3 {
		t.Rsh(t, 8*(3-size))
	} else {
		t.Lsh(t, 8*(size-3))
	}
	if t.Sign() == 0 || t.BitLen() > 256 {
		return nil, errors.New("the block header states no target")
	}
	return t, nil
}

func difficulty(target *big.Int) float64 {
	easiest := new(big.Int).Lsh(big.NewInt(0xffff), 208)
	d, _ := new(big.Rat).SetFrac(easiest, target).Float64()
	return d
}
