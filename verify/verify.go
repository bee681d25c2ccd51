// Package verify checks a disclosure bundle, tutela-bundle@v1, alone: without the
// agency, its program, its word or a network. It follows
// docs/reference/bundle-format.md, as verify.py does in another language; the two
// are held against each other.
//
// Call [Path] with a folder or a tar, then [WritePage] for the page that a court
// reads. [Script] is verify.py, which lies in every bundle.
//
// Promised: no file is written and no connection opened; of content of any size
// only a stretch is in memory; a bundle that breaks a rule is refused with at
// least one reason, and one that breaks none holds. A time-stamp never decides: with
// roots or block headers to check it by, the verdict says what it proves.
//
// Not promised: that the keys are those of the agency and its witnesses (compare
// them with what you got by another way), and anything that [Verdict.NotProven]
// names. Memory grows with the number of files, and with the events.
package verify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Options are what the reader of a bundle knows by another way. The zero value
// asks for the bundle's own policy alone.
type Options struct {
	Policies     [][]byte       // further policies, in any form of C2SP tlog-policy; all must hold
	TimeRoots    *x509.CertPool // of time-stamping authorities that are trusted; nil: none
	BlockHeaders [][]byte       // of Bitcoin, 80 bytes each
}

// Verdict says what a bundle proves. If it is refused, all but Problems is empty
// or not to be believed.
type Verdict struct {
	OK     bool
	Opened uint64 // leaves that were opened

	Case, To, Purpose, Officer string
	Issued                     time.Time // says the officer
	Exhibits                   []string  // labels, sorted
	Size                       uint64    // of the log, in entries
	Root                       string    // of the log, hexadecimal digits
	Keys                       []string  // names and key IDs of the log's keys
	PolicySHA256               string    // of the bundle's policy, hexadecimal digits

	Policy []byte   // the bundle's: C2SP tlog-policy
	Heads  [][]byte // signed heads of this log, by rising size: those before, and the one that all rests on
	Gossip [][]byte // signed heads of other logs, as this lab says it saw them; nothing of them was judged. At most 1,000 of at most 64 KiB

	Proven    []string // sentences
	NotProven []string // sentences
	Problems  []string // why it was refused; at least one if OK is false
}

// Path checks the bundle that a folder or a tar holds. The error is about what
// could not be read; what was read and does not hold is in the verdict.
func Path(path string, o Options) (*Verdict, error) {
	return PathContext(context.Background(), path, o)
}

// PathContext is [Path]; it ends with ctx, whose cause it returns.
func PathContext(ctx context.Context, path string, o Options) (*Verdict, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	src, err := open(path, info)
	if err == nil {
		defer src.close()
		return judge(ctx, src, o)
	}
	v := new(Verdict)
	return v, v.refuse(err)
}

// open finds the files of a bundle. Nothing but a folder or a file is opened: a
// pipe would wait for ever.
func open(path string, info fs.FileInfo) (source, error) {
	switch {
	case info.IsDir():
		return openFolder(path)
	case info.Mode().IsRegular():
		return openTar(path)
	}
	return nil, errors.New("neither a folder nor a file")
}

// refuse takes down why a bundle does not hold. An error of reading is no
// judgement and comes back.
func (v *Verdict) refuse(err error) error {
	if _, unread := errors.AsType[*fs.PathError](err); unread {
		return fmt.Errorf("read bundle: %w", err)
	}
	if err == nil {
		return nil
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		v.Problems = append(v.Problems, plain(line))
	}
	return nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
