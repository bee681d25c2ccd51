package luks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// cheap bounds what damaged headers can ask for.
var cheap = cost{iterations: 1 << 14, memory: 8 << 10, passes: 4}

func with(passphrases ...string) evidence.Keys { return evidence.Keys{Passphrases: passphrases} }

// The images that cryptsetup and qemu-img have made.
func TestImages(t *testing.T) {
	pattern := sha256.Sum256(evidencetest.Pattern(128 << 10))
	for name, want := range map[string]struct{ sum, how string }{
		"fat.luks2":         {"b8e106cb3b7c85677f06ed7b30a1432e8d7eb5e6afb1d5354aedcecc6e30e86a", "luks2: passphrase 2 opened key slot 0"},
		"pattern4096.luks2": {fmt.Sprintf("%x", pattern), "luks2: passphrase 2 opened key slot 0"},
		"pattern.luks1":     {fmt.Sprintf("%x", pattern), "luks1: passphrase 2 opened key slot 0"},
	} {
		src := evidencetest.Source(evidencetest.Image(t, "testdata/"+name))
		o, err := Open(src, with("open seasame", "open sesame"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := o.Format + ": " + o.How; got != want.how || len(o.Notes) > 0 {
			t.Errorf("%s: %q, %q", name, got, o.Notes)
		}
		if got := evidencetest.DiskSum(t, o.Source); got != want.sum {
			t.Errorf("%s decrypts to %s, want %s", name, got, want.sum)
		}
		locked := mustBeLocked(t, src, with("open seasame"))
		if locked != o.Format+": 1 key slot; the key that was tried does not open it" {
			t.Errorf("%s: %s", name, locked)
		}
	}
}

func mustBeLocked(t *testing.T, src evidence.Source, keys evidence.Keys) string {
	t.Helper()
	_, err := Open(src, keys)
	locked, ok := errors.AsType[*evidence.LockedError](err)
	if !ok || !errors.Is(err, evidence.ErrNoKey) {
		t.Fatalf("%v, want it locked", err)
	}
	return locked.Error()
}

// Everything that is read, in every combination that matters.
func TestCrafted(t *testing.T) {
	plain := evidencetest.Pattern(96 << 10)
	for _, s := range []sealed{
		{spec: "aes-xts-plain64", key: 32, hash: "sha256", sectorSize: 512},
		{spec: "aes-xts-plain64", key: 64, hash: "sha512", sectorSize: 512},
		{spec: "aes-xts-plain64", key: 48, hash: "sha1", sectorSize: 512},
		{spec: "aes-xts-plain", key: 64, hash: "ripemd160", sectorSize: 512},
		{spec: "aes-cbc-essiv:sha256", key: 16, hash: "sha1", sectorSize: 512},
		{spec: "aes-cbc-essiv:sha256", key: 32, hash: "sha224", sectorSize: 512},
		{spec: "aes-cbc-plain64", key: 24, hash: "sha384", sectorSize: 512},
		{spec: "aes-cbc-plain64be", key: 32, hash: "sha256", sectorSize: 512},
		{spec: "aes-cbc-plain", key: 32, hash: "sha256", sectorSize: 512},
		{spec: "aes-xts-plain64", key: 64, hash: "sha256", sectorSize: 1024, tweak: 7},
		{spec: "aes-xts-plain64", key: 64, hash: "sha256", sectorSize: 2048},
		{spec: "aes-xts-plain64", key: 64, hash: "sha256", sectorSize: 4096, tweak: 1 << 40},
		{spec: "aes-cbc-essiv:sha256", key: 32, hash: "sha256", sectorSize: 4096},
	} {
		s.plain = plain
		volumes := map[string][]byte{"luks2": s.version2(t)}
		if s.sectorSize == 512 && s.tweak == 0 {
			volumes["luks1"] = s.version1()
		}
		for format, b := range volumes {
			o, err := Open(evidencetest.Source(b), with("wrong", passphrase))
			if err != nil {
				t.Errorf("%s %s, %d bytes, %s: %v", format, s.spec, s.key, s.hash, err)
				continue
			}
			if o.Format != format || o.How != "passphrase 2 opened key slot 2" {
				t.Errorf("%s: %s", o.Format, o.How)
			}
			evidencetest.SameDisk(t, o.Source, plain)
		}
	}
}

func usual2() sealed {
	return sealed{spec: "aes-xts-plain64", key: 64, hash: "sha256", sectorSize: 512, plain: evidencetest.Pattern(32 << 10)}
}

// Where the first header is bad its copy is used, and the newer of two good ones.
func TestSecondHeader(t *testing.T) {
	good := usual2().version2(t)
	for name, c := range map[string]struct {
		damage func(b []byte)
		note   string
	}{
		"checksum": {func(b []byte) { b[5000]++ }, "the checksum is wrong"},
		"its size": {func(b []byte) { binary.BigEndian.PutUint64(b[8:], 1<<40) }, "a header of 1099511627776 bytes"},
		"newer":    {func(b []byte) { binary.BigEndian.PutUint64(b[16<<10+16:], 4); resum(b, 16<<10) }, "newer"},
	} {
		b := bytes.Clone(good)
		c.damage(b)
		o, err := Open(evidencetest.Source(b), with(passphrase))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(o.Notes) != 1 || !strings.Contains(o.Notes[0], c.note) {
			t.Errorf("%s: notes %q", name, o.Notes)
		}
		evidencetest.SameDisk(t, o.Source, usual2().plain)
	}
	b := bytes.Clone(good)
	b[5000]++
	b[16<<10+5000]++
	if _, err := Open(evidencetest.Source(b), with(passphrase)); err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("both bad: %v", err)
	}
}

func TestOpenCopy(t *testing.T) {
	b := usual2().version2(t)
	clear(b[:16<<10])
	o, err := OpenCopy(evidencetest.Source(b), with(passphrase))
	if err != nil || len(o.Notes) != 1 || o.Notes[0] != "the header is gone: its copy at 16384 was used" {
		t.Fatalf("%+v, %v", o, err)
	}
	evidencetest.SameDisk(t, o.Source, usual2().plain)
	b[20<<10]++
	if _, err := OpenCopy(evidencetest.Source(b), with(passphrase)); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("with a bad copy: %v", err)
	}
}

// What is not read is refused by name, before a key is derived.
func TestRefused(t *testing.T) {
	part := func(m map[string]any, path ...string) map[string]any {
		for _, p := range path {
			m = m[p].(map[string]any)
		}
		return m
	}
	type m = map[string]any
	for want, change := range map[string]func(m){
		`cipher "serpent-xts-plain64"`:    func(a m) { part(a, "segments", "0")["encryption"] = "serpent-xts-plain64" },
		`cipher "aes-adiantum"`:           func(a m) { part(a, "keyslots", "2", "area")["encryption"] = "aes-adiantum" },
		"with integrity":                  func(a m) { part(a, "segments", "0")["integrity"] = m{"type": "hmac(sha256)"} },
		"it requires online-reencrypt-v2": func(a m) { part(a, "config")["requirements"] = m{"mandatory": []string{"online-reencrypt-v2"}} },
		"2 segments":                      func(a m) { part(a, "segments")["1"] = m{"type": "linear"} },
		`of type "linear"`:                func(a m) { part(a, "segments", "0")["type"] = "linear" },
		"lies apart from the volume":      func(a m) { part(a, "segments", "0")["offset"] = "0" },
		"sectors of 8192 bytes":           func(a m) { part(a, "segments", "0")["sector_size"] = 8192 },
		`key derivation "scrypt"`:         func(a m) { part(a, "keyslots", "2", "kdf")["type"] = "scrypt" },
		"4294967296 iterations":           func(a m) { part(a, "keyslots", "2", "kdf")["iterations"] = 1 << 32 },
		`hash "whirlpool"`:                func(a m) { part(a, "keyslots", "2", "af")["hash"] = "whirlpool" },
		"2097152 KiB of memory for Argon2": func(a m) {
			part(a, "keyslots", "2")["kdf"] = m{"type": "argon2id", "salt": "", "time": 4, "memory": 2 << 20, "cpus": 4}
		},
		"4096 passes of Argon2 over": func(a m) {
			part(a, "keyslots", "2")["kdf"] = m{"type": "argon2i", "salt": "", "time": 4096, "memory": 1 << 20, "cpus": 4}
		},
		"100 threads of Argon2": func(a m) {
			part(a, "keyslots", "2")["kdf"] = m{"type": "argon2i", "salt": "", "time": 4, "memory": 1 << 10, "cpus": 100}
		},
		"of type reencrypt":  func(a m) { part(a, "keyslots", "2")["type"] = "reencrypt" },
		"a key of 128 bytes": func(a m) { part(a, "keyslots", "2")["key_size"] = 128 },
		"stripes":            func(a m) { part(a, "keyslots", "2", "af")["stripes"] = 1 << 30 },
	} {
		s := usual2()
		s.change = change
		_, err := Open(evidencetest.Source(s.version2(t)), with(passphrase))
		if !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What does not hold together is an error that says so, and never a volume.
func TestBroken(t *testing.T) {
	type m = map[string]any
	slot := func(a m) m { return a["keyslots"].(m)["2"].(m) }
	for want, change := range map[string]func(m){
		"lies outside the volume":   func(a m) { slot(a)["area"].(m)["offset"] = "9000000" },
		"key material of 0 bytes":   func(a m) { slot(a)["area"].(m)["size"] = "0" },
		"proves nothing":            func(a m) { a["digests"].(m)["0"].(m)["digest"] = "AAAA" },
		"behind the end":            func(a m) { a["segments"].(m)["0"].(m)["offset"] = "9000000" },
		"out of range":              func(a m) { a["segments"].(m)["0"].(m)["size"] = "18446744073709551615" },
		"illegal base64":            func(a m) { slot(a)["kdf"].(m)["salt"] = "*" },
		"metadata: json":            func(a m) { a["segments"] = 1 },
		"luks2: no key slot in use": func(a m) { a["keyslots"] = m{} },
	} {
		s := usual2()
		s.change = change
		_, err := Open(evidencetest.Source(s.version2(t)), with(passphrase))
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestNotThis(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("LUKS"), make([]byte, 4096), []byte(magic + "\x00\x03")} {
		if _, err := Open(evidencetest.Source(b), with(passphrase)); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// holed cannot be read in one stretch.
type holed struct {
	evidence.Source
	hole tutela.Run
}

func (h holed) ReadAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end <= h.hole.Offset || off >= h.hole.Offset+h.hole.Length {
		return h.Source.ReadAt(p, off)
	}
	n := max(h.hole.Offset-off, 0)
	m, err := h.Source.ReadAt(p[:n], off)
	if err != nil && err != io.EOF {
		return m, err
	}
	at := off + n
	return int(n), &evidence.ReadError{Run: tutela.Run{Offset: at, Length: h.hole.Offset + h.hole.Length - at}, Err: errors.New("bad sector")}
}

// A stretch that cannot be read costs the sectors it lies in, in bytes of the
// decrypted volume.
func TestReadErrors(t *testing.T) {
	s := usual2()
	s.sectorSize = 4096
	b := s.version2(t)
	for hole, lost := range map[tutela.Run]tutela.Run{
		{Offset: payloadAt + 8192, Length: 512}:  {Offset: 8192, Length: 4096},
		{Offset: payloadAt + 9000, Length: 3600}: {Offset: 8192, Length: 8192},
		{Offset: payloadAt, Length: 1}:           {Offset: 0, Length: 4096},
		{Offset: payloadAt + 32767, Length: 9}:   {Offset: 28672, Length: 4096},
	} {
		o, err := Open(holed{evidencetest.Source(b), hole}, with(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		evidencetest.Lost(t, o.Source, s.plain, lost)
		within := make([]byte, 10)
		n, err := o.Source.ReadAt(within, lost.Offset+5)
		unread, ok := errors.AsType[*evidence.ReadError](err)
		if n != 0 || !ok || unread.Run.Offset != lost.Offset+5 || !bytes.Equal(within, make([]byte, 10)) {
			t.Errorf("in the middle of the loss: %d bytes, %v, %v", n, err, unread)
		}
	}
}

// hot are the headers and the key material.
func hot() []tutela.Run {
	return []tutela.Run{{Length: 600}, {Offset: 4096, Length: 900}, {Offset: 16 << 10, Length: 600}, {Offset: 20 << 10, Length: 900}, {Offset: areaAt, Length: 512}}
}

// hostile opens whatever bytes and holds that only the right plain text comes out
// of them, if the places were not damaged that hold it.
func hostile(t testing.TB, b []byte) {
	o, err := open(evidencetest.Source(b), with(passphrase), cheap)
	if err != nil {
		return
	}
	if o.Source.Size() > int64(len(b)) {
		t.Fatalf("%d bytes out of %d", o.Source.Size(), len(b))
	}
	if n, err := io.Copy(io.Discard, io.NewSectionReader(o.Source, 0, o.Source.Size())); err != nil || n != o.Source.Size() {
		t.Fatalf("%d bytes of %d: %v", n, o.Source.Size(), err)
	}
}

func TestMutants(t *testing.T) {
	for _, b := range [][]byte{usual2().version1(), usual2().version2(t)} {
		evidencetest.MutantsOf(t, b, hot(), func(damaged []byte) {
			hostile(t, damaged)
			if len(damaged) >= payloadAt && string(damaged[:8]) == magic+"\x00\x02" { // past the checksum
				resum(damaged, 0)
				hostile(t, damaged)
			}
		})
	}
}

// FuzzOpen changes bytes of the headers and of the key material: pairs of a place
// and a byte. Checksums are made right again.
func FuzzOpen(f *testing.F) {
	volumes := [][]byte{usual2().version1(), usual2().version2(f)}
	f.Add(byte(0), []byte{})
	f.Add(byte(0), []byte{0, 104, 0xff, 1, 0x38, 7})
	f.Add(byte(1), []byte{16, 0, '{', 16, 40, '9'})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		b := bytes.Clone(volumes[int(which)%len(volumes)])
		for ; len(changes) >= 3; changes = changes[3:] {
			b[int(changes[0])<<8|int(changes[1])] = changes[2]
		}
		if int(which)%len(volumes) == 1 {
			resum(b, 0)
		}
		hostile(t, b)
	})
}

func BenchmarkRead(b *testing.B) {
	s := usual2()
	s.plain = make([]byte, 16<<20)
	o, err := Open(evidencetest.Source(s.version2(b)), with(passphrase))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(s.plain)))
	for b.Loop() {
		for at := int64(0); at < o.Source.Size(); at += int64(len(buf)) {
			if _, err := o.Source.ReadAt(buf, at); err != nil {
				b.Fatal(err)
			}
		}
	}
}
