package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// triage scans make the same three digests as hashdeep; telling types by
// content, matching, the ledger and the catalogue come on top. Standard scans
// decode pictures as well.
const (
	triage   = "triage"
	standard = "standard"
)

func (b *bench) large() (err error) {
	b.out.title = "2 GB in 3,000 files"
	d, err := b.makeFiles("large", logNormal(b.scaled(3000), int64(2e9*b.scale)), 100)
	defer func() { err = errors.Join(err, d.remove()) }()
	if err != nil {
		return err
	}
	ours, peer, bare, err := b.scanAgainst(d, triage, b.bareLoop(d))
	if err != nil {
		return err
	}
	b.out.add(b.out.title+", warm", d.throughput(ours), d.throughput(peer), compare(ours.walls(), peer.walls()), atLeast(3.2).stretching(4.5))
	b.out.add("the same against a loop that only reads and digests", d.throughput(ours), d.throughput(bare), compare(ours.walls(), bare.walls()), atLeast(0.95))
	return nil
}

func (b *bench) small() (err error) {
	b.out.title = "100,000 files of 10 KB"
	d, err := b.makeFiles("small", equal(b.scaled(100_000), 10_000), 1000)
	defer func() { err = errors.Join(err, d.remove()) }()
	if err != nil {
		return err
	}
	ours, peer, bare, err := b.scanAgainst(d, triage, b.bareLoop(d))
	if err != nil {
		return err
	}
	b.out.add(b.out.title+", warm", d.throughput(ours), d.throughput(peer), compare(ours.walls(), peer.walls()), atLeast(2))
	b.out.add("the same against a loop that only reads and digests", d.throughput(ours), d.throughput(bare), compare(ours.walls(), bare.walls()), none())
	return nil
}

// scanAgainst lets tutela, one other and hashdeep in all its settings take
// turns.
func (b *bench) scanAgainst(d data, profile string, other contestant) (ours, peer, others result, err error) {
	if err := b.checkPeer(d); err != nil {
		return ours, peer, others, err
	}
	results, err := b.contest(b.rounds, append([]contestant{b.subject(d, profile), other}, b.peers(d)...)...)
	if err != nil {
		return ours, peer, others, err
	}
	return results[0], fastest(results[2:]), results[1], nil
}

func (d data) throughput(r result) string {
	wall := median(r.walls())
	return fmt.Sprintf("%s: %.2f s, %.2f GB/s", r.name, wall, d.gigabytesPerSecond(wall))
}

func (b *bench) pictures() (err error) {
	b.out.title = "1,000 JPEG photographs with PDQ"
	d, err := b.makePictures(b.scaled(1000))
	defer func() { err = errors.Join(err, d.remove()) }()
	if err != nil {
		return err
	}
	ours, peer, bare, err := b.scanAgainst(d, standard, b.bareLoop(d))
	if err != nil {
		return err
	}
	wall := median(ours.walls())
	rate := fmt.Sprintf("tutela: %.2f s, %.0f pictures/s, %.0f MB/s", wall, float64(d.files)/wall, 1000*d.gigabytesPerSecond(wall))
	b.out.add(b.out.title+", warm (the peers compute no PDQ)", rate, d.throughput(peer), compare(ours.walls(), peer.walls()), none())
	b.out.add("the same against a loop that only reads and digests", rate, d.throughput(bare), compare(ours.walls(), bare.walls()), none())
	return nil
}

// memoryLimit is in bytes.
const memoryLimit = 400e6

func (b *bench) memory() (err error) {
	b.out.title = "1,000,000 files of 100 bytes"
	d, err := b.makeFiles("many", equal(b.scaled(1_000_000), 100), 1000)
	defer func() { err = errors.Join(err, d.remove()) }()
	if err != nil {
		return err
	}
	results, err := b.contest(1, b.subject(d, triage))
	if err != nil {
		return err
	}
	peak, wall := results[0].costs[0].peak, results[0].walls()[0]
	ours := fmt.Sprintf("%d MB at its peak (%.1f s, %.0f files/s)", peak/1e6, wall, float64(d.files)/wall)
	b.out.rows = append(b.out.rows, row{what: b.out.title, ours: ours, goal: "< 400 MB", verdict: judge(peak < memoryLimit)})
	return nil
}

// startLimit is in seconds.
const startLimit = 0.100

func (b *bench) start() error {
	b.out.title = "tutela hash of one small file"
	file := filepath.Join(b.dir, "small.txt")
	if err := os.WriteFile(file, []byte("a small file\n"), 0o600); err != nil {
		return err
	}
	cold := func() error { return errors.Join(evict(b.tutela), evict(file)) }
	results, err := b.contest(max(b.rounds, 3)*3,
		b.startUp("program not in the cache", file, cold),
		b.startUp("program in the cache", file, func() error { return nil }))
	if err != nil {
		return err
	}
	for _, r := range results {
		wall := median(r.walls())
		b.out.rows = append(b.out.rows, row{what: b.out.title + ", " + r.name, ours: fmt.Sprintf("%.0f ms", 1000*wall), goal: "< 100 ms", verdict: judge(wall < startLimit)})
	}
	return nil
}

func (b *bench) bareLoop(d data) contestant {
	return contestant{name: "bare loop", ready: func() (*exec.Cmd, func([]byte) error, error) {
		cmd, err := b.part("bare", d.dir, 0)
		return cmd, func(stdout []byte) error { return checkBare(stdout, d) }, err
	}}
}
