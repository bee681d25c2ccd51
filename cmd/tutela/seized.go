package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"tutela/internal/confine"
	"tutela/internal/evidence"
	"tutela/internal/evidence/survey"
	"tutela/internal/scan"
)

// seized is opened evidence and the processes that read it.
type seized struct {
	*survey.Survey
	host   *confine.Host
	places *places
	keys   evidence.Keys
}

// openEvidence opens evidence as deep as the profile looks. Hostile bytes are
// read in processes of their own.
func openEvidence(ctx context.Context, paths []string, profile scan.Profile, keyFile string) (*seized, error) {
	keys, err := readKeys(keyFile)
	if err != nil {
		return nil, err
	}
	host, err := confine.New(confine.Options{})
	if err != nil {
		return nil, err
	}
	s := &seized{host: host, places: newPlaces(ctx), keys: keys}
	s.Survey, err = survey.Open(paths, survey.Options{Host: host, Keys: keys, Unclaimed: profile == scan.Full, Storage: s.places.storage})
	if err != nil {
		return nil, errors.Join(err, host.Close(), s.places.Close())
	}
	return s, nil
}

// Close ends the readers and releases the files.
func (s *seized) Close() error {
	return errors.Join(s.Survey.Close(), s.host.Close(), s.places.Close())
}

// hand makes the evidence what a job reads.
func (s *seized) hand(j *scan.Job) {
	j.Evidence, j.Host, j.Keys = s.Survey, s.host, s.keys
}

// recoveryKey is how BitLocker prints a recovery password.
var recoveryKey = regexp.MustCompile(`^\d{6}(-\d{6}){7}$`)

// readKeys reads a file with a key on each line. Every line is a passphrase; one
// that looks like a BitLocker recovery password is that too.
func readKeys(name string) (k evidence.Keys, err error) {
	if name == "" {
		return k, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return k, fmt.Errorf("read the keys: %w", err)
	}
	for line := range bytes.Lines(data) {
		key := string(bytes.TrimRight(line, "\r\n"))
		if key == "" {
			continue
		}
		k.Passphrases = append(k.Passphrases, key)
		if recoveryKey.MatchString(key) {
			k.RecoveryKeys = append(k.RecoveryKeys, key)
		}
	}
	return k, nil
}
