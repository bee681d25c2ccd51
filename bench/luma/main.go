//go:build unix

// Command luma writes the brightness of a JPEG at an eighth of its size as a
// PGM, as `djpeg -scale 1/8 -grayscale` does, so that the two can be compared as
// processes.
package main

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"tutela/internal/picture/jpeg"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "luma: error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, not one file", len(args))
	}
	data, err := mapped(args[0])
	if err != nil {
		return err
	}
	planes, err := jpeg.Read(data, jpeg.Options{Scale: 8})
	if err != nil {
		return err
	}
	if planes.Missing != "" {
		return fmt.Errorf("%s: %s", args[0], planes.Missing)
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "P5\n%d %d\n255\n", planes.Y.Width, planes.Y.Height)
	out.Write(planes.Y.Pix)
	return out.Flush()
}

// mapped is the file as memory, until the process ends.
func mapped(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
}
