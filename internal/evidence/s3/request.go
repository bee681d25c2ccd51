package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// client makes the requests. Those that fail for a while are made again.
type client struct {
	ctx     context.Context
	api     minio.Core
	bucket  string
	options Options

	transport *http.Transport

	mu    sync.Mutex
	tried time.Time // when the last request was given up; zero while the store answers
	cause error     // of that
}

// respite is how long a store that did not answer through all attempts is left
// in peace: what is read meanwhile fails at once, so that a scan of a hundred
// thousand files does not wait for each.
const respite = 10 * time.Second

// transport never unpacks what a store calls compressed: the object is what it
// is.
func transport(secure bool, patience time.Duration) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(patience, 10*time.Second), KeepAlive: 15 * time.Second}
	t.DialContext = dialer.DialContext
	t.TLSHandshakeTimeout = min(patience, 10*time.Second)
	t.ResponseHeaderTimeout = patience
	t.MaxIdleConnsPerHost = held
	t.DisableCompression = true
	return t, nil
}

// stat asks what an object is. The answer to HEAD has no text, so what is
// refused is asked for once more in the way that tells why.
func (c *client) stat(key string) (v version, err error) {
	err = c.attempt(min(c.options.Attempts, 3), func() error {
		info, err := c.api.StatObject(c.ctx, c.bucket, key, minio.StatObjectOptions{})
		if minio.ToErrorResponse(err).StatusCode == http.StatusForbidden {
			body, _, _, reason := c.api.GetObject(c.ctx, c.bucket, key, minio.GetObjectOptions{})
			if reason == nil {
				reason = errors.Join(err, body.Close())
			}
			return reason
		}
		v = versionOf(key, info)
		return err
	})
	if err == nil && v.size < 0 {
		err = errors.New("the object store does not tell its size")
	}
	if err == nil && v.etag == "" && v.modified == "" {
		err = errors.New("the object store tells neither an ETag nor a time, so a change could not be noticed")
	}
	return v, err
}

func versionOf(key string, info minio.ObjectInfo) version {
	v := version{key: key, size: info.Size, etag: info.ETag}
	if v.etag == "" && !info.LastModified.IsZero() {
		v.modified = info.LastModified.UTC().Format(time.RFC3339)
	}
	return v
}

func (c *client) list(prefix string) (names []string, err error) {
	err = c.attempt(min(c.options.Attempts, 3), func() error {
		names = nil
		for o := range c.api.ListObjectsIter(c.ctx, c.bucket, minio.ListObjectsOptions{Prefix: prefix}) {
			name := strings.TrimPrefix(o.Key, prefix)
			switch {
			case o.Err != nil:
				return o.Err
			case len(names) == mostNames:
				return fmt.Errorf("more than %d objects: put the image into a folder of its own", mostNames)
			case name != "" && !strings.HasSuffix(name, "/"):
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}

// errReplaced is why no more of an object is read.
var errReplaced = errors.New("it was replaced while it was read")

// fetch reads len(b) bytes at off of the object as it was opened.
func (c *client) fetch(v version, b []byte, off int64) error {
	if err := c.resting(); err != nil {
		return err
	}
	err := c.attempt(c.options.Attempts, func() error { return c.get(v, b, off) })
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it was deleted while it was read: %w", err)
	}
	return err
}

// get makes one request. It ends when no byte has come for the time of
// Options.Patience.
func (c *client) get(v version, b []byte, off int64) error {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	silence := time.AfterFunc(c.options.Patience, cancel)
	defer silence.Stop()
	body, info, header, err := c.api.GetObject(ctx, c.bucket, v.key, v.conditions(off, int64(len(b))))
	if err != nil {
		return err
	}
	defer body.Close()
	if now := versionOf(v.key, info); v.etag != now.etag || v.modified != now.modified {
		return errReplaced // by a store that does not know conditions
	}
	if want := fmt.Sprintf("bytes %d-%d/%d", off, off+int64(len(b))-1, v.size); header.Get("Content-Range") != want {
		return fmt.Errorf("the object store sent %q for %q", header.Get("Content-Range"), want)
	}
	_, err = io.ReadFull(heard{body, silence, c.options.Patience}, b)
	return err
}

// conditions ask for a range of that very object.
func (v version) conditions(off, length int64) (o minio.GetObjectOptions) {
	err := o.SetRange(off, off+length-1)
	if v.etag != "" {
		err = errors.Join(err, o.SetMatchETag(v.etag))
	}
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return o
}

// heard puts the end of patience off with every byte that comes.
type heard struct {
	io.Reader
	silence  *time.Timer
	patience time.Duration
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.silence.Reset(h.patience)
	}
	return n, err
}

// attempt makes a request up to most times, for as long as what is wrong may
// pass.
func (c *client) attempt(most int, request func() error) error {
	pause := c.options.pause
	for n := 1; ; n++ {
		err := request()
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err = meaning(err); err == nil || !errors.Is(err, ErrSilent) || n >= most {
			c.remember(err)
			return err
		}
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 16*c.options.pause)
		}
	}
}

func (c *client) remember(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause = nil; errors.Is(err, ErrSilent) {
		c.tried, c.cause = time.Now(), err
	}
}

// resting is why nothing is asked just now; nil where the store may be asked.
func (c *client) resting() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil && time.Since(c.tried) < respite {
		return c.cause
	}
	return nil
}

// meaning is what an error of a request means: [ErrSilent] where it may pass.
// Addresses are left out of it: what is said of evidence ends up in sealed
// records.
func meaning(err error) error {
	answer, answered := errors.AsType[minio.ErrorResponse](err)
	switch {
	case err == nil || errors.Is(err, errReplaced):
		return err
	case !answered:
		return unanswered(err)
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %s (%s)", ErrSilent, answer.Message, answer.Code)
	case answer.StatusCode == http.StatusPreconditionFailed:
		return errReplaced
	case answer.StatusCode == http.StatusNotFound && !strings.Contains(answer.Code, "User"):
		return fmt.Errorf("%s (%s): %w", answer.Message, answer.Code, fs.ErrNotExist)
	case answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized ||
		answer.StatusCode == http.StatusNotFound: // of the user, as versitygw has it
		return fmt.Errorf("%w: %s (%s)", ErrRefused, answer.Message, answer.Code)
	}
	return fmt.Errorf("the object store says: %s (%s)", answer.Message, answer.Code)
}

// unanswered is the error of a request that had no answer, or not all of it.
func unanswered(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate
	}
	if host, ok := errors.AsType[*net.DNSError](err); ok && host.IsNotFound {
		return fmt.Errorf("there is no host %s", host.Name)
	}
	if at, ok := errors.AsType[*net.OpError](err); ok {
		err = at.Err
	}
	return fmt.Errorf("%w: %w", ErrSilent, err)
}
