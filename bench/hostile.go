package main

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// What a bomb may cost a scan: seconds, and bytes in the process that takes the
// most of them.
const (
	bombSeconds = 5
	bombMemory  = 200e6
)

// bombs are files that are made to expand without end.
func bombs() []struct {
	name, file string
	make       func() ([]byte, error)
} {
	return []struct {
		name, file string
		make       func() ([]byte, error)
	}{
		{"16 zips in 16 zips, five deep, over 4 GB of zeros", "wide.zip", wideBomb},
		{"a zip in a zip, ten deep", "deep.zip", deepBomb},
		{"a picture in a PDF, deflated three times, 4 GB", "triple.pdf", pdfBomb},
	}
}

// bombs measures what each costs, and that the scan tells of it.
func (b *bench) bombs() (err error) {
	for _, bomb := range bombs() {
		b.out.title = bomb.name
		data, err := bomb.make()
		if err != nil {
			return err
		}
		dir := filepath.Join(b.dir, "bomb")
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, bomb.file), data, 0o600)); err != nil {
			return err
		}
		results, err := b.contest(b.rounds, b.bombSubject(dir))
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return err
		}
		wall, peak := median(results[0].walls()), int64(0)
		for _, c := range results[0].costs {
			peak = max(peak, c.peak)
		}
		b.out.rows = append(b.out.rows, row{
			what: "bomb: " + bomb.name, ours: fmt.Sprintf("%.2f s, %d MB at its peak, with a finding", wall, peak/1e6),
			goal: "< 5 s, < 200 MB", verdict: judge(wall < bombSeconds && peak < bombMemory),
		})
	}
	return nil
}

// bombSubject is tutela scanning a folder with a bomb. It ends with exit code 3
// where something could not be read, with 0 where a finding says what was left.
func (b *bench) bombSubject(dir string) contestant {
	return contestant{name: "tutela", ready: func() (*exec.Cmd, func([]byte) error, error) {
		lab, err := b.newLab()
		if err != nil {
			return nil, nil, err
		}
		scan := b.tutelaCommand(lab, "scan", "A", dir)
		cmd := exec.CommandContext(b.ctx, "sh", append([]string{"-c", `"$@"; code=$?; [ $code -eq 3 ] || [ $code -eq 0 ]`, "sh"}, scan.Args...)...)
		cmd.Env = scan.Env
		return cmd, func([]byte) error { return errors.Join(b.checkBomb(lab), os.RemoveAll(lab)) }, nil
	}}
}

func (b *bench) checkBomb(lab string) error {
	for _, finding := range []string{"bomb", "limit"} {
		out, err := b.tutelaCommand(lab, "--json", "find", "--finding", finding).Output()
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(out)) > 0 {
			return nil
		}
	}
	return errors.New("the scan found nothing wrong with the bomb")
}

func wideBomb() ([]byte, error) {
	content, err := deflatedZip(4 << 30)
	for range 4 {
		members := map[string][]byte{}
		for i := range 16 {
			members[fmt.Sprintf("%02d.zip", i)] = content
		}
		if err == nil {
			content, err = finished(members)
		}
	}
	return content, err
}

// finished is a zip of the members, whole.
func finished(members map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range members {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// deflatedZip is a zip of one member of so many zeros.
func deflatedZip(size int64) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create("zeros")
	if err == nil {
		_, err = io.CopyN(w, zeros{}, size)
	}
	err = errors.Join(err, z.Close())
	return out.Bytes(), err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func deepBomb() ([]byte, error) {
	content, err := deflatedZip(1 << 30)
	for i := range 9 {
		if err == nil {
			content, err = finished(map[string][]byte{fmt.Sprintf("%d.zip", i): content})
		}
	}
	return content, err
}

// pdfBomb is a document of one page with one picture.
func pdfBomb() ([]byte, error) {
	var content bytes.Buffer
	z, err := zlib.NewWriterLevel(&content, zlib.BestCompression)
	if err == nil {
		_, err = io.CopyN(z, zeros{}, 4<<30)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	for range 2 {
		var again bytes.Buffer
		z := zlib.NewWriter(&again)
		if _, err := z.Write(content.Bytes()); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		content = again
	}
	var out bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n", len(offsets))
		fmt.Fprintf(&out, format, args...)
		out.WriteString("\nendobj\n")
	}
	out.WriteString("%PDF-1.4\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
	object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Resources << /XObject << /P 4 0 R >> >> >>")
	object("<< /Type /XObject /Subtype /Image /Width 65536 /Height 65536 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter [/FlateDecode /FlateDecode /FlateDecode] /Length %d >>\nstream\n%s\nendstream", content.Len(), content.String())
	at := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, at)
	return out.Bytes(), nil
}

// hugeLimit is in bytes.
const hugeLimit = 1e9

// huge reads on through an E01 of 10 TB that is worked out while it is read.
func (b *bench) huge() error {
	b.out.title = "E01 of 10 TB"
	test := filepath.Join(b.dir, "ewf.test")
	build := exec.CommandContext(b.ctx, "go", "test", "-c", "-o", test, "./internal/evidence/image/ewf")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the reader's benchmark: %w\n%s", err, out)
	}
	megabytes := b.scaled(20_000)
	var rate string
	results, err := b.contest(1, contestant{name: "tutela's reader", ready: func() (*exec.Cmd, func([]byte) error, error) {
		cmd := exec.CommandContext(b.ctx, test, "-test.run", "^$", "-test.bench", "TenTerabytes", "-test.benchtime", fmt.Sprintf("%dx", megabytes))
		cmd.Dir = filepath.Join(b.root, "internal/evidence/image/ewf")
		return cmd, func(stdout []byte) error {
			found := regexp.MustCompile(`([0-9.]+) MB/s`).FindSubmatch(stdout)
			if found == nil {
				return fmt.Errorf("the benchmark printed %q", stdout)
			}
			rate = string(found[1])
			return nil
		}, nil
	}})
	if err != nil {
		return err
	}
	peak := results[0].costs[0].peak
	b.out.rows = append(b.out.rows, row{
		what: fmt.Sprintf("sparse E01 of 10 TB (335 million chunks): opened, and %d GB read", megabytes/1000),
		ours: fmt.Sprintf("%d MB at its peak, %s MB/s", peak/1e6, rate), goal: "< 1 GB", verdict: judge(peak < hugeLimit),
	})
	return nil
}
