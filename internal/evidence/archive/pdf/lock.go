package pdf

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela/internal/evidence"
)

// The standard security handler (7.6.3): revisions 2 to 4 with RC4 and AES-128,
// and 5 and 6 with AES-256 (ISO 32000-2, 7.6.4.3.3 and 7.6.4.3.4).

// lock is an encrypted file that was opened.
type lock struct {
	key            []byte
	wide           bool // AES-256: one key for all objects
	stream, string method
	embedded       method
	named          map[Name]method // by the names of crypt filters
}

type method uint8

const (
	plain method = iota
	rc4Method
	aesMethod
)

// handler is the encryption dictionary.
type handler struct {
	version, revision int64
	owner, user       Text // O and U
	ownerKey, userKey Text // OE and UE
	permissions       uint32
	id                Text
	length            int // of the key, bytes
	metadata          bool
}

// unlock opens an encrypted file with the empty passphrase or one of those that
// are given.
func (f *File) unlock() error {
	if f.trailer == nil {
		return nil
	}
	v, err := f.resolve(f.trailer["Encrypt"])
	if err != nil {
		return err
	}
	d, ok := v.(Dict)
	if !ok {
		return fmt.Errorf("%w: how is not told", ErrEncrypted)
	}
	h, l, err := f.readHandler(d)
	if err != nil {
		return err
	}
	for i, passphrase := range append([]string{""}, f.options.Passphrases...) {
		if l.key = h.open([]byte(passphrase)); l.key != nil {
			f.lock, f.Encrypted, f.Unlocked = l, true, i-1
			return nil
		}
	}
	if len(f.options.Passphrases) > 0 {
		return fmt.Errorf("%w, and no passphrase given opens it", ErrEncrypted)
	}
	return ErrEncrypted
}

func (f *File) readHandler(d Dict) (h handler, l *lock, err error) {
	if err := f.resolveAll(d); err != nil {
		return h, nil, err
	}
	if d["Filter"] != Name("Standard") {
		filter, _ := d["Filter"].(Name)
		return h, nil, fmt.Errorf("%w by %.40q: %w", ErrEncrypted, string(filter), evidence.ErrUnsupported)
	}
	h.version, _ = number(d["V"])
	h.revision, _ = number(d["R"])
	h.owner, _ = d["O"].(Text)
	h.user, _ = d["U"].(Text)
	h.ownerKey, _ = d["OE"].(Text)
	h.userKey, _ = d["UE"].(Text)
	permissions, _ := number(d["P"])
	h.permissions = uint32(permissions)
	h.metadata = d["EncryptMetadata"] != false
	if id, _ := f.resolve(f.trailer["ID"]); id != nil {
		if a, ok := id.([]any); ok && len(a) > 0 {
			h.id, _ = a[0].(Text)
		}
	}
	bits, told := number(d["Length"])
	switch {
	case h.version == 1:
		h.length = 5
	case h.version == 4:
		h.length = 16
	case !told:
		h.length = 5
	default:
		h.length = int(max(5, min(bits/8, 16)))
	}
	if least := map[bool]int{false: 32, true: 48}[h.revision >= 5]; len(h.owner) < least || len(h.user) < least {
		return h, nil, fmt.Errorf("%w: its keys do not hold together", ErrEncrypted)
	}
	l, err = f.methods(d, h)
	return h, l, err
}

// methods says what is encrypted how (7.6.5).
func (f *File) methods(d Dict, h handler) (*lock, error) {
	l := &lock{wide: h.revision >= 5, named: map[Name]method{"Identity": plain}}
	switch {
	case h.version >= 1 && h.version <= 3 && h.revision >= 2 && h.revision <= 3:
		l.stream, l.string, l.embedded = rc4Method, rc4Method, rc4Method
		return l, nil
	case h.version == 4 && h.revision == 4, h.version == 5 && (h.revision == 5 || h.revision == 6):
	default:
		return nil, fmt.Errorf("%w, version %d, revision %d: %w", ErrEncrypted, h.version, h.revision, evidence.ErrUnsupported)
	}
	filters, _ := d["CF"].(Dict)
	for name, v := range filters {
		v, err := f.resolve(v)
		if err != nil {
			return nil, err
		}
		filter, _ := v.(Dict)
		switch filter["CFM"] {
		case Name("V2"):
			l.named[name] = rc4Method
		case Name("AESV2"), Name("AESV3"):
			l.named[name] = aesMethod
		case Name("None"), nil:
			l.named[name] = plain
		}
	}
	var known bool
	for key, to := range map[Name]*method{"StmF": &l.stream, "StrF": &l.string} {
		name, told := d[key].(Name)
		if *to, known = l.named[name]; told && !known {
			return nil, fmt.Errorf("%w by filter %.40q: %w", ErrEncrypted, string(name), evidence.ErrUnsupported)
		}
	}
	l.embedded = l.stream
	if name, told := d["EFF"].(Name); told {
		l.embedded = l.named[name]
	}
	return l, nil
}

// open is the key of the file, nil if the passphrase does not fit.
func (h handler) open(passphrase []byte) []byte {
	if h.revision >= 5 {
		return h.openWide(passphrase[:min(len(passphrase), 127)])
	}
	if key := h.tryUser(passphrase); key != nil {
		return key
	}
	return h.tryUser(h.userOf(passphrase))
}

const padding = "\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a"

func padded(passphrase []byte) []byte {
	return append(bytes.Clone(passphrase[:min(len(passphrase), 32)]), padding...)[:32]
}

// tryUser is algorithms 2 and 6.
func (h handler) tryUser(passphrase []byte) []byte {
	sum := md5.New()
	sum.Write(padded(passphrase))
	sum.Write(h.owner[:32])
	binary.Write(sum, binary.LittleEndian, h.permissions)
	sum.Write(h.id)
	if h.revision >= 4 && !h.metadata {
		sum.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	key := sum.Sum(nil)
	if h.revision == 2 {
		key = key[:h.length]
		if bytes.Equal(crypt(key, []byte(padding), 0), h.user[:32]) {
			return key
		}
		return nil
	}
	for range 50 {
		again := md5.Sum(key[:h.length])
		key = again[:]
	}
	key = key[:h.length]
	check := md5.Sum(append([]byte(padding), h.id...))
	b := check[:]
	for i := range 20 {
		b = crypt(key, b, byte(i))
	}
	if bytes.Equal(b, h.user[:16]) {
		return key
	}
	return nil
}

// userOf is the user's passphrase that the owner's gives (algorithm 7).
func (h handler) userOf(passphrase []byte) []byte {
	sum := md5.Sum(padded(passphrase))
	key := sum[:]
	if h.revision == 2 {
		return crypt(key[:h.length], h.owner[:32], 0)
	}
	for range 50 {
		again := md5.Sum(key)
		key = again[:]
	}
	b := []byte(h.owner[:32])
	for i := 19; i >= 0; i-- {
		b = crypt(key[:h.length], b, byte(i))
	}
	return b
}

// crypt is RC4 with a key of which every byte is changed.
func crypt(key, b []byte, change byte) []byte {
	k := bytes.Clone(key)
	for i := range k {
		k[i] ^= change
	}
	c, err := rc4.NewCipher(k)
	if err != nil {
		return nil
	}
	out := make([]byte, len(b))
	c.XORKeyStream(out, b)
	return out
}

// openWide is algorithm 2.A of ISO 32000-2.
func (h handler) openWide(passphrase []byte) []byte {
	user := []byte(h.user[:48])
	for _, try := range []struct {
		check, key Text
		with       []byte
	}{{h.user, h.userKey, nil}, {h.owner, h.ownerKey, user}} {
		if len(try.key) < 32 || !bytes.Equal(h.hash(passphrase, try.check[32:40], try.with), try.check[:32]) {
			continue
		}
		block, err := aes.NewCipher(h.hash(passphrase, try.check[40:48], try.with))
		if err != nil {
			return nil
		}
		key := make([]byte, 32)
		cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(key, try.key[:32])
		return key
	}
	return nil
}

// hash is algorithm 2.B of ISO 32000-2; revision 5 only has its first step.
func (h handler) hash(passphrase, salt, user []byte) []byte {
	first := sha256.Sum256(bytes.Join([][]byte{passphrase, salt, user}, nil))
	k := first[:]
	for i := 0; h.revision >= 6; i++ {
		round := bytes.Repeat(bytes.Join([][]byte{passphrase, k, user}, nil), 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(round, round)
		rest := 0
		for _, c := range round[:16] {
			rest += int(c)
		}
		switch rest % 3 {
		case 0:
			sum := sha256.Sum256(round)
			k = sum[:]
		case 1:
			sum := sha512.Sum384(round)
			k = sum[:]
		default:
			sum := sha512.Sum512(round)
			k = sum[:]
		}
		if i >= 63 && int(round[len(round)-1]) <= i-31 {
			break
		}
	}
	return k[:32]
}

// objectKey is algorithm 1.
func (l *lock) objectKey(ref Ref, m method) []byte {
	if l.wide {
		return l.key
	}
	b := append(bytes.Clone(l.key), byte(ref.Number), byte(ref.Number>>8), byte(ref.Number>>16), byte(ref.Generation), byte(ref.Generation>>8))
	if m == aesMethod {
		b = append(b, "sAlT"...)
	}
	sum := md5.Sum(b)
	return sum[:min(len(l.key)+5, 16)]
}

// open decrypts a stream. filter is the crypt filter that it names itself.
func (l *lock) open(r io.Reader, ref Ref, kind Kind, filter Name) (io.Reader, error) {
	m := l.stream
	if kind == Embedded {
		m = l.embedded
	}
	if filter != "" {
		var known bool
		if m, known = l.named[filter]; !known {
			return nil, fmt.Errorf("crypt filter %.40q: %w", string(filter), evidence.ErrUnsupported)
		}
	}
	switch m {
	case rc4Method:
		c, err := rc4.NewCipher(l.objectKey(ref, m))
		return cipher.StreamReader{S: c, R: r}, err
	case aesMethod:
		block, err := aes.NewCipher(l.objectKey(ref, m))
		return &cbcReader{src: bufio.NewReader(r), block: block}, err
	}
	return r, nil
}

// strings decrypts all strings in an object.
func (l *lock) strings(v any, ref Ref) any {
	switch v := v.(type) {
	case Text:
		r, err := (&lock{key: l.key, wide: l.wide, stream: l.string}).open(bytes.NewReader(v), ref, other, "")
		if err != nil {
			return v
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return v // in the dictionary of encryption itself, strings are not encrypted
		}
		return Text(b)
	case []any:
		for i := range v {
			v[i] = l.strings(v[i], ref)
		}
	case Dict:
		for key, item := range v {
			v[key] = l.strings(item, ref)
		}
	}
	return v
}

var errBlocks = errors.New("what is encrypted does not end as it should")

// cbcReader decrypts AES-CBC: the first block is the vector, the last says how
// much of it is padding (7.6.2).
type cbcReader struct {
	src   *bufio.Reader
	block cipher.Block
	mode  cipher.BlockMode
	buf   [4 << 10]byte
	out   []byte
	err   error
}

func (c *cbcReader) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.out, c.err = c.next()
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

func (c *cbcReader) next() ([]byte, error) {
	if c.mode == nil {
		vector := c.buf[:aes.BlockSize]
		if _, err := io.ReadFull(c.src, vector); err != nil {
			return nil, err // nothing at all is an empty stream
		}
		c.mode = cipher.NewCBCDecrypter(c.block, vector)
	}
	n, err := io.ReadFull(c.src, c.buf[:])
	switch {
	case err == io.EOF: // there must be padding
		return nil, errBlocks
	case err != nil && err != io.ErrUnexpectedEOF:
		return nil, err
	}
	b := c.buf[:n-n%aes.BlockSize]
	c.mode.CryptBlocks(b, b)
	if _, more := c.src.Peek(1); more == nil {
		return b, nil
	}
	if len(b) < n || len(b) == 0 {
		return b, errBlocks
	}
	pad := int(b[len(b)-1])
	if pad < 1 || pad > aes.BlockSize {
		return b, errBlocks
	}
	return b[:len(b)-pad], io.EOF
}
