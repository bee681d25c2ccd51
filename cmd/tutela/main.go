// Command tutela takes seized media from evidence to court: it reads every file
// without altering a byte, tells known from unknown, and writes all it did into
// a ledger that nobody can rewrite unseen.
//
// Run `tutela` alone for the list of objects and actions. Every error says what
// went wrong and, where there is one, what to do now. With --json, standard
// output holds JSON lines and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
	"k8s.io/klog/v2"

	"tutela/internal/actor"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/confine"
	"tutela/internal/durable"
	"tutela/internal/evidence/s3"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/scan"
)

// Exit codes. Programs that call tutela rely on them: they must never change.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitUnreadable   = 3 // finished, but some items could not be read
	exitIntegrity    = 4 // something does not verify
	exitNotPermitted = 5
	exitNoLab        = 10
	exitLocked       = 11
	exitInterrupted  = 130
)

// commands is the whole command line.
type commands struct {
	Lab     string           `help:"The lab's folder. Default: the nearest folder upwards that holds lab.toml." placeholder:"DIR" env:"TUTELA_LAB"`
	JSON    bool             `name:"json" help:"Print JSON lines."`
	Actor   string           `help:"Who acts, as the ledger shall say. Default: the user of this machine." placeholder:"NAME" env:"TUTELA_ACTOR"`
	Key     string           `help:"The key that whoever acts signs with: a private key file of OpenSSH (Ed25519), or FILE.pub for one that ssh-agent holds." placeholder:"FILE" env:"TUTELA_KEY"`
	Agent   bool             `help:"Sign with the Ed25519 key that ssh-agent holds." env:"TUTELA_AGENT"`
	Version kong.VersionFlag `help:"Print the version."`

	Init      initCommand      `cmd:"" help:"Make a lab: keys, ledger, catalogue."`
	Demo      demoCommand      `cmd:"" help:"Draw synthetic evidence and take it the whole way."`
	Hash      hashCommand      `cmd:"" help:"Digests and perceptual hashes of files; needs no lab."`
	Case      caseCommand      `cmd:"" help:"Investigations: open, list, show, close."`
	People    actorCommand     `cmd:"" name:"actor" help:"Keys of people: enrol, list, show, withdraw."`
	Authority authorityCommand `cmd:"" help:"Warrants and orders: add, list, show, revoke."`
	Exhibit   exhibitCommand   `cmd:"" help:"Seized things: add, list, show, receive, transfer, image, verify."`
	Set       setCommand       `cmd:"" help:"Hash sets: import, list, show, lookup, export, remove."`
	Match     matchCommand     `cmd:"" help:"Ask whether files are known: digests, likeness, videos."`
	Scan      scanCommand      `cmd:"" help:"Read an exhibit: digests, matches, ledger, seal."`
	Rematch   rematchCommand   `cmd:"" help:"Match what was recorded against the sets as they are now."`
	Find      findCommand      `cmd:"" help:"Find items in the catalogue."`
	Report    reportCommand    `cmd:"" help:"Write a case up for a court: report, draft of a certificate, CASE/UCO."`
	Export    exportCommand    `cmd:"" help:"Write an exhibit for another program."`
	Disclose  discloseCommand  `cmd:"" help:"Hand records to a court, with everything it takes to check them."`
	Verify    verifyCommand    `cmd:"" help:"Check what was handed over; needs no lab."`
	Ledger    ledgerCommand    `cmd:"" help:"The ledger: head, log, verify, prove, keys, renew, scrub, rescan."`
	Oversight oversightCommand `cmd:"" help:"For those who watch over the lab: export."`
	Witness   witnessCommand   `cmd:"" help:"Remember the heads of other people's logs: init, add-log, serve, show."`
	Maintain  labCommand       `cmd:"" name:"lab" help:"The lab itself: check, rebuild, admit, validate, policy."`
}

func main() {
	confine.Child() // does not return in a process that reads hostile bytes
	// The log library under the agency log tells its own story on standard
	// error. What matters of it comes back as errors.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ^C ends the program at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program but for the process around it.
func run(ctx context.Context, args []string, out, errs io.Writer) (code int) {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("tutela"),
		kong.Description("From seized media to evidence that a court can check."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"version": version()},
		kong.Writers(out, errs),
		kong.Exit(func(status int) { panic(exit(status)) }),
	)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	defer func() {
		switch left := recover().(type) {
		case nil:
		case exit: // after --help and --version
			code = int(left)
		default:
			panic(left)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return complain(errs, &hinted{err: err, hint: "tutela --help", code: exitUsage})
	}
	a := newApp(ctx, &c, out, errs)
	return complain(errs, a.atLast(parsed.Run(a)))
}

// exit is what kong's own way out of the program is turned into.
type exit int

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "tutela (development)"
	}
	return "tutela " + info.Main.Version
}

// hinted is an error for the user: what went wrong, and what to do now.
type hinted struct {
	err  error
	hint string
	code int
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// hint wraps err with a sentence or a command that helps. A misuse stays one.
func hint(err error, format string, args ...any) error {
	code := exitFailed
	if inner, ok := errors.AsType[*hinted](err); ok {
		code = inner.code
	}
	return &hinted{err: err, hint: fmt.Sprintf(format, args...), code: code}
}

// misuse is an error in how the command was called.
func misuse(format string, args ...any) error {
	return &hinted{err: fmt.Errorf(format, args...), code: exitUsage}
}

// errUnreadable and errIntegrity carry nothing but the exit code: what there is
// to say has been printed.
var (
	errUnreadable = &hinted{err: errors.New("some items could not be read"), code: exitUnreadable}
	errIntegrity  = &hinted{err: errors.New("something does not verify"), code: exitIntegrity}
)

// complain prints the error and says which exit code it means.
func complain(errs io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	code, hint := classify(err)
	fmt.Fprintln(errs, "tutela: error:", err)
	if hint != "" {
		fmt.Fprintln(errs, "tutela: hint:", hint)
	}
	return code
}

func classify(err error) (code int, hint string) {
	var h *hinted
	var refusal *authority.Refusal
	var badKey *actor.Refusal
	switch {
	case errors.As(err, &h):
		return h.code, h.hint
	case errors.As(err, &refusal):
		return exitNotPermitted, refusal.Hint
	case errors.As(err, &badKey):
		return exitFailed, badKey.Hint
	case errors.Is(err, lab.ErrUnsigned):
		return exitNotPermitted, "name your key: --key FILE, or --agent; which keys are enrolled: tutela actor list"
	case errors.Is(err, lab.ErrNotEnrolled):
		return exitNotPermitted, "tutela actor list shows whose keys are enrolled; to enrol one: tutela actor enrol NAME --key-file FILE.pub"
	case errors.Is(err, lab.ErrNoLab):
		return exitNoLab, "tutela init DIR --agency NAME --country CC"
	case errors.Is(err, lab.ErrNoCatalog):
		return exitFailed, "make it anew from the ledgers: tutela lab rebuild"
	case errors.Is(err, durable.ErrLocked):
		return exitLocked, "wait until it has finished; only one process at a time may change a lab"
	case errors.Is(err, lab.ErrReads):
		return exitFailed, "nothing is shown that cannot be written down: see to the disk that the lab lies on, then try again"
	case errors.Is(err, lab.ErrIntegrity), errors.Is(err, ledger.ErrDamaged):
		return exitIntegrity, "change nothing; keep a copy of the lab's folder and call whoever is responsible for it"
	case errors.Is(err, ledger.ErrUnrecovered):
		return exitFailed, "bring it to its end: tutela ledger recover --recovery-key FILE"
	case errors.Is(err, ledger.ErrWrongKey):
		return exitIntegrity, "put the keys back that belong to this lab, or see who changed its log; nothing was changed now"
	case errors.Is(err, ledger.ErrSealed):
		return exitFailed, "keys/lab.age, which opens them, is not there: put it back from a copy"
	case errors.Is(err, lab.ErrNoKeys):
		return exitFailed, "put keys/log.key back from a copy, or give the log new keys: tutela ledger recover --recovery-key FILE"
	case errors.Is(err, ledger.ErrNetworkFolder):
		return exitFailed, "keep the lab on a disk of this machine; back it up to wherever you like"
	case errors.Is(err, lab.ErrNewer):
		return exitFailed, "install that version; this one changed nothing"
	case errors.Is(err, catalog.ErrDamaged):
		return exitFailed, "make it anew from the ledgers: tutela lab rebuild"
	case errors.Is(err, scan.ErrEvidenceChanged):
		return exitFailed, "scan what was scanned then, or begin anew with --restart"
	case errors.Is(err, s3.ErrRefused):
		return exitFailed, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may read it (and AWS_ENDPOINT_URL and AWS_REGION where the store is not Amazon's)"
	case errors.Is(err, s3.ErrSilent):
		return exitFailed, "check AWS_ENDPOINT_URL and the network, then try again"
	case errors.Is(err, context.Canceled):
		return exitInterrupted, ""
	}
	return exitFailed, ""
}
