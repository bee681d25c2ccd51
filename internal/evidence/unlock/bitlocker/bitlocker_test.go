package bitlocker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

var (
	write   = flag.String("write", "", "make testdata/drawn.bitlocker out of this file system")
	volumes = flag.String("volumes", "", "a folder with the volumes that the tests of cryptsetup come with (bitlk-images)")
)

const (
	recovery = "042647-302313-590458-071500-554323-116567-412181-516978"
	password = "Zwölf Möwen 🔑"
	few      = 4 // times that a password is hashed in crafted volumes
)

func usual() sealed {
	return sealed{method: 0x8004, sector: 512, times: few, plain: disk(),
		protectors: []protection{{protectedByRecovery, recovery}, {protectedByPassword, password}, {0x0100, ""}}}
}

// disk is 512 KiB that begin like NTFS.
func disk() []byte {
	b := evidencetest.Pattern(512 << 10)
	copy(b, "\xeb\x52\x90NTFS    \x00\x02\x08")
	binary.LittleEndian.PutUint64(b[56:], 2)
	return b
}

func recoveries(keys ...string) evidence.Keys { return evidence.Keys{RecoveryKeys: keys} }
func passwords(keys ...string) evidence.Keys  { return evidence.Keys{Passphrases: keys} }

func TestCrafted(t *testing.T) {
	for method := uint16(0x8000); method <= 0x8005; method++ {
		for _, layout := range []layout{later, toGo, vista} {
			for _, sector := range []int{512, 4096} {
				if layout == vista && sector != 512 {
					continue
				}
				s := usual()
				s.method, s.layout, s.sector = method, layout, sector
				volume, shown := s.volume()
				name := fmt.Sprintf("method %#x, layout %d, sectors of %d", method, layout, sector)
				for how, keys := range map[string]evidence.Keys{"recovery password 2 opened": recoveries("1-2", recovery), "passphrase 3 opened": passwords("", "zwölf", password)} {
					o, err := open(evidencetest.Source(volume), keys, few)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					if !strings.HasPrefix(o.How, how) || len(o.Notes) > 0 {
						t.Errorf("%s: %s %q", name, o.How, o.Notes)
					}
					evidencetest.SameDisk(t, o.Source, shown)
				}
			}
		}
	}
}

// While protection is suspended the key lies on the volume.
func TestClearKey(t *testing.T) {
	s := usual()
	s.protectors = append(s.protectors, protection{kind: protectedByNothing})
	volume, shown := s.volume()
	o, err := open(evidencetest.Source(volume), evidence.Keys{}, few)
	if err != nil || !strings.Contains(o.How, "suspended") {
		t.Fatalf("%v %v", o, err)
	}
	evidencetest.SameDisk(t, o.Source, shown)
}

func TestLocked(t *testing.T) {
	s := usual()
	volume, _ := s.volume()
	for keys, want := range map[*evidence.Keys]string{
		{}: ", password, tpm",
		{RecoveryKeys: []string{"000000-000000-000000-000000-000000-000000-000000-000000"}}: "; the key that was tried does not open it",
		{Passphrases: []string{"a", "b"}}: "; none of the 2 keys that were tried opens it",
	} {
		_, err := open(evidencetest.Source(volume), *keys, few)
		locked, ok := errors.AsType[*evidence.LockedError](err)
		if !ok || !errors.Is(err, evidence.ErrNoKey) || !strings.HasPrefix(locked.Error(), "bitlocker: recovery password ") || !strings.HasSuffix(locked.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRecoveryKey(t *testing.T) {
	if _, err := recoveryKey(strings.ReplaceAll(recovery, "-", " ")); err != nil {
		t.Errorf("with spaces: %v", err)
	}
	for _, wrong := range []string{"", recovery[:48], recovery + "-000000", "1" + recovery[1:], strings.Replace(recovery, "042647", "720896", 1), strings.Replace(recovery, "042647", "42647", 1)} {
		if _, err := recoveryKey(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// Of the three copies of the metadata one that holds together is used.
func TestCopies(t *testing.T) {
	for _, layout := range []layout{later, vista} {
		s := usual()
		s.layout = layout
		volume, shown := s.volume()
		spoil := func(which ...int) evidence.Source {
			b := bytes.Clone(volume)
			for _, n := range which {
				b[copiesAt[n]+100]++
			}
			return evidencetest.Source(b)
		}
		for _, which := range [][]int{{0}, {0, 1}, {0, 2}} {
			o, err := open(spoil(which...), passwords(password), few)
			if err != nil {
				t.Errorf("%v: %v", which, err)
				continue
			}
			if len(o.Notes) == 0 || !strings.Contains(o.Notes[0], "checksum") {
				t.Errorf("%v: notes %q", which, o.Notes)
			}
			evidencetest.SameDisk(t, o.Source, shown)
		}
		if _, err := open(spoil(0, 1, 2), passwords(password), few); err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), "no copy") {
			t.Errorf("all bad: %v", err)
		}
	}
}

// A volume that was being encrypted is read as far as it says how far that had
// come; what was worked on is not.
func TestPartial(t *testing.T) {
	s := usual()
	s.encrypted, s.converting = 400<<10, 4096
	volume, shown := s.volume()
	o, err := open(evidencetest.Source(volume), passwords(password), few)
	if err != nil {
		t.Fatal(err)
	}
	evidencetest.Lost(t, o.Source, shown, tutela.Run{Offset: 400 << 10, Length: 4096})
}

func TestRefused(t *testing.T) {
	good, _ := usual().volume()
	for want, damage := range map[string]func(b []byte){
		"encryption on write":         func(b []byte) { copy(b[160:], identifierOnUse) },
		"metadata of version 3":       func(b []byte) { b[copiesAt[0]+10] = 3 },
		"0 bytes of it are encrypted": func(b []byte) { clear(b[copiesAt[0]+16 : copiesAt[0]+24]); mend(b, copiesAt[0]) },
		"encryption method 0x8006":    func(b []byte) { b[copiesAt[0]+blockHeaderBytes+36] = 6; mend(b, copiesAt[0]) },
	} {
		b := bytes.Clone(good)
		damage(b)
		if _, err := open(evidencetest.Source(b), passwords(password), few); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 511), make([]byte, 4096), []byte("\xeb\x58\x90MSWIN4.1" + strings.Repeat("\x00", 600))} {
		if _, err := open(evidencetest.Source(b), passwords(password), few); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// mend makes the checksum of a copy right.
func mend(b []byte, at int) {
	size := int(binary.LittleEndian.Uint16(b[at+8:])) * 16
	if at+size+8 <= len(b) {
		binary.LittleEndian.PutUint32(b[at+size+4:], crc32.ChecksumIEEE(b[at:at+size]))
	}
}

// drawn is the volume of testdata: a file system behind AES-XTS of 128 bits, that
// bdemount and dislocker read too.
func drawn(plain []byte) sealed {
	return sealed{method: 0x8004, sector: 512, times: stretchings, plain: plain,
		protectors: []protection{{protectedByRecovery, recovery}, {protectedByPassword, "open sesame"}}}
}

func TestDrawn(t *testing.T) {
	if *write != "" {
		plain, err := os.ReadFile(*write)
		if err != nil {
			t.Fatal(err)
		}
		volume, _ := drawn(plain).volume()
		if err := os.WriteFile("testdata/drawn.bitlocker", volume, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	src := evidencetest.Source(evidencetest.Image(t, "testdata/drawn.bitlocker"))
	for _, keys := range []evidence.Keys{recoveries(recovery), passwords("open sesame")} {
		o, err := Open(src, keys)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := evidencetest.DiskSum(t, o.Source), "6520819cd2e13fd469088114c99badb08023e18d056477e0ca2325f4566db30e"; got != want {
			t.Errorf("%s gives %s, want %s", o.How, got, want)
		}
	}
}

// TestWindows holds volumes that Windows has made against the digests that
// come with them.
func TestWindows(t *testing.T) {
	if *volumes == "" {
		t.Skip("no -volumes")
	}
	list, err := os.ReadFile(filepath.Join(*volumes, "images.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split("\n"+string(list), "\n[")[1:] {
		name, rest, _ := strings.Cut(part, "]\n")
		said := map[string]string{}
		for line := range strings.Lines(rest) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			said[key] = value
		}
		windows(t, name, said)
	}
}

func windows(t *testing.T, name string, said map[string]string) {
	b, err := os.ReadFile(filepath.Join(*volumes, name+".img"))
	if err != nil {
		t.Error(err)
		return
	}
	for _, keys := range []evidence.Keys{passwords(said["PW"]), recoveries(said["RP"]), recoveries(said["RP2"])} {
		o, err := Open(evidencetest.Source(b), keys)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		if got := evidencetest.DiskSum(t, o.Source); got != said["SHA256SUM"] {
			t.Errorf("%s: %s gives %s, want %s", name, o.How, got, said["SHA256SUM"])
		}
		t.Logf("%s: %s, the same", name, o.How)
	}
}

func hostile(t testing.TB, b []byte) {
	o, err := open(evidencetest.Source(b), evidence.Keys{Passphrases: []string{password}, RecoveryKeys: []string{recovery}}, few)
	if err != nil {
		return
	}
	if o.Source.Size() > int64(len(b)) {
		t.Fatalf("%d bytes out of %d", o.Source.Size(), len(b))
	}
	for off := int64(0); off < o.Source.Size(); {
		n, err := io.Copy(io.Discard, io.NewSectionReader(o.Source, off, o.Source.Size()-off))
		off += n
		if err == nil {
			break
		}
		unread, ok := errors.AsType[*evidence.ReadError](err)
		if !ok || unread.Run.Offset != off || unread.Run.Length <= 0 {
			t.Fatalf("at %d of %d: %v, %+v", off, o.Source.Size(), err, unread)
		}
		off += unread.Run.Length
	}
}

func TestMutants(t *testing.T) {
	for _, layout := range []layout{later, toGo, vista} {
		s := usual()
		s.layout, s.plain = layout, s.plain[:384<<10]
		volume, _ := s.volume()
		hot := []tutela.Run{{Length: 512}}
		for _, at := range copiesAt {
			hot = append(hot, tutela.Run{Offset: int64(at), Length: 1200})
		}
		evidencetest.MutantsOf(t, volume, hot, func(damaged []byte) {
			hostile(t, damaged)
			if len(damaged) > copiesAt[0]+64 {
				mend(damaged, copiesAt[0])
				hostile(t, damaged)
			}
		})
	}
}

// FuzzOpen changes bytes of the boot sector and of the first copy of the metadata,
// whose checksum is made right again: pairs of a place and a byte.
func FuzzOpen(f *testing.F) {
	var images [][]byte
	for _, layout := range []layout{later, toGo, vista} {
		s := usual()
		s.layout, s.plain = layout, s.plain[:384<<10]
		volume, _ := s.volume()
		images = append(images, volume)
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{0, 11, 0xff, 0x80, 16, 7, 0x80, 28, 9})
	f.Add(byte(2), []byte{0, 56, 1, 0x80, 112, 0xff})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		b := bytes.Clone(images[int(which)%len(images)])
		for ; len(changes) >= 3; changes = changes[3:] {
			at := int(changes[0]&0x7f)<<8 | int(changes[1])
			if changes[0]&0x80 != 0 {
				at += copiesAt[0]
			}
			b[at] = changes[2]
		}
		mend(b, copiesAt[0])
		hostile(t, b)
	})
}

func BenchmarkRead(b *testing.B) {
	for method := uint16(0x8000); method <= 0x8005; method++ {
		b.Run(fmt.Sprintf("%#x", method), func(b *testing.B) {
			s := usual()
			s.method, s.plain = method, make([]byte, 16<<20)
			volume, _ := s.volume()
			o, err := open(evidencetest.Source(volume), passwords(password), few)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 1<<20)
			b.SetBytes(int64(len(volume)))
			for b.Loop() {
				for at := int64(0); at < o.Source.Size(); at += int64(len(buf)) {
					if _, err := o.Source.ReadAt(buf, at); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
