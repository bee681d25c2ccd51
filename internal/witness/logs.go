package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tutela/internal/durable"
	"tutela/internal/ledger/check"
)

// maxLogs is the largest list of logs, in bytes: some thousand keys.
const maxLogs = 4 << 20

// logKeys are the vkeys of one log, all of which must have signed a head.
type logKeys struct {
	origin string
	vkeys  []string
	keys   *check.LogKeys
}

// id names the log in file names and in addresses.
func (l logKeys) id() string { return originID(l.origin) }

func originID(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// ErrLogs is wrapped by every refusal of a list of logs.
var ErrLogs = errors.New("list of logs does not hold")

// parseLogs reads the log lines of a C2SP tlog-policy: those of one origin are the
// keys of one log. Empty lines, comments and the lines that speak of witnesses are
// passed over, so that a lab's policy will do. Errors wrap [ErrLogs].
func parseLogs(text string) (logs []logKeys, err error) {
	at := map[string]int{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#") || slices.Contains([]string{"witness", "group", "quorum"}, words[0]):
			continue
		case words[0] != "log" || len(words) > 3 || len(words) < 2:
			return nil, fmt.Errorf("%w: not a line of one: %.60q", ErrLogs, line)
		}
		origin, _, _ := strings.Cut(words[1], "+")
		i, known := at[origin]
		if !known {
			i, at[origin] = len(logs), len(logs)
			logs = append(logs, logKeys{origin: origin})
		}
		logs[i].vkeys = append(logs[i].vkeys, words[1])
	}
	for i := range logs {
		if logs[i].keys, err = check.ParseLogKeys(logs[i].vkeys...); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrLogs, err)
		}
	}
	return logs, nil
}

func formatLogs(logs []logKeys) []byte {
	var b strings.Builder
	for _, l := range logs {
		for _, vkey := range l.vkeys {
			fmt.Fprintf(&b, "log %s\n", vkey)
		}
	}
	return []byte(b.String())
}

func loadLogs(dir string) ([]logKeys, error) {
	name := filepath.Join(dir, logsName)
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxLogs {
		return nil, fmt.Errorf("%w: %d bytes", ErrLogs, info.Size())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	logs, err := parseLogs(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return logs, nil
}

// Known says what becomes of a log whose origin a witness knows already.
type Known int

const (
	KnownRefused  Known = iota // with ErrKnown
	KnownReplaced              // its keys are replaced, its newest head stays
)

// ErrKnown means that a witness has other keys of this log.
var ErrKnown = errors.New("the witness knows this log by other keys")

// AddLogs makes the logs whose keys stand in lines, see [Create] for the folder,
// known to a witness, and returns their origins. Each must bring all its keys. It is
// refused while the witness serves. Errors wrap [ErrLogs], [ErrKnown],
// [durable.ErrLocked], [ErrNoWitness].
func AddLogs(dir, lines string, known Known) (origins []string, err error) {
	lock, err := lockFolder(dir, "adding logs")
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	fresh, err := parseLogs(lines)
	if err == nil && len(fresh) == 0 {
		err = fmt.Errorf("%w: it names no log", ErrLogs)
	}
	if err != nil {
		return nil, err
	}
	logs, err := loadLogs(dir)
	if err != nil {
		return nil, err
	}
	for _, l := range fresh {
		if logs, err = putLog(logs, l, known); err != nil {
			return nil, err
		}
		origins = append(origins, l.origin)
	}
	text := formatLogs(logs)
	if len(text) > maxLogs {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrLogs, maxLogs)
	}
	return origins, durable.WriteFile(filepath.Join(dir, logsName), text, 0o600)
}

func putLog(logs []logKeys, l logKeys, known Known) ([]logKeys, error) {
	i := slices.IndexFunc(logs, func(o logKeys) bool { return o.origin == l.origin })
	switch {
	case i < 0:
		return append(logs, l), nil
	case slices.Equal(slices.Sorted(slices.Values(logs[i].vkeys)), slices.Sorted(slices.Values(l.vkeys))):
		return logs, nil
	case known == KnownRefused:
		return nil, fmt.Errorf("%w: %s", ErrKnown, l.origin)
	}
	logs[i] = l
	return logs, nil
}

// lockFolder makes sure that a witness lives in a folder and that nobody else serves
// or changes it meanwhile.
func lockFolder(dir, holder string) (*durable.FileLock, error) {
	if _, err := os.Stat(filepath.Join(dir, keyName)); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoWitness, err)
	}
	return durable.Lock(filepath.Join(dir, lockName), fmt.Sprintf("process %d, %s", os.Getpid(), holder))
}
