package ledger

import (
	"errors"
	"testing"
)

func TestNetworkFileSystemsAreRefused(t *testing.T) {
	for _, magic := range []uint32{0x6969, 0x517b, 0xff534d42, 0xfe534d42} {
		if err := refuseFileSystem("/lab", magic); !errors.Is(err, ErrNetworkFolder) {
			t.Errorf("%#x: %v", magic, err)
		}
	}
	for _, magic := range []uint32{0xef53, 0x58465342, 0x9123683e} { // ext4, XFS, btrfs
		if err := refuseFileSystem("/lab", magic); err != nil {
			t.Errorf("%#x: %v", magic, err)
		}
	}
}
