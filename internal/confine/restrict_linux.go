package confine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// restrict takes from this process what a reader does not need. It cannot be
// undone.
func restrict() error {
	err := giveUp([]limit{
		{"memory", unix.RLIMIT_DATA, childMemory},
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"file size", unix.RLIMIT_FSIZE, 0},
	})
	if err != nil {
		return err
	}
	if err := installFilter(callFilter(nil)); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return nil
}

// limit is the most of something that this process may take from now on.
type limit struct {
	what  string
	which int // RLIMIT_…
	most  uint64
}

// giveUp sets limits, and refuses whatever would give this process, or one that
// it becomes, more rights than it has.
func giveUp(limits []limit) error {
	for _, l := range limits {
		if err := unix.Setrlimit(l.which, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("limit %s: %w", l.what, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	return nil
}

// forbidden are the calls that open, make or change files, reach a network, start
// or look into other processes. They fail with EPERM, so that what a library
// only tries is no crash. Reading and writing what is open already stays.
var forbidden = append([]uint32{
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE,
	unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
	unix.SYS_SETXATTR, unix.SYS_FSETXATTR, unix.SYS_LSETXATTR, unix.SYS_MEMFD_CREATE, unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_IO_URING_SETUP,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
}, forbiddenHere...)

// callFilter is a seccomp filter that refuses what is forbidden. What stands in
// first decides before that; it finds the number of the call loaded, and must
// leave it so where it does not decide.
func callFilter(first []unix.SockFilter) []unix.SockFilter {
	const (
		returnError = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		loadWord    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jumpEqual   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jumpAbove   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret         = unix.BPF_RET | unix.BPF_K
	)
	// struct seccomp_data: number at 0, architecture at 4, arguments from 16.
	program := []unix.SockFilter{
		{Code: loadWord, K: 4},
		{Code: jumpEqual, K: architecture, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: loadWord, K: 0},
		{Code: jumpAbove, K: otherInterface, Jf: 1}, // x32 has numbers of its own
		{Code: ret, K: returnError},
	}
	program = append(program, first...)
	for _, call := range forbidden {
		program = append(program,
			unix.SockFilter{Code: jumpEqual, K: call, Jf: 1},
			unix.SockFilter{Code: ret, K: returnError})
	}
	// Go's runtime signals its own threads, and nobody else's.
	return append(program,
		unix.SockFilter{Code: jumpEqual, K: unix.SYS_TGKILL, Jf: 3},
		unix.SockFilter{Code: loadWord, K: 16},
		unix.SockFilter{Code: jumpEqual, K: uint32(os.Getpid()), Jt: 1},
		unix.SockFilter{Code: ret, K: returnError},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

// installFilter puts a seccomp filter on every thread of the process.
func installFilter(program []unix.SockFilter) error {
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return errno
	}
	return nil
}

// detach keeps the terminal's ^C from the child: the parent decides what ends.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: 0} }
