// Command tutela-verify checks a disclosure bundle: whether what an agency handed
// over is what its log says, signed by its keys and by its witnesses. It needs
// nothing else of tutela, opens no connection and writes no file.
//
//	tutela-verify [--json] [--policy FILE]… [--time-roots PEM] [--block-header HEX|FILE]… BUNDLE
//
// BUNDLE is a folder or a tar. It prints one page: what is proven, and what is not.
// Exit code 0: it holds; 4: it does not; 2: called wrongly; 1: it could not be read.
// docs/reference/bundle-format.md says what is checked.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"tutela/verify"
)

// Exit codes, as those of tutela. They must never change.
const (
	holds     = 0
	failed    = 1
	usage     = 2
	holdsNot  = 4
	usageLine = "usage: tutela-verify [--json] [--policy FILE]... [--time-roots PEM] [--block-header HEX|FILE]... BUNDLE"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// request is the command line.
type request struct {
	json   bool
	given  verify.Given
	bundle string
}

func parse(args []string, errs io.Writer) (r request, err error) {
	flags := flag.NewFlagSet("tutela-verify", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		fmt.Fprintln(errs, usageLine)
		flags.PrintDefaults()
	}
	more := func(list *[]string) func(string) error {
		return func(word string) error { *list = append(*list, word); return nil }
	}
	flags.BoolVar(&r.json, "json", false, "print a line of JSON instead of a page")
	flags.Func("policy", "a `FILE` of a policy that you got by another way; all must hold", more(&r.given.Policies))
	flags.StringVar(&r.given.TimeRoots, "time-roots", "", "a `PEM` file of time-stamping authorities that you trust")
	flags.Func("block-header", "a block header of Bitcoin, `HEX|FILE`", more(&r.given.BlockHeaders))
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(errs, usageLine)
		return r, errors.New("one bundle")
	}
	r.bundle = flags.Arg(0)
	return r, nil
}

func run(args []string, out, errs io.Writer) int {
	r, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return holds
	case err != nil:
		return usage
	}
	verdict, err := check(r)
	if err == nil {
		err = show(out, verdict, r.json)
	}
	switch {
	case err != nil:
		fmt.Fprintln(errs, "tutela-verify: error:", err)
		return failed
	case !verdict.OK:
		return holdsNot
	}
	return holds
}

func check(r request) (*verify.Verdict, error) {
	o, err := r.given.Read()
	if err != nil {
		return nil, err
	}
	return verify.Path(r.bundle, o)
}

func show(out io.Writer, v *verify.Verdict, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintf(out, "%s\n", v.JSON())
		return err
	}
	return verify.WritePage(out, v)
}
