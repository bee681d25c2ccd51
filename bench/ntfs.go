package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"tutela"
	"tutela/internal/confine"
	"tutela/internal/evidence"
	"tutela/internal/evidence/survey"
)

// ntfs compares reading a disk image with what is done today: recovering its
// files to a disk and hashing them there.
func (b *bench) ntfs() (err error) {
	b.out.title = "2 GB in 3,000 files on an NTFS image"
	if err := install(b.ctx, "ntfs-3g", "mkntfs", "ntfs-3g"); err != nil {
		return err
	}
	if err := install(b.ctx, "sleuthkit", "tsk_recover"); err != nil {
		return err
	}
	d, err := b.makeFiles("ntfs", logNormal(b.scaled(3000), int64(2e9*b.scale)), 100)
	defer func() { err = errors.Join(err, d.remove()) }()
	if err != nil {
		return err
	}
	image, err := b.ntfsImage(d)
	defer os.Remove(image)
	if err != nil {
		return err
	}
	results, err := b.contest(b.rounds, b.imageSubject(image, d), b.recovered(image, d, 0), b.recovered(image, d, 1), b.recovered(image, d, 2))
	if err != nil {
		return err
	}
	ours, peer := results[0], fastest(results[1:])
	b.out.add(b.out.title+", warm: three digests", d.throughput(ours), d.throughput(peer), compare(ours.walls(), peer.walls()), atLeast(3))
	// What was recovered has pushed some of it out of the cache, and what a file
	// system wrote lies there in smaller pieces than what was read: both anew.
	if err := errors.Join(d.evict(), evict(image), d.warm(b.ctx), warmFile(image)); err != nil {
		return err
	}
	results, err = b.contest(b.rounds, b.hashPart("tutela's reader", "image-sha256", image, d), b.hashPart("bare loop over the same files in a folder", "bare-sha256", d.dir, d))
	if err != nil {
		return err
	}
	b.out.add("the same, SHA-256 alone", d.throughput(results[0]), d.throughput(results[1]), compare(results[0].walls(), results[1].walls()), atLeast(0.9))
	return nil
}

// ntfsImage copies the files onto a new volume, through ntfs-3g, and reads the
// image once so that it is in the cache.
func (b *bench) ntfsImage(d data) (image string, err error) {
	image, mount := filepath.Join(b.dir, "ntfs.dd"), filepath.Join(b.dir, "mount")
	f, err := os.Create(image)
	if err != nil {
		return image, err
	}
	if err := errors.Join(f.Truncate(d.bytes+d.bytes/8+64<<20), f.Close(), os.MkdirAll(mount, 0o700)); err != nil {
		return image, err
	}
	for _, step := range [][]string{
		{"mkntfs", "--quiet", "--fast", "--force", image},
		{"ntfs-3g", image, mount},
		{"cp", "-r", d.dir, mount},
		{"umount", mount},
	} {
		if out, err := exec.CommandContext(b.ctx, step[0], step[1:]...).CombinedOutput(); err != nil {
			return image, fmt.Errorf("make the image: %s: %w\n%s", step[0], err, out)
		}
	}
	settleDisk()
	return image, warmFile(image)
}

// imageSubject is tutela scanning the image into a new lab. The image holds the
// metadata files of NTFS besides the data.
func (b *bench) imageSubject(image string, d data) contestant {
	return contestant{name: "tutela", ready: func() (*exec.Cmd, func([]byte) error, error) {
		lab, err := b.newLab()
		if err != nil {
			return nil, nil, err
		}
		cmd := b.tutelaCommand(lab, "scan", "A", image, "--profile", triage)
		return cmd, func([]byte) error {
			sealed, err := b.sealed(lab)
			if err == nil && (sealed.State != "sealed" || sealed.Records < d.files || sealed.Bytes < d.bytes) {
				err = fmt.Errorf("the scan says %+v, the data is %+v", sealed, d)
			}
			return errors.Join(err, os.RemoveAll(lab))
		}, nil
	}}
}

// recovered is tsk_recover and then hashdeep. What was recovered is removed
// outside the time.
func (b *bench) recovered(image string, d data, threads int) contestant {
	return contestant{name: fmt.Sprintf("tsk_recover, hashdeep -j%d", threads), ready: func() (*exec.Cmd, func([]byte) error, error) {
		out := filepath.Join(b.dir, "recovered")
		if err := os.MkdirAll(out, 0o700); err != nil {
			return nil, nil, err
		}
		cmd := exec.CommandContext(b.ctx, "sh", "-c", `tsk_recover -a "$1" "$2" >/dev/null && hashdeep -j"$3" -c md5,sha1,sha256 -r "$2" >/dev/null`, "sh", image, out, fmt.Sprint(threads))
		return cmd, func([]byte) error {
			n, err := countFiles(out)
			if err == nil && n < d.files {
				err = fmt.Errorf("tsk_recover recovered %d of %d files", n, d.files)
			}
			return errors.Join(err, os.RemoveAll(out))
		}, nil
	}}
}

func countFiles(dir string) (n int, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	})
	return n, err
}

// hashPart is a part that digests all files with SHA-256.
func (b *bench) hashPart(name, part, where string, d data) contestant {
	return contestant{name: name, ready: func() (*exec.Cmd, func([]byte) error, error) {
		cmd, err := b.part(part, where, 0)
		return cmd, func(stdout []byte) error {
			var done bareDone
			if err := json.Unmarshal(stdout, &done); err != nil {
				return fmt.Errorf("read what was done: %w", err)
			}
			if done.Files < int64(d.files) || done.Bytes < d.bytes {
				return fmt.Errorf("%s digested %+v, the data is %+v", name, done, d)
			}
			return nil
		}, err
	}}
}

// hashImage digests every live file of an image with the standard library's
// SHA-256, one goroutine for each processor.
func hashImage(ctx context.Context, image, _ string) (any, error) {
	host, err := confine.New(confine.Options{})
	if err != nil {
		return nil, err
	}
	defer host.Close()
	seized, err := survey.Open([]string{image}, survey.Options{Host: host})
	if err != nil {
		return nil, err
	}
	defer seized.Close()
	return hashAll(ctx, func(ctx context.Context, give func(open func() (io.ReadCloser, error)) error) error {
		return seized.Walk(ctx, evidence.Limits{}, func(e *evidence.Entry) error {
			if e.State != tutela.Allocated || e.Open == nil {
				return nil
			}
			return give(func() (io.ReadCloser, error) { return e.Open() })
		})
	})
}

// hashFolder does the same with the files of a folder.
func hashFolder(ctx context.Context, dir, _ string) (any, error) {
	return hashAll(ctx, func(ctx context.Context, give func(open func() (io.ReadCloser, error)) error) error {
		return filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			return give(func() (io.ReadCloser, error) { return os.Open(name) })
		})
	})
}

// hashAll reads and digests what walk gives.
func hashAll(ctx context.Context, walk func(ctx context.Context, give func(open func() (io.ReadCloser, error)) error) error) (any, error) {
	contents := make(chan func() (io.ReadCloser, error), 1024)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(contents)
		return walk(ctx, func(open func() (io.ReadCloser, error)) error {
			select {
			case contents <- open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	var files, bytes atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			sum, buffer := sha256.New(), make([]byte, bareBuffer)
			for open := range contents {
				c, err := open()
				if err != nil {
					return err
				}
				sum.Reset()
				n, err := io.CopyBuffer(sum, struct{ io.Reader }{c}, buffer)
				if err := errors.Join(err, c.Close()); err != nil {
					return err
				}
				_ = sum.Sum(nil)
				files.Add(1)
				bytes.Add(n)
			}
			return nil
		})
	}
	err := group.Wait()
	return bareDone{files.Load(), bytes.Load()}, err
}
