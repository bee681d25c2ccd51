package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// decoderConfined says whether a program that is not ours can be confined here.
const decoderConfined = true

const (
	decoderMemory  = 2 * childMemory // bytes: the reference pictures of 8K take some
	decoderSeconds = 1800            // of processor time: an hour of key frames takes a few minutes
	decoderFiles   = 64              // open at a time; the dynamic loader needs some
)

// becomeDecoder gives up what a decoder does not need, and turns this process
// into it: args are the program's path and the arguments from the zeroth on. It
// returns only if that fails.
//
// From then on the process can neither open a file to write, nor reach a network,
// nor start a process, nor become another program; it has no environment and no
// working directory but the root. Where the kernel has Landlock it can open
// nothing but programs and libraries.
func becomeDecoder(args []string) error {
	if len(args) < 2 {
		return errors.New("no program")
	}
	runtime.LockOSThread() // what is given up before the filter is given up by a thread
	if err := os.Chdir("/"); err != nil {
		return err
	}
	err := giveUp([]limit{
		{"memory", unix.RLIMIT_DATA, decoderMemory},
		{"processor time", unix.RLIMIT_CPU, decoderSeconds},
		{"open files", unix.RLIMIT_NOFILE, decoderFiles},
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"file size", unix.RLIMIT_FSIZE, 0},
	})
	if err != nil {
		return err
	}
	if err := onlyPrograms(args[0]); err != nil {
		return fmt.Errorf("give up files: %w", err)
	}
	return replace(args[0], args[1:])
}

// onlyPrograms leaves this thread, and what it becomes, with the folders from
// which a program and its libraries are loaded (Landlock, Linux 5.13). A kernel
// without it leaves the rest readable.
func onlyPrograms(program string) error {
	const read = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	const all = read | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	rules := unix.LandlockRulesetAttr{Handled_access_fs: all}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules.Handled_access_fs), 0)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP {
		return nil
	}
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(set))
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real
	}
	for _, path := range []string{filepath.Dir(program), "/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf", "/nix/store", "/gnu/store", "/opt", "/snap"} {
		access := uint64(read)
		if filepath.Dir(path) == "/etc" {
			access = unix.LANDLOCK_ACCESS_FS_READ_FILE // a file has no folder's rights
		}
		if err := allow(int(set), path, access); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func allow(set int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // it is not there
	}
	defer unix.Close(fd)
	beneath := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("%s: %w", path, errno)
	}
	return nil
}

// replace puts the filter on and executes the program. The filter outlives that,
// and lets execve through for one address of its path only: that of ours here,
// at which a new program has nothing.
func replace(program string, args []string) error {
	path, err := unix.BytePtrFromString(program)
	if err != nil {
		return err
	}
	argv := make([]*byte, len(args)+1)
	for i, a := range args {
		if argv[i], err = unix.BytePtrFromString(a); err != nil {
			return err
		}
	}
	environment := [1]*byte{}
	if err := installFilter(decoderFilter(uint64(uintptr(unsafe.Pointer(path))))); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&environment[0])))
	runtime.KeepAlive(argv)
	return fmt.Errorf("execute %s: %w", program, errno)
}

// decoderFilter is a filter that refuses what a reader is refused, but lets files
// be opened to read, threads be made, and one execve.
func decoderFilter(path uint64) []unix.SockFilter {
	const (
		word      = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal     = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		anyBit    = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret       = unix.BPF_RET | unix.BPF_K
		refuse    = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		absent    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		permit    = unix.SECCOMP_RET_ALLOW
		arguments = 16 // of eight bytes, in struct seccomp_data; the low word first
		writing   = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY
	)
	return callFilter([]unix.SockFilter{
		// openat: flags are the third argument
		{Code: equal, K: unix.SYS_OPENAT, Jf: 4},
		{Code: word, K: arguments + 2*8},
		{Code: anyBit, K: writing, Jf: 1},
		{Code: ret, K: refuse},
		{Code: ret, K: permit},
		// clone3 tells its flags where a filter cannot look: libraries fall back
		{Code: equal, K: unix.SYS_CLONE3, Jf: 1},
		{Code: ret, K: absent},
		// clone: threads only
		{Code: equal, K: unix.SYS_CLONE, Jf: 4},
		{Code: word, K: arguments},
		{Code: anyBit, K: unix.CLONE_THREAD, Jt: 1},
		{Code: ret, K: refuse},
		{Code: ret, K: permit},
		// execve: by the address of the path
		{Code: equal, K: unix.SYS_EXECVE, Jf: 6},
		{Code: word, K: arguments},
		{Code: equal, K: uint32(path), Jf: 3},
		{Code: word, K: arguments + 4},
		{Code: equal, K: uint32(path >> 32), Jf: 1},
		{Code: ret, K: permit},
		{Code: ret, K: refuse},
	})
}
