package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// partCommand is the first argument with which bench calls itself. A part is
// a piece of work that needs a process of its own, so that what it takes can
// be told apart. Its answer is one JSON value.
const partCommand = "part"

func runPart(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("part: %d arguments, not name, folder and size", len(args))
	}
	work, known := map[string]func(ctx context.Context, dir, size string) (any, error){
		"bare":     bareLoop,
		"pictures": derivePictures,

		"ledger":        fillLedger(leafBytes),
		"ledger-many":   fillLedger(manyLeafBytes),
		"tessera-4096":  fillTessera(4096),
		"tessera-16384": fillTessera(16_384),
		"tessera-65536": fillTessera(65_536),

		"phone":            composePictures,
		"luma-baseline":    decodeLuma("baseline"),
		"luma-progressive": decodeLuma("progressive"),
		"hash-baseline":    hashPictures("baseline"),
		"hash-progressive": hashPictures("progressive"),

		"robustness": measureSurvival,
		"shift":      measureShift,

		"near-build":  buildNear,
		"near-single": askNear(askSingly),
		"near-batch":  askNear(askTogether),

		"exact-build":       buildExact(md5Alone()),
		"exact-ask":         askExact(md5Alone()),
		"exact-large-build": buildExact(sha256Alone()),
		"exact-large-ask":   askExact(sha256Alone()),

		"image-sha256": hashImage,
		"bare-sha256":  hashFolder,
	}[args[0]]
	if !known {
		return fmt.Errorf("no part is called %q", args[0])
	}
	answer, err := work(ctx, args[1], args[2])
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// part is the process of a part, not yet started.
func (b *bench) part(name, dir string, size int) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(b.ctx, self, partCommand, name, dir, fmt.Sprint(size)), nil
}

// ask runs a part in an empty folder of its own and decodes its answer.
func (b *bench) ask(name string, size int, answer any) error {
	dir, err := os.MkdirTemp(b.dir, name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd, err := b.part(name, dir, size)
	if err != nil {
		return err
	}
	settleDisk()
	return answerOf(cmd, answer)
}

func answerOf(cmd *exec.Cmd, answer any) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return json.Unmarshal(out, answer)
}
