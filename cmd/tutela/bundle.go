package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"tutela/internal/oversight"
	"tutela/verify"
)

// verifyCommand checks what was disclosed. It needs no lab: whoever was handed a
// bundle has none.
type verifyCommand struct {
	Bundle      string   `arg:"" help:"What was handed over: a bundle, as a folder or a tar, or an export for oversight."`
	Policy      []string `sep:"none" help:"A policy that you got by another way; may be repeated, and all must hold." placeholder:"FILE"`
	TimeRoots   string   `help:"Certificates of time-stamping authorities that you trust, in PEM." placeholder:"PEM"`
	BlockHeader []string `sep:"none" help:"A block header of Bitcoin that you trust, as 160 digits or a file; may be repeated." placeholder:"HEX|FILE"`
	Reads       bool     `help:"Of an export for oversight: list who saw what, under which authority and why, and count it by day."`
}

func (c *verifyCommand) Run(a *app) error {
	o, err := verify.Given{Policies: c.Policy, TimeRoots: c.TimeRoots, BlockHeaders: c.BlockHeader}.Read()
	if err != nil {
		return err
	}
	if oversight.IsExport(c.Bundle) {
		return c.verifyExport(a, o)
	}
	v, err := verify.PathContext(a.ctx, c.Bundle, o)
	if errors.Is(err, fs.ErrNotExist) {
		return hint(err, "name the folder or the tar that you were handed")
	}
	if err != nil {
		return err
	}
	if err := showBundle(a, v); err != nil {
		return err
	}
	if !v.OK {
		return errIntegrity
	}
	return nil
}

func showBundle(a *app, v *verify.Verdict) (err error) {
	printed := a.print(json.RawMessage(v.JSON()), func(w io.Writer) { err = verify.WritePage(w, v) })
	return errors.Join(printed, err)
}
