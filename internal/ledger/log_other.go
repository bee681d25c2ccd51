//go:build !unix

package ledger

import (
	"context"

	"tutela"
)

// Log is an agency log that grows. Tessera's POSIX driver does not build here,
// so there is none: only exhibit trees are written on this platform, for
// admission to a lab's log elsewhere.
type Log struct{ LogReader }

// CreateLog returns [ErrNoAgencyLog] on this platform.
func CreateLog(context.Context, string, *Keys) (*Log, error) { return nil, ErrNoAgencyLog }

// OpenLog returns [ErrNoAgencyLog] on this platform.
func OpenLog(context.Context, string, *Keys) (*Log, error) { return nil, ErrNoAgencyLog }

// Append returns [ErrNoAgencyLog] on this platform.
func (*Log) Append(context.Context, tutela.Event) (uint64, error) { return 0, ErrNoAgencyLog }

// AppendAll returns [ErrNoAgencyLog].
func (*Log) AppendAll(context.Context, ...tutela.Event) ([]uint64, error) {
	return nil, ErrNoAgencyLog
}

// Close does nothing on this platform.
func (*Log) Close() error { return nil }
