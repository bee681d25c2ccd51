// Package client gets time-stamps and anchors over the network; what they are
// worth is said by package timestamp.
//
// Call [Authority.Stamp] for an RFC 3161 response over some bytes, and
// [Calendar.Submit] and [Calendar.Upgrade] for an OpenTimestamps proof. Promised:
// an answer is bounded in size and time, no redirect is followed, and nothing
// comes back that was not held against the question. Not promised: that a
// stranger does not learn that something was stamped, and when; of what, they
// learn the hash.
package client

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"tutela/internal/courier"
	"tutela/internal/timestamp"
)

const (
	maxAnswer = 64 << 10 // bytes
	timeLimit = 30 * time.Second

	typeQuery = "application/timestamp-query"
	typeReply = "application/timestamp-reply"
)

// Authority is a time-stamping authority.
type Authority struct {
	URL   string
	Roots *x509.CertPool // to verify its answers; nil holds them against the question only
}

// Answer is what an authority said, and what that says of the local clock.
type Answer struct {
	Response []byte // to be stored
	Stamp    timestamp.Stamp
	Verified bool             // against Roots
	Clock    timestamp.Offset // of the local clock against the authority's
}

// Stamp asks the authority at a URL for a time-stamp over the message, and
// returns the response to be stored, held against the question only.
func Stamp(ctx context.Context, url string, message []byte) ([]byte, error) {
	a, err := (&Authority{URL: url}).Stamp(ctx, message)
	return a.Response, err
}

// Stamp asks for a time-stamp over the message. Errors wrap those of package
// timestamp where the authority answered.
func (a *Authority) Stamp(ctx context.Context, message []byte) (Answer, error) {
	answer, err := a.stamp(ctx, message)
	if err != nil {
		return Answer{}, fmt.Errorf("time-stamp from %s: %w", a.URL, err)
	}
	return answer, nil
}

func (a *Authority) stamp(ctx context.Context, message []byte) (Answer, error) {
	question := timestamp.NewRequest(message)
	body, err := question.Encode()
	if err != nil {
		return Answer{}, err
	}
	sent := time.Now()
	raw, err := send(ctx, http.MethodPost, a.URL, typeQuery, typeReply, body)
	received := time.Now()
	if err != nil {
		return Answer{}, err
	}
	out := Answer{}
	if out.Response, err = timestamp.Bare(raw); err != nil {
		return Answer{}, err
	}
	if err := question.Check(out.Response); err != nil {
		return Answer{}, err
	}
	if out.Stamp, err = a.believe(out.Response, message); err != nil {
		return Answer{}, err
	}
	out.Verified = a.Roots != nil
	out.Clock, err = timestamp.ClockOffset(sent, received, out.Stamp)
	return out, err
}

func (a *Authority) believe(response, message []byte) (timestamp.Stamp, error) {
	if a.Roots != nil {
		return timestamp.Verify(response, message, a.Roots)
	}
	claim, err := timestamp.Inspect(response)
	if err != nil {
		return timestamp.Stamp{}, err
	}
	return claim.Stamp, nil
}

// Outcome is what became of one question.
type Outcome struct {
	URL    string // of the authority
	Answer        // zero if Err is not nil
	Err    error
}

// StampAll asks several authorities, side by side, and returns what became of each,
// in their order. It takes as long as the slowest, 30 seconds at most.
func StampAll(ctx context.Context, all []Authority, message []byte) []Outcome {
	outcomes := make([]Outcome, len(all))
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() {
			answer, err := all[i].Stamp(ctx, message)
			outcomes[i] = Outcome{all[i].URL, answer, err}
		})
	}
	asked.Wait()
	return outcomes
}

// send does one exchange; wantType "" takes any type of answer.
func send(ctx context.Context, method, url, sentType, wantType string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	by := courier.New(courier.ByEnvironment)
	defer by.Close()
	answer, err := by.Ask(ctx, courier.Question{Method: method, URL: url, Type: sentType, Accept: wantType, Body: body, Most: maxAnswer})
	switch {
	case err != nil:
		return nil, err
	case answer.Code != http.StatusOK:
		return nil, fmt.Errorf("it answered %q", answer.Status)
	case wantType == typeReply && answer.Type != typeReply:
		return nil, fmt.Errorf("it answered with %q, not with a time-stamp", answer.Type)
	}
	return answer.Body, nil
}

// Handler serves time-stamps over HTTP, RFC 3161 section 3.4, by a function that
// answers a request: for authorities of one's own, in tests.
func Handler(answer func(request []byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != typeQuery {
			http.Error(w, "a POST of a time-stamp query, please", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", typeReply)
		w.Write(answer(b))
	})
}
