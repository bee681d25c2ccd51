package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/courier"
	"tutela/internal/ledger/check"
)

// What a witness can do wrong. A log tells them apart; none of them stops it.
var (
	ErrAnswer     = errors.New("its answer is not that of a witness")
	ErrSignature  = errors.New("its signature does not hold")
	ErrOtherKey   = errors.New("it has not signed with the key that the policy names")
	ErrClock      = errors.New("it says that it signed in the future")
	ErrRefused    = errors.New("it does not cosign this log")
	ErrUnanswered = errors.New("it has not answered")
)

const (
	// ahead is how far the clock of a witness may be ahead of ours.
	ahead = 5 * time.Minute
	// attempts is how often a witness may name another size that it has.
	attempts = 3
)

// conflict is the answer 409: the witness has a head of another size than we said.
type conflict struct{ size uint64 }

func (c *conflict) Error() string {
	return fmt.Sprintf("it has a head of %d entries", c.size)
}

// errInconsistent is the answer 422: our proof does not lead from its head to ours.
var errInconsistent = errors.New("it says that our log does not continue the one that it knows")

// client asks the witness at one address. Two keys of one witness are two lines of
// a policy with one address.
type client struct {
	address string
	keys    []check.Witness
	by      *courier.Courier
	now     func() time.Time
}

func (c *client) String() string { return strings.Join(names(c.keys), ", ") + " at " + c.address }

// signed is a cosignature that holds.
type signed struct {
	check.Cosignature
	line []byte
}

// addCheckpoint submits a head, and returns the cosignatures that hold. With them
// there may be an error, if one is missing.
func (c *client) addCheckpoint(ctx context.Context, r Request) ([]signed, error) {
	answer, err := c.by.Ask(ctx, courier.Question{Method: http.MethodPost, URL: c.address + AddPath, Type: LinesType, Body: r.Encode(), Most: MaxAnswer})
	if err != nil {
		return nil, err
	}
	switch answer.Code {
	case http.StatusOK:
		return c.read(r.Checkpoint, answer.Body)
	case http.StatusConflict:
		return nil, readConflict(answer)
	case http.StatusUnprocessableEntity:
		return nil, errInconsistent
	case http.StatusForbidden:
		return nil, fmt.Errorf("%w: it does not know the keys of the log", ErrRefused)
	case http.StatusNotFound:
		return nil, fmt.Errorf("%w: it does not know the log", ErrRefused)
	}
	return nil, fmt.Errorf("%w: status %q", ErrAnswer, answer.Status)
}

func readConflict(a courier.Answer) error {
	size, err := ParseSize(a.Body)
	if err != nil || a.Type != SizeType {
		return fmt.Errorf("%w: a conflict that names no size", ErrAnswer)
	}
	return &conflict{size}
}

// read takes the cosignatures over a checkpoint out of an answer. Lines by keys that
// are not asked for are passed over, as C2SP tlog-witness demands.
func (c *client) read(checkpoint, answer []byte) (good []signed, err error) {
	text, err := textOf(checkpoint)
	if err != nil {
		return nil, err
	}
	for _, key := range c.keys {
		one, problem := cosignatureOf(key, text, answer)
		if problem == nil && one.Time.After(c.now().Add(ahead)) {
			problem = fmt.Errorf("%w, at %s", ErrClock, one.Time.Format(time.RFC3339))
		}
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key.Name, problem))
			continue
		}
		good = append(good, one)
	}
	return good, err
}

// cosignatureOf finds the cosignature of a witness among signature lines.
func cosignatureOf(w check.Witness, text, lines []byte) (signed, error) {
	problem := ErrOtherKey
	for line := range bytes.Lines(lines) {
		at, err := check.OpenCosignature(text, line, w.Key)
		if err == nil {
			return signed{check.Cosignature{Witness: w.Name, Time: at}, line}, nil
		}
		if _, wrong := errors.AsType[*note.InvalidSignatureError](err); wrong {
			problem = ErrSignature
		}
	}
	return signed{}, problem
}

// textOf is the text of a signed checkpoint.
func textOf(signed []byte) ([]byte, error) {
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok {
		return nil, fmt.Errorf("%w: not a signed note", check.ErrCheckpoint)
	}
	return signed[:len(text)+1], nil
}

// latest asks for the head of a log that the witness cosigned last. Nothing of it
// has been verified.
func (c *client) latest(ctx context.Context, origin string) ([]byte, error) {
	path := fmt.Sprintf("%s/%x/checkpoint", c.address, sha256.Sum256([]byte(origin)))
	answer, err := c.by.Ask(ctx, courier.Question{Method: http.MethodGet, URL: path, Most: MaxBody})
	if err == nil && answer.Code != http.StatusOK {
		err = fmt.Errorf("%w: status %q", ErrAnswer, answer.Status)
	}
	return answer.Body, err
}
