// Package oracle asks another program what it finds on an image, and tells where
// that is not what our own records say. Two readers that were written by
// different people and agree are worth more than either alone; where they do not,
// a person must look.
//
// [Find] looks for The Sleuth Kit on this machine; [Kit.Compare] holds its
// listing against the records of a scan. It runs mmls for the partitions, fls for
// the files of each volume and icat for their content, and nothing else. What is
// compared: which volumes and names there are, whether they are allocated or
// deleted, and the SHA-256 of the content.
//
// Promised: the same image, records and version of the other program give the
// same differences in the same order; what could not be compared is said and never
// counted as agreement; no shell is involved. Not promised: who of the two is
// right. Not compared: members of archives, carved files and slack, which the
// other program does not list, times, and volumes that it cannot read. Memory
// grows with the number of names. The other program reads hostile bytes without
// the confinement that our own readers work in.
package oracle

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tutela"
)

// ErrMissing says that the other program is not on this machine.
var ErrMissing = errors.New("no Sleuth Kit is installed")

// Kit is The Sleuth Kit as it is installed here.
type Kit struct {
	Version string // "tsk 4.11.1"

	mmls, fls, icat string // paths of the programs
}

var _ witness = (*Kit)(nil)

// Find looks for the programs along PATH. Its error is ErrMissing if one of them
// is not there.
func Find(ctx context.Context) (*Kit, error) {
	k := &Kit{}
	for name, path := range map[string]*string{"mmls": &k.mmls, "fls": &k.fls, "icat": &k.icat} {
		found, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("%w: no %s along PATH", ErrMissing, name)
		}
		if *path, err = filepath.Abs(found); err != nil {
			return nil, err
		}
	}
	said, err := command(ctx, k.fls, "-V").Output()
	if err != nil {
		return nil, fmt.Errorf("ask fls for its version: %w", err)
	}
	k.Version = version(string(said))
	return k, nil
}

// version is the last word of "The Sleuth Kit ver 4.11.1".
func version(said string) string {
	words := strings.Fields(said)
	if len(words) == 0 {
		return "tsk"
	}
	return "tsk " + words[len(words)-1]
}

// command is a program that cannot outlive ctx, and whose output does not depend
// on where in the world it runs.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// partitions are the volumes that mmls finds. An image without a partition table
// has none, and the error says so.
func (k *Kit) partitions(ctx context.Context, image string) (found []partition, err error) {
	err = stream(command(ctx, k.mmls, "-a", image), func(r io.Reader) (err error) {
		found, err = parsePartitions(r)
		return err
	})
	return found, err
}

// list tells what fls finds in the volume that begins at an offset, in bytes.
func (k *Kit) list(ctx context.Context, image string, offset int64, visit func(row) error) error {
	args := []string{"-r", "-p", "-l", "-z", "UTC"}
	return stream(command(ctx, k.fls, append(args, at(image, offset)...)...), func(r io.Reader) error {
		return parseRows(r, visit)
	})
}

// content is the digest and size of what icat gives for an address. Where the
// stream goes on after limit bytes, the rest is not waited for: nobody said that
// there was so much.
func (k *Kit) content(ctx context.Context, image string, offset int64, address string, limit int64) (sum tutela.SHA256, size int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := sha256.New()
	cmd := command(ctx, k.icat, append(append([]string{"-r"}, at(image, offset)...), address)...)
	err = stream(cmd, func(r io.Reader) (err error) {
		if size, err = io.Copy(h, io.LimitReader(r, limit+1)); err == nil && size > limit {
			return fmt.Errorf("more than %d bytes came", limit)
		}
		return err
	})
	return tutela.SHA256(h.Sum(nil)), size, err
}

// at names a place in an image as all of the programs want it: in sectors of 512
// bytes, whatever the sectors of the disk are.
func at(image string, offset int64) []string {
	if offset == 0 {
		return []string{image}
	}
	return []string{"-o", strconv.FormatInt(offset/sector, 10), image}
}

const sector = 512

// stream runs a program and has its output read while it comes. The program's own
// complaint is the error if there is one, since it tells most.
func stream(cmd *exec.Cmd, read func(io.Reader) error) error {
	complaint := &firstLine{}
	cmd.Stderr = complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := read(out)
	if failed != nil {
		out.Close() // it would wait for ever for somebody to read on
		cmd.Process.Kill()
	}
	ended := cmd.Wait()
	if failed != nil {
		return failed
	}
	if ended != nil && complaint.String() != "" {
		return fmt.Errorf("%s: %s", filepath.Base(cmd.Path), complaint)
	}
	if ended != nil {
		return fmt.Errorf("%s: %w", filepath.Base(cmd.Path), ended)
	}
	return nil
}

// firstLine keeps the first line of what is written to it, up to 300 bytes.
type firstLine struct {
	kept []byte
	full bool
}

func (l *firstLine) Write(p []byte) (int, error) {
	for _, c := range p {
		if l.full = l.full || c == '\n' || len(l.kept) == 300; l.full {
			break
		}
		l.kept = append(l.kept, c)
	}
	return len(p), nil
}

func (l *firstLine) String() string {
	return tutela.DisplayPath([]byte(strings.TrimSpace(string(l.kept))))
}

// lines tells a text line by line. A line longer than any name can be is an error,
// so that memory does not grow with what a program prints.
func lines(r io.Reader, visit func(string) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if err := visit(scanner.Text()); err != nil {
			return err
		}
	}
	return scanner.Err()
}
