package ledger

import (
	"fmt"
	"os"
	"syscall"
)

// syncData waits until the file's data is on the medium.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// networkFileSystems are the magic numbers of statfs(2) that stand for files
// kept by another machine.
var networkFileSystems = map[uint32]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x5346414f: "AFS",
	0x73757245: "Coda",
	0x01021997: "9P",
	0x00c36400: "Ceph",
}

func refuseNetworkFolder(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	return refuseFileSystem(dir, uint32(st.Type))
}

func refuseFileSystem(dir string, magic uint32) error {
	if name, ok := networkFileSystems[magic]; ok {
		return fmt.Errorf("%w: %s is on %s", ErrNetworkFolder, dir, name)
	}
	return nil
}
