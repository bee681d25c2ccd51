package lab

import (
	"context"
	"strings"

	"tutela/internal/ledger/check"
)

// WitnessPolicy is the policy that heads of the log are held against, with the
// log's keys and the witnesses' addresses as they stand. Where the lab's policy names
// no witnesses, nobody but the log has to sign.
func (l *Lab) WitnessPolicy(ctx context.Context) (*check.Policy, error) {
	standing, err := l.Standing(ctx)
	if err != nil {
		return nil, err
	}
	witnesses := strings.TrimSuffix(standing.Policy.Witnesses, "\n")
	if strings.TrimSpace(witnesses) == "" {
		witnesses = "quorum none"
	}
	return check.ParsePolicy([]byte("log " + strings.Join(l.LogKeys(), "\nlog ") + "\n" + witnesses + "\n"))
}
