package ledger

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncData waits until the file's data is on the medium.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// beginWriting has the kernel begin to write n bytes of the file at an offset, and
// does not wait. What comes of it, an error too, is for syncData to say:
// sync_file_range(2) leaves that where fdatasync finds it.
func beginWriting(f *os.File, at, n int64) {
	unix.SyncFileRange(int(f.Fd()), at, n, unix.SYNC_FILE_RANGE_WRITE)
}

// forget has the kernel let go of n bytes of the file at an offset that it keeps in
// memory, but for those that are not on the medium yet: posix_fadvise(2).
func forget(f *os.File, at, n int64) {
	if n > 0 { // 0 would be everything behind
		unix.Fadvise(int(f.Fd()), at, n, unix.FADV_DONTNEED)
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
