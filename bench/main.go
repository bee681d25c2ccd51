// Command bench measures tutela against the tools that forensic laboratories
// use today, on the machine it runs on, and prints one table. `make bench`
// runs it; -only chooses rows, -scale shrinks the data for a first look, and
// -write puts the table into the documentation.
//
// Promised: every measurement is a whole process, from its start to its end,
// timed by the operating system (wait4 tells processor time and peak memory).
// What is compared takes turns, A B A B, within one run, over the same files
// in the same state of the cache, all of them waiting until nothing is left to
// be written. The peer gets its best number of threads, found in that same run,
// and writes its answer to /dev/null; each scan of ours gets a new lab on the
// disk of the data, with its ledger made durable by fdatasync. A run that did
// not digest every file ends the measurement.
//
// Not promised: that another machine shows the same numbers, or this one while
// it does something else. The pairwise ratios show how far they spread.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tutela/internal/confine"
)

// options are the command line.
type options struct {
	only   string
	scale  float64
	rounds int
	dir    string
	write  bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.only, "only", "", "rows to measure, separated by commas: "+strings.Join(taskNames(), ", "))
	flags.Float64Var(&o.scale, "scale", 1, "size of the data, as a share of the whole")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each contestant has its turn")
	flags.StringVar(&o.dir, "dir", "/var/tmp", "where the data is made, and removed again")
	flags.BoolVar(&o.write, "write", false, "write the table to "+pagePath)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.scale <= 0 || o.scale > 1:
		return o, fmt.Errorf("-scale %v: above 0, at most 1", o.scale)
	case o.rounds < 1:
		return o, fmt.Errorf("-rounds %d: at least 1", o.rounds)
	case o.write && (o.scale != 1 || o.only != ""):
		return o, errors.New("-write needs the whole run: leave -scale and -only away")
	}
	return o, nil
}

func main() {
	confine.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == partCommand {
		return runPart(ctx, args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	tasks, err := choose(o.only)
	if err != nil {
		return err
	}
	return measure(ctx, o, tasks)
}

// measure runs the tasks one after the other. One that fails leaves a line in
// the table that says so, and an error at the end.
func measure(ctx context.Context, o options, tasks []task) error {
	b, err := prepare(ctx, o, tasks)
	if err != nil {
		return err
	}
	defer b.close()
	var failed []error
	for _, t := range tasks {
		b.tell("%s: %s", t.name, t.about)
		err := t.run(b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.out.rows = append(b.out.rows, row{what: t.about, ours: "not measured: " + firstLine(err)})
			failed = append(failed, fmt.Errorf("%s: %w", t.name, err))
		}
	}
	b.out.print(os.Stdout)
	if o.write && len(failed) == 0 {
		failed = append(failed, b.out.writePage(filepath.Join(b.root, pagePath)), b.out.writeReadme(filepath.Join(b.root, readmePath)), b.out.writePages())
	}
	return errors.Join(failed...)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// bench is one run of the program.
type bench struct {
	ctx      context.Context
	root     string // of the module
	dir      string // temporary, for the data and the labs
	tutela   string // the program under measurement
	hashdeep string // its peer
	scale    float64
	rounds   int
	progress io.Writer
	out      table
}

func prepare(ctx context.Context, o options, tasks []task) (_ *bench, err error) {
	b := &bench{ctx: ctx, scale: o.scale, rounds: o.rounds, progress: os.Stderr}
	if b.root, err = moduleRoot(ctx); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(tasks, func(t task) bool { return t.needsPeer }) {
		if b.hashdeep, err = "hashdeep", install(ctx, "hashdeep", "hashdeep"); err != nil {
			return nil, err
		}
	}
	if b.dir, err = os.MkdirTemp(o.dir, "tutela-bench-"); err != nil {
		return nil, err
	}
	if err := b.begin(o); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) begin(o options) (err error) {
	if b.out.machine, err = describeMachine(b.ctx, b.root, b.dir, b.hashdeep); err != nil {
		return err
	}
	b.out.scale, b.out.rounds = o.scale, o.rounds
	if fs := b.out.machine.fileSystem; fs == "tmpfs" || fs == "ramfs" {
		return fmt.Errorf("%s is in memory (%s), where fdatasync does nothing: choose a disk with -dir", b.dir, fs)
	}
	b.tutela = filepath.Join(b.dir, "tutela")
	build := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-o", b.tutela, "./cmd/tutela")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build tutela: %w\n%s", err, out)
	}
	return nil
}

func (b *bench) close() {
	if err := os.RemoveAll(b.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench: remove the data:", err)
	}
}

func (b *bench) tell(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// scaled is n, smaller by the scale of this run.
func (b *bench) scaled(n int) int { return max(int(float64(n)*b.scale), 1) }

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "tutela").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: run inside its folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
