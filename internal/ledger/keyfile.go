package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// A key file is lines of "name value", the first of which says what it is and
// in which version. The line "protection" says how the secrets below it are
// kept: "none" is as they are, and the only way. A [Safe] encrypts files whole.

// keyLines are the lines of a key file in their order.
type keyLines [][2]string

func (l keyLines) String() string {
	var b strings.Builder
	for _, line := range l {
		fmt.Fprintf(&b, "%s %s\n", line[0], line[1])
	}
	return b.String()
}

// parseKeyLines reads a key file whose lines bear exactly the given names.
func parseKeyLines(text string, names ...string) (values []string, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != len(names)+1 || lines[len(names)] != "" {
		return nil, fmt.Errorf("not a %s file of this version", names[0])
	}
	for i, name := range names {
		value, ok := strings.CutPrefix(lines[i], name+" ")
		if !ok {
			return nil, fmt.Errorf("line %d does not begin with %q", i+1, name)
		}
		values = append(values, value)
	}
	return values, nil
}

const keyVersion, unprotected = "v1", "none"

func checkVersion(version, protection string) error {
	if version != keyVersion {
		return fmt.Errorf("version %q is not known", version)
	}
	if protection != unprotected {
		return fmt.Errorf("protection %q is not known", protection)
	}
	return nil
}

func encodeSecret(s [32]byte) string { return base64.StdEncoding.EncodeToString(s[:]) }

func parseSecret(text string) (s [32]byte, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(s) {
		return s, errors.New("a secret is not 32 bytes in base64")
	}
	return [32]byte(raw), nil
}

// write makes a durable file for its owner only, in a folder likewise. It
// refuses one that is there.
func (s Safe) write(name, text string) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(name); err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	fresh := name + ".new"
	if err := writeDurably(fresh, s.seal(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(fresh, name); err != nil {
		return err
	}
	return syncFolder(dir)
}

func writeDurably(name string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// maxKeyFile is the most that is read of a file of keys, in bytes.
const maxKeyFile = 4096

// readPrivate reads a file of at most limit bytes and refuses one that others may
// read. Windows keeps its own lists of who may, which a mode does not show.
func readPrivate(name string, limit int64) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return "", fmt.Errorf("%s has mode %#o: others may read it; take that from them with chmod 600", name, mode)
	}
	if info.Size() > limit {
		return "", fmt.Errorf("%s has %d bytes: not a key file", name, info.Size())
	}
	b, err := os.ReadFile(name)
	return string(b), err
}

// loadSecret reads a secret from a file that nobody else may read.
func loadSecret[T any](s Safe, name string, parse func(text string) (T, error)) (T, error) {
	text, err := s.read(name, maxKeyFile)
	if err != nil {
		var none T
		return none, err
	}
	return parse(text)
}

// SaveSeed writes a tree's seed to a new file, durably.
func (s Safe) SaveSeed(name string, seed Seed) error {
	text := keyLines{
		{"tutela-seed", keyVersion},
		{"protection", unprotected},
		{"seed", encodeSecret(seed)},
		{"fingerprint", seed.fingerprintText()},
	}
	if err := s.write(name, text.String()); err != nil {
		return fmt.Errorf("save seed: %w", err)
	}
	return nil
}

// LoadSeed reads what [Safe.SaveSeed] wrote and nothing else.
func (s Safe) LoadSeed(name string) (Seed, error) {
	seed, err := loadSecret(s, name, parseSeed)
	if err != nil {
		return Seed{}, fmt.Errorf("load seed %s: %w", name, err)
	}
	return seed, nil
}

func parseSeed(text string) (Seed, error) {
	v, err := parseKeyLines(text, "tutela-seed", "protection", "seed", "fingerprint")
	if err != nil {
		return Seed{}, err
	}
	if err := checkVersion(v[0], v[1]); err != nil {
		return Seed{}, err
	}
	secret, err := parseSecret(v[2])
	if err != nil {
		return Seed{}, err
	}
	seed := Seed(secret)
	if seed.fingerprintText() != v[3] {
		return Seed{}, errors.New("the fingerprint is not the seed's: the file has changed")
	}
	return seed, nil
}
