// Package courier carries a question to a stranger over HTTP and brings back an
// answer of bounded size.
//
// Call [New], then [Courier.Ask] for each question, then [Courier.Close]. Promised:
// no redirect is followed, so that nobody but who was named is asked; neither body
// nor header of an answer outgrows its limit, nor is it unpacked; the context bounds
// the time. Not promised: anything about what the answer says.
package courier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// ErrTooMuch means that an answer outgrew its limit.
var ErrTooMuch = errors.New("it answered at too great a length")

// Route is the way to a stranger.
type Route int

// Routes.
const (
	Direct        Route = iota // to the machine that is named
	ByEnvironment              // over the proxy that the environment names, if it does
)

const (
	maxHeader = 16 << 10 // bytes
	// idle is how long a connection that nobody uses is kept.
	idle = 30 * time.Second
)

// Courier keeps connections for the next question. It is safe for concurrent use.
type Courier struct{ client http.Client }

// New makes a courier.
func New(way Route) *Courier {
	t := &http.Transport{MaxResponseHeaderBytes: maxHeader, DisableCompression: true, IdleConnTimeout: idle, TLSHandshakeTimeout: idle, ForceAttemptHTTP2: true}
	if way == ByEnvironment {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &Courier{http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Close gives connections back.
func (c *Courier) Close() { c.client.CloseIdleConnections() }

// Question is what is asked of whom.
type Question struct {
	Method string // of HTTP
	URL    string
	Type   string // of Body, MIME; "" says nothing
	Accept string // likewise, of the answer
	Body   []byte
	Most   int // bytes that the answer may have
}

// Answer is what came back.
type Answer struct {
	Code   int    // status of HTTP
	Status string // in words; the stranger's, so bytes of any kind
	Type   string // MIME type without parameters; "" if it is not told
	Body   []byte // at most Most bytes
}

// Ask does one exchange. An answer of any status is one.
func (c *Courier) Ask(ctx context.Context, q Question) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, q.Method, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return Answer{}, err
	}
	if q.Type != "" {
		req.Header.Set("Content-Type", q.Type)
	}
	if q.Accept != "" {
		req.Header.Set("Accept", q.Accept)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // none of it is no type
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(q.Most)+1))
	if err == nil && len(body) > q.Most {
		err = fmt.Errorf("%w: with more than %d bytes", ErrTooMuch, q.Most)
	}
	if err != nil {
		return Answer{}, err
	}
	return Answer{resp.StatusCode, resp.Status, kind, body}, nil
}
