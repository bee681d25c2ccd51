// Package s3 reads images that lie in an object store with the interface of
// Amazon S3: the evidence stays on the server, and only what is looked at comes
// over the network.
//
// Start with [ParseURL] for what a person wrote (s3://bucket/path/disk.E01) and
// [Open] for the folder that it names: a [Storage], whose files are read like
// those of a disk. [FromEnvironment] are the options that the variables of the
// AWS command line ask for.
//
// Promised: nothing in the store is changed; there is no request but HEAD, GET
// and the listing. An object is the one that was opened: its ETag goes with
// every request, and where it was replaced meanwhile reading is an
// *evidence.ReadError that says so, never a mixture of two objects. A store that
// answers no more costs a bounded time and ends in an *evidence.ReadError too.
// Each answer is held against the range that was asked for. Plain HTTP is spoken
// only to an endpoint that is written with http://.
//
// Not promised: that the store tells the truth. What the bytes of an image are
// worth is told by the digests stored in it. Where the configuration of AWS on
// this machine names a program that hands out credentials (credential_process),
// that program is run.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tutela/internal/evidence"
)

// Scheme is how the URLs of this package begin.
const Scheme = "s3://"

// Options say which object store is meant. The zero value is Amazon's own, with
// the credentials of the environment or of the file of the AWS command line.
type Options struct {
	// Endpoint is the URL of the store: https://store.example:9000. Without a
	// scheme it is https.
	Endpoint string
	// Region is asked from the store if it is empty.
	Region string
	// Credentials sign the requests; nil looks for them as the AWS command
	// line does.
	Credentials *credentials.Credentials
	// Attempts is how often a request is made before it is given up; default
	// 6, with pauses from half a second to eight in between.
	Attempts int
	// Patience is how long the store may be silent within one attempt; default
	// 30 seconds.
	Patience time.Duration

	pause time.Duration // before the second attempt; half a second but in tests
}

// FromEnvironment are the options that AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
// AWS_REGION and AWS_DEFAULT_REGION ask for.
func FromEnvironment() Options {
	return Options{
		Endpoint: cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")),
		Region:   cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
	}
}

func (o Options) withDefaults() Options {
	o.Endpoint = cmp.Or(o.Endpoint, "https://s3.amazonaws.com")
	o.Attempts = cmp.Or(o.Attempts, 6)
	o.Patience = cmp.Or(o.Patience, 30*time.Second)
	o.pause = cmp.Or(o.pause, 500*time.Millisecond)
	if o.Credentials == nil {
		o.Credentials = credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	}
	return o
}

// ErrRefused is wrapped by the errors for credentials that the store does not
// take, or that do not allow to read what was asked for.
var ErrRefused = errors.New("the object store refuses the access")

// ErrSilent is wrapped by the errors for a store that cannot be reached or does
// not answer.
var ErrSilent = errors.New("the object store does not answer")

// Folder is a place in an object store: the objects whose keys begin with
// Prefix and have no further '/' in them.
type Folder struct {
	Bucket string
	Prefix string // "" or ending in '/'
}

// ParseURL takes s3://bucket/path/disk.E01 apart. Nothing in it is escaped: the
// key is what stands there, as the AWS command line has it.
func ParseURL(location string) (f Folder, name string, err error) {
	rest, ok := strings.CutPrefix(location, Scheme)
	bucket, key, found := strings.Cut(rest, "/")
	slash := strings.LastIndexByte(key, '/') + 1
	if f, name = (Folder{bucket, key[:slash]}), key[slash:]; !ok || !found || bucket == "" || name == "" {
		return f, name, fmt.Errorf("%s: it names no file; write s3://bucket/path/disk.E01", location)
	}
	return f, name, nil
}

// Storage is a folder of an object store. It is safe for concurrent use, and so
// are its files.
type Storage struct {
	folder Folder
	client *client
	blocks *cache // of all files
	pieces *cache // of all files
	ctx    context.Context
	cancel context.CancelFunc
}

var _ evidence.Storage = (*Storage)(nil)

// Open prepares to read from a folder; nothing is asked of the store yet. All
// requests, also those of the files, end with ctx. The storage must be closed.
func Open(ctx context.Context, folder Folder, options Options) (*Storage, error) {
	ctx, cancel := context.WithCancel(ctx)
	c, err := connect(ctx, folder.Bucket, options.withDefaults())
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the object store: %w", err)
	}
	return &Storage{
		folder: folder, client: c, ctx: ctx, cancel: cancel,
		blocks: newCache(c.fetch, blockSize, held, ahead), pieces: newCache(c.fetch, pieceSize, pieces, 0),
	}, nil
}

// Close ends the requests that are under way and waits for their end. No file of
// the storage can be read afterwards.
func (s *Storage) Close() error {
	s.cancel()
	s.blocks.end()
	s.pieces.end()
	s.client.transport.CloseIdleConnections()
	return nil
}

// Open opens the object called name, as it is now.
func (s *Storage) Open(name string) (evidence.File, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("open %q: it is a path, and only the name of a file beside the image is followed", name)
	}
	v, err := s.client.stat(s.folder.Prefix + name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: Scheme + s.folder.Bucket + "/" + s.folder.Prefix + name, Err: err}
	}
	return &file{name: name, version: v, storage: s}, nil
}

// mostNames bounds a listing. Nobody keeps an image among a million others.
const mostNames = 1 << 20

// Names lists the folder.
func (s *Storage) Names() ([]string, error) {
	names, err := s.client.list(s.folder.Prefix)
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: Scheme + s.folder.Bucket + "/" + s.folder.Prefix, Err: err}
	}
	return names, nil
}

// connect makes the client for one bucket.
func connect(ctx context.Context, bucket string, options Options) (*client, error) {
	if !strings.Contains(options.Endpoint, "://") {
		options.Endpoint = "https://" + options.Endpoint
	}
	u, err := url.Parse(options.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("endpoint %s: %w", options.Endpoint, err)
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil:
		return nil, fmt.Errorf("endpoint %s: write https://host:port", options.Endpoint)
	}
	transport, err := transport(u.Scheme == "https", options.Patience)
	if err != nil {
		return nil, err
	}
	api, err := minio.New(u.Host, &minio.Options{
		Creds: options.Credentials, Secure: u.Scheme == "https", Region: options.Region, Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", options.Endpoint, err)
	}
	return &client{ctx: ctx, api: minio.Core{Client: api}, bucket: bucket, options: options, transport: transport}, nil
}
